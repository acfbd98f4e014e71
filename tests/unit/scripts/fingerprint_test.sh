#!/usr/bin/env bash
# The fingerprint that names versions follows what computes, and nothing else: it is made again after edits of a copy of
# the sources, without compiling anything. Argument: the project's root.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
cp -r "$1"/{CMakeLists.txt,cmake,protos,services,orchestrator,deploy} "$copy"
cmake -S "$copy" -B "$copy/build" -G Ninja -DBACKFIRE_TESTS=OFF >"$copy/log" 2>&1 || { cat "$copy/log"; exit 1; }

# Prints the digest of a service.
digest() { sed -n 's/.*\[\] = "\([0-9a-f]*\)";$/\1/p' "$copy/build/fingerprints/$1-service.cc"; }
# after WHAT: makes them again; sets `disparity` and `car`.
after() {
  cmake --build "$copy/build" --target fingerprints >"$copy/log" 2>&1 || { cat "$copy/log"; exit 1; }
  disparity="$(digest disparity)" car="$(digest car)"
}
after 'nothing'
first_disparity="$disparity" first_car="$car"
[[ $disparity =~ ^[0-9a-f]{64}$ && $disparity != "$car" ]] || expect_equal 'digests of two services' "$disparity, $car" 'two of them'

cd "$copy" || exit 1
sed -i '1i // A comment,\n/* and another,\n   longer one. */' services/disparity/disparity_loss.cc services/base/random.h
sed -i 's/$/  \/\/ So./' services/learning/seeded.h
echo 'namespace backfire { int unused; }' | tee -a services/gateway/main.cc services/rpc/rpc_server.cc \
  orchestrator/cli/main.cc services/vision/main.cc >/dev/null
sed -i 's/return backfire::runtime::ServiceMain/return +backfire::runtime::ServiceMain/' services/disparity/main.cc
after 'comments, RPC code, the gateway, the CLI, mains'
expect_equal 'disparity, nothing that computes being changed' "$disparity" "$first_disparity"
expect_equal 'car, nothing that computes being changed' "$car" "$first_car"

sed -i '$a namespace backfire { inline int more = 1; }' services/disparity/disparity_loss.cc
after 'a line of the disparity loss'
[[ $disparity != "$first_disparity" ]] || expect_equal 'disparity, its loss being changed' unchanged changed
expect_equal "car, disparity's loss being changed" "$car" "$first_car"

sed -i 's|0x1p-53|0x1p-54|' services/base/random.h
after 'the random numbers'
[[ $car != "$first_car" ]] || expect_equal 'car, the random numbers being changed' unchanged changed

before="$car"
cmake -S "$copy" -B "$copy/build" -DCMAKE_CXX_FLAGS=-ffast-math >"$copy/log" 2>&1 || { cat "$copy/log"; exit 1; }
after 'another flag'
[[ $car != "$before" ]] || expect_equal 'car, the flags being changed' unchanged changed
finish
