# shellcheck shell=bash
# Programs out of the packages of Debian and its relatives, unpacked into the cache instead of installed: Prometheus and its
# kin, and Chromium with every library that the machine lacks. Their versions are the distribution's.
# scripts/provision.sh reads this file.

readonly MONITORING_DIR=$CACHE/debian/monitoring
readonly MONITORING_PACKAGES=(prometheus prometheus-alertmanager prometheus-blackbox-exporter)
# Variable, then the names of the program: Debian's, then its makers'.
readonly MONITORING_TOOLS=(
    "MARKETPRISM_PROMETHEUS prometheus"
    "MARKETPRISM_PROMTOOL promtool"
    "MARKETPRISM_ALERTMANAGER prometheus-alertmanager alertmanager"
    "MARKETPRISM_AMTOOL amtool"
    "MARKETPRISM_BLACKBOX_EXPORTER prometheus-blackbox-exporter blackbox_exporter"
)
readonly BROWSER_DIR=$CACHE/debian/browser
readonly BROWSER_PACKAGES=(chromium-headless-shell fonts-dejavu-core)
readonly BROWSER_TOOLS=("MARKETPRISM_CHROMIUM chromium chromium-browser google-chrome")

# Debian's Alertmanager reads its templates from this absolute path, which only an installed package fills.
readonly ALERTMANAGER_SHARE=/usr/share/prometheus/alertmanager

print_tools() {
    local tool
    for tool in "${MONITORING_TOOLS[@]}"; do print_tool "$MONITORING_DIR" "$tool"; done
    for tool in "${BROWSER_TOOLS[@]}"; do print_tool "$BROWSER_DIR" "$tool"; done
}

print_tool() {
    # shellcheck disable=SC2086  # a variable and its names, split on purpose
    printf 'export %s=%q\n' "${2%% *}" "$(path_of "$1" $2)"
}

# path_of FOLDER VARIABLE NAME...: what the variable says, else the first on the PATH, else where the package is unpacked.
path_of() {
    local folder=$1 variable=$2 name
    shift 2
    if [ -n "${!variable:-}" ]; then echo "${!variable}"; return; fi
    for name in "$@"; do
        if command -v "$name"; then return; fi
    done
    echo "$folder/usr/bin/$1"
}

# missing FOLDER TOOL...: whether one of the tools is not there. A variable that names no program is a mistake, unless it comes
# from --print-env and names what is fetched now.
missing() {
    local folder=$1 tool path
    shift
    for tool in "$@"; do
        # shellcheck disable=SC2086
        path=$(path_of "$folder" $tool)
        if [ -x "$path" ]; then continue; fi
        tool=${tool%% *}
        [ -z "${!tool:-}" ] || [[ $path == "$folder"/* ]] || die "$tool=$path is not an executable file"
        return 0
    done
    return 1
}

provision_monitoring() {
    local hint="install ${MONITORING_PACKAGES[*]}, or set MARKETPRISM_PROMETHEUS and its like (--print-env)"
    if ! missing "$MONITORING_DIR" "${MONITORING_TOOLS[@]}"; then return; fi
    lock
    if ! missing "$MONITORING_DIR" "${MONITORING_TOOLS[@]}"; then return; fi
    require_disk 400 "the monitoring servers"
    unpack_packages "$MONITORING_DIR" download "$hint" "${MONITORING_PACKAGES[@]}"
    carry_alertmanager "$TREE" "$hint"
    install_folder "$TREE" "$MONITORING_DIR"
    rm -rf "$MONITORING_DIR.part"
    if missing "$MONITORING_DIR" "${MONITORING_TOOLS[@]}"; then die "the packages ${MONITORING_PACKAGES[*]} do not hold all of the programs; $hint"; fi
    say "${MONITORING_PACKAGES[*]}: ready, $MONITORING_DIR"
}

provision_browser() {
    local hint="install chromium, or set MARKETPRISM_CHROMIUM to one"
    if ! missing "$BROWSER_DIR" "${BROWSER_TOOLS[@]}"; then return; fi
    lock
    if ! missing "$BROWSER_DIR" "${BROWSER_TOOLS[@]}"; then return; fi
    require_disk 900 "Chromium"
    unpack_packages "$BROWSER_DIR" install "$hint" "${BROWSER_PACKAGES[@]}"
    carry_chromium "$TREE" "$hint"
    install_folder "$TREE" "$BROWSER_DIR"
    rm -rf "$BROWSER_DIR.part"
    say "${BROWSER_PACKAGES[*]}: ready, $BROWSER_DIR"
}

# unpack_packages FOLDER download|install HINT PACKAGE...: their files in FOLDER.part/tree, whose path is then in TREE. With
# `install` also those of every package that they need and the machine lacks.
unpack_packages() {
    local work=$1.part how=$2 hint=$3
    shift 3
    has apt-get && has dpkg-deb || die "this is no Debian: $hint"
    rm -rf "$work" && mkdir -p "$work"/{lists,archives}/partial "$work/tree"
    # Package lists of its own: those of the machine may be old or missing, and only root may renew them or runs its hooks.
    cat >"$work/apt.conf" <<END
Dir::State::lists "$work/lists";
Dir::Cache "$work";
APT::Sandbox::User "$(id -un)";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
END
    local apt=(apt-get -qq --config-file "$work/apt.conf")
    say "$*: fetching with apt-get, which installs nothing here"
    "${apt[@]}" update >&2 || die "apt-get could not fetch its package lists (see above; no network?). Run again, or $hint"
    local fetch=("${apt[@]}" download)
    if [ "$how" = install ]; then fetch=("${apt[@]}" install --download-only --yes); fi
    (cd "$work/archives" && "${fetch[@]}" "$@" >&2) || die "apt-get could not download $* (see above). Run again, or $hint"
    local package
    for package in "$work"/archives/*.deb; do
        dpkg-deb -x "$package" "$work/tree" || die "could not unpack $package (disk full?)"
    done
    TREE=$work/tree
}

# carry_alertmanager TREE HINT: lets it find its templates wherever the tree lies. The path in the program is replaced by one of
# the same length that means "the folder open as descriptor 8", and a launcher opens that folder.
carry_alertmanager() {
    local program=$1/usr/lib/alertmanager/alertmanager carried=/proc/self/fd/8
    while [ "${#carried}" -lt "${#ALERTMANAGER_SHARE}" ]; do carried+=/; done
    mkdir -p "${program%/*}"
    LC_ALL=C sed "s|$ALERTMANAGER_SHARE|$carried|g" "$1/usr/bin/prometheus-alertmanager" >"$program"
    LC_ALL=C grep -qa "$carried" "$program" || die "prometheus-alertmanager no longer reads $ALERTMANAGER_SHARE; $2"
    chmod 755 "$program"
    cat >"$1/usr/bin/prometheus-alertmanager" <<'END'
#!/bin/sh
# Alertmanager of the cache folder, with its templates open as descriptor 8 (scripts/provision/debian.sh).
tree=$(dirname "$(readlink -f "$0")")/..
exec 8<"$tree/share/prometheus/alertmanager"
exec "$tree/lib/alertmanager/alertmanager" "$@"
END
}

# carry_chromium TREE HINT: a launcher for the headless browser in place of Debian's, which knows only /usr/lib. The tree holds
# the libraries that the machine lacks.
carry_chromium() {
    [ -x "$1/usr/lib/chromium/chromium-headless-shell" ] || die "the package chromium-headless-shell holds no program of that name; $2"
    mkdir -p "$1/fonts"
    cat >"$1/fonts/fonts.conf" <<'END'
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>/usr/share/fonts</dir>
  <dir prefix="relative">../usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
END
    cat >"$1/usr/bin/chromium" <<'END'
#!/bin/sh
# Chromium of the cache folder, with the libraries and fonts that were unpacked beside it (scripts/provision/debian.sh).
tree=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$tree/usr/lib/x86_64-linux-gnu:$tree/lib/x86_64-linux-gnu:$tree/usr/lib/x86_64-linux-gnu/pulseaudio"
export FONTCONFIG_FILE="$tree/fonts/fonts.conf"
exec "$tree/usr/lib/chromium/chromium-headless-shell" "$@"
END
    chmod 755 "$1/usr/bin/chromium"
}
