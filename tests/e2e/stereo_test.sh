#!/usr/bin/env bash
# The main job, small: render, train the stereo system's five vertices as real processes, update disparity, get a
# verdict, look through both releases. In the middle of the update every process is killed outright.
# Arguments: the folder of backfire's binaries, the toy service (unused), the folder of expect.sh.
set -uo pipefail
source "$3/expect.sh"
backfire="$1/backfire"
directory="$(mktemp -d)"
export BACKFIRE_DATA_DIR="$directory/its data"
unset BACKFIRE_ORCHESTRATOR
gateway="unix:$directory/g"
trap '"$backfire" down >/dev/null 2>&1; rm -rf "$directory"' EXIT

small_network='channels: 4, max_disparity: 32, crop_height: 64, crop_width: 96, warmup_steps: 2'
detector='{name: frustum-pointnet, parameters: {steps: 20, batch: 4, points: 32, object_points: 16, width: 0.1, min_box_height_px: 0}}'
cat >"$directory/stereo.yaml" <<YAML
name: stereo
request:
- {name: left, datatype: UINT8, shape: [-1, -1, 3]}
- {name: right, datatype: UINT8, shape: [-1, -1, 3]}
- {name: calibration, datatype: FP64, shape: [2, 3, 4]}
outputs:
  disparity: disparity.disparity
  points: pointcloud.points
  boxes_2d: proposals.boxes_2d
  cars: car.detections
  pedestrians: pedestrian.detections
dataset: kitti:$directory/world?train=train&validation=val&test=test
seed: 1
replicates: 1
bootstrap: {seed: 1, resample_count: 20}
vertices:
- name: disparity
  inputs: {left: request.left, right: request.right}
  recipe: {name: psmnet-depth-mae, parameters: {steps: 20, $small_network}}
  process: {program: disparity-service}
- name: pointcloud
  inputs: {disparity: disparity.disparity, calibration: request.calibration}
  recipe: {name: pseudo-lidar}
  process: {program: pointcloud-service}
- name: proposals
  inputs: {left: request.left}
  recipe: {name: centre-point, parameters: {steps: 20, channels: 4, batch: 2, min_score: 0}}
  process: {program: proposals-service}
- name: car
  inputs: {points: pointcloud.points, boxes_2d: proposals.boxes_2d, calibration: request.calibration}
  recipe: $detector
  process: {program: car-service}
- name: pedestrian
  inputs: {points: pointcloud.points, boxes_2d: proposals.boxes_2d, calibration: request.calibration}
  recipe: $detector
  process: {program: pedestrian-service}
YAML

# check WHAT EXPECTED_CODE COMMAND...: runs it, keeps standard output in $output.
check() {
  local what="$1" code="$2" got=0
  shift 2
  output="$("$backfire" "$@" 2>"$directory/errors")" || got=$?
  expect_equal "exit code of $what" "$got" "$code"
  ((got == code)) || { printf '%s\n' "$output"; cat "$directory/errors"; }
}
up() { check 'up' 0 up "$directory/stereo.yaml" --gateway "$gateway"; }

check 'render' 0 vision dataset render --profile tiny --train 8 --validation 1 --test 4 --seed 1 --out "$directory/world"
up
check 'the baseline' 0 update watch baseline
for loss in disparity_mae ap_2d_car ap_3d ap_bev; do
  expect_contains "the baseline's losses" "$output" "$loss"
done

check 'a proposal' 0 update propose --vertex disparity --recipe psmnet-disparity-mae \
  --set steps=20 --set channels=4 --set max_disparity=32 --set crop_height=64 --set crop_width=96
pids="$("$backfire" status --format json | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')"
kill_outright $pids
up
check 'the verdict' 0 update watch latest
expect_contains 'the verdict' "$output" "a first look can't decide"
for row in 'disparity \*' 'car' 'pedestrian' 'pointcloud'; do
  grep -q "^  $row" <<<"$output" || expect_equal "a row of $row in the table" missing there
done

frame="$(head -n 1 "$directory/world/ImageSets/test.txt")"
world="$directory/world/training"
check 'perceive' 0 vision perceive --left "$world/image_2/$frame.png" --right "$world/image_3/$frame.png" \
  --calib "$world/calib/$frame.txt" --labels "$world/label_2/$frame.txt" --gateway "$gateway" \
  --release 1 --release 2 --out "$directory/view.png"
expect_equal 'the picture' "$(head -c 8 "$directory/view.png" | od -An -tx1 | tr -d ' \n')" 89504e470d0a1a0a
# Which test frames got worse, by what is missed and false there, on a page with pictures.
check 'flips' 0 vision flips --dataset "kitti:$directory/world?train=train&validation=val&test=test" --before 1 --after 2 --min-score 0 \
  --gateway "$gateway" --out "$directory/flips.json" --format json
expect_contains 'how many frames' "$output" '"frames": "4"'
plain="$output"
check 'a page with them' 0 report latest --flips "$directory/flips.json" --out "$directory/report.html"
page="$(<"$directory/report.html")"
expect_equal 'classes on the page' "$(grep -o '<b>[^<]*</b>: [0-9]* errors before, [0-9]* after; [0-9]* frames\? worse, [0-9]* better' <<<"$page" | sed 's/frames worse/frame worse/')" \
  "$(/usr/bin/python3 -c 'import json, sys
for one in json.load(sys.stdin)["classes"]:
    print("<b>%(type)s</b>: %(errors_before)s errors before, %(errors_after)s after; %(frames_worse)s frame worse, %(frames_better)s better" % one)' <<<"$plain")"
expect_equal 'pictures' "$(grep -o '<img src="data:image/jpeg;base64,/9j/' <<<"$page" | wc -l)" "$(grep -c '"example"' <<<"$plain")"
# The report asks for them by itself, where it can; so does a gate on the update.
check 'a page that asks by itself' 0 report latest --out "$directory/asked.html"
expect_contains 'what it asked' "$(<"$directory/asked.html")" 'Releases 1 and 2 on the 4 frames of the test split'
check 'a gate that asks by itself' 6 gate --update latest --html "$directory/gate.html" --format json
expect_contains 'what it asked' "$(<"$directory/gate.html")" 'Releases 1 and 2 on the 4 frames of the test split'
expect_equal 'its JSON is nothing but JSON' "$(/usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["outcome"])' <<<"$output")" UNDECIDED
check 'a page that is not to ask' 0 report latest --no-flips --out "$directory/plain.html"
expect_equal 'asks nobody' "$(grep -c 'What both releases see' "$directory/plain.html")" 0
check 'a page in no time' 0 report latest --flips-seconds 1 --out "$directory/short.html"
expect_contains 'has what there was time for' "$(<"$directory/short.html")" 'frames of the test split'
mv "$directory/world" "$directory/moved"
check 'a page without the data' 0 report latest --out "$directory/plain.html"
expect_contains 'says what is missing' "$(<"$directory/errors")" 'the page is without test frames that got worse'
mv "$directory/moved" "$directory/world"
check 'flips without a score' 2 vision flips --dataset "kitti:$directory/world?train=train&validation=&test=test" --before 1 --after 2 \
  --gateway "$gateway" --out "$directory/none.json"
expect_contains 'what would choose it' "$(<"$directory/errors")" 'has no validation frame'
check 'releases of another update' 0 vision flips --dataset "kitti:$directory/world?train=train&validation=val&test=test" --before 2 --after 1 \
  --min-score 0 --gateway "$gateway" --out "$directory/other.json"
check 'a page of an update that they are not of' 2 report latest --flips "$directory/other.json" --out "$directory/none.html"
expect_contains 'why' "$(<"$directory/errors")" 'is of releases 2 and 1'
if [[ ${BACKFIRE_KITTI_MINI:-} ]]; then
  real="$BACKFIRE_KITTI_MINI/training"
  check 'perceive on a real pair' 0 vision perceive --left "$real/image_2/900000.png" \
    --right "$real/image_3/900000.png" --calib "$real/calib/900000.txt" --gateway "$gateway" \
    --out "$directory/real.png"
  check "perceive on a real pair's LiDAR" 0 vision perceive --left "$real/image_2/900000.png" \
    --right "$real/image_3/900000.png" --calib "$real/calib/900000.txt" --gateway "$gateway" \
    --velodyne "$real/velodyne/900000.bin" --out "$directory/lidar.png"
fi
check 'a release that there is not' 3 vision perceive --left "$world/image_2/$frame.png" \
  --right "$world/image_3/$frame.png" --calib "$world/calib/$frame.txt" --gateway "$gateway" \
  --release 9 --out "$directory/none.png"
[[ ! -e $directory/none.png ]] || expect_equal 'a picture of no release' there missing
check 'down' 0 down
finish
