#include "orchestrator/api/evidence_service.h"

#include "absl/strings/str_cat.h"
#include "orchestrator/commands/lookup.h"
#include "orchestrator/evidence/evidence.h"
#include "orchestrator/evidence_messages/evidence_messages.h"
#include "services/base/status.h"
#include "services/rpc/rpc_status.h"
#include "services/runtime/request_bounds.h"

namespace backfire::api {

absl::StatusOr<verdict::Evidence> EvidenceService::EvidenceOf(const std::string& name) const {
  const auto state = plane_.ledger().state();
  const store::Repository& history = plane_.ledger().history();
  BACKFIRE_ASSIGN_OR_RETURN(const commands::UpdatePointer update,
                            commands::FindUpdate(*state, history, name));
  const v1::Update& message = update->update();
  if (!message.has_verdict()) {
    return absl::FailedPreconditionError(absl::StrCat(name, " has no verdict: it is ",
                                                      v1::Update::State_Name(message.state()),
                                                      message.baseline() ? ", a baseline" : ""));
  }
  BACKFIRE_ASSIGN_OR_RETURN(const records::SystemRevision* system,
                            state->FindSystem(message.system_revision()));
  const evidence::ReadEvaluation read = [&](records::StepRef ref) {
    return history.ReadEvaluation(ref);
  };
  BACKFIRE_ASSIGN_OR_RETURN(
      const int64_t judged_before,
      history.CountJudged(evidence::TestSplitDigest(*update), update->number()));
  return evidence::BuildEvidence({*system, message, *update->base(), read}, *update, judged_before);
}

grpc::Status EvidenceService::ExportEvidence(
    grpc::ServerContext* context, const v1::ExportEvidenceRequest* request,
    grpc::ServerWriter<v1::ExportEvidenceResponse>* writer) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const absl::StatusOr<verdict::Evidence> evidence = EvidenceOf(request->name());
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
