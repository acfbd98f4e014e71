// A mesh's evidence as a file: a header, and a record a line. What is taken is judged as a gate
// judges it, as a verdict has to be one of any numbers.
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "orchestrator/evidence_messages/evidence_messages.h"
#include "orchestrator/gate/decision.h"
#include "orchestrator/gate/evidence_file.h"
#include "orchestrator/gate/memory_file.h"
#include "orchestrator/gate/policy.h"
#include "orchestrator/gate/report_details.h"
#include "orchestrator/gate/self_test.h"
#include "tests/fuzz/fuzz_entry.h"

namespace backfire::gate {
namespace {

constexpr char kPolicy[] = R"(alpha: 0.05
looks: [2, 3]
vertices:
- name: a
  losses:
  - {name: error, margin: 0.1}
  - {name: size, role: advisory}
)";

const v1::GatePolicy& Policy(const std::string& text) {
  return *new v1::GatePolicy(ParsePolicy(text, "p.yaml", "", PolicyUse::kEvidence).value());
}

// What can't be told is NaN.
bool IsProbability(double p) { return std::isnan(p) || (p >= 0 && p <= 1 + 1e-9); }

void RequireSound(const v1::Verdict& verdict, const verdict::Evidence& evidence) {
  Require(verdict.comparisons_size() == static_cast<int>(evidence.losses.size()));
  Require(verdict.outcome() != v1::Verdict::OUTCOME_UNSPECIFIED && !verdict.summary().empty());
  for (const v1::LossComparison& one : verdict.comparisons()) {
    Require(one.outcome() != v1::LossComparison::OUTCOME_UNSPECIFIED);
    Require(IsProbability(one.p_worse()) && IsProbability(one.p_beyond()));
    Require(IsProbability(one.p_within()) && IsProbability(one.level()));
    Require(!(one.interval_low() > one.interval_high()));
  }
}

void FuzzEvidence(std::string_view content) {
  static const v1::GatePolicy& policy = Policy(kPolicy);
  static const v1::GatePolicy& no_policy = Policy("{}");
  const auto file = MemoryFile::Make("evidence", {content.data(), content.size()});
  Require(file.ok());
  const auto read = ReadEvidenceFile(file->path());
  if (!read.ok()) {
    RequireRefusal(read.status());
    return Require(absl::StartsWith(read.status().message(), absl::StrCat(file->path(), ":")));
  }
  Require(read->digest.size() == 64);
  // What was read can be written, and read by whoever checks it next.
  const v1::EvidenceHeader header = evidence::HeaderOf(read->evidence, "");
  Require(evidence::EvidenceAssembler::Begin(header).ok());
  if (const auto agrees = CheckAgreement(policy, read->header); !agrees.ok()) {
    RequireRefusal(agrees);
  }
  const v1::Verdict verdict = verdict::Decide(read->evidence);
  RequireSound(verdict, read->evidence);
  // What would decide an open loss, and simulated updates, take milliseconds: of one input in 16.
  if (read->digest[0] != '0') return;
  v1::GateReport report = Judge(verdict, no_policy, "2030-01-01");
  Require(report.outcome() != v1::GateReport::OUTCOME_UNSPECIFIED);
  AddSeedLosses(read->evidence, report);
  AddContext(read->header, report);
  if (read->evidence.losses.size() > 1 || read->header.replicates() != 2) return;
  Require(SelfTest(read->evidence, /*updates=*/1, /*threads=*/1).updates() == 1);
}

// One loss, or two, of so many replicates.
std::string Example(int losses, int replicates, double scale) {
  verdict::Evidence evidence;
  if (losses > 1) evidence.look = 2;
  if (losses > 1) evidence.look_replicates = {2, replicates};
  evidence.commitments.emplace_back().set_version("models/a/versions/1");
  for (int i = 0; i < losses; ++i) {
    verdict::LossEvidence& loss = evidence.losses.emplace_back();
    loss.vertex = i == 0 ? "a" : "b";
    loss.loss = "error";
    loss.candidate = i == 0;
    if (loss.candidate) loss.margin = 0.1;
    loss.size = {9, 8};
    if (loss.candidate) loss.size.clusters = verdict::ClusterCounts{4, 3, 2.5};
    for (int k = 0; k < replicates; ++k) {
      loss.before.push_back({(k + 1) * scale, {k * scale, 1.5 * scale, 2 * scale}});
      loss.after.push_back({(k + 1.25) * scale, {k * scale, 1.75 * scale, 2.5 * scale}});
      if (!loss.candidate) loss.swapped.push_back(k);
    }
  }
  v1::EvidenceHeader header = evidence::HeaderOf(evidence, "updates/7");
  v1::UpdateVertex& vertex = *header.mutable_context()->add_vertices();
  vertex.set_name("a");
  vertex.add_parents("a");
  std::string lines = evidence::ToLine(header).value();
  evidence::ForEachRecord(evidence, [&](const v1::EvidenceRecord& record) {
    lines += evidence::ToLine(record).value();
    return true;
  });
  return lines;
}

}  // namespace
}  // namespace backfire::gate

namespace backfire {

std::vector<std::string> FuzzExamples() {
  const std::string one = gate::Example(1, 2, 1);
  // Each of these once ended the gate by an exception, or took gigabytes: an alpha whose quantiles
  // are no numbers, losses whose squares are none, and a header that asks for room.
  return {one,
          gate::Example(2, 5, 0.125),
          absl::StrReplaceAll(one, {{"\"alpha\":0.05", "\"alpha\":5e-324"}}),
          gate::Example(1, 2, 1e153),
          gate::Example(2, 5, 3e153),
          absl::StrReplaceAll(one, {{"\"replicates\":2", "\"replicates\":10000"}})};
}

std::vector<std::string> FuzzTokens() {
  return {"\"backfire_evidence\":1",
          "\"alpha\":",
          "\"look\":",
          "\"look_replicates\":[",
          "\"replicates\":",
          "\"losses\":[",
          "\"vertex\":\"a\"",
          "\"loss\":",
          "\"candidate\":true",
          "\"judged\":true",
          "\"margin\":",
          "\"example_count\":\"9\"",
          "\"bearing_count\":",
          "\"cluster_count\":",
          "\"effective_cluster_count\":",
          "\"when\":\"before\"",
          "\"when\":\"after\"",
          "\"when\":\"swapped\"",
          "\"replicate\":",
          "\"value\":",
          "\"resampled\":[",
          "\"context\":{",
          "\"parents\":[",
          "\"NaN\"",
          "\"Infinity\"",
          "1e154",
          "1e-160",
          "null",
          "{",
          "}",
          "]",
          ","};
}

int FuzzRuns() { return 4000; }

}  // namespace backfire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  backfire::gate::FuzzEvidence({reinterpret_cast<const char*>(data), size});
  return 0;
}
