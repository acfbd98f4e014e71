#include "orchestrator/gate/gate.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/cli/exit_code.h"
#include "orchestrator/gate/changed_vertices.h"
#include "orchestrator/gate/decision.h"
#include "orchestrator/gate/evidence_builder.h"
#include "orchestrator/gate/evidence_file.h"
#include "orchestrator/gate/policy.h"
#include "orchestrator/gate/record_files.h"
#include "orchestrator/gate/report_details.h"
#include "orchestrator/gate/self_test.h"
#include "orchestrator/verdict/verdict.h"
#include "services/base/digest.h"
#include "services/base/file.h"
#include "services/base/parallel.h"
#include "services/base/status.h"

namespace backfire::gate {
namespace {

struct PolicyFile {
  v1::GatePolicy policy;
  std::string digest;
};

absl::StatusOr<PolicyFile> ReadPolicy(const GateRequest& request, PolicyUse use) {
  std::string text;
  if (!request.policy.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(text, ReadFile(request.policy));
  }
  const std::string folder = std::filesystem::path(request.policy).parent_path().string();
  PolicyFile file;
  const std::string parsed = request.policy.empty() ? "{}" : text;
  BACKFIRE_ASSIGN_OR_RETURN(file.policy, ParsePolicy(parsed, request.policy, folder, use));
  file.digest = Sha256Hex(text);
  if (!request.fail_on.empty()) {
    file.policy.clear_fail_on();
    for (const std::string& one : request.fail_on) file.policy.add_fail_on(one);
  }
  return file;
}

// Reads the sides at the same time, each by one thread: which fault is found first is not chance.
absl::StatusOr<std::vector<RecordTable>> ReadSides(const GateRequest& request,
                                                   const v1::GatePolicy& policy, const Scope& scope,
                                                   const Columns& columns) {
  std::vector<std::string> paths = {request.baseline.empty() ? request.before : request.baseline,
                                    request.after};
  if (!request.swapped.empty()) paths.push_back(request.swapped);
  std::vector<absl::StatusOr<RecordTable>> read(paths.size(), absl::UnknownError("not read"));
  ParallelFor(static_cast<int64_t>(paths.size()), request.threads, [&](int64_t i) {
    const auto side = static_cast<size_t>(i);
    read[side] = ReadRecords(paths[side], policy, scope, columns,
                             side < 2 ? Completeness::kAll : Completeness::kAllButCandidate);
  });
  std::vector<RecordTable> tables;
  absl::Status faults;
  for (auto& one : read) {
    if (one.ok()) {
      tables.push_back(*std::move(one));
    } else if (faults.ok() || !absl::IsInvalidArgument(one.status())) {
      faults = one.status();
    } else if (absl::IsInvalidArgument(faults)) {
      faults = absl::InvalidArgumentError(
          absl::StrCat(std::string(faults.message()), "\n", std::string(one.status().message())));
    }
  }
  if (!faults.ok()) return faults;
  return tables;
}

// The report where there is nothing to judge.
v1::GateReport NothingChanged(const GateRequest& request) {
  v1::GateReport report;
  report.set_schema_version(1);
  report.set_today(request.today);
  report.set_outcome(v1::GateReport::PASSED);
  report.set_exit_code(static_cast<int>(cli::ExitCode::kOk));
  report.set_reason(absl::StrCat("no vertex's paths were touched since ", request.changed_since));
  return report;
}

absl::StatusOr<Answer> JudgeEvidence(const GateRequest& request) {
  BACKFIRE_ASSIGN_OR_RETURN(const PolicyFile file, ReadPolicy(request, PolicyUse::kEvidence));
  BACKFIRE_ASSIGN_OR_RETURN(const EvidenceFile read, ReadEvidenceFile(request.evidence));
  if (const absl::Status agrees = CheckAgreement(file.policy, read.header); !agrees.ok()) {
    return Annotate(agrees, request.policy);
  }
  v1::GateReport report = Judge(verdict::Decide(read.evidence), file.policy, request.today);
  for (const verdict::LossEvidence& loss : read.evidence.losses) {
    if (loss.candidate) report.set_candidate(loss.vertex);
  }
  for (int k = 0; k < read.header.replicates(); ++k) report.add_seeds(k);
  if (!request.policy.empty()) report.set_policy_digest(file.digest);
  report.set_before_digest(read.digest);
  report.set_after_digest(read.digest);
  if (!read.header.update().empty()) {
    report.add_notes(absl::StrCat("The evidence is that of ", read.header.update(), "."));
  }
  AddSeedLosses(read.evidence, report);
  AddContext(read.header, report);
  if (report.vertices().empty()) AddGraph(file.policy, report);
  AddSelfTest(read.evidence, request.threads, report);
  return Answer{std::move(report), file.policy.on_verdict()};
}

}  // namespace

absl::StatusOr<Answer> RunGate(const GateRequest& request) {
  if (!request.evidence.empty()) return JudgeEvidence(request);
  BACKFIRE_ASSIGN_OR_RETURN(const PolicyFile file, ReadPolicy(request, PolicyUse::kRecords));
  const v1::GatePolicy& policy = file.policy;
  std::string candidate = request.candidate;
  if (!request.changed_since.empty()) {
    const std::string folder = std::filesystem::path(request.policy).parent_path().string();
    BACKFIRE_ASSIGN_OR_RETURN(const std::vector<std::string> touched,
                              ChangedVertices(policy, folder, request.changed_since));
    if (touched.empty()) return Answer{NothingChanged(request), policy.on_verdict()};
    BACKFIRE_ASSIGN_OR_RETURN(candidate, CommonCandidate(policy, touched));
  }
  absl::StatusOr<Scope> scope = ScopeOf(policy, candidate);
  if (!scope.ok()) return Annotate(scope.status(), request.policy);
  const Columns columns = AllColumns(policy);
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<RecordTable> tables,
                            ReadSides(request, policy, *scope, columns));
  const Sides sides{&tables[0], &tables[1], tables.size() > 2 ? &tables[2] : nullptr};
  BACKFIRE_ASSIGN_OR_RETURN(RecordEvidence built,
                            BuildEvidence(policy, *scope, sides, request.threads));
  built.evidence.candidates_judged = request.candidates_judged;
  v1::GateReport report = Judge(verdict::Decide(built.evidence), policy, request.today);
  report.set_candidate(scope->candidate);
  for (const std::string& name : scope->unaffected) report.add_unaffected(name);
  for (const int64_t seed : built.seeds) report.add_seeds(seed);
  *report.mutable_bootstrap() = policy.bootstrap();
  report.set_policy_digest(file.digest);
  report.set_before_digest(tables[0].Digest());
  report.set_after_digest(tables[1].Digest());
  for (const std::string& complaint : UnnamedClusters(*scope, tables[0], &tables[1])) {
    report.add_notes(absl::StrCat(complaint, "."));
  }
  if (const int64_t skipped = tables[0].skipped_count() + tables[1].skipped_count(); skipped > 0) {
    report.add_notes(absl::StrCat(skipped, " rows are of vertices that no change of ",
                                  scope->candidate, " reaches, and were passed over."));
  }
  AddSeedLosses(built.evidence, report);
  AddExamples(*scope, sides, report);
  AddGraph(policy, report);
  AddSelfTest(built.evidence, request.threads, report);
  return Answer{std::move(report), policy.on_verdict()};
}

absl::StatusOr<v1::GateSelfTest> RunSelfTest(const GateRequest& request) {
  constexpr int kUpdates = 1000;
  BACKFIRE_ASSIGN_OR_RETURN(const PolicyFile file, ReadPolicy(request, PolicyUse::kRecords));
  absl::StatusOr<Scope> scope = ScopeOf(file.policy, request.candidate);
  if (!scope.ok()) return Annotate(scope.status(), request.policy);
  const Columns columns = AllColumns(file.policy);
  const std::string& path = request.baseline.empty() ? request.before : request.baseline;
  BACKFIRE_ASSIGN_OR_RETURN(const RecordTable table,
                            ReadRecords(path, file.policy, *scope, columns, Completeness::kAll));
  v1::GatePolicy one_look = file.policy;  // However many seeds there are.
  one_look.clear_looks();
  BACKFIRE_ASSIGN_OR_RETURN(
      const RecordEvidence built,
      BuildEvidence(one_look, *scope, {&table, &table, nullptr}, request.threads));
  if (built.seeds.size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has one seed, which says nothing of training: at least two"));
  }
  v1::GateSelfTest test = SelfTest(built.evidence, kUpdates, request.threads);
  for (const std::string& complaint : UnnamedClusters(*scope, table, nullptr)) {
    test.add_complaints(complaint);
  }
  return test;
}

}  // namespace backfire::gate
