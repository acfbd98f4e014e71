# What the tests of clusters share. Sourced with the test's own arguments: the build folder, the project's root. There is
# an engine, which DOCKER_HOST names, and it has the images: cluster_test.sh sees to both.
set -uo pipefail
build="$1"
root_of_project="$2"
source "$root_of_project/docker/compose.sh"
set +e
source "$root_of_project/tests/unit/scripts/expect.sh"
temporary="$(mktemp -d /tmp/backfire-compose.XXXXXX)"
export BACKFIRE_BUILD="$build" BACKFIRE_SYSTEMS="$temporary/systems"
# Any free port of this machine.
export BACKFIRE_GATEWAY_PORT=0 BACKFIRE_ORCHESTRATOR_PORT=0
export COMPOSE_PROJECT_NAME="backfire-test-$$"
backfire="$build/bin/backfire"
outcome() { python3 "$root_of_project/tests/compose/outcome.py" "$@"; }
mkdir -p "$BACKFIRE_SYSTEMS"
chmod 755 "$temporary" "$BACKFIRE_SYSTEMS"  # Containers have a user of their own.

stage() { printf '\n[%d s] %s\n' "$SECONDS" "$*"; }

# compose_run ARGUMENT...: on this test's files.
compose_run() { compose "${compose_files[@]}" --profile monitoring --profile cli "$@"; }

end_cluster() {
  compose_run down --volumes --remove-orphans --timeout 2 >"$temporary/down.log" 2>&1 || cat "$temporary/down.log"
}
clear_up() {
  trap '' INT TERM HUP
  end_cluster
  rm -rf -- "$temporary"
}

# address_here SERVICE: where its gRPC can be reached from here, and by the name that its certificate has for that.
address_here() {
  local published
  published="$(compose_run port "$1" 7000)"
  [[ $published == 127.0.0.1:* ]] && printf 'localhost:%s\n' "${published##*:}"
}

# Where the orchestrator can be reached from here.
find_orchestrator() {
  BACKFIRE_ORCHESTRATOR="$(address_here orchestrator)" && export BACKFIRE_ORCHESTRATOR
}

# identify ROLE/NAME: from now on `backfire` here shows a certificate of the cluster.
identify() { issue_certificate "$1" "$temporary/tls" && eval "$(use_certificate "$temporary/tls")"; }

# check WHAT EXPECTED_CODE COMMAND...: `backfire COMMAND...` on the cluster; standard output in $output.
check() {
  local what="$1" code="$2" got=0
  shift 2
  output="$("$backfire" "$@" 2>"$temporary/errors")" || got=$?
  expect_equal "exit code of $what" "$got" "$code"
  ((got == code)) || { printf '%s\n' "$output"; cat "$temporary/errors"; }
}

# must_do WHAT COMMAND...: `backfire COMMAND...` on the cluster; ends the test if it fails.
must_do() {
  local before="$failures"
  check "$1" 0 "${@:2}"
  ((failures == before)) || finish
}

# must WHAT COMMAND...: ends the test if it fails: nothing after it could be right.
must() {
  local what="$1"
  shift
  "$@" && return
  printf 'FAILED: %s\n' "$what"
  failures=$((failures + 1))
  finish
}

# The configuration of deploy/prometheus, with seconds where it has minutes.
configure_prometheus() {
  export BACKFIRE_PROMETHEUS="$temporary/prometheus"
  cp -R "$root_of_project/deploy/prometheus" "$BACKFIRE_PROMETHEUS"
  sed -i 's/_interval: 5s/_interval: 1s/' "$BACKFIRE_PROMETHEUS/prometheus.yml"
  sed -i -E 's/^( *for:) .*/\1 1s/' "$BACKFIRE_PROMETHEUS/rules/backfire.rules.yml"
  sed -i 's/group_wait: 10s/group_wait: 1s/; s/group_interval: 1m/group_interval: 1s/' \
    "$BACKFIRE_PROMETHEUS/alertmanager.yml"
}

# prometheus_url: where Prometheus answers this machine, through the bridge of a network of its own.
prometheus_url() {
  local address
  address="$(docker inspect -f "{{(index .NetworkSettings.Networks \"${COMPOSE_PROJECT_NAME}_monitoring\").IPAddress}}" \
    "$(container prometheus)")"
  # The same address could be somewhere else's: only through a bridge is it ours.
  ip route get "$address" | grep -q ' dev br-' || { printf 'no bridge leads to %s\n' "$address" >&2; return 1; }
  printf 'http://%s:9090\n' "$address"
}

# draw FOLDER ARGUMENT...: pictures of the dashboards, where BACKFIRE_PICTURES says that a person wants to look at them.
draw() {
  [[ ${BACKFIRE_PICTURES:-} ]] || return 0
  python3 -B "$root_of_project/deploy/grafana/draw.py" "$(prometheus_url)" "$((SECONDS - ${since:-0}))" "$BACKFIRE_PICTURES/$1" "${@:2}"
}

# page SERVICE: its /metrics, over the cluster's own network.
page() {
  compose_run exec -T "$1" bash -c \
    'exec 3<>/dev/tcp/localhost/8000; printf "GET /metrics HTTP/1.0\r\n\r\n" >&3; sed "1,/^\r*$/d" <&3'
}

# value SERVICE SAMPLE: of its page.
value() { page "$1" | awk -v sample="$2" '$1 == sample { print $2 }'; }

# query EXPRESSION: Prometheus' answer, a line for each series.
query() { compose_run exec -T prometheus promtool query instant http://localhost:9090 "$1"; }
has_data() { [[ $(query "$1") ]]; }
alert_is_there() {
  compose_run exec -T alertmanager amtool --alertmanager.url=http://localhost:9093 alert query "alertname=$1" | grep -q "$1"
}
alert_is_gone() { ! alert_is_there "$1"; }
