#!/usr/bin/env bash
# What the architecture forbids: names of a particular system's vertices in code that serves any system, gRPC in model
# code, networks in RPC code, the vision side in the orchestrator. Argument: the project's root.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/expect.sh"
cd "$1" || exit 1

# none WHAT PATTERN FOLDER...: no line of code there matches.
none() {
  local found
  found="$(grep -rnE --include='*.h' --include='*.cc' "$2" "${@:3}")"
  expect_equal "$1" "$found" ''
}

# `proposals(` and `proposals[` are a system's field, not the vertex.
names='\b(disparity|pointcloud|pedestrian|psmnet|frustum|kitti)\b|\bproposals\b([^([]|$)|\b[cC]ars?\b'
none 'no vertex by name in the generic code' "$names" services/base services/graph services/gateway \
  $(ls -d orchestrator/{system,verdict,evidence_messages,store,workflow,api})
# The runtime's headers give examples of names in comments; its code names none.
found="$(grep -rnE --include='*.h' --include='*.cc' "$names" services/runtime | grep -vE ':[0-9]+: *//')"
found="$(grep -vE '///<|// ' <<<"$found" || true)"
expect_equal 'no vertex by name in the runtime' "$found" ''
none 'no gRPC in model code' '#include <grpc|grpc\.pb\.h' services/{metrics,datasets,learning,disparity,pointcloud,detection,proposals,car,pedestrian,planar} \
  services/runtime/{model,dataset,tensor,recipe}.h
none 'no LibTorch outside the models' '#include <(torch|ATen)/' services/{base,yaml,graph,runtime,gateway,metrics,datasets,planar,vision} orchestrator
none 'the orchestrator knows no vision' '#include "services/(metrics|datasets|learning|disparity|pointcloud|detection|proposals|car|pedestrian|planar|vision|gateway)/' orchestrator
none 'services do not know the orchestrator' '#include "orchestrator/' services
finish
