#!/usr/bin/env bash
# `./dev kubernetes`: renders the manifests, checks them, and applies them to an API server.
set -euo pipefail
source "$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)/dev"

# Tools of exactly these versions, outside the project.
readonly kustomize_module=sigs.k8s.io/kustomize/kustomize/v5@v5.8.1
readonly schemas='kubernetes-validate==1.36.0'
readonly monitoring_module=github.com/prometheus-operator/prometheus-operator@v0.85.0
readonly certificates_module=github.com/cert-manager/cert-manager@v1.18.2
tools="${BACKFIRE_KUBERNETES_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/backfire/kubernetes}"
tests="$root/tests/kubernetes"

help_kubernetes() {
  cat <<'HELP'
Usage: ./dev kubernetes check|render|test

The manifests of deploy/kubernetes. `./dev test` checks what tests/kubernetes/rendered holds, without
a network; `check` and `render` render it.

  check    check that it is what the overlays render to, and every resource against the schemas of
           Kubernetes, unknown fields refused; then what `./dev test` checks
  render   render it anew: after each change of deploy/kubernetes or deploy/systems/kubernetes
  test     what `./dev test` has of Kubernetes: the checks, and the planar overlay's pods run by a
           stand-in for nodes, from nothing to a verdict. Then, where there is Go, the same with an
           API server, controllers and kubectl of Kubernetes itself, which take every overlay, and the
           planar one with TLS as well

Renders with `kustomize` (BACKFIRE_KUSTOMIZE="kubectl kustomize" names another), or builds it with Go.
What is missing is put into ~/.cache/backfire/kubernetes (BACKFIRE_KUBERNETES_TOOLS): kustomize, a
Python environment with kubernetes-validate, and the control plane, a quarter of an hour of processor time.
That takes a network, once.

Example: ./dev kubernetes check
HELP
}

# find_kustomize: the command, in $kustomize.
find_kustomize() {
  kustomize="${BACKFIRE_KUSTOMIZE:-}"
  [[ ! $kustomize ]] || return 0
  kustomize="$tools/bin/kustomize build"
  [[ ! -x $tools/bin/kustomize ]] || return 0
  command -v go >/dev/null ||
    fail "there is no Go to build kustomize with: set BACKFIRE_KUSTOMIZE to a command that renders a folder, of kustomize 5" || return
  say "building $kustomize_module"
  GOBIN="$tools/bin" nice go install -p 1 "$kustomize_module" >&2
}

# find_schemas: a Python with kubernetes-validate, in $python.
find_schemas() {
  python="$tools/python/bin/python3"
  if [[ ! -x $python ]]; then
    python3 -m venv "$tools/python" >&2 ||
      fail "Python's venv is missing: apt-get install python3-venv" || return
  fi
  "$python" -m pip install -q --disable-pip-version-check "$schemas" >&2
}

kubernetes_render() {
  find_kustomize && find_schemas || return
  "$python" -B "$tests/render.py" --root "$root" --kustomize "$kustomize" || return
  say "rendered: $tests/rendered"
}

kubernetes_check() {
  find_kustomize && find_schemas || return
  cmd_build backfire gateway orchestrator planar-service || return
  local status=0
  "$python" -B "$tests/render.py" --root "$root" --kustomize "$kustomize" --compare || status=1
  "$python" -B "$tests/schemas.py" --root "$root" || status=1
  "$python" -B "$tests/check.py" --root "$root" --bin "$root/build/bin" || status=1
  return "$status"
}

# folder_of MODULE: where its files are, of this version.
folder_of() {
  (cd "$tools" && go mod download -json "$1") | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])'
}

# find_control_plane: the program of tests/kubernetes/control_plane, in $control_plane, and a folder of the definitions of
# the resources of Prometheus' operator and of cert-manager, in $definitions.
find_control_plane() {
  local source="$tests/control_plane" version
  control_plane="$tools/bin/control-plane-$(cat "$source"/main.go "$source"/go.{mod,sum} | sha256sum | head -c 12)"
  version="$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' "$source/go.mod")"
  if [[ ! -x $control_plane ]]; then
    say "building a control plane of Kubernetes $version"
    mkdir -p "$tools/bin"
    local package=k8s.io/component-base/version
    (cd "$source" && nice go build -p 2 -o "$control_plane.new" -ldflags \
      "-s -w -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$(cut -d. -f2 <<<"$version")" .) >&2 &&
      mv "$control_plane.new" "$control_plane" || return
  fi
  definitions="$tools/definitions"
  mkdir -p "$definitions"
  local name from
  from="$(folder_of "$monitoring_module")/example/prometheus-operator-crd" && cp "$from"/*.yaml "$definitions" || return
  from="$(folder_of "$certificates_module")/deploy/crds" || return
  # They are a chart's, whose placeholders are in labels and comments alone.
  for name in certificates issuers; do
    sed '/^  labels:/,/^spec:/{/^spec:/!d}; /^ *#/d' "$from/crd-$name.yaml" >"$definitions/cert-manager-$name.yaml" || return
  done
}

kubernetes_test() {
  local status=0 code=0
  cmd_test -R kubernetes || status=1
  if ! command -v go >/dev/null; then
    say "there is no Go to build an API server with: what ran are the checks and the stand-in alone"
    return "$status"
  fi
  find_control_plane || fail "the control plane could not be built" || return
  say "with an API server"
  /usr/bin/python3 -B "$tests/api_server_test.py" "$control_plane" "$root/build/bin" "$root" "$definitions" || code=$?
  case "$code" in
    0) say "with an API server: passed" ;;
    77) say "with an API server: skipped" ;;
    *) fail "with an API server: failed" || status=1 ;;
  esac
  return "$status"
}

main_kubernetes() {
  local command="${1:-}"
  (($#)) && shift
  case "$command" in
    check | render | test)
      case "${1:-}" in
        '') "kubernetes_$command" ;;
        -h | --help) help_kubernetes ;;
        *) usage_error "unknown argument: $1" kubernetes ;;
      esac
      ;;
    -h | --help | help) help_kubernetes ;;
    '') help_kubernetes; return 2 ;;
    *) usage_error "kubernetes does check, render or test: got '$command'" kubernetes ;;
  esac
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  main_kubernetes "$@"
fi
