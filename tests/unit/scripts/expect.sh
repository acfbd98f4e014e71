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

# pause: a moment, for loops that wait: one that only asks takes the processor from what it waits for.
exec {never}<> <(:)
pause() { read -rt 0.02 -u "$never" || true; }

# kill_outright PID...: SIGKILL, and waits until they have gone (or wait to be reaped by init).
kill_outright() {
  kill -KILL "$@"
  local pid state
  for pid; do
    while state="$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$pid/status" 2>/dev/null)"; [[ $state && $state != Z ]]; do pause; done
  done
}

finish() {
  ((failures == 0)) || { printf '%d expectations were not met\n' "$failures"; exit 1; }
}
