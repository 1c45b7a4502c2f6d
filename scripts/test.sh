#!/usr/bin/env bash
# The whole test suite, against a real nats-server and the real ClickHouse engine, both fetched first if they are not there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/provision.sh
eval "$(scripts/provision.sh --print-env)"
exec cargo xtask ci --only tests
