#!/usr/bin/env bash
# Fetches what MarketPrism and its tests run on where it is not installed. It needs no root and changes nothing outside its
# cache folder.
#
#   scripts/provision.sh               what the pipeline runs on: nats-server and the ClickHouse engine (libchdb)
#   scripts/provision.sh WHAT...       only these: nats, clickhouse, nextest (the test runner), monitoring (Prometheus,
#                                      Alertmanager, blackbox exporter and their tools), browser (Chromium); all is everything
#   scripts/provision.sh --print-env   prints the export lines that point programs at them, and fetches nothing
#
# It returns at once when everything is there. nats-server, the engine and the test runner have pinned versions and checked
# checksums; an interrupted engine download resumes. Monitoring and browser are taken from the PATH, otherwise from the
# packages of Debian and its relatives, in their version.
# Where packages come from is the setting of pip, npm and apt, never of this file.
# To use your own builds, set the variables that --print-env names, for example LIBCHDB=/path/libchdb.so.
set -euo pipefail
readonly ROOM=${BASH_SOURCE[0]%/*}/provision

# shellcheck source=scripts/provision/cache.sh
. "$ROOM/cache.sh"
# shellcheck source=scripts/provision/wheels.sh
. "$ROOM/wheels.sh"
# shellcheck source=scripts/provision/engine.sh
. "$ROOM/engine.sh"
# shellcheck source=scripts/provision/debian.sh
. "$ROOM/debian.sh"

main() {
    case "${1:-}" in
        --print-env) print_env; return ;;
        -h | --help) sed -n '2,16s/^# \{0,1\}//p' "$0"; return ;;
    esac
    local what
    for what in "${@:-pipeline}"; do
        case "$what" in
            nats | clickhouse | nextest | monitoring | browser) "provision_$what" ;;
            pipeline) provision_nats; provision_clickhouse ;;
            all) provision_nats; provision_nextest; provision_clickhouse; provision_monitoring; provision_browser ;;
            *) die "unknown argument '$what' (nats, clickhouse, nextest, monitoring, browser, all, --print-env, --help)" ;;
        esac
    done
}

print_env() {
    printf 'export MARKETPRISM_NATS_SERVER=%q\n' "${MARKETPRISM_NATS_SERVER:-$NATS_FILE}"
    printf 'export LIBCHDB=%q\n' "${LIBCHDB:-$CHDB_FILE}"
    # cargo finds its subcommands on the PATH; a test runner that is installed stays the first one there.
    # shellcheck disable=SC2016  # PATH is for the reader of this line
    printf 'export PATH="$PATH":%q\n' "${NEXTEST_FILE%/*}"
    print_tools
}

main "$@"
