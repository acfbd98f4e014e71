#!/usr/bin/env bash
# What `backfire` does without a mesh, as a process: versions, completion, complaints, widths. And `up` after a service was
# killed. Arguments: the folder of backfire's binaries, the toy service, the folder of expect.sh.
source "$(dirname "$0")/../support/mesh.sh"
write_toy_system 1

check 'the version' 0 --version
expect_contains 'the version' "$output" 'backfire '
check 'a command that is misspelt' 2 updaet list
expect_contains 'what may have been meant' "$errors" 'did you mean "update"?'
check 'one below it' 2 update shwo 3
expect_contains 'what may have been meant' "$errors" 'did you mean "show"?'
check 'a flag that is misspelt' 2 update list --vertx first
expect_contains 'what may have been meant' "$errors" 'did you mean "--vertex"?'

# Errors for programs: one line of JSON.
field() { /usr/bin/python3 -c 'import json, sys; print(json.loads(sys.stdin.readlines()[-1])["error"][sys.argv[1]])' "$1" <<<"$errors"; }
check 'nobody there' 3 update list --format json
expect_equal 'its code' "$(field code)" UNAVAILABLE
expect_equal 'its exit code' "$(field exit_code)" 3
expect_contains 'its message' "$(field message)" "$directory/o"
check 'a flag goes before the environment' 3 update list --orchestrator "unix:$directory/flag" --format json
expect_contains 'its message' "$(field message)" "$directory/flag"
check 'wrong usage' 2 update list --format json --vertx first
expect_equal 'its code' "$(field code)" INVALID_ARGUMENT
check 'no such file' 2 system validate "$directory/none.yaml" --format=json
expect_contains 'its message' "$(field message)" none.yaml

# Completion, as bash asks for it.
completed() {
  bash -c 'source <("$1" completion bash); COMP_WORDS=("${@:2}"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _backfire
           printf "%s\n" "${COMPREPLY[@]}"' bash "$backfire" "$@"
}
expect_equal 'commands that begin so' "$(completed backfire upd)" update
expect_contains 'commands of a topic' "$(completed backfire update '')" prune
expect_contains 'its own, not others' "$(completed backfire release ro)" rollback
expect_equal 'a gate on a proposal' "$(completed backfire update propose --ga)" --gate
expect_equal 'what the gate does on a mesh' "$(completed backfire gate --prop)" --propose
expect_equal 'and on records, which is another program' "$(completed backfire gate --bef)" --before
expect_equal 'a flag of both once' "$(completed backfire gate --hel)" --help
expect_equal 'flags after arguments' "$(completed backfire update show 3 --fi)" --field
expect_equal 'nothing fits' "$(completed backfire update list --no-such)" ''

# Faults of a file, found where it is read.
sed "s|unix:$directory/first|localhost|; s/recipe: {name: least-squares}/recipe: {}/" "$directory/toy.yaml" >"$directory/faulty.yaml"
check 'a faulty file' 2 system validate "$directory/faulty.yaml"
expect_contains 'an endpoint without a port' "$errors" 'faulty.yaml:10: vertices[first].endpoint must be HOST:PORT or unix:PATH: got "localhost"'
expect_contains 'no recipe' "$errors" 'vertices[first].recipe.name must not be empty'

# Faults of a flag beside the file are the flag's.
check 'a gateway without a port' 2 up "$directory/toy.yaml" --gateway localhost
expect_contains 'whose fault it is' "$errors" '--gateway: an endpoint must be HOST:PORT'
expect_equal 'and whose it is not' "${errors/toy.yaml/}" "$errors"
check 'an orchestrator without a port' 2 up "$directory/toy.yaml" --gateway "unix:$directory/g" --orchestrator localhost
expect_contains 'whose fault it is' "$errors" '--orchestrator: an endpoint must be HOST:PORT'

# A service is killed, and the orchestrator has found out more than once: `up` must do all the same.
check 'up' 0 up "$directory/toy.yaml" --gateway "unix:$directory/g"
check 'the baseline' 0 update watch baseline
service() { "$backfire" status --format json | /usr/bin/python3 -c 'import json, sys
print(*(p["pid"] for p in json.load(sys.stdin)["processes"] if p["name"] == "first"))'; }
for round in 1 2 3; do
  kill_outright "$(service)"
  for _ in 1 2 3 4; do check 'a check of what is away' 3 system validate "$directory/toy.yaml" --services; done
  expect_contains 'which one' "$errors" 'vertices[first]'
  expect_equal 'the orchestrator is there' "${errors/is the mesh up/}" "$errors"
  check "up again, round $round" 0 up "$directory/toy.yaml" --gateway "unix:$directory/g"
done
check 'a vertex that is none' 2 update list --vertex nope
expect_contains 'those there are' "$errors" 'first, second'
sed 's/least-squares/magic/' "$directory/toy.yaml" >"$directory/magic.yaml"
check 'faults that services find' 2 system validate "$directory/magic.yaml" --services
expect_contains 'their lines' "$errors" 'magic.yaml:12: vertices[first].recipe.name'

# Tables in a narrow window, and as wide as they are elsewhere.
widest() { awk '{ if (length($0) > most) most = length($0) } END { print most }' <<<"$output"; }
check 'a wide table' 0 release list
(($(widest) > 80)) || expect_equal 'a table that is wider than 80' "$(widest)" 'more than 80'
COLUMNS=60 check 'a narrow one' 0 update list
(($(widest) <= 60)) || expect_equal 'the widest line in 60 columns' "$(widest)" '60 at most'
expect_contains 'words that are whole' "$output" 'baseline'

check 'the history of what there is not' 2 history --of updates/99
expect_contains 'that there is none' "$errors" 'no updates/99'
check 'a mesh that was never started' 3 update list --orchestrator "unix:$directory/nowhere"
expect_contains 'why' "$errors" 'there is no such socket'

# Deleting several: one that is needed keeps no other.
printf 7 >"$directory/weights"
check 'an import' 0 version import --vertex first --recipe least-squares --weights "$directory/weights"
number="$(sed -n 's/^models\/first\/versions\/\([0-9]*\): .*/\1/p' <<<"$output")"
check 'deleting two' 4 version delete first/1 "first/$number"
expect_contains 'the one' "$output" "models/first/versions/$number is deleted"
expect_contains 'the other' "$errors" 'models/first/versions/1 is needed by'
check 'the end' 0 down
finish
