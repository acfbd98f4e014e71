#!/usr/bin/env bash
# `./dev kubernetes`: renders the manifests, and checks them as far as can be without a cluster.
set -euo pipefail
source "$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)/dev"

# Tools of exactly these versions, outside the project.
readonly kustomize_module=sigs.k8s.io/kustomize/kustomize/v5@v5.8.1
readonly schemas='kubernetes-validate==1.36.0'
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
           stand-in for nodes, from nothing to a verdict; no API server

Renders with `kustomize` (BACKFIRE_KUSTOMIZE="kubectl kustomize" names another), or builds it with Go.
What is missing is put into ~/.cache/backfire/kubernetes (BACKFIRE_KUBERNETES_TOOLS): kustomize, and a
Python environment with kubernetes-validate. That takes a network, once.

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

main_kubernetes() {
  local command="${1:-}"
  (($#)) && shift
  case "$command" in
    test) cmd_test -R kubernetes "$@" ;;
    check | render)
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
