#pragma once

#include "backfire/v1/evidence.grpc.pb.h"
#include "orchestrator/workflow/engine.h"

namespace backfire::api {

/// `backfire.v1.UpdateEvidence` over an engine, which is borrowed.
class EvidenceService final : public v1::UpdateEvidence::Service {
 public:
  explicit EvidenceService(const workflow::Engine& engine) : engine_(engine) {}

  grpc::Status ExportEvidence(grpc::ServerContext* context,
                              const v1::ExportEvidenceRequest* request,
                              grpc::ServerWriter<v1::ExportEvidenceResponse>* writer) override;

 private:
  const workflow::Engine& engine_;
};

}  // namespace backfire::api
