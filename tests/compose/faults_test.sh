#!/usr/bin/env bash
# A small stereo system in containers, updated twice: undisturbed, and with containers killed, starved of memory, paused
# and cut off in the middle of their jobs. Both come to the same, to the bit.
# Arguments: the build folder, the project's root.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
trap clear_up EXIT
trap 'exit 130' INT TERM
configure_prometheus

small_network='channels: 4, max_disparity: 32, crop_height: 64, crop_width: 96, warmup_steps: 2'
must 'a small system' python3 - "$root_of_project/deploy/systems/compose/stereo.yaml" "$BACKFIRE_SYSTEMS/small.yaml" "$small_network" <<'PYTHON'
import sys
text = open(sys.argv[1]).read()
detector = "{name: frustum-pointnet, parameters: {steps: 400, batch: 4, points: 32, object_points: 16, width: 0.1, min_box_height_px: 0}}"
for old, new in [
    ("rendered:lidar?frames=200&validation=16&test=100&seed=1&height_scale=0.55", "rendered:tiny?frames=8&validation=1&test=4&seed=1"),
    ("resample_count: 1000", "resample_count: 20"),
    ('parameters: {loss: smooth-l1, initialize_from: "pretrained:small", steps: 200, learning_rate: 0.001, threads: 2}',
     "parameters: {steps: 200, %s}" % sys.argv[3]),
    ("{name: centre-point}", "{name: centre-point, parameters: {steps: 20, channels: 4, batch: 2, min_score: 0}}"),
    ("{name: frustum-pointnet, parameters: {min_box_height_px: 14, steps: 400}}", detector)]:
    assert old in text, old
    text = text.replace(old, new)
open(sys.argv[2], "w").write(text)
PYTHON
chmod -R a+rX "$temporary"/{prometheus,systems}

# start_cluster SERVICE...
start_cluster() {
  must 'up' compose_run up -d --no-build "$@"
  must 'health' wait_healthy 120 "$@"
  must "the orchestrator's port" find_orchestrator
  must 'a certificate' identify operator/tester
  must_do 'apply' system apply "$BACKFIRE_SYSTEMS/small.yaml"
  must_do 'the baseline' update watch baseline
}
propose() {
  must_do 'a proposal' update propose --vertex disparity --recipe psmnet-disparity-mae --set steps=200 --set channels=4 \
    --set max_disparity=32 --set crop_height=64 --set crop_width=96
}
# Writes what came of the latest update.
record() {
  must_do 'the end of the update' update watch latest
  must_do 'the result' update show latest --format json
  outcome result <<<"$output" >"$1" || expect_equal 'a result' none some
}

# in_the_middle VERTEX: waits until its training is between 10 and 90 % done.
in_the_middle() {
  local end=$((SECONDS + 120)) now
  while ((SECONDS < end)); do
    now="$("$backfire" update show latest --format json | outcome running |
      awk -v vertex="$1" '$1 == "TRAIN" && $2 == vertex && $6 == "training" && $3 >= 10 && $3 <= 90')"
    if [[ $now ]]; then printf '  at %s\n' "$now"; return 0; fi
    pause
  done
  return 1
}
# steps_of VERTEX: done by its training so far.
steps_of() { "$backfire" update show latest --format json | outcome running | awk -v vertex="$1" '$1 == "TRAIN" && $2 == vertex { print $4 }'; }

# starve SERVICE: has it run out of the memory that its container may have. A file in its /tmp is memory that nothing can
# reclaim, other than the pages of programs and libraries; so the kernel has to end the largest process, which is the
# service, and does so in less than a second. The file goes with the container, which the engine starts again.
starve() {
  local id since events
  id="$(container "$1")"
  since="$(date +%s)"
  docker exec "$id" dd if=/dev/zero of=/tmp/filled bs=1M count=1024 >/dev/null 2>&1
  docker update --cpus 2 "$id" >/dev/null
  is_back() { (($(docker inspect -f '{{.RestartCount}}' "$id") > 0)) && is_healthy "$1"; }
  must "$1, started again" wait_for 60 is_back "$1"
  events="$(docker events --since "$since" --until "$(date +%s)" --filter "container=$id" --format '{{.Action}} {{.Actor.Attributes.exitCode}}')"
  expect_contains "events of $1" "$events" $'oom '
  expect_contains "events of $1" "$events" $'die 137'
}

stage 'undisturbed, and watched'
since="$SECONDS"
start_cluster "${mesh[@]}" prometheus
propose
record "$temporary/undisturbed"

stage 'every panel of the dashboards has data'
must_do 'frames' vision dataset render --profile tiny --train 8 --validation 1 --test 4 --seed 1 --out "$temporary/world"
frame="$(head -n 1 "$temporary/world/ImageSets/test.txt")"
gateway="$(address_here gateway)"
look_through() {
  check "a request of release $1" 0 vision perceive --left "$temporary/world/training/image_2/$frame.png" \
    --right "$temporary/world/training/image_3/$frame.png" --calib "$temporary/world/training/calib/$frame.txt" \
    --gateway "$gateway" --release "$1" --out "$temporary/view.png"
}
for release in 1 2 1; do look_through "$release"; done
must_do 'the swap' update promote latest --override --reason 'a test'
for release in 2 2 2; do look_through "$release"; done
has_panels() {
  python3 -B "$root_of_project/deploy/grafana/check.py" queries "$(prometheus_url)" "$((SECONDS - since))" >"$temporary/panels"
}
# The last scrapes have to come in.
wait_for 30 has_panels || expect_equal 'panels without data' "$(<"$temporary/panels")" ''
tail -n 1 "$temporary/panels"
draw .
end_cluster

stage 'disturbed'
start_cluster "${mesh[@]}"
propose

stage 'kill -9 of disparity, while it trains'
must 'a training in its middle' in_the_middle disparity
docker kill -s KILL "$(container disparity)" >/dev/null
compose_run start disparity >/dev/null 2>&1

stage 'kill -9 of the orchestrator, while disparity trains'
must 'the same training in its middle' in_the_middle disparity
docker kill -s KILL "$(container orchestrator)" >/dev/null
compose_run start orchestrator >/dev/null 2>&1
must "the orchestrator's port" find_orchestrator
must 'an answer' wait_for 60 "$backfire" update list

# With a sixth of a processor each, the detectors are in their middle for long enough to be met there by any test.
docker update --cpus 0.15 "$(container car)" "$(container pedestrian)" >/dev/null
docker update --memory 800m --memory-swap 800m "$(container car)" >/dev/null
# It stands still while car has its own misfortune, so that there is time for both.
stage 'a pause of pedestrian, while it trains'
must 'a training in its middle' in_the_middle pedestrian
pedestrian="$(container pedestrian)"
docker pause "$pedestrian" >/dev/null

stage 'car runs out of memory, while it trains'
must 'a training in its middle' in_the_middle car
paused_at="$(steps_of pedestrian)"
starve car
# It was in the middle of it, and has gone on from there.
expect_contains 'the log of car' "$(docker logs "$(container car)" 2>&1 | grep -o 'state=RESUMED .*train/car.*')" RESUMED

stage 'pedestrian goes on, and is cut off'
expect_equal 'steps of the paused training' "$(steps_of pedestrian)" "$paused_at"
docker unpause "$pedestrian" >/dev/null
must 'the same training in its middle' in_the_middle pedestrian
for network in control data; do docker network disconnect "${COMPOSE_PROJECT_NAME}_$network" "$pedestrian"; done
is_away() { ! compose_run exec -T orchestrator backfire healthcheck pedestrian:7000; }
must 'it can not be reached' wait_for 20 is_away
docker update --cpus 2 "$pedestrian" >/dev/null
for network in control data; do docker network connect --alias pedestrian "${COMPOSE_PROJECT_NAME}_$network" "$pedestrian"; done

record "$temporary/disturbed"
stage 'comparison'
if diff "$temporary/undisturbed" "$temporary/disturbed" >"$temporary/difference"; then
  printf 'the same: %d lines of outcome\n' "$(wc -l <"$temporary/disturbed")"
else
  head -n 40 "$temporary/difference"
  expect_equal 'what comes of a disturbed update' different 'the same'
fi
end_cluster
finish
