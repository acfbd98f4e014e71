#!/usr/bin/env bash
# Six incidents on a planar system under traffic, and a picture of each: the first rows of all dashboards, and the board
# that shows most of it. It fails unless the tiles that warn tell the incidents apart. For who changes the dashboards: it
# takes ten minutes, needs an engine that answers, the images, chromium and python3-grpcio, and is no part of `./dev test`.
#
#   BACKFIRE_PICTURES="$PWD/docs/dashboards" bash tests/compose/incidents.sh build "$PWD"
#
# BACKFIRE_INCIDENTS='slow-vertex error-burst': only these.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
end_traffic() { [[ ! ${traffic:-} ]] || { kill "$traffic" 2>/dev/null; wait "$traffic" 2>/dev/null; }; }
trap 'end_traffic; clear_up' EXIT
trap 'exit 130' INT TERM
compose_files+=(-f "$root_of_project/tests/compose/incidents.yaml")
pictures="${BACKFIRE_PICTURES:-$temporary/pictures}"

configure_prometheus
# A vertex that is slow answers a scrape slowly as well, and is not down.
sed -i 's/scrape_interval: 1s/scrape_interval: 3s/' "$BACKFIRE_PROMETHEUS/prometheus.yml"
rm "$BACKFIRE_PROMETHEUS"/targets/*
for target in position:model label:model gateway:gateway orchestrator:orchestrator; do
  printf -- '- {targets: ["%s:8000"], labels: {system: planar, process: %s}}\n' "${target%:*}" "${target#*:}"
done >"$BACKFIRE_PROMETHEUS/targets/planar.yml"
# v is served by one container, w by the other.
awk '{ print } /^- name: / { print "  endpoint: " (++n == 1 ? "position" : "label") ":7000" }' \
  "$root_of_project/deploy/systems/planar/figure2.yaml" >"$BACKFIRE_SYSTEMS/planar.yaml"
chmod -R a+rX "$temporary"/{prometheus,systems}

# in_network_of SERVICE COMMAND...: in its network, from outside of it.
in_network_of() { nsenter -t "$(docker inspect -f '{{.State.Pid}}' "$(container "$1")")" -n "${@:2}"; }
address_of() { docker inspect -f "{{(index .NetworkSettings.Networks \"${COMPOSE_PROJECT_NAME}_$2\").IPAddress}}" "$(container "$1")"; }
# part FROM TO: no packet gets from FROM to TO's gRPC any more, or back, by whatever network. join: it does again.
part() { rule_for_all -A "$@"; }
join() { rule_for_all -D "$@"; }
rule_for_all() {
  local address
  for address in $(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$(container "$3")"); do
    must 'a rule' in_network_of "$2" iptables "$1" OUTPUT -p tcp --dport 7000 -d "$address" -j DROP
    must 'a rule' in_network_of "$2" iptables "$1" INPUT -p tcp --sport 7000 -s "$address" -j DROP
  done
}
# As the orchestrator, to the two models of this system.
python() {
  eval "$(use_certificate "$temporary/behind-its-back")"
  PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$root_of_project/tests/compose/traffic.py" "$build/python/stubs" "$@"
}
# tiles NAME [BOARD]: draws the last half minute before the incident and all since, and prints what warns.
tiles() {
  PYTHONDONTWRITEBYTECODE=1 python3 "$root_of_project/deploy/grafana/draw.py" "$(prometheus_url)" "$((SECONDS - begun + 30))" "$pictures" --system planar --overview "$1" |
    sort -u >"$temporary/$1.tiles"
  [[ ! ${2:-} ]] || PYTHONDONTWRITEBYTECODE=1 python3 "$root_of_project/deploy/grafana/draw.py" "$(prometheus_url)" "$((SECONDS - begun + 30))" "$temporary/boards" --system planar --board "$2"
  [[ ! ${2:-} ]] || mv "$temporary/boards/$2.png" "$pictures/$1-$2.png"
  paste -sd';' "$temporary/$1.tiles"
}
calm='count(up{job="backfire"} == 1) == 4
  and on () (sum(rate(grpc_server_handled_total{grpc_method="ModelInfer",grpc_code!="OK",process="gateway"}[1m])) or vector(0)) < 0.01
  and on () histogram_quantile(0.99, sum by (le) (rate(grpc_server_handling_seconds_bucket{grpc_method="ModelInfer",process="gateway"}[1m]))) < 1'

stage 'a system under traffic'
begun="$SECONDS"
must 'certificates' compose_run run --rm -T --no-deps certs
must 'up' compose_run up -d --no-build --no-deps position label orchestrator gateway prometheus
must 'health' wait_healthy 90 position label orchestrator gateway prometheus
must "the orchestrator's port" find_orchestrator
must 'a certificate' identify operator/tester
must 'a certificate' issue_certificate orchestrator/behind-its-back "$temporary/behind-its-back"
must_do 'apply' system apply "$BACKFIRE_SYSTEMS/planar.yaml"
must_do 'the baseline' update watch baseline
# Without a shell between, which would be ended in its place.
PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$root_of_project/tests/compose/traffic.py" "$build/python/stubs" \
  "$(address_here gateway)" figure2 20 &
traffic=$!
must 'traffic' wait_for 120 has_data "$calm"
tiles calm mesh

dead_vertex() {
  docker kill -s KILL "$(container label)" >/dev/null
  must 'errors' wait_for 60 has_data 'sum(rate(grpc_server_handled_total{grpc_method="ModelInfer",grpc_code="Unavailable",process="gateway"}[1m])) > 5'
  tiles dead-vertex mesh
  compose_run start label >/dev/null 2>&1
}
# Five milliseconds of a processor each second: less than its requests take.
slow_vertex() {
  docker update --cpu-period 1000000 --cpu-quota 5000 "$(container label)" >/dev/null
  must 'slowness' wait_for 120 has_data 'histogram_quantile(0.99, sum by (le) (rate(grpc_server_handling_seconds_bucket{grpc_method="ModelInfer",process="gateway"}[1m]))) > 2'
  tiles slow-vertex mesh
  docker update --cpu-period 100000 --cpu-quota 200000 "$(container label)" >/dev/null
}
error_burst() {
  mapfile -t versions < <(python unload "$(address_of label data):7000" label)
  must 'errors' wait_for 60 has_data 'sum(rate(grpc_server_handled_total{grpc_method="ModelInfer",grpc_code!="OK",process="gateway"}[1m])) > 5'
  tiles error-burst mesh
  (python load "$(address_of label data):7000" label "${versions[@]}")
}
# The retraining behind a candidate waits for outputs that it can't fetch.
training_stuck() {
  part label position
  must_do 'a proposal' update propose --vertex v --recipe position --set 'field=[{bend: -0.1}]'
  must 'an update in which nothing moves' wait_for 240 has_data 'max(backfire_update_idle_seconds) > 125'
  tiles training-stuck training
  join label position
  must_do 'the end of the update' update watch latest
  must_do 'turn it down' update cancel latest
}
harmful_update() {
  check 'a harmful update' 1 update propose --vertex v --recipe position --set 'field=[{bend: -0.11}]' --gate
  must 'a scrape of the verdict' wait_for 30 has_data 'backfire_latest_update{verdict="SELF_DEFEATING", state="DECIDED"}'
  tiles harmful-update updates
  must_do 'turn it down' update cancel latest
}
gateway_behind() {
  check 'an update of little' 0 update propose --vertex v --recipe position --set 'field=[{bend: -0.29}]' --gate
  part gateway orchestrator
  must_do 'the swap' update promote latest --override --reason 'a test'
  must 'a gateway behind' wait_for 120 has_data 'max(backfire_gateway_epoch) < max(backfire_epoch) and max(backfire_gateway_orchestrator_connected) == 0'
  tiles gateway-behind releases
  join gateway orchestrator
}

incidents=(${BACKFIRE_INCIDENTS:-gateway-behind dead-vertex slow-vertex error-burst training-stuck harmful-update})
for name in "${incidents[@]}"; do
  stage "$name"
  begun="$SECONDS"
  "${name//-/_}"
  must 'calm' wait_for 200 has_data "$calm"
done

stage 'what tells them apart'
incidents=(calm "${incidents[@]}")
for name in "${incidents[@]}"; do printf '%-16s %s\n' "$name" "$(paste -sd';' "$temporary/$name.tiles")"; done
expect_equal 'warnings of a calm system' "$(<"$temporary/calm.tiles")" ''
expect_equal 'incidents that differ' "$(cd "$temporary" && sha256sum "${incidents[@]/%/.tiles}" | cut -d' ' -f1 | sort -u | wc -l)" "${#incidents[@]}"
end_traffic
traffic=''
end_cluster
finish
