#!/usr/bin/env bash
# Certificates for a cluster without cert-manager, by an authority for development: one for each kind of process, as the
# Secret `NAME-tls` that the component `tls` mounts. Run again, it renews them; processes read them again once Kubernetes has
# brought them, within some two minutes, and none is started anew.
#
# Usage: deploy/kubernetes/secrets.sh FOLDER [--days N] [--new-ca | --drop-old-ca] MODEL...
#   FOLDER       the authority and all keys, on this machine: `./dev certs FOLDER operator/ada` makes a person's
#   MODEL        app.kubernetes.io/name of each kind of model: `planar`, or `disparity pointcloud proposals car pedestrian`
#   --new-ca     another authority takes three runs, two minutes apart: with --new-ca, with neither, with --drop-old-ca
#   NAMESPACE    default: backfire
#   KUBECTL      default: kubectl
# Exits 0 if all is there, 1 if not, 2 on wrong usage.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
namespace="${NAMESPACE:-backfire}"

cluster() { ${KUBECTL:-kubectl} --namespace "$namespace" "$@"; }
usage() { sed -n '/^# Usage/,/^# Exits/s/^# \{0,1\}//p' "$0" >&2; exit 2; }

folder="${1:-}" flags=() authority='' models=()
[[ $folder && $folder != -* ]] || usage
shift
while (($#)); do
  case "$1" in
    --days) flags+=("$1" "${2:-}"); shift || usage ;;
    --new-ca | --drop-old-ca) authority="$1" ;;
    -*) usage ;;
    *) models+=("$1") ;;
  esac
  shift || usage
done
((${#models[@]})) || usage

# The names by which each is called, from within the namespace or from outside.
gateway="gateway/gateway,gateway-pods"
for name in gateway gateway-pods; do gateway+=",$name.$namespace,$name.$namespace.svc"; done
identities=(orchestrator/orchestrator "$gateway" operator/apply-system gate/propose)
for model in "${models[@]}"; do identities+=("model/$model,$model-primary,$model-replicas"); done
if [[ $authority == --new-ca ]]; then
  "$here/../certs/certs.sh" "$folder" --new-ca
else
  "$here/../certs/certs.sh" "$folder" ${authority:+"$authority"} "${flags[@]}" "${identities[@]}"
fi

cluster apply --filename "$here/base/namespace.yaml" >/dev/null
for identity in "${identities[@]}"; do
  name="${identity#*/}"
  name="${name%%,*}"
  # On the server's side: the other way would write the key into an annotation as well.
  cluster create secret generic "$name-tls" --type=kubernetes.io/tls --from-file=tls.crt="$folder/$name.pem" \
    --from-file=tls.key="$folder/$name.key" --from-file=ca.crt="$folder/ca.pem" --dry-run=client --output=yaml |
    cluster apply --server-side --force-conflicts --filename=- >/dev/null
  printf 'Secret %s\n' "$name-tls"
done
