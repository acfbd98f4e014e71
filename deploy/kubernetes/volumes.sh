#!/usr/bin/env bash
# Copies what a cluster keeps, all volumes of one moment, to a folder of this machine, and back. Meanwhile what writes is
# scaled to none; gateways and replicas serve on.
#
# Usage: deploy/kubernetes/volumes.sh backup|restore FOLDER
#   NAMESPACE   default: backfire
#   KUBECTL     default: kubectl
# Exits 0 if all is copied, 1 if not, 2 on wrong usage.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
namespace="${NAMESPACE:-backfire}"
readonly ours=app.kubernetes.io/part-of=backfire
readonly data=/var/lib/backfire

cluster() { "${KUBECTL:-kubectl}" --namespace "$namespace" "$@"; }
say() { printf '==> %s\n' "$*" >&2; }
fail() { printf 'volumes.sh: %s\n' "$*" >&2; exit 1; }

if (($# != 2)) || [[ $1 != backup && $1 != restore ]]; then
  printf 'Usage: %s backup|restore FOLDER\n' "$0" >&2
  exit 2
fi
action="$1" folder="$2"

mapfile -t sets < <(cluster get statefulset --selector "$ours" --output name)
mapfile -t claims < <(cluster get persistentvolumeclaim --selector "$ours" --output name | sed 's:.*/::')
((${#sets[@]} && ${#claims[@]})) || fail "namespace $namespace has no StatefulSets or no claims of Backfire"
image="$(cluster get statefulset orchestrator --output 'jsonpath={.spec.template.spec.containers[0].image}')"
if [[ $action == restore ]]; then
  for claim in "${claims[@]}"; do
    tar -tf "$folder/$claim.tar" >/dev/null 2>&1 || fail "$folder/$claim.tar: is missing or damaged; nothing was changed"
  done
else
  mkdir -p "$folder"
fi

pod=''
# Whatever happens, what was scaled down comes back.
go_on() {
  [[ ! $pod ]] || cluster delete pod "$pod" --ignore-not-found >/dev/null || true
  say "starting ${#sets[@]} StatefulSets"
  cluster scale "${sets[@]}" --replicas=1 >/dev/null
}
trap go_on EXIT
trap 'exit 130' INT TERM HUP

say "stopping ${#sets[@]} StatefulSets"
cluster scale "${sets[@]}" --replicas=0 >/dev/null
cluster wait pod --selector "$ours,app.kubernetes.io/component in (orchestrator, primary)" --for=delete --timeout=180s >/dev/null

for claim in "${claims[@]}"; do
  pod="copy-$claim"
  sed "s|CLAIM|$claim|; s|NAMESPACE|$namespace|; s|IMAGE|$image|" "$here/volume-pod.json" | cluster apply --filename - >/dev/null
  cluster wait "pod/$pod" --for=condition=Ready --timeout=180s >/dev/null
  if [[ $action == backup ]]; then
    # Under another name until it is whole; without what the volume's file system keeps for itself.
    cluster exec "$pod" -- tar -C "$data" --exclude=./lost+found -cf - . >"$folder/$claim.tar.part"
    tar -tf "$folder/$claim.tar.part" >/dev/null || fail "$claim: what came is no whole archive"
    mv -- "$folder/$claim.tar.part" "$folder/$claim.tar"
  else
    cluster exec "$pod" -- find "$data" -mindepth 1 -not -path "$data/lost+found*" -delete
    cluster exec --stdin "$pod" -- tar -C "$data" -xf - <"$folder/$claim.tar"
  fi
  cluster delete pod "$pod" >/dev/null
  pod=''
  say "$action: $claim"
done
