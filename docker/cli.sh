#!/bin/bash
# What `docker compose run --rm cli ARGUMENT...` runs: backfire, on the mesh of the composition. The demo needs to be
# told that there is one.
set -euo pipefail
if [[ ${1:-} == demo ]]; then
  shift
  exec backfire demo --orchestrator "$BACKFIRE_ORCHESTRATOR" --gateway "$BACKFIRE_GATEWAY" \
    --state "${BACKFIRE_DATA_DIR:?}/demo" "$@"
fi
exec backfire "$@"
