#!/usr/bin/env bash
# Tests what of `dev` does not build anything. Argument: the project's root.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source "$here/expect.sh"
source "$1/dev"
set +e
temporary="$(mktemp -d)"
trap 'rm -rf "$temporary"' EXIT

# Compilers: as many as there are cores, unless memory is scarcer; never none.
expect_equal 'few cores' "$(jobs_for 2 24000000)" 2
expect_equal 'little memory' "$(jobs_for 16 5000000)" 3
expect_equal 'hardly any memory' "$(jobs_for 4 100)" 1
expect_equal 'as told' "$(BACKFIRE_JOBS=7 build_jobs)" 7

# The closing line.
expect_equal 'all passed' "$(summary 12 0 0)" '12 passed, 0 failed'
expect_equal 'some skipped' "$(summary 12 1 3)" '3 skipped, 12 passed, 1 failed'

# ctest's own words, of every kind of result.
cat >"$temporary/log" <<'LOG'
Test project /somewhere/build
      Start  1: unit.a_test
 1/5 Test  #1: unit.a_test ......................   Passed    0.97 sec
2/5 Test #12: unit.b_test .......................***Failed    0.01 sec
some test's output that says   Passed
3/5 Test #3: unit.c_test ........................***Skipped   0.00 sec
4/5 Test #4: unit.d_test ........................***Timeout  60.00 sec
5/5 Test #5: unit.e_test ........................   Passed    0.02 sec
LOG
expect_equal 'counts of a log' "$(count_results "$temporary/log")" '2 1'

expect_equal 'unit budget' "$(label_minutes unit release)" 5
expect_equal 'end to end budget' "$(label_minutes e2e release)" 10
expect_equal 'sanitizer budget' "$(label_minutes unit asan)" 30

# What a command writes is shown and logged, and its exit code is kept.
expect_equal 'output is shown' "$(run_limited 1 "$temporary/out" bash -c 'echo shown; exit 3'; echo "$?")" \
  "$(printf 'shown\n3')"
expect_equal 'output is logged' "$(<"$temporary/out")" shown

printf '# ninja log v5\n0\t9000\t0\tb.o\tx\n0\t1500\t0\ta.o\tx\n0\t2000\t0\tb.o\tx\n' >"$temporary/.ninja_log"
expect_equal 'the last build of each output counts' "$(build_profile "$temporary")" \
  "$(printf '     2.0  b.o\n     1.5  a.o\n     3.5  seconds of compilers and linkers in all, 2 outputs')"

expect_equal 'release folder' "$(build_dir release)" "$root/build"
expect_equal 'sanitizer folder' "$(build_dir tsan)" "$root/build/tsan"
build_dir nothing; expect_equal 'no such preset' $? 1

# Packages: those that are not there, and only those.
if command -v dpkg-query >/dev/null; then
  expect_equal 'missing packages' "$(missing_packages bash no-such-package-at-all coreutils)" \
    no-such-package-at-all
fi

for test in "${threaded_tests[@]}"; do
  expect_contains "$test is there" "$(grep -rh --include=CMakeLists.txt "^backfire_test($test\b" "$1/tests/unit")" "$test"
done

expect_equal 'every fuzz target is one of ./dev fuzz' "$(fuzz_targets | sort)" \
  "$(cd "$1/tests/fuzz" && printf '%s\n' *_fuzz.cc | sed 's/_fuzz\.cc$//' | sort)"

# Reference data beside the project; what the user said goes first.
mkdir -p "$temporary/a b/project" "$temporary/a b/shared/kitti-mini"
expect_equal 'found beside the project' \
  "$(unset BACKFIRE_KITTI_MINI; root="$temporary/a b/project"; export_reference_data; echo "$BACKFIRE_KITTI_MINI")" \
  "$temporary/a b/shared/kitti-mini"
expect_equal 'said by the user' \
  "$(BACKFIRE_KITTI_MINI=/mine; root="$temporary/a b/project"; export_reference_data; echo "$BACKFIRE_KITTI_MINI")" \
  /mine

# Help and wrong usage, from another folder.
cd "$temporary" || exit 1
for command in deps build test demo bench parity chaos fuzz sanitize check lint clean; do
  expect_contains "help of $command" "$("$1/dev" "$command" --help)" "Usage: ./dev $command"
done
for wrong in nothing 'test --what' 'test --preset' 'test --preset=huge' 'build --preset' 'build --preset lint' 'deps x' 'parity' 'clean x' \
  'test --processors --what' 'lint --minutes' 'lint --minutes soon' 'check x' \
  'build --preset fuzz' 'fuzz' 'fuzz nothing' 'fuzz system kitti' 'fuzz system --minutes' 'fuzz system --runs few' \
  'fuzz --with-tests system' 'sanitize msan'; do
  # shellcheck disable=SC2086
  "$1/dev" $wrong >/dev/null 2>"$temporary/err"
  expect_equal "exit code of: dev $wrong" $? 2
  expect_contains "complaint about: dev $wrong" "$(<"$temporary/err")" 'dev: '
done
finish
