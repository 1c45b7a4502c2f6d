# shellcheck shell=bash
# The ClickHouse engine (libchdb) out of its npm package, in a pinned version with a pinned checksum; the download resumes.
# scripts/provision.sh reads this file.

readonly CHDB_VERSION=26.7.3-stable.1
readonly CHDB_PACKAGE=@chdb/lib-linux-x64-gnu
readonly CHDB_BYTES=566330096
readonly CHDB_TARBALL_BYTES=177817999
readonly CHDB_TARBALL_SHA512=5cff7b98caa7739b59a4a432c11f0dedc2d3b073624e61ebdf4a42e66ce8de35a6ba48ca9f62016bad1cd81fe059435cb858ce3235a8a2b408082a81563e70a7
readonly CHDB_FILE=$CACHE/libchdb-$CHDB_VERSION/libchdb.so
readonly CHDB_HINT="set LIBCHDB to a libchdb.so $CHDB_VERSION, or point the services at a ClickHouse server (docs/embedded-clickhouse.md)"

provision_clickhouse() {
    if [ "${LIBCHDB:-$CHDB_FILE}" != "$CHDB_FILE" ]; then
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
