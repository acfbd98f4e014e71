#!/usr/bin/env bash
# A model service in Python: it conforms, and is a vertex like any other. Skipped without Debian's
# python3-grpcio, python3-protobuf, python3-numpy and python3-prometheus-client.
# Arguments: the folder of backfire's binaries, the toy service, the folder of expect.sh.
source "$(dirname "$0")/../support/mesh.sh"
/usr/bin/python3 -c 'import grpc, google.protobuf, numpy, prometheus_client' 2>/dev/null || exit 77
[[ -x "$1/nearest-neighbour-service" ]] || exit 77

sed "s|localhost:7101|unix:$directory/planar|; s|localhost:7102|unix:$directory/nearest|" \
  "$1/../share/backfire/systems/nearest-neighbour.yaml" >"$directory/own.yaml"

check 'up' 0 up "$directory/own.yaml" --gateway "unix:$directory/g"
check 'the baseline' 0 update watch baseline
expect_contains 'the Python vertex is judged' "$output" 'disagreement'

check 'conformance of the Python service' 0 conformance "unix:$directory/nearest" --feed-all
expect_contains 'nothing is broken' "$output" ' hold, 0 broken'
"$2" --listen "unix:$directory/toy" --data-dir "$directory/toy-data" 2>/dev/null &
toy=$!
check 'conformance of a service in C++' 0 conformance "unix:$directory/toy" --model first --dataset toy:20
kill "$toy"
expect_contains 'nothing is broken' "$output" ' hold, 0 broken, 0 not tried'
check 'conformance of nobody' 3 conformance "unix:$directory/nobody"
check 'an unknown input' 2 conformance "unix:$directory/nearest" --feed magic

check 'an update above it' 6 update propose --vertex label --recipe linear --set training_size=20 --gate
expect_contains 'it was retrained and judged' "$output" 'nearest'
check 'an update of it' 6 update propose --vertex nearest --recipe nearest --set k=5 --gate
expect_contains 'it was judged' "$output" 'DECIDED'
check 'a parameter that it refuses' 5 update propose --vertex nearest --recipe nearest --set k=0 --watch
expect_contains 'its own words' "$output" 'recipe.parameters.k must be 1 to 1000'
finish
