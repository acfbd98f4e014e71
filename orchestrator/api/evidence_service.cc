#include "orchestrator/api/evidence_service.h"

#include "orchestrator/evidence_messages/evidence_messages.h"
#include "services/runtime/rpc_status.h"

namespace backfire::api {

grpc::Status EvidenceService::ExportEvidence(
    grpc::ServerContext* context, const v1::ExportEvidenceRequest* request,
    grpc::ServerWriter<v1::ExportEvidenceResponse>* writer) {
  const absl::StatusOr<verdict::Evidence> evidence = engine_.GetEvidence(request->name());
  if (!evidence.ok()) return runtime::ToGrpcStatus(evidence.status());
  v1::ExportEvidenceResponse piece;
  *piece.mutable_header() = evidence::HeaderOf(*evidence, request->name());
  bool open = writer->Write(piece);
  if (open) {
    evidence::ForEachRecord(*evidence, [&](const v1::EvidenceRecord& record) {
      *piece.mutable_record() = record;
      open = !context->IsCancelled() && writer->Write(piece);
      return open;
    });
  }
  return open ? grpc::Status::OK : grpc::Status::CANCELLED;
}

}  // namespace backfire::api
