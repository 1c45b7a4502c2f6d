# shellcheck shell=bash
# The cache folder that everything is fetched into: its lock, its free space, its checksums. What is fetched is not its business.
# scripts/provision.sh reads this file.

readonly CACHE=${MARKETPRISM_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set; set MARKETPRISM_CACHE to a folder}/.cache}/marketprism}

say() { printf 'provision: %s\n' "$*" >&2; }
die() { printf 'provision: error: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
bytes_of() { stat -c %s "$1" 2>/dev/null || echo 0; }

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

# check sha256|sha512 FILE EXPECTED WHAT: a file that fails is removed, so that the next run fetches it again.
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
