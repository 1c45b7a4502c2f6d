#!/usr/bin/env bash
# The whole test suite, against real servers: nats-server, the ClickHouse engine, Prometheus, Alertmanager, Chromium. What is not there is fetched first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/provision.sh all
eval "$(scripts/provision.sh --print-env)"
exec cargo xtask ci --only tests
