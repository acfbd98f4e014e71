#!/usr/bin/env bash
# Tests deploy/kubernetes/volumes.sh against a stand-in for kubectl, to which a claim is a folder: what is copied, in which
# order, and that the cluster goes on whatever fails. Argument: the project's root.
set -uo pipefail
root_of_project="$1"
source "$root_of_project/tests/unit/scripts/expect.sh"
work="$(mktemp -d /tmp/backfire-volumes.XXXXXX)"
trap 'rm -rf -- "$work"' EXIT
export CLAIMS="$work/claims" CALLS="$work/calls" FAULT="$work/fault"
export KUBECTL="$work/kubectl"
cat >"$KUBECTL" <<'STANDIN'
#!/usr/bin/env bash
set -euo pipefail
[[ $1 == --namespace && $2 == backfire ]] || exit 9
shift 2
printf '%s\n' "$*" >>"$CALLS"
# in_pod COPY-CLAIM COMMAND...: with the claim's folder in the place of the pod's.
in_pod() {
  local folder="$CLAIMS/${1#copy-}" words=() word
  shift
  [[ ! -e $FAULT ]] || { head -c 100 /dev/zero; exit 1; }
  for word; do words+=("${word//\/var\/lib\/backfire/$folder}"); done
  "${words[@]}"
}
case "$1 $2" in
  'get statefulset')
    if [[ $3 == orchestrator ]]; then printf 'registry.example/backfire:1'; else
      printf 'statefulset.apps/%s\n' orchestrator planar-primary; fi ;;
  'get persistentvolumeclaim') for one in "$CLAIMS"/*; do printf 'persistentvolumeclaim/%s\n' "${one##*/}"; done ;;
  'apply --filename') cat >>"$CALLS.pods" ;;
  'exec --stdin') shift 2; [[ $2 == -- ]]; in_pod "$1" "${@:3}" ;;
  exec*) shift; [[ $2 == -- ]]; in_pod "$1" "${@:3}" ;;
  'scale statefulset.apps/orchestrator' | wait* | 'delete pod') ;;
  *) exit 9 ;;
esac
STANDIN
chmod +x "$KUBECTL"
volumes() { bash "$root_of_project/deploy/kubernetes/volumes.sh" "$@" 2>"$work/errors"; }
contents() { (cd "$CLAIMS" && find . -type f -exec sha256sum {} + | sort -k 2); }

mkdir -p "$CLAIMS/data-orchestrator-0" "$CLAIMS/data-planar-primary-0/models/v"
echo store >"$CLAIMS/data-orchestrator-0/orchestrator.sqlite"
head -c 100000 /dev/urandom >"$CLAIMS/data-planar-primary-0/models/v/weights.bin"
before="$(contents)"

volumes backup "$work/backup"
expect_equal 'a backup' $? 0
expect_equal 'its files' "$(cd "$work/backup" && printf '%s ' *)" 'data-orchestrator-0.tar data-planar-primary-0.tar '
calls="$(cut -d ' ' -f 1,2,3 "$CALLS" | uniq)"
expect_equal 'what is stopped before anything is copied' "$(grep -n '' "$CALLS" | grep -m 1 'replicas=0' | cut -d : -f 1)" 4
expect_contains 'waits for the end of what writes' "$calls" 'wait pod --selector'
expect_contains 'goes on' "$(tail -n 1 "$CALLS")" '--replicas=1'
expect_contains 'the image that runs' "$(cat "$CALLS.pods")" 'registry.example/backfire:1'
expect_equal 'placeholders that are left' "$(grep -cE 'CLAIM|NAMESPACE|IMAGE' "$CALLS.pods")" 0

# Everything is lost, and something else is there.
rm -rf -- "$CLAIMS/data-orchestrator-0/orchestrator.sqlite" "$CLAIMS/data-planar-primary-0/models"
echo wrong >"$CLAIMS/data-orchestrator-0/orchestrator.sqlite-wal"
volumes restore "$work/backup"
expect_equal 'a restore' $? 0
expect_equal 'what is back' "$(contents)" "$before"

# A copy that breaks off replaces no earlier one, and the cluster goes on.
touch "$FAULT"
: >"$CALLS"
earlier="$(sha256sum "$work/backup"/*.tar)"
volumes backup "$work/backup"
expect_equal 'a backup that breaks off' $? 1
expect_equal 'the earlier one' "$(sha256sum "$work/backup"/*.tar)" "$earlier"
expect_contains 'goes on after it' "$(tail -n 1 "$CALLS")" '--replicas=1'
rm "$FAULT"

# An archive that is missing stops a restore before anything is touched.
rm "$work/backup/data-planar-primary-0.tar"
: >"$CALLS"
volumes restore "$work/backup"
expect_equal 'a restore without an archive' $? 1
expect_contains 'it says which' "$(cat "$work/errors")" 'data-planar-primary-0.tar: is missing'
expect_equal 'what it did' "$(grep -c 'scale\|exec' "$CALLS")" 0
volumes copy "$work/backup"
expect_equal 'a wrong command' $? 2
finish
