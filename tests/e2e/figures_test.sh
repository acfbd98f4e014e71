#!/usr/bin/env bash
# Figure 4 (a) of the paper as real processes: verdict, cause and terms as JSON; and a generated system, updated at its
# root. Arguments: the folder of backfire's binaries, the toy service (unused), the folder of expect.sh.
set -uo pipefail
source "$3/expect.sh"
backfire="$1/backfire"
directory="$(mktemp -d)"
trap 'rm -rf "$directory"' EXIT

"$backfire" study figures --system figure4a --format json >"$directory/out.json" 2>"$directory/err"
expect_equal 'as expected' "$?" 0
field() { grep -o "\"$1\": *[^,}]*" "$directory/out.json" | head -n "${2:-1}" | tail -n 1 | sed 's/.*: *//; s/"//g'; }
expect_equal 'the verdict' "$(field verdict)" SELF_DEFEATING
expect_equal 'Definition 2.1' "$(field definition_2_1)" true
expect_equal 'the cause' "$(field cause)" compatibility
# A quarter of the points, the lower left ones, are lost: exactly.
expect_equal 'compatibility before' "$(field compatibility 1)" 0
expect_equal 'compatibility after' "$(awk -v x="$(field compatibility 2)" 'BEGIN { d = x - 0.25; print (d < 1e-9 && d > -1e-9) }')" 1
expect_equal 'excess upstream after' "$(field excess_upstream 2)" 0

"$backfire" study figures --system nowhere >/dev/null 2>&1
expect_equal 'an unknown system is a wrong usage' "$?" 2

"$backfire" study scale --shape layered --vertices 20 >"$directory/scale" 2>&1
expect_equal 'a generated system is updated' "$?" 0
expect_equal 'all of it' "$(grep -c '^update: 20 vertices' "$directory/scale")" 1

# Interrupted, it takes its mesh with it.
"$backfire" study scale --shape chain --vertices 200 --keep "$directory/kept" >/dev/null 2>&1 &
study=$!
until [[ $(find "$directory/kept" -path '*/versions/1' -print -quit 2>/dev/null) ]] || ! kill -0 "$study" 2>/dev/null; do pause; done
kill -TERM "$study"
wait "$study"
expect_equal 'interrupted' "$?" 130
# What could not be ended in order ends with the study, a moment after it.
for _ in {1..200}; do pgrep -f "$directory/kept" >/dev/null || break; pause; done
expect_equal 'processes left' "$(pgrep -f -c "$directory/kept")" 0
finish
