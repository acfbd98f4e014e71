#!/usr/bin/env bash
# A model service in Python: it conforms, and is a vertex like any other. Skipped without Debian's
# python3-grpcio, python3-protobuf, python3-numpy and python3-prometheus-client.
# Arguments: the folder of backfire's binaries, the toy service, the folder of expect.sh.
source "$(dirname "$0")/../support/mesh.sh"
/usr/bin/python3 -c 'import grpc, google.protobuf, numpy, prometheus_client' 2>/dev/null || exit 77
[[ -x "$1/nearest-neighbour-service" ]] || exit 77

# Its services are where nobody else comes in: on sockets of the data directory, whose name has a space.
run="$BACKFIRE_DATA_DIR/run"
cp "$1/../share/backfire/systems/nearest-neighbour.yaml" "$directory/own.yaml"

check 'up' 0 up "$directory/own.yaml" --gateway "unix:$directory/g"
check 'the baseline' 0 update watch baseline
expect_contains 'the Python vertex is judged' "$output" 'disagreement'

check 'conformance of the Python service' 0 conformance "unix:$run/nearest" --feed-all
expect_contains 'nothing is broken' "$output" ' hold, 0 broken'
check 'conformance of nobody' 3 conformance "unix:$directory/nobody"

check 'an update above it' 6 update propose --vertex label --recipe linear --set training_size=20 --gate
expect_contains 'it was retrained and judged' "$output" 'nearest'
check 'an update of it' 6 update propose --vertex nearest --recipe nearest --set k=5 --gate
expect_contains 'it was judged' "$output" 'DECIDED'
check 'a parameter that it refuses' 2 update propose --vertex nearest --recipe nearest --set k=0 --watch
expect_contains 'its own words' "$errors" 'recipe.parameters.k must be 1 to 1000'
check 'what was refused is no update' 2 update show 4
sed 's/k: 3/k: 0/; s/{name: linear}/{name: linear, parameters: {training_size: -5, resample: bogus}}/' "$directory/own.yaml" >"$directory/wrong.yaml"
line() { grep -n "$1" "$directory/wrong.yaml" | cut -d: -f1; }
for command in 'validate --services' apply; do
  # shellcheck disable=SC2086
  check "system $command of values out of range" 2 system $command "$directory/wrong.yaml"
  expect_contains "$command: field and line" "$errors" "wrong.yaml:$(line 'k: 0'): vertices[nearest].recipe.parameters.k must be"
  expect_contains "$command: of a service in C++" "$errors" "wrong.yaml:$(line 'training_size'): vertices[label].recipe.parameters."
done
printf 'root:x:0:0:root:/root:/bin/bash\n' >"$directory/passwd"
printf '1\n2\n' >"$directory/short"
check 'a file where the recipe states everything' 2 version import --vertex position --recipe position --weights "$directory/passwd"
expect_contains 'why' "$errors" 'the recipe states everything'
check 'a file that is no numbers' 2 version import --vertex label --recipe linear --weights "$directory/passwd"
check 'a file of too few numbers' 2 version import --vertex label --recipe linear --weights "$directory/short"
expect_contains 'how many there must be' "$errors" 'weights must be 3 numbers: got 2'
check 'the same in Python' 2 version import --vertex nearest --recipe nearest --weights "$directory/passwd"
expect_contains 'why' "$errors" 'must be a .npz file'
check 'an export' 0 version export models/nearest/versions/1 --out "$directory/nearest.npz"
check 'its import' 0 version import --vertex nearest --recipe nearest --weights "$directory/nearest.npz"
sed 's/{labels: {class: 0}, gaussian/{labels: {class: 0}, gausian/' "$directory/own.yaml" >"$directory/typo.yaml"
check 'a dataset with a typo' 2 system validate --services "$directory/typo.yaml"
expect_contains 'where it is' "$errors" "typo.yaml:$(grep -n '^dataset:' "$directory/typo.yaml" | cut -d: -f1): dataset"

# A service of scikit-learn's, as docs/own-models.md has it, in a mesh of five seeds.
if ! /usr/bin/python3 -c 'import sklearn' 2>/dev/null; then
  echo 'SKIPPED: no python3-sklearn, so the forest of docs/own-models.md judged nothing' >&2
  finish
  exit
fi
check 'down' 0 down
sed -n '/^<!-- scikit-learn: begin -->$/,/^<!-- scikit-learn: end -->$/p' "$3/../../../docs/own-models.md" | sed '/^<!--/d; /^```/d' >"$directory/forest.py"
chmod +x "$directory/forest.py"
# It finds backfire_stock where the build has it.
export PYTHONPATH="$1/../python" BACKFIRE_DATA_DIR="$directory/forest's data"
sed "s/^name: .*/name: woods/; s/^replicates: .*/replicates: 5/; s/^- name: nearest/- name: forest/; s/nearest\.y/forest.y/
     s|{name: nearest, parameters: {k: 3}}|{name: forest}\n  replicas: [\"unix:$directory/forest-2\"]|
     s|{program: nearest-neighbour-service}|{program: $directory/forest.py}|" "$directory/own.yaml" >"$directory/forest.yaml"
check 'up with a forest' 0 up "$directory/forest.yaml" --gateway "unix:$directory/g"
check 'its baseline' 0 update watch baseline
check 'an update above it, which twenty examples make worse' 1 update propose --vertex label --recipe linear --set training_size=20 --gate
expect_contains 'it was retrained five times, and judged' "$output" 'Replicates: 5.'
expect_contains 'the forest is worse' "$output" 'so is forest loss'
check 'its replica has what is live' 0 healthcheck "unix:$directory/forest-2" --service readiness
check 'conformance of the forest' 0 conformance "unix:$BACKFIRE_DATA_DIR/run/forest" --feed-all
expect_contains 'nothing is broken' "$output" ' hold, 0 broken'
finish
