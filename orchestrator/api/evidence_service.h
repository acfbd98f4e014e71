#pragma once

#include "backfire/v1/evidence.grpc.pb.h"
#include "orchestrator/api/control_plane.h"
#include "orchestrator/verdict/verdict.h"

namespace backfire::api {

/// `backfire.v1.UpdateEvidence` over a control plane, which is borrowed.
class EvidenceService final : public v1::UpdateEvidence::Service {
 public:
  explicit EvidenceService(ControlPlane& plane) : plane_(plane) {}

  grpc::Status ExportEvidence(grpc::ServerContext* context,
                              const v1::ExportEvidenceRequest* request,
                              grpc::ServerWriter<v1::ExportEvidenceResponse>* writer) override;

 private:
  // What the verdict of a decided update was made of. FAILED_PRECONDITION: it has no verdict.
  absl::StatusOr<verdict::Evidence> EvidenceOf(const std::string& update) const;

  ControlPlane& plane_;
};

}  // namespace backfire::api
