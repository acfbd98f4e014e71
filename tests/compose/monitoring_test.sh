#!/usr/bin/env bash
# A planar system in containers with Prometheus and Alertmanager: its update is self-defeating, and says so to a person.
# Arguments: the build folder, the project's root.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
trap clear_up EXIT
trap 'exit 130' INT TERM
compose_files+=(-f "$root_of_project/tests/compose/planar.yaml")

configure_prometheus
rm "$BACKFIRE_PROMETHEUS"/targets/*
cat >"$BACKFIRE_PROMETHEUS/targets/planar.yml" <<'YAML'
- {targets: ["planar:8000"], labels: {system: planar, process: model}}
- {targets: ["gateway:8000"], labels: {system: planar, process: gateway}}
- {targets: ["orchestrator:8000"], labels: {system: planar, process: orchestrator}}
YAML
sed 's/^- name: .*/&\n  endpoint: planar:7000/' "$root_of_project/deploy/systems/planar/figure2.yaml" >"$BACKFIRE_SYSTEMS/planar.yaml"
chmod -R a+rX "$temporary"/{prometheus,systems}

stage 'the files of deploy/prometheus'
# in_monitoring COMMAND...: with the files as they are in the project.
in_monitoring() { docker run --rm -i --network none -v "$root_of_project/deploy/prometheus:/etc/backfire:ro" -w /etc/backfire/rules backfire-monitoring "$@"; }
for command in 'promtool check config ../prometheus.yml' 'promtool check rules backfire.rules.yml' \
  'promtool test rules backfire.test.yml' 'amtool check-config ../alertmanager.yml'; do
  said="$(in_monitoring $command </dev/null 2>&1)" || expect_equal "$command" "$said" ''
done
said="$(python3 -B "$root_of_project/deploy/grafana/check.py" rules | in_monitoring promtool check rules /dev/stdin 2>&1)" ||
  expect_equal 'the grammar of the queries of the dashboards' "$said" ''

expect_equal 'services that get a GPU' "$(compose -f "$root_of_project/docker/compose.yaml" -f "$root_of_project/docker/compose.gpu.yaml" config |
  grep -c 'capabilities:')" 4

stage 'the cluster comes up'
must 'certificates' compose_run run --rm -T --no-deps certs
must 'up' compose_run up -d --no-build --no-deps planar orchestrator gateway prometheus alertmanager
must 'health' wait_healthy 90 planar orchestrator gateway prometheus alertmanager
must "the orchestrator's port" find_orchestrator
check 'health from outside, of somebody without a certificate' 3 healthcheck "$BACKFIRE_ORCHESTRATOR"
must 'a certificate' identify operator/tester
check 'health from outside' 0 healthcheck "$BACKFIRE_ORCHESTRATOR"
check 'health of the gateway, which serves nothing yet' 3 healthcheck "$(address_here gateway)"

stage 'a baseline, and an update to its verdict'
must_do 'apply' system apply "$BACKFIRE_SYSTEMS/planar.yaml"
must_do 'the baseline' update watch baseline
check 'the gate' 1 update propose --vertex v --recipe position --set 'field=[{bend: -0.1}]' --gate
expect_contains 'the verdict' "$output" SELF_DEFEATING
check 'health of the gateway, which serves' 0 healthcheck "$(address_here gateway)"
check 'the command line in a container' 0 update show latest --field verdict
expect_equal 'the same verdict from within' "$(compose_run run --rm -T --no-deps cli update show latest --field verdict 2>/dev/null | tr -d '\r')" "$output"

stage 'each is who it is, and no more'
said="$(compose_run exec -T -e BACKFIRE_ORCHESTRATOR=orchestrator:7000 planar backfire update promote latest --override --reason 'a test' 2>&1)" &&
  expect_equal 'a promotion by a model' done refused
expect_contains 'a promotion by a model' "$said" '"planar" has model'
for service in planar orchestrator gateway; do
  expect_equal "insecure processes of $service" "$(docker inspect -f '{{.Config.Env}} {{.Config.Cmd}}' "$(container "$service")" | grep -ci insecure)" 0
  expect_equal "whose certificate $service has" "$(docker exec "$(container "$service")" openssl x509 -in /run/backfire/tls/tls.crt -noout -subject)" "subject=CN = $service"
  expect_equal "rights of its key" "$(docker exec "$(container "$service")" stat -c '%u %a' /run/backfire/tls/tls.key)" '10001 400'
done
cats_and_dogs='planar: {components: [{labels: {class: 0}, gaussian: {mean: [0, 1], deviation: 0.4}}, {labels: {class: 1}, gaussian: {mean: [0, -1], deviation: 0.4}}], targets: {v: {loss: position_error}}, seed: 1}'
expect_contains 'what conformance finds of a container' "$(compose_run run --rm -T --no-deps conformance planar:7000 --model v --recipe position \
  --set 'field=[{bend: -0.2}]' --dataset "$cats_and_dogs" 2>&1)" ' hold, 0 broken,'

stage 'certificates, and then the authority, are replaced under load'
# Each call is a connection of its own, and so sees what is newest; it shows the certificate of the folder in `shown`.
ask_on() {
  local asked=0
  while [[ ! -e $temporary/enough ]]; do
    eval "$(use_certificate "$(<"$temporary/shown")")"
    "$backfire" healthcheck "$(<"$temporary/gateway")" >/dev/null 2>>"$temporary/refused" && "$backfire" update list >/dev/null 2>>"$temporary/refused" ||
      printf 'call %d failed\n' "$asked" >>"$temporary/refused"
    printf '%d\n' "$((++asked))" >"$temporary/asked"
  done
}
address_here gateway >"$temporary/gateway"
printf '%s\n' "$temporary/tls" >"$temporary/shown"
: >"$temporary/refused"
serial_of() { docker exec "$(container "$1")" openssl x509 -in /run/backfire/tls/tls.crt -noout -serial; }
# shown SERVICE: the serial number of the certificate that it shows to others.
shown() { compose_run exec -T orchestrator openssl s_client -alpn h2 -connect "$1:7000" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
shows_newest() { [[ $(shown "$1") == "$(serial_of "$1")" ]]; }
all_show_newest() { shows_newest planar && shows_newest orchestrator && shows_newest gateway; }
must 'what is shown' all_show_newest
before="$(serial_of planar)"
ask_on &
asking=$!
must 'renewal' compose_run run --rm -T --no-deps certs --renew
[[ $(serial_of planar) != "$before" ]] || expect_equal 'a certificate after its renewal' same another
must 'renewed certificates' wait_for 30 all_show_newest
must 'another authority' compose_run run --rm -T --no-deps certs --new-ca
# One of the new authority is believed by all before the first of them shows one.
must 'a certificate' issue_certificate viewer/newcomer "$temporary/newcomer"
chmod -R a+rX "$temporary/newcomer"
as_newcomer() {
  compose_run run --rm -T --no-deps -v "$temporary/newcomer:/newcomer:ro" -e BACKFIRE_TLS_CERTIFICATE=/newcomer/tls.crt -e BACKFIRE_TLS_KEY=/newcomer/tls.key \
    -e BACKFIRE_TLS_CA=/newcomer/ca.crt --entrypoint backfire cli healthcheck "$@"
}
for service in planar orchestrator gateway; do must "a newcomer at $service" wait_for 30 as_newcomer "$service:7000" --service liveness; done
# Who is outside has to be told of the new authority as well.
printf '%s\n' "$temporary/newcomer" >"$temporary/shown.new" && mv "$temporary/shown.new" "$temporary/shown"
calls="$(<"$temporary/asked")"
is_shown() { (($(<"$temporary/asked") > calls + 1)); }
must 'calls as the newcomer' wait_for 30 is_shown
compose_run run --rm -T --no-deps certs --drop-old-ca >/dev/null 2>&1 && expect_equal 'an authority that certificates are of' dropped kept
must 'certificates of the new authority' compose_run run --rm -T --no-deps certs
must 'certificates of the new authority' wait_for 30 all_show_newest
touch "$temporary/enough"
wait "$asking"
printf '%d calls\n' "$(<"$temporary/asked")"
expect_equal 'calls that failed meanwhile' "$(head -c 2000 "$temporary/refused")" ''
must 'the end of the authority before' compose_run run --rm -T --no-deps certs --drop-old-ca
is_refused() { ! "$backfire" healthcheck "$BACKFIRE_ORCHESTRATOR"; }
must 'a certificate of the authority before is refused' wait_for 30 is_refused
must 'a certificate' identify operator/tester
check 'health by a certificate of the new one' 0 healthcheck "$BACKFIRE_ORCHESTRATOR"

stage 'Prometheus has it'
must 'a scrape of the verdict' wait_for 30 has_data 'backfire_latest_update{verdict="SELF_DEFEATING"}'
expect_contains 'three processes are up' "$(query 'count(up{job="backfire"} == 1)')" '=> 3'
must 'the alert of the verdict' wait_for 60 alert_is_there BackfireSelfDefeatingImprovement
for service in planar gateway orchestrator; do
  page "$service" >"$temporary/page"
  [[ -s $temporary/page ]] || expect_equal "the page of $service" empty 'not empty'
  compose_run exec -T prometheus promtool check metrics <"$temporary/page" >"$temporary/lint" 2>&1 ||
    expect_equal "promtool on the page of $service" "$(<"$temporary/lint")" clean
done

stage 'a service goes down, and comes back'
must 'kill' docker kill -s KILL "$(container planar)" >/dev/null
must 'the alert of a service that is down' wait_for 60 alert_is_there BackfireServiceDown
must 'start' compose_run start planar >/dev/null 2>&1
must 'health' wait_healthy 60 planar
must 'the end of that alert' wait_for 90 alert_is_gone BackfireServiceDown
check 'turn it down' 0 update cancel latest
must "the end of the verdict's alert" wait_for 90 alert_is_gone BackfireSelfDefeatingImprovement

stage 'volumes are backed up, lost and restored, as docker/README.md says'
check 'the update before' 0 update show latest --format json
before="$(outcome result <<<"$output")"
must 'stop' compose_run stop >/dev/null 2>&1
mkdir -p "$temporary/backup"
for volume in orchestrator planar; do
  must 'a backup' docker run --rm -v "${COMPOSE_PROJECT_NAME}_$volume:/from:ro" -v "$temporary/backup:/to" --user 0 backfire \
    tar -C /from -cf "/to/$volume.tar" .
done
end_cluster
for volume in orchestrator planar; do
  must 'a restore' docker run --rm -v "${COMPOSE_PROJECT_NAME}_$volume:/to" -v "$temporary/backup:/from:ro" --user 0 backfire \
    tar -C /to -xf "/from/$volume.tar"
done
must 'certificates' compose_run run --rm -T --no-deps certs
must 'up' compose_run up -d --no-build --no-deps planar orchestrator gateway
must 'health' wait_healthy 90 planar orchestrator gateway
must "the orchestrator's port" find_orchestrator
must 'a certificate of another authority' identify operator/tester
check 'the update after' 0 update show latest --format json
expect_equal 'the update after' "$(outcome result <<<"$output")" "$before"
check 'health of the gateway, which serves again' 0 healthcheck "$(address_here gateway)"

stage 'containers are what they should be'
id="$(container planar)"
expect_equal 'the user' "$(docker exec "$id" id -u)" 10001
docker exec "$id" touch /opt/backfire/bin/x 2>/dev/null && expect_equal 'the root file system' writable read-only
docker stop -t 15 "$id" >/dev/null
expect_equal 'exit code after SIGTERM' "$(docker inspect -f '{{.State.ExitCode}}' "$id")" 0
expect_contains 'a drain in good order' "$(docker logs "$id" 2>&1 | tail -n 2)" 'state=STOPPED'

end_cluster
finish
