#!/usr/bin/env bash
# Tests what deploy/ and docker/ say of each other, as far as files alone show it. Argument: the project's root.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source "$here/expect.sh"
cd "$1" || exit 1

expect_equal 'faults of the dashboards' "$(python3 -B deploy/grafana/check.py structure)" ''
# The grammar of every query; tests/compose does it as well, where promtool is always there.
if command -v promtool >/dev/null; then
  said="$(python3 -B deploy/grafana/check.py rules | promtool check rules /dev/stdin 2>&1)" || expect_equal 'the queries of the dashboards' "$said" ''
fi

# Every alert has its section among the runbooks, and a case in which it fires and one in which it does not.
mapfile -t alerts < <(sed -n 's/^ *- alert: //p' deploy/prometheus/rules/backfire.rules.yml)
expect_equal 'alerts' "${#alerts[@]}" 11
expect_equal 'runbooks of alerts' "$(grep -c '^ *runbook: ' deploy/prometheus/rules/backfire.rules.yml)" "${#alerts[@]}"
while read -r anchor; do
  grep '^## ' docs/runbooks.md | sed 's/^## //; s/ /-/g' | tr '[:upper:]' '[:lower:]' | grep -qx "$anchor" ||
    expect_equal "a runbook's section" missing "$anchor"
done < <(sed -n 's/^ *runbook: docs\/runbooks.md#//p' deploy/prometheus/rules/backfire.rules.yml)
for alert in "${alerts[@]}"; do
  cases="$(grep -A 1 "alertname: $alert\$" deploy/prometheus/rules/backfire.test.yml)"
  expect_contains "a case in which $alert fires" "$cases" $'exp_alerts:\n'
  expect_contains "a case in which $alert does not fire" "$cases" 'exp_alerts: []'
done

# Every metric that alerts and dashboards ask for is documented.
while read -r metric; do
  grep -q "^| \`${metric}\`" docs/metrics.md || grep -q "^| \`${metric%_*}\` | \(histogram\|summary\)" docs/metrics.md ||
    expect_equal 'a metric in docs/metrics.md' missing "$metric"
done < <(grep -ohE '\b(backfire|grpc|process)_[a-z_]+[{)\[ ]' deploy/prometheus/rules/backfire.rules.yml deploy/grafana/dashboards/*.json |
  tr -d '{)[ ' | grep -vE '^(grpc_(method|code|service|type)|backfire_[a-z]*_$)$' | sort -u)

# A target's label by the name of a metric's own would take its place.
while read -r label; do
  expect_equal "uses of the target's label '$label' by metrics" "$(grep -cE "^\| \`.*\| (.*, )?$label(,.*)? \| " docs/metrics.md)" 0
done < <(sed -n 's/^ *labels: {\(.*\)}/\1/p' deploy/prometheus/targets/*.yml | tr ',' '\n' | sed 's/^ *//; s/:.*//' | sort -u; echo service; echo job; echo instance)

# What `backfire up` starts on this machine names no port: its services are on sockets.
expect_equal 'endpoints of the local systems' "$(grep -l '^ *endpoint:' deploy/systems/*.yaml deploy/systems/planar/*.yaml deploy/systems/study/*.yaml deploy/systems/study/paper/*.yaml)" ''
# The cluster's system is deploy/systems/stereo.yaml with addresses.
plain() { grep -v '^ *#' "$1" | sed '/^ *process:/d; /^ *endpoint:/d; s/^dataset: .*/dataset:/; s/ *#.*//'; }
expect_equal 'the system of the cluster' "$(plain deploy/systems/compose/stereo.yaml)" "$(plain deploy/systems/stereo.yaml)"
elsewhere() { plain "$1" | sed '/^ *replicas: \["dns:/d'; }
expect_equal 'the system on Kubernetes' "$(elsewhere deploy/systems/kubernetes/stereo/system.yaml)" "$(plain deploy/systems/stereo.yaml)"
expect_equal 'the planar system on Kubernetes' "$(elsewhere deploy/systems/kubernetes/planar/system.yaml)" \
  "$(plain deploy/systems/planar/distribution-mismatch.yaml)"
# Each vertex of theirs has one.
for system in compose/stereo kubernetes/stereo/system kubernetes/planar/system; do
  expect_equal "endpoints of $system" "$(grep -c '^  endpoint: .*:7000' "deploy/systems/$system.yaml")" "$(grep -c '^- name: ' "deploy/systems/$system.yaml")"
done
expect_equal 'dashboards on Kubernetes' "$(sed -n 's/^ *files: \[\(.*\)\]/\1/p' deploy/grafana/dashboards/kustomization.yaml | tr -d ' ' | tr ',' '\n' | sort)" \
  "$(cd deploy/grafana/dashboards && printf '%s\n' *.json | sort)"
while read -r host; do
  grep -q "^  $host:\$" docker/compose.yaml || expect_equal 'a container of the system' missing "$host"
  grep -q "\"$host:8000\"" deploy/prometheus/targets/stereo.yml || expect_equal 'a target of Prometheus' missing "$host"
done < <(sed -n 's/^ *endpoint: \(.*\):7000/\1/p' deploy/systems/compose/stereo.yaml)

# Each container of ours has the certificate that is made for it, and none is open to whoever reaches it.
expect_equal 'leave to listen in the open' "$(grep -rniE 'allow.insecure' docker --include=Dockerfile --include='*.yaml' --include='*.sh')" ''
expect_equal 'certificates that are mounted' "$(sed -n 's/.*"\([a-z]*\)-tls:\/run\/backfire\/tls:ro".*/\1/p' docker/compose.yaml | sort)" \
  "$(sed -n 's/^ *- \([a-z]*\)-tls:\/tls\/[a-z+]*\/\1$/\1/p' docker/compose.yaml | sort)"
while read -r name; do
  grep -q "^    volumes: .*\"$name-tls:/run/backfire/tls:ro\"" docker/compose.yaml || expect_equal "a certificate of $name" missing there
done < <(grep -B 3 -- '--listen=0.0.0.0:7000' docker/compose.yaml | sed -n 's/^  \([a-z]*\):$/\1/p')

# Everything in the context that the Dockerfile copies.
while read -r path; do
  grep -qx "!$path" docker/Dockerfile.dockerignore || expect_equal 'a path in the context' missing "$path"
done < <(sed -n 's/^COPY \([a-z].*\) .*/\1/p' docker/Dockerfile | tr ' ' '\n' | grep -v '^docker/Dockerfile$\|^\${' | sed 's/\/$//')

# The label of tests that have containers.
expect_equal 'budget of compose' "$(bash -c 'source ./dev; label_minutes compose release')" 15
expect_contains 'the help of tests' "$(bash dev test --help)" '--without-compose'

# `./dev compose` in words.
output="$(bash dev compose --help 2>&1)"
expect_contains 'the help' "$output" 'Example: ./dev compose up'
bash dev compose sideways >/dev/null 2>&1
expect_equal 'a wrong command' $? 2
output="$(bash dev kubernetes --help 2>&1)"
expect_contains 'the help' "$output" 'Example: ./dev kubernetes check'
bash dev kubernetes check sideways >/dev/null 2>&1
expect_equal 'a wrong argument' $? 2
finish
