#!/usr/bin/env bash
# Puts what the images hold into a folder: programs, the shared libraries that they load, system files. The libraries
# are those of the machine that built the programs, so the two always fit; glibc and the C++ runtime are left out, which
# every image of the same Debian release has.
#
# Usage: docker/stage.sh BUILD_FOLDER OUT
#   OUT/control   of the image `backfire`: no LibTorch
#   OUT/models    what `backfire-models` has beside it
set -euo pipefail

build="$1"
out="$2"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
readonly control=(backfire backfire-planar backfire-study gateway orchestrator planar-service)
readonly models=(backfire-vision car-service disparity-service pedestrian-service pointcloud-service proposals-service)

# Prints `SONAME PATH` of every library that the programs load, but for those of every base image.
libraries() {
  local line name path
  # In a subshell each: ldd of many files fails as a whole only after the last one.
  for program; do ldd "$program"; done | sort -u | while read -r line; do
    case "$line" in
      *'not found'*) printf 'stage.sh: %s\n' "$line" >&2; return 1 ;;
      *' => /'*) ;;
      *) continue ;;  # vdso, and the loader itself.
    esac
    name="${line%% =>*}"
    path="${line#*=> }"
    path="${path% (*}"
    case "$name" in
      ld-linux* | libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.* | libresolv.so.* | libutil.so.* | \
        libstdc++.so.* | libgcc_s.so.*) ;;
      *) printf '%s %s\n' "$name" "$path" ;;
    esac
  done
}

# copy_libraries TO EXCEPT PROGRAM...: by soname, whatever links and alternatives lead to the file.
copy_libraries() {
  local to="$1" except="$2" name path
  shift 2
  mkdir -p "$to"
  libraries "$@" | while read -r name path; do
    [[ -e $except/$name ]] || cp -L -- "$path" "$to/$name"
  done
}

copy_programs() {
  local to="$1" name
  shift
  mkdir -p "$to"
  for name; do cp -L -- "$build/bin/$name" "$to/$name"; done
}

rm -rf -- "$out"
copy_libraries "$out/control/lib" /nowhere "${control[@]/#/$build/bin/}"
copy_libraries "$out/models/lib-models" "$out/control/lib" "${models[@]/#/$build/bin/}"
copy_programs "$out/control/bin" "${control[@]}"
copy_programs "$out/models/bin" "${models[@]}" backfire-demo
install -m 755 "$here/cli.sh" "$out/control/bin/backfire-cli"
# What makes certificates: the container `certs`.
cp -L -- "$(command -v openssl)" "$out/control/bin/"
copy_libraries "$out/control/lib" /nowhere "$out/control/bin/openssl"
install -m 755 "$here/certs.sh" "$out/control/bin/backfire-certs"
install -m 755 "$here/../deploy/certs/certs.sh" "$out/control/bin/backfire-make-certs"
mkdir -p "$out/control/share"
cp -R -- "$build/share/backfire" "$out/control/share/"
