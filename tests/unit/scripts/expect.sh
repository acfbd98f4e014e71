# Expectations for tests of scripts; sourced. `finish` at the end fails if any was not met.
failures=0

# expect_equal WHAT ACTUAL EXPECTED
expect_equal() {
  [[ $2 == "$3" ]] && return 0
  printf 'FAILED: %s\n  expected: %q\n  got:      %q\n' "$1" "$3" "$2"
  failures=$((failures + 1))
}

# expect_contains WHAT TEXT PART
expect_contains() {
  [[ $2 == *"$3"* ]] && return 0
  printf 'FAILED: %s\n  expected: ...%q...\n  got:      %q\n' "$1" "$3" "$2"
  failures=$((failures + 1))
}

finish() {
  ((failures == 0)) || { printf '%d expectations were not met\n' "$failures"; exit 1; }
}
