#!/usr/bin/env bash
# Versions from the command line, on a mesh of real processes: from a file to a verdict, and to their end.
# Arguments: the folder of backfire's binaries, the toy service, the folder of expect.sh.
source "$(dirname "$0")/../support/mesh.sh"
write_toy_system 2

check 'up' 0 up "$directory/toy.yaml" --gateway "unix:$directory/g"
check 'the baseline' 0 update watch baseline
check 'a list of all' 0 version list
expect_contains 'the first vertex' "$output" 'models/first/versions/2'
expect_contains 'the second' "$output" 'models/second/versions/2'
check 'a page' 0 version list --vertex first --page-size 1
expect_contains 'how to go on' "$output" 'more: --page-token 1'
check 'the next page' 0 version list --vertex first --page-size 1 --page-token 1 --format table
expect_contains 'the next page' "$output" 'models/first/versions/2'

# An import, and what it becomes.
printf 2.5 >"$directory/weights"
import=(version import --vertex first --recipe least-squares --weights "$directory/weights")
check 'an import' 0 "${import[@]}"
expect_contains 'what it is' "$output" 'models/first/versions/3: least-squares, imported'
check 'the same import' 0 "${import[@]}" --format json
expect_contains 'the same version' "$output" '"name": "models/first/versions/3"'
check 'a proposal of it' 6 update propose --vertex first --version 3 --gate
expect_contains 'what was proposed' "$output" \
  'updates/2: first -> models/first/versions/3 (least-squares), DECIDED'
expect_contains 'one version for all replicates' "$output" '0.2'
check 'the same proposal' 0 update propose --vertex first --version first/3
expect_contains 'the same update' "$output" 'updates/2: '
check 'promoting it' 0 update promote 2 --override --reason 'a test'
check 'an export' 0 version export first/3 --out "$directory/exported"
expect_equal 'what is exported' "$(<"$directory/exported")" 2.5

# A vertex with parents: the live release's feed it.
check 'an import below' 0 version import --vertex second --recipe least-squares --weights "$directory/weights"
expect_contains 'what feeds it' "$output" 'models/first/versions/3.y'
below="$(sed -n 's/^models\/second\/versions\/\([0-9]*\): .*/\1/p' <<<"$output")"
check 'a proposal of it' 6 update propose --vertex second --version "$below" --gate
expect_contains 'it was judged' "$output" 'DECIDED'
check 'one that others feed' 4 update propose --vertex second --version 1
expect_contains 'why' "$errors" 'must be fed as the live release'

# The truth: judged, never served.
check 'a proposal of the truth' 6 update propose --vertex first --recipe truth --gate
expect_contains 'it was judged' "$output" 'updates/4: first -> truth, DECIDED'
expect_contains 'no release' "$output" 'Made no release'
check 'promoting the truth' 4 update promote 4 --override --reason 'wishful'
expect_contains 'why not' "$errors" 'can be evaluated, not served'
check 'what it is' 0 version list --vertex first --format json
truth="$(grep -c '"name": "truth"' <<<"$output")"
expect_equal 'versions of the truth, whatever the seed' "$truth" 1
sed 's/{name: least-squares}/{name: truth}/' "$directory/toy.yaml" >"$directory/truth.yaml"
check 'a system that serves the truth' 2 system check "$directory/truth.yaml" --services
expect_contains 'why not' "$errors$output" 'can be evaluated, not served'

# Deleting.
check 'deleting what serves' 4 version delete first/3
expect_contains 'what needs it' "$errors" 'is needed by releases/2 (LIVE)'
expect_contains 'what needs it' "$errors" 'updates/2 (PROMOTED)'
check 'deleting a replicate of the baseline' 4 version delete first/2
expect_contains 'what needs it' "$errors" 'updates/1 (the baseline)'
printf 7 >"$directory/other"
check 'another import' 0 version import --vertex first --recipe least-squares --weights "$directory/other"
other="$(sed -n 's/^models\/first\/versions\/\([0-9]*\): .*/\1/p' <<<"$output")"
check 'fine-tuning it' 6 update propose --vertex first --recipe least-squares \
  --set "initialize_from=models/first/versions/$other" --gate
check 'deleting where it started' 4 version delete "first/$other"
expect_contains 'what needs it' "$errors" 'the recipe of updates/5'
printf 8 >"$directory/other"
check 'one that nothing needs' 0 version import --vertex first --recipe least-squares --weights "$directory/other"
other="$(sed -n 's/^models\/first\/versions\/\([0-9]*\): .*/\1/p' <<<"$output")"
check 'deleting it' 0 version delete "$other" --vertex first
check 'deleting it again' 0 version delete "$other" --vertex first
check 'it is gone' 2 version show "first/$other"
expect_contains 'which one' "$errors" "models/first/versions/$other"

# Faults.
printf nonsense >"$directory/other"
check 'a faulty file' 2 version import --vertex first --recipe least-squares --weights "$directory/other"
expect_contains 'which file' "$errors" "$directory/other"
check 'an unknown vertex' 2 version import --vertex third --recipe r --weights "$directory/weights"
expect_contains 'those there are' "$errors" 'first, second'
check 'no file' 2 version import --vertex first --recipe least-squares --weights "$directory/none"
check 'a malformed name' 2 version show first
check 'another vertex' 2 update propose --vertex first --version second/1
check 'neither recipe nor version' 2 update propose --vertex first
check 'both' 2 update propose --vertex first --recipe least-squares --version 1
check 'an unknown version' 2 update propose --vertex first --version 99
finish
