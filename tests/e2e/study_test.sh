#!/usr/bin/env bash
# The stereo study, small: a piece trains what it starts from, both disparity networks and the detectors, as real
# processes; stopped in its middle it goes on; its tables are made of the evidence that it left.
# Arguments: the folder of backfire's binaries, the toy service (unused), the folder of expect.sh.
set -uo pipefail
source "$3/expect.sh"
backfire="$1/backfire"
directory="$(mktemp -d)"
trap '"$backfire" down --data-dir "$directory/meshes/1" >/dev/null 2>&1; rm -rf "$directory"' EXIT
systems="$directory/systems"
mkdir "$systems" "$systems/paper"

# The shipped files, with networks and steps that only show that everything runs.
crop='crop_height: 64, crop_width: 96, warmup_steps: 2'
small="channels: 4, max_disparity: 32, $crop"
frustum='steps: 4, batch: 4, points: 32, object_points: 16, width: 0.1'
boxes='{name: centre-point, parameters: {steps: 4, channels: 4, batch: 2, min_score: 0}}'
shipped="$1/../share/backfire/systems/study"
sed -e "s/initialize_from: \"pretrained:small\", steps: 300/steps: 4, $small/" \
  -e 's/frames=600&validation=16&test=60/frames=4\&validation=1\&test=2/' "$shipped/pretraining.yaml" >"$systems/pretraining.yaml"
sed -e "s/steps: 500/steps: 4, $small/" -e 's/resample_count: 300/resample_count: 20/' \
  -e "s/{name: centre-point}/$boxes/" -e "s/min_box_height_px: 14/min_box_height_px: 0, $frustum/" \
  "$shipped/stereo.yaml" >"$systems/stereo.yaml"
expect_equal 'the shipped files have what this test makes smaller' \
  "$(grep -c 'steps: 4,' "$systems/pretraining.yaml" "$systems/stereo.yaml" | cut -d: -f2 | tr '\n' ' ')" '1 5 '

dataset='rendered:lidar?frames=6&validation=1&test=4&seed=201&height_scale=0.55'
study=("$backfire" study stereo --systems "$systems" --out "$directory/evidence" --keep "$directory/meshes" --dataset "$dataset")
# Stopped once the study's own system is being trained.
"${study[@]}" >/dev/null 2>"$directory/first" &
first=$!
until grep -q 'updates/2' "$directory/first" || ! kill -0 "$first" 2>/dev/null; do pause; done
kill -TERM "$first"
wait "$first"
expect_equal 'stopped' "$?" 130
"${study[@]}" >"$directory/tables" 2>"$directory/second"
expect_equal 'gone on' "$?" 0
((failures == 0)) || cat "$directory/first" "$directory/second"
expect_equal 'the pretraining is not done again' "$(grep -c 'stereo-study-pretraining' "$directory/second")" 0
expect_equal 'evidence' "$(ls "$directory/evidence/1")" $'improved.jsonl\noracle.jsonl'
expect_contains 'a first look' "$(<"$directory/tables")" '**INCONCLUSIVE**'
for row in '| Frustum PointNet, car | AP_3D | ' '| beyond 40 m | ' '| PointRCNN, pedestrian | AP_BEV | not run |'; do
  expect_contains 'a row' "$(<"$directory/tables")" "$row"
done
expect_equal '11 recall points beside 40' "$(grep -c 'not measured' "$directory/tables")" 0

# What is there is not run again, and the tables are a function of it.
"${study[@]}" >"$directory/again" 2>"$directory/third"
expect_equal 'again' "$?" 0
expect_contains 'nothing to run' "$(<"$directory/third")" 'piece 1 of 1: is there'
printf 'Car\t0\t20\t3\n' >"$directory/evidence/object-depths.tsv"
"$backfire" study stereo --tables --out "$directory/evidence" --figures "$directory/figures" >"$directory/tables_only"
expect_equal 'the same tables' "$(cmp "$directory/tables" "$directory/again" && cmp "$directory/tables" "$directory/tables_only" && echo same)" same
"$backfire" study stereo --tables --out "$directory/evidence" --format json | grep -q '"verdict": "INCONCLUSIVE"'
expect_equal 'as JSON' "$?" 0
expect_contains 'differences' "$(<"$directory/figures/stereo-differences.svg")" 'Frustum PointNet, car, AP_3D'
expect_contains 'errors by depth' "$(<"$directory/figures/stereo-depth.svg")" 'Car objects'
"$backfire" study stereo --tables --out "$directory/nowhere" >/dev/null 2>"$directory/err"
expect_equal 'no piece' "$?" 2

# A piece's mesh that was kept is started again as it was, and draws frames under u, u' and y.
sed -e '/^- name: .*rcnn$/,/^$/d' -e 's/resample_count: 20}/resample_count: 200}/' "$systems/stereo.yaml" >"$directory/piece.yaml"  # A first look's.
export BACKFIRE_DATA_DIR="$directory/meshes/1"
"$backfire" up "$directory/piece.yaml" --dataset "$dataset" --gateway "unix:$directory/g" >"$directory/up" 2>&1
expect_equal 'the kept mesh' "$?" 0
expect_contains 'nothing is trained again' "$(<"$directory/up")" 'baseline: updates/2'
"$backfire" vision compare --dataset "$dataset" --example 0 --example 2 --model stereo-study --gateway "unix:$directory/g" --release 2 \
  --release 3 --true-disparity --car-version 3 --pedestrian-version 5 --name u --name "u'" --name y --out "$directory/frames.jpg" \
  --token-file "$BACKFIRE_DATA_DIR/token" >"$directory/compared" 2>&1
expect_equal 'frames side by side' "$?" 0
((failures == 0)) || cat "$directory/up" "$directory/compared"
expect_equal 'a JPEG' "$(head -c 3 "$directory/frames.jpg" | od -An -tx1 | tr -d ' \n')" ffd8ff
expect_equal 'what was loaded for it is no longer' "$("$backfire" version list | grep -c 'models/car/versions/3 .* yes$')" 0
"$backfire" down >/dev/null 2>&1
unset BACKFIRE_DATA_DIR

# The published networks, on files in KITTI's layout, with the device that was asked for: here there is only the processor.
sed -e "s/{steps: 3400}/{steps: 2, batch: 2, max_disparity: 32, network: basic, $crop}/" \
  -e 's/rendered:kitti?frames=4000&validation=16&test=60/rendered:lidar?frames=2\&validation=1\&test=1/' \
  "$shipped/paper/pretraining.yaml" >"$systems/paper/pretraining.yaml"
sed -e "s|{initialize_from: models/disparity/versions/1}|{initialize_from: models/disparity/versions/1, steps: 2, batch: 2, max_disparity: 32, network: basic, $crop}|" \
  -e 's/resample_count: 1000/resample_count: 20/' -e "s/{name: centre-point, parameters: {channels: 32, steps: 6000}}/$boxes/" \
  -e "s/{name: frustum-pointnet-full}/{name: frustum-pointnet-full, parameters: {min_box_height_px: 0, $frustum}}/" \
  -e "s/train_max_depth_m: 20/train_max_depth_m: 20, min_box_height_px: 0, $frustum/" "$shipped/paper/stereo.yaml" >"$systems/paper/stereo.yaml"
"$backfire" vision dataset render rendered:lidar --train 4 --validation 1 --test 4 --seed 201 --out "$directory/kitti" >"$directory/rendered" 2>&1
expect_equal 'files in the layout of KITTI' "$?" 0
paper=("$backfire" study stereo --systems "$systems/paper" --out "$directory/paper" --keep "$directory/paper-meshes"
  --dataset "kitti:$directory/kitti?clusters=each")
"${paper[@]}" --device cpu >"$directory/tables" 2>"$directory/err"
expect_equal 'the published networks' "$?" 0
((failures == 0)) || cat "$directory/rendered" "$directory/err"
expect_contains 'their table' "$(<"$directory/tables")" '| Frustum PointNet, car | AP_3D | '
grep -q -- '--device=cpu' "$directory/paper-meshes/1/mesh.json"
expect_equal 'the device' "$?" 0
finish
