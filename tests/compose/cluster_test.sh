#!/usr/bin/env bash
# All tests of clusters, in one engine and on the same images: with an engine of our own, which ends with them, if none
# answers. It fails where none can be had. Arguments: the build folder, the project's root.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
source "$2/docker/compose.sh"
set +e
temporary="$(mktemp -d /tmp/backfire-engine.XXXXXX)"
export BACKFIRE_BUILD="$1" BACKFIRE_ENGINE_RUN="$temporary/run"
child=''
clear_up() {
  trap '' INT TERM HUP
  # It ends its cluster first.
  if [[ $child ]]; then
    kill -TERM "$child" 2>/dev/null
    wait "$child"
  fi
  stop_engine
  rm -rf -- "$temporary"
}
trap clear_up EXIT
trap 'exit 130' INT TERM HUP

own_engine "$temporary/engine"
use_engine "$temporary/engine" || exit 1
export DOCKER_HOST="${DOCKER_HOST:-}"
[[ $DOCKER_HOST ]] || unset DOCKER_HOST
printf '[%d s] an engine\n' "$SECONDS"
build_images backfire backfire-models backfire-monitoring || exit 1
printf '[%d s] the images\n' "$SECONDS"
failed=0
for name in monitoring faults; do
  printf '\n---- %s\n' "$name"
  # In the background, so that a signal is taken at once.
  bash "$here/${name}_test.sh" "$1" "$2" &
  child=$!
  wait "$child" || { printf 'FAILED: %s\n' "$name"; failed=1; }
  child=''
done
printf '[%d s] done\n' "$SECONDS"
exit "$failed"
