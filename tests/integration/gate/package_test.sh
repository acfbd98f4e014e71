#!/usr/bin/env bash
# The .deb of backfire-gate: what it depends on, and that what it unpacks runs. In a root of bare Debian it is installed as well, where
# BACKFIRE_BARE_ROOT names one (`debootstrap --variant=minbase bookworm DIR`) and this is root.
# Arguments: the build folder, the folder of expect.sh.
set -uo pipefail
source "$2/expect.sh"
command -v dpkg-deb >/dev/null && command -v dpkg-shlibdeps >/dev/null || { echo 'SKIPPED: no dpkg-dev'; exit 77; }
directory="$(mktemp -d)"
trap 'rm -rf "$directory"' EXIT

(cd "$directory" && cpack --config "$1/CPackConfig.cmake" -B "$directory/package" >log 2>&1) || { cat "$directory/log"; exit 1; }
deb=("$directory"/package/backfire-gate_*.deb)
expect_equal 'packages' "${#deb[@]}" 1
depends="$(dpkg-deb -f "${deb[0]}" Depends)"
for library in libprotobuf libyaml-cpp zlib1g libssl; do expect_contains 'what it depends on' "$depends" "$library"; done
for library in grpc torch opencv; do expect_equal "no $library" "$(grep -o "$library" <<<"$depends" | head -n 1)" ''; done

dpkg-deb -x "${deb[0]}" "$directory/root"
for file in bin/backfire-gate share/backfire/python/backfire_records.py share/backfire/ci/run-gate share/backfire/ci/comment; do
  expect_equal "$file" "$([[ -f "$directory/root/usr/$file" ]] && echo there)" there
done
expect_contains 'what it says' "$("$directory/root/usr/bin/backfire-gate" --help)" 'Judges a change by evaluation records'

if [[ -n ${BACKFIRE_BARE_ROOT:-} && $EUID == 0 ]]; then
  cp "${deb[0]}" "$BACKFIRE_BARE_ROOT/tmp/gate.deb"
  chroot "$BACKFIRE_BARE_ROOT" apt-get -qq install -y --no-install-recommends /tmp/gate.deb >"$directory/apt" 2>&1 || cat "$directory/apt"
  expect_contains 'what it says in a bare root' "$(chroot "$BACKFIRE_BARE_ROOT" backfire-gate --help 2>&1)" 'Judges a change'
else
  echo 'SKIPPED in part: no BACKFIRE_BARE_ROOT to install it in'
fi
finish
