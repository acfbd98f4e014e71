#!/usr/bin/env bash
# Killing everything outright, again and again, changes when a verdict comes and never what it says: an update of toy
# models with five replicates, once undisturbed and once killed after every few steps, ends in the same verdict.
# Arguments: the folder of backfire's binaries, the toy service, the folder of expect.sh.
set -uo pipefail
source "$3/expect.sh"
backfire="$1/backfire"
directory="$(mktemp -d)"
trap 'for run in calm wild; do "$backfire" down --data-dir "$directory/$run" >/dev/null 2>&1; done; rm -rf "$directory"' EXIT

# start RUN: brings its mesh up, whatever of it runs already.
start() {
  "$backfire" up "$directory/$1.yaml" --data-dir "$directory/$1" --orchestrator "unix:$directory/$1.o" \
    --gateway "unix:$directory/$1.g" >"$directory/$1.up" 2>&1 || { cat "$directory/$1.up"; return 1; }
}
# of RUN COMMAND...: a command to that run's orchestrator.
of() { "$backfire" "${@:2}" --orchestrator "unix:$directory/$1.o"; }

for run in calm wild; do
  cat >"$directory/$run.yaml" <<YAML
name: toy
request:
- {name: x, datatype: FP64, shape: [1]}
outputs: {y: second.y}
dataset: toy:50
seed: 1
replicates: 5
parallel_jobs: 1
vertices:
- name: first
  endpoint: unix:$directory/$run.1
  inputs: {x: request.x}
  recipe: {name: least-squares}
  process: {program: $2}
- name: second
  endpoint: unix:$directory/$run.2
  inputs: {y: first.y}
  recipe: {name: least-squares}
  process: {program: $2}
YAML
  start $run && of $run update watch baseline >/dev/null 2>&1
  expect_equal "the baseline of the $run run" $? 0
done

# propose RUN: an update whose five trainings of three seconds each run one after the other.
propose() {
  of "$1" update propose --vertex first --recipe least-squares --set offset=0.5 --set seconds_of_work=3 >/dev/null
  expect_equal "the proposal of the $1 run" $? 0
}
propose calm
of calm update watch latest >/dev/null 2>&1
# Only now, or it would be over before the first kill.
propose wild
kills=0
until [[ $(of wild update show latest --field state) == DECIDED ]]; do
  # As soon as another step is done, everything dies.
  before="$(of wild update show latest --format json | grep -c '"state": "SUCCEEDED"')"
  while now="$(of wild update show latest --format json | grep -c '"state": "SUCCEEDED"')"; ((now <= before)); do
    [[ $(of wild update show latest --field state) != DECIDED ]] || break
  done
  if ((kills < 6)); then
    pids="$("$backfire" status --data-dir "$directory/wild" --orchestrator "unix:$directory/wild.o" --format json |
      sed -n 's/.*"pid": \([0-9]*\).*/\1/p')"
    kill_outright $pids
    kills=$((kills + 1))
    start wild || break
  fi
done
((kills >= 2)) || expect_equal 'kills before the verdict' "$kills" 'at least 2'

verdict() { of "$1" update show latest --format json | sed -n '/"verdict": {/,/^ }/p'; }
expect_equal 'the verdict of the wild run' "$(verdict wild)" "$(verdict calm)"
expect_contains 'a verdict' "$(verdict calm)" '"outcome": "NOT_AN_IMPROVEMENT"'
finish
