#!/usr/bin/env bash
# The whole pipeline on this machine: builds it, fetches nats-server and the ClickHouse engine, runs exchange simulator →
# collector → JetStream → ClickHouse hot → ClickHouse cold with a live table and the web console, and reconciles at the end.
#
#   scripts/demo.sh                          until Ctrl-C
#   scripts/demo.sh --for 60s --rate 5000    stops by itself; exit code 0 only if nothing was lost or duplicated
#   scripts/demo.sh --help                   everything else
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v cargo >/dev/null 2>&1 || { echo "demo: error: cargo is not installed; see https://rustup.rs" >&2; exit 2; }

# Captures are named from where the caller stands, not from the repository.
arguments=()
for argument in "$@"; do
    if [[ $argument != -* && $argument != /* && -e ${OLDPWD:-.}/$argument ]]; then
        argument=$OLDPWD/$argument
    fi
    arguments+=("$argument")
done

echo "demo: building (the first time takes some minutes)" >&2
scripts/provision.sh &
fetching=$!
built=0
cargo build --profile demo --locked \
    -p marketprism-demo -p marketprism-broker-bootstrap -p marketprism-collector -p marketprism-hot-storage \
    -p marketprism-cold-storage -p marketprism-exchange-simulator -p marketprism-embedded-clickhouse \
    -p marketprism-monitoring || built=$?
wait "$fetching" || exit 2
if [ "$built" != 0 ]; then exit 2; fi
target=${CARGO_TARGET_DIR:-target}
exec "$target/demo/marketprism-demo" ${arguments[@]+"${arguments[@]}"}
