#!/usr/bin/env bash
# The service that CONTRIBUTING.md shows: it starts, and says what it is. Arguments: the service, `backfire`.
set -u
directory="$(mktemp -d)"
"$1" --listen "unix:$directory/service" --data-dir "$directory/data" 2>"$directory/log" &
service=$!
trap 'kill "$service"; wait "$service" 2>/dev/null; rm -rf "$directory"' EXIT
for _ in {1..60}; do
  "$2" healthcheck "unix:$directory/service" && break
  kill -0 "$service" 2>/dev/null || { cat "$directory/log"; exit 1; }
done
"$2" healthcheck "unix:$directory/service" || { cat "$directory/log"; exit 1; }
# Its dataset is none: the user's mistake, in the service's own words.
"$2" conformance "unix:$directory/service" --feed-all --dataset nonsense >"$directory/said" 2>&1
code=$?
[[ $code == 2 ]] && grep -q 'the service refuses to train' "$directory/said" && exit 0
cat "$directory/said"
exit 1
