# For tests of `backfire` on a mesh of real processes. Sourced with the test's own arguments: the
# folder of backfire's binaries, the toy service, the folder of expect.sh.
set -uo pipefail
source "$3/expect.sh"
backfire="$1/backfire"
toy_service="$2"
directory="$(mktemp -d)"
export BACKFIRE_DATA_DIR="$directory/its data" BACKFIRE_ORCHESTRATOR="unix:$directory/o"
trap '"$backfire" down >/dev/null 2>&1; rm -rf "$directory"' EXIT

# write_toy_system REPLICATES: $directory/toy.yaml, two toy services in a row.
write_toy_system() {
  cat >"$directory/toy.yaml" <<YAML
name: toy
request:
- {name: x, datatype: FP64, shape: [1]}
outputs: {y: second.y}
dataset: toy:50
seed: 1
replicates: $1
vertices:
- name: first
  endpoint: unix:$directory/first
  inputs: {x: request.x}
  recipe: {name: least-squares}
  process: {program: $toy_service}
- name: second
  endpoint: unix:$directory/second
  inputs: {y: first.y}
  recipe: {name: least-squares}
  process: {program: $toy_service}
YAML
}

# check WHAT EXPECTED_CODE COMMAND...: runs it, keeps standard output in $output, errors in $errors.
check() {
  local what="$1" code="$2" got=0
  shift 2
  output="$("$backfire" "$@" 2>"$directory/errors")" || got=$?
  errors="$(<"$directory/errors")"
  expect_equal "exit code of $what" "$got" "$code"
  ((got == code)) || printf '%s\n%s\n' "$output" "$errors"
}
