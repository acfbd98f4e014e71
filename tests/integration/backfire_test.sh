#!/usr/bin/env bash
# `backfire` from up to down, on a mesh of real processes: two toy services, orchestrator, gateway.
# Arguments: the folder of backfire's binaries, the toy service, the folder of expect.sh.
source "$(dirname "$0")/../support/mesh.sh"
write_toy_system 1
up() { check "$1" 0 up "$directory/toy.yaml" --gateway "unix:$directory/g"; }
slow=(update propose --vertex first --recipe least-squares --set seconds_of_work=3)

check 'a check by itself' 0 system validate "$directory/toy.yaml"
up 'up'
expect_contains 'what up says' "$output" 'system toy, revision 1'
check 'a check with the services' 0 system validate "$directory/toy.yaml" --services
check 'watching the baseline' 0 update watch baseline
expect_contains 'the baseline' "$output" 'baseline, PROMOTED'
expect_contains 'its losses' "$output" 'models/second/versions/1'
check 'status' 0 status
expect_contains 'the live release' "$output" 'live: releases/1'

# The mesh goes away in the middle of an update, which goes on afterwards.
check 'a proposal' 0 "${slow[@]}"
pids="$("$backfire" status --format json | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')"
check 'down' 0 down
for pid in $pids; do
  # One that ended may wait to be reaped by init, where there is one.
  state="$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$pid/status" 2>/dev/null)"
  [[ -z $state || $state == Z ]] || expect_equal "process $pid after down" "$state" ended
done
check 'status of nothing' 3 status
up 'up again'
check 'the same proposal' 6 "${slow[@]}" --gate --retry
expect_contains 'it is the same update' "$output" 'updates/2: first -> least-squares (seconds_of_work=3), DECIDED'
expect_contains 'one replicate decides nothing' "$output" "a first look can't decide"
expect_contains 'what it cost' "$output" 'Compute, and what was not done again:'
up 'up when all is up'
expect_contains 'nothing was started' "$errors" 'all processes run already'

# What the verdict was made of makes it again, byte for byte.
check 'an export' 0 update export 2 --out "$directory/evidence.jsonl"
expect_contains 'where it is' "$output" "updates/2 is in $directory/evidence.jsonl"
check 'a gate on the evidence' 6 gate --evidence "$directory/evidence.jsonl" --json "$directory/gate.json" --junit "$directory/gate.xml"
expect_contains 'its first line' "$output" "UNDECIDED (INCONCLUSIVE): a first look can't decide: 1 seed"
check 'the update' 0 update show 2 --format json
expect_equal 'verdicts that differ' "$(/usr/bin/python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["verdict"] == json.loads(sys.stdin.read())["verdict"])' "$directory/gate.json" <<<"$output")" True
check 'a gate on the update' 6 gate --update 2 --wait --json "$directory/again.json"
expect_equal 'the same report' "$(grep -v digest "$directory/again.json")" "$(grep -v digest "$directory/gate.json")"
check 'a gate that proposes' 6 gate --propose first=least-squares --set seconds_of_work=3 --wait --html "$directory/gate.html" --json "$directory/proposed.json"
expect_contains 'it is the same update' "$errors" 'proposed as updates/2'
expect_equal 'its report' "$(grep -v digest "$directory/proposed.json")" "$(grep -v digest "$directory/gate.json")"
check 'a gate that proposes no recipe' 2 gate --propose first=nothing --wait
check 'a gate that proposes nothing' 2 gate --propose first
check 'a report' 0 report 2 --out "$directory/report.html"
mkdir "$directory/study"
cp "$directory/evidence.jsonl" "$directory/study/one.jsonl"
cp "$directory/evidence.jsonl" "$directory/study/two.jsonl"
check 'a report of a study' 0 report "$directory/study" --out "$directory/study.html"
expect_contains 'its overview' "$(<"$directory/study.html")" '<a href="#r1-report">two</a>'
expect_contains 'what the update trained' "$(<"$directory/report.html")" 'models/second/versions/'
expect_equal 'a page for each door' "$(grep -o 'class="vertex">[a-z]*' "$directory/report.html")" "$(grep -o 'class="vertex">[a-z]*' "$directory/gate.html")"
check 'a report of no update' 2 report 77 --out "$directory/none.html"
check 'evidence of a baseline' 4 update export baseline --out "$directory/none.jsonl"
check 'evidence of no update' 2 gate --update 77
head -c 3000 "$directory/evidence.jsonl" >"$directory/cut.jsonl"
check 'a gate on half the evidence' 2 gate --evidence "$directory/cut.jsonl"
expect_contains 'where it breaks off' "$errors" "$directory/cut.jsonl:"
printf 'vertices: [{name: second, losses: [{name: mae, margin: 7}]}]\n' >"$directory/policy.yaml"
check 'a policy that wants another margin' 2 gate --evidence "$directory/evidence.jsonl" --policy "$directory/policy.yaml"
expect_contains 'which' "$errors" 'vertices[second].losses[mae].margin: is 7, and in the evidence the default'

# Releases.
check 'promoting what is undecided' 4 update promote 2
check 'promoting it all the same' 0 update promote 2 --override --reason 'a test'
check 'the list of releases' 0 release list
expect_contains 'the new live release' "$output" 'releases/2  LIVE'
check 'rolling back' 0 release rollback 1 --reason 'a test' --request-id back-1
expect_contains 'what is live again' "$output" 'releases/1 is live again'
check 'a release' 0 release show 2
expect_contains 'its history' "$output" 'INCONCLUSIVE, overridden'
check 'promoting a release whose update was promoted' 4 release promote 2
check 'updates in a state' 0 update list --state promoted --vertex first
expect_contains 'the promoted one' "$output" 'updates/2'
check 'no update in a state' 0 update list --state failed
expect_equal 'no update' "$output" 'no updates'
check 'an unknown state' 2 update list --state resting

# Faults.
check 'an unknown vertex' 2 update propose --vertex third --recipe least-squares
expect_contains 'which one' "$errors" 'third'
check 'an unknown recipe' 2 update propose --vertex first --recipe magic
expect_contains 'which one' "$errors" 'magic'
check 'an unknown parameter' 2 update propose --vertex first --recipe least-squares --set magic=1
check 'an unknown update' 2 update show 77
check 'the end' 0 down

sed 's/least-squares/magic/' "$directory/toy.yaml" >"$directory/faulty.yaml"
check 'an unknown recipe in the file' 2 up "$directory/faulty.yaml" --gateway "unix:$directory/g"
expect_contains 'each fault' "$errors" 'vertices[second].recipe.name'
check 'nothing left of it' 0 down
expect_equal 'nothing left of it' "$output" 'no mesh was up'
finish
