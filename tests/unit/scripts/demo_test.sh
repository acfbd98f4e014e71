#!/usr/bin/env bash
# Tests that the demo runs its stages in order and clears up, with a `backfire` that only writes down what it was
# asked. Argument: the project's root.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source "$here/expect.sh"
temporary="$(mktemp -d)"
trap 'rm -rf "$temporary"' EXIT

bin="$temporary/with a space/bin"
mkdir -p "$bin"
cp "$1/deploy/demo/backfire-demo" "$bin/"
export CALLS="$temporary/calls" READY="$temporary/ready"
cat >"$bin/backfire" <<'FAKE'
#!/usr/bin/env bash
printf '%s\n' "$*" >>"$CALLS"
case "$*" in
  'vision dataset render'*) 
    world="${@: -1}"
    mkdir -p "$world/ImageSets" "$world/training/label_2"
    printf '000264\n000265\n' >"$world/ImageSets/test.txt"
    echo 'Car 0' >"$world/training/label_2/000264.txt"
    printf 'Car 0\nPedestrian 0\n' >"$world/training/label_2/000265.txt"
    ;;
  *'--field baseline_release') echo releases/1 ;;
  *'--field release') echo releases/2 ;;
  'update show latest --gate') exit "${GATE_EXIT:-1}" ;;
  'update watch'*)
    if [[ ${HANG:-} ]]; then
      echo ready >"$READY"  # A fifo.
      exec sleep 1000
    fi
    exit "${WATCH_EXIT:-0}"
    ;;
esac
FAKE
chmod +x "$bin/backfire"
state="$temporary/its state"

output="$("$bin/backfire-demo" stereo --state "$state" --train=5 2>&1)"
expect_equal 'exit code' $? 0
expect_contains 'last stage' "$output" '[5/5]'
expect_contains 'where the picture is' "$output" "$state/view.png"
expect_equal 'order of the calls' "$(cut -d' ' -f1,2 "$CALLS" | sed 's/^up .*/up/' | tr '\n' ',')" \
  'down --data-dir,vision dataset,up,update watch,update propose,update show,update show,vision perceive,down --data-dir,'
expect_contains 'flags reach the renderer' "$(<"$CALLS")" '--train 5 --validation 16'
expect_contains 'the validation split chooses the score' "$(<"$CALLS")" '--min-score-from kitti:'
expect_contains 'releases reach the picture' "$(<"$CALLS")" '--release 1 --release 2'
expect_contains 'a frame with a car and a pedestrian' "$(<"$CALLS")" 'label_2/000265.txt'
expect_contains 'the dataset is the rendered one' "$(<"$CALLS")" "--dataset kitti:$state/world?train=train&validation=val&test=test&clusters=each&height_scale=0.55"
expect_contains 'what a first look is worth' "$output" 'A first look is certain of nothing'
expect_contains 'down comes last' "$(tail -n 1 "$CALLS")" 'down --data-dir'

# A harmful update alone, then both.
: >"$CALLS"
output="$("$bin/backfire-demo" harm --state "$state" 2>&1)"
expect_equal 'exit code of harm' $? 0
expect_equal 'calls of harm' "$(cut -d' ' -f1,2 "$CALLS" | sed 's/^up .*/up/' | tr '\n' ',')" \
  'down --data-dir,up,update watch,update propose,update show,planar draw,down --data-dir,'
expect_contains 'the system of harm' "$(<"$CALLS")" 'planar/figure2.yaml'
expect_contains 'where the drawing is' "$output" "$state/harm.svg"
: >"$CALLS"
"$bin/backfire-demo" --state "$state" >/dev/null 2>&1
expect_equal 'exit code of both' $? 0
expect_equal 'harm, then stereo' "$(grep -E '^(up |planar|vision)' "$CALLS" | cut -d' ' -f1 | tr '\n' ',')" 'up,planar,vision,up,vision,'
: >"$CALLS"
"$bin/backfire-demo" harm --state "$state" --gateway g:7000 >/dev/null 2>&1
expect_contains 'where its gateway listens' "$(<"$CALLS")" '--gateway g:7000'
GATE_EXIT=6 "$bin/backfire-demo" harm --state "$state" >/dev/null 2>"$temporary/err"
expect_equal 'another verdict than harm' $? 5
expect_contains 'says so' "$(<"$temporary/err")" 'not as it should be'

# On a mesh that runs: it is neither started nor ended, and its services draw the frames themselves.
: >"$CALLS"
"$bin/backfire-demo" --state "$state" --orchestrator o:7000 --gateway g:7000 --test 9 >/dev/null 2>&1
expect_equal 'exit code on a running mesh' $? 0
expect_equal 'calls on a running mesh' "$(cut -d' ' -f1,2 "$CALLS" | tr '\n' ',')" \
  'vision dataset,system apply,update watch,update propose,update show,update show,vision perceive,'
expect_contains 'what the services draw' "$(<"$CALLS")" '--dataset rendered:lidar?frames=200&validation=16&test=9&seed=1&height_scale=0.55'
expect_contains 'the gateway of that mesh' "$(<"$CALLS")" '--gateway g:7000'
"$bin/backfire-demo" --state "$state" --orchestrator o:7000 >/dev/null 2>&1
expect_equal 'an orchestrator without a gateway' $? 2

# The study in place of a first look.
: >"$CALLS"
output="$("$bin/backfire-demo" stereo --state "$state" --effort full 2>&1)"
expect_equal 'exit code of the study' $? 0
expect_equal 'calls of the study' "$(sed "s#$state#STATE#g" "$CALLS")" \
  "study stereo --effort full --out STATE/study/evidence --keep STATE/study/meshes
study stereo --tables --out STATE/study/evidence --figures STATE/study"
expect_contains 'where the figures are' "$output" "$state/study"

# A stage that fails ends the demo, with its exit code and no process left.
: >"$CALLS"
WATCH_EXIT=5 "$bin/backfire-demo" stereo --state "$state" >/dev/null 2>&1
expect_equal 'exit code of a failed stage' $? 5
expect_contains 'down after a failure' "$(tail -n 1 "$CALLS")" 'down --data-dir'

# A signal in the middle of a stage.
mkfifo "$READY"
: >"$CALLS"
HANG=1 "$bin/backfire-demo" stereo --state "$state" --keep-up >/dev/null 2>&1 &
demo=$!
read -r _ <"$READY"
kill -TERM "$demo"
wait "$demo"
expect_equal 'exit code of an interrupted demo' $? 143
expect_contains 'down after a signal' "$(tail -n 1 "$CALLS")" 'down --data-dir'

# Wrong usage.
for wrong in --nothing '--train many' --state 'harm --orchestrator o --gateway g' \
  '--effort some' 'harm --effort full' '--effort full --orchestrator o --gateway g'; do
  # shellcheck disable=SC2086
  "$bin/backfire-demo" $wrong >/dev/null 2>"$temporary/err"
  expect_equal "exit code of: demo $wrong" $? 2
  expect_contains "complaint about: demo $wrong" "$(<"$temporary/err")" 'backfire demo: '
done
finish
