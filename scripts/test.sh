#!/usr/bin/env bash
# The whole test suite, against real servers: nats-server, the ClickHouse engine, Prometheus, Alertmanager, Chromium. What is
# not there is fetched first, while the crates compile.
#
#   scripts/test.sh                                    everything
#   scripts/test.sh -E 'package(marketprism-bus)'      arguments are nextest's: one package, one test by its name, …
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v cargo >/dev/null 2>&1 || { echo "test: error: cargo is not installed; see https://rustup.rs" >&2; exit 2; }
scripts/provision.sh all &
fetching=$!
# Tests start the services' binaries, also those of packages without tests of their own. Same features, built once.
built=0
cargo build --locked --workspace --bins --tests --example tiny || built=$?
wait "$fetching"
if [ "$built" != 0 ]; then exit "$built"; fi
eval "$(scripts/provision.sh --print-env)"
exec cargo nextest run --locked --workspace --tests "$@"
