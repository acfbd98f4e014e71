#!/usr/bin/env bash
# Every network against the reference vectors, where there are any. Argument: backfire-parity.
set -euo pipefail
if [[ -z ${BACKFIRE_MODEL_VECTORS:-} ]]; then
  echo "skipped: BACKFIRE_MODEL_VECTORS names no directory of reference vectors"
  exit 77
fi
"$1" "$BACKFIRE_MODEL_VECTORS"
