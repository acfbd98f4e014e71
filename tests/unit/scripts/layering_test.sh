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
  orchestrator/{api,commands,diagnosis,evidence,evidence_messages,execution,ledger,metrics,planning,records,releases,retention,store,system,verdict}
# The runtime's headers give examples of names in comments; its code names none.
found="$(grep -rnE --include='*.h' --include='*.cc' "$names" services/rpc services/runtime | grep -vE ':[0-9]+: *//')"
found="$(grep -vE '///<|// ' <<<"$found" || true)"
expect_equal 'no vertex by name in the runtime' "$found" ''
none 'no gRPC in model code' '#include <grpc|grpc\.pb\.h' services/{metrics,datasets,learning,disparity,pointcloud,detection,proposals,car,pedestrian,planar} \
  services/runtime/{model,dataset,tensor,recipe}.h
none 'no LibTorch outside the models' '#include <(torch|ATen)/' services/{base,markup,yaml,graph,rpc,runtime,gateway,metrics,datasets,planar,vision} orchestrator
none 'the orchestrator knows no vision' '#include "services/(metrics|datasets|learning|disparity|pointcloud|detection|proposals|car|pedestrian|planar|vision|gateway)/' orchestrator
none 'what every process talks by knows no service' '#include "(services/(runtime|gateway)|orchestrator)/' services/rpc
# A target that includes it without linking it compiles all of spdlog and fmt with each of its sources.
found="$(grep -rnE --include='*.h' '#include <spdlog' services orchestrator tests)"
expect_equal 'no header includes spdlog' "$found" ''
none 'services do not know the orchestrator' '#include "orchestrator/' services

# The control plane's rooms, and those whose headers each may see. ARCHITECTURE.md draws it.
rooms() {
  local room="$1" found
  shift
  found="$(grep -rnE --include='*.h' --include='*.cc' '#include "orchestrator/' "orchestrator/$room" |
    grep -vE "#include \"orchestrator/($(IFS='|'; echo "$room${*:+|$*}"))/")"
  expect_equal "what orchestrator/$room may see" "$found" ''
}
rooms records
rooms store records
rooms fsck store
rooms verdict
rooms diagnosis
rooms planning records verdict
rooms evidence records planning verdict diagnosis
rooms ledger records store planning
rooms execution records planning evidence ledger
rooms releases records ledger execution
rooms commands records store planning evidence verdict
rooms retention records store ledger execution commands
rooms metrics records ledger
# A page shows what a report has, and decides nothing.
rooms page report gate
rooms api records store planning evidence evidence_messages verdict ledger execution releases commands retention metrics
none 'no clock, lock or service in what decides' \
  '_clock::now|absl::Now|MachineClock|GetCurrentTime|base/(clock|mutex)\.h|rpc/(channel|attempts|unary_call)\.h|<grpcpp|<fstream>' \
  orchestrator/{records,planning,evidence,verdict,diagnosis,commands}
for file in orchestrator/{api,commands,diagnosis,evidence,execution,ledger,metrics,page,planning,records,releases,retention,store,system,verdict}/*.{h,cc}; do
  lines=$(wc -l <"$file")
  most=400
  [[ $file != *.h ]] || most=200
  ((lines <= most)) || expect_equal "lines of $file" "$lines" "at most $most"
done
finish
