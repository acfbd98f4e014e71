#!/usr/bin/env bash
# `./dev compose`: a cluster from this clone. Sourcing it (as tests/compose does) defines the functions and runs nothing.
set -euo pipefail
source "$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)/dev"
source "$root/docker/engine.sh"

export COMPOSE_PROJECT_NAME="${COMPOSE_PROJECT_NAME:-backfire}"
readonly base_image=debian:bookworm-slim
compose_files=(-f "$root/docker/compose.yaml")

help_compose() {
  cat <<'HELP'
Usage: ./dev compose up|demo|certs|down|test [ARGUMENT...]

A cluster of containers on this machine, from this clone: docker/compose.yaml with images of what
build/bin holds. Uses the container engine that answers; as root on Debian, where none does, installs
and starts one of its own, with its own socket.

  up [--no-monitoring]   build what is missing, and start the cluster; prints its addresses, and how a
                         client on this machine shows a certificate
  demo [ARGUMENT...]     up, then `backfire demo` on it: baseline, proposal, verdict, picture
  certs [ARGUMENT...]    renew the cluster's certificates, while it runs. Arguments are of its container
                         `certs`: --new-ca, --drop-old-ca, issue ROLE/NAME
  down [--volumes]       end the cluster, and our engine; --volumes: and forget what was trained
  test                   run tests/compose alone, as `./dev test compose` does

The folder build/bin can be another's: BACKFIRE_BUILD=DIR (default: build). Ports on this machine:
BACKFIRE_GATEWAY_PORT (7000), BACKFIRE_ORCHESTRATOR_PORT (7010), BACKFIRE_GRAFANA_PORT (3000).

Example: ./dev compose up
HELP
}

# build_images TARGET...: from the binaries of the build, by the names that compose.yaml has.
build_images() {
  local build="${BACKFIRE_BUILD:-$root/build}" target
  if [[ -z ${BACKFIRE_BUILD:-} ]]; then cmd_build || return; fi
  use_base_image "$base_image" || return
  say "putting together what the images hold"
  "$root/docker/stage.sh" "$build" "$root/build/image" || return
  for target; do
    say "building the image $target"
    DOCKER_BUILDKIT=1 docker build -q --target "$target" -t "$target" -f "$root/docker/Dockerfile" \
      --build-arg BINARIES=prebuilt --build-arg VERSION="$(sed -n 's/^project(backfire VERSION \([^ ]*\).*/\1/p' "$root/CMakeLists.txt")" \
      --build-arg REVISION="$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)" \
      "$root" >/dev/null || { fail "the image $target could not be built"; return; }
  done
}

# container SERVICE: its id.
container() { compose "${compose_files[@]}" ps -q "$1"; }

health_of() { docker inspect -f '{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}' "$(container "$1")"; }
is_healthy() { [[ $(health_of "$1") == healthy ]]; }

# wait_healthy SECONDS SERVICE...: version 2 has `up --wait`, Debian's has not.
wait_healthy() {
  local seconds="$1" service
  shift
  for service; do
    wait_for "$seconds" is_healthy "$service" ||
      { compose "${compose_files[@]}" logs --tail=20 "$service" >&2 || true; fail "$service is not healthy"; return; }
  done
}

# issue_certificate ROLE/NAME FOLDER: files of the cluster's authority for somebody on this machine: ca.crt, tls.crt, tls.key.
issue_certificate() {
  local folder="$2"
  mkdir -p -m 700 "$folder" || return
  compose "${compose_files[@]}" run --rm -T --no-deps certs issue "$1" 2>"$folder/log" | tar -C "$folder" -x ||
    { cat "$folder/log" >&2; fail "there is no certificate for $1"; return; }
  rm "$folder/log"
}

# Prints what has a program here show the certificate of a folder.
use_certificate() { printf "export BACKFIRE_TLS_CERTIFICATE='%s/tls.crt' BACKFIRE_TLS_KEY='%s/tls.key' BACKFIRE_TLS_CA='%s/ca.crt'\n" "$1" "$1" "$1"; }

readonly mesh=(disparity pointcloud proposals car pedestrian orchestrator gateway)

compose_up() {
  local monitoring=1 services=("${mesh[@]}") grafana=''
  while (($#)); do
    case "$1" in
      --no-monitoring) monitoring='' ;;
      *) usage_error "unknown argument: $1" compose ;;
    esac
    shift
  done
  use_engine "$root/.backfire/engine" || return
  local images=(backfire backfire-models)
  [[ ! $monitoring ]] || images+=(backfire-monitoring)
  build_images "${images[@]}" || return
  if [[ $monitoring ]]; then
    services+=(prometheus alertmanager)
    local image
    image="$(sed -n 's/.*BACKFIRE_GRAFANA_IMAGE:-\([^}]*\)}.*/\1/p' "$root/docker/compose.yaml")"
    image="${BACKFIRE_GRAFANA_IMAGE:-$image}"
    if docker image inspect "$image" >/dev/null 2>&1 || timeout 120 docker pull -q "$image" >/dev/null 2>&1; then
      services+=(grafana)
      grafana=1
    else
      say "Grafana's image ($image) can't be had here: going on without it"
    fi
  fi
  say "starting: ${services[*]}"
  compose "${compose_files[@]}" --profile monitoring up -d --no-build "${services[@]}" || return
  wait_healthy 120 "${services[@]/grafana/prometheus}" || return
  issue_certificate operator/this-machine "$root/.backfire/tls" || return
  printf 'gateway       localhost:%s   (gRPC: the Open Inference Protocol)\n' "${BACKFIRE_GATEWAY_PORT:-7000}"
  printf 'orchestrator  localhost:%s   (gRPC: backfire --orchestrator)\n' "${BACKFIRE_ORCHESTRATOR_PORT:-7010}"
  if [[ $grafana ]]; then
    printf 'Grafana       http://localhost:%s\n' "${BACKFIRE_GRAFANA_PORT:-3000}"
  else
    printf 'Grafana       does not run\n'
  fi
  printf '\nBoth ask for a certificate. This machine has an operator'\''s, which its clients show after\n  %s\n' \
    "$(use_certificate "$root/.backfire/tls")"
}

compose_demo() {
  compose_up || return
  compose "${compose_files[@]}" --profile cli run --rm cli demo "$@" || return
  # Out of the volume, to where a person can look at it.
  mkdir -p "$root/.backfire"
  compose "${compose_files[@]}" --profile cli run --rm --entrypoint cat cli /var/lib/backfire/demo/view.png \
    >"$root/.backfire/cluster-view.png" && say "the picture: $root/.backfire/cluster-view.png"
}

compose_certs() {
  (($#)) || set -- --renew
  [[ $* == --renew || $* == --new-ca || $* == --drop-old-ca || $1 == issue && $# == 2 ]] ||
    usage_error "certs takes --renew, --new-ca, --drop-old-ca or issue ROLE/NAME: got $*" compose
  use_engine "$root/.backfire/engine" || return
  compose "${compose_files[@]}" run --rm -T --no-deps certs "$@" || return
  [[ ! -d $root/.backfire/tls || $1 == issue ]] || issue_certificate operator/this-machine "$root/.backfire/tls"
}

compose_down() {
  local volumes=()
  case "${1:-}" in
    --volumes) volumes=(--volumes) ;;
    '') ;;
    *) usage_error "unknown argument: $1" compose ;;
  esac
  own_engine "$root/.backfire/engine"
  if ! has_client || ! docker info >/dev/null 2>&1; then
    export DOCKER_HOST="unix://$engine_run/docker.sock"
    if ! has_client || ! docker info >/dev/null 2>&1; then say 'nothing runs'; return; fi
  fi
  compose "${compose_files[@]}" --profile monitoring --profile cli down --remove-orphans "${volumes[@]}" || return
  # With its volumes the authority is gone.
  ((${#volumes[@]} == 0)) || rm -rf -- "$root/.backfire/tls"
  stop_engine
}

main_compose() {
  local command="${1:-}"
  (($#)) && shift
  case "$command" in
    up | demo | certs | down) "compose_$command" "$@" ;;
    test) cmd_test compose "$@" ;;
    -h | --help | help) help_compose ;;
    '') help_compose; return 2 ;;
    *) usage_error "compose does up, demo, certs, down or test: got '$command'" compose ;;
  esac
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  main_compose "$@"
fi
