#include "orchestrator/evidence_messages/evidence_messages.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/graph/system_fields.h"

namespace backfire::evidence {
namespace {

constexpr char kBefore[] = "before";
constexpr char kAfter[] = "after";
constexpr char kSwapped[] = "swapped";
// No system has more; a header that says so is not one of ours.
constexpr int kMostReplicates = 10000;
// Of all losses together. There is room for each before the first record comes: a header of a few
// bytes a loss must not take gigabytes.
constexpr int64_t kMostSamples = 1'000'000;

std::string Name(const v1::ComparedLoss& loss) {
  return absl::StrCat(loss.vertex(), " ", loss.loss(),
                      loss.slice().empty() ? "" : absl::StrCat(" (", loss.slice(), ")"));
}

}  // namespace

v1::EvidenceHeader HeaderOf(const verdict::Evidence& evidence, const std::string& update) {
  v1::EvidenceHeader header;
  header.set_backfire_evidence(kFormatVersion);
  header.set_update(update);
  header.set_alpha(evidence.alpha);
  header.set_look(evidence.look);
  for (const int replicates : evidence.look_replicates) header.add_look_replicates(replicates);
  header.set_candidates_judged(evidence.candidates_judged);
  for (const v1::OutputsCommitment& commitment : evidence.commitments) {
    *header.add_commitments() = commitment;
  }
  for (const std::string& vertex : evidence.unverified_vertices) {
    header.add_unverified_vertices(vertex);
  }
  for (const verdict::LossEvidence& loss : evidence.losses) {
    v1::ComparedLoss& compared = *header.add_losses();
    compared.set_vertex(loss.vertex);
    compared.set_loss(loss.loss);
    compared.set_slice(loss.slice);
    compared.set_unit(loss.unit);
    compared.set_candidate(loss.candidate);
    compared.set_judged(loss.judged);
    if (loss.margin.has_value()) compared.set_margin(*loss.margin);
    compared.set_example_count(loss.size.examples);
    compared.set_bearing_count(loss.size.bearing);
    compared.set_other_build(loss.other_build);
    if (loss.size.clusters.has_value()) {
      compared.set_cluster_count(loss.size.clusters->all);
      compared.set_bearing_cluster_count(loss.size.clusters->bearing);
      compared.set_effective_cluster_count(loss.size.clusters->effective);
    }
    header.set_replicates(static_cast<int32_t>(loss.before.size()));
  }
  return header;
}

void ForEachRecord(const verdict::Evidence& evidence,
                   const std::function<bool(const v1::EvidenceRecord&)>& take) {
  for (size_t i = 0; i < evidence.losses.size(); ++i) {
    const verdict::LossEvidence& loss = evidence.losses[i];
    const auto send = [&](const char* when, size_t k, double value,
                          const std::vector<double>& resampled) {
      v1::EvidenceRecord record;
      record.set_when(when);
      record.set_loss(static_cast<int32_t>(i));
      record.set_replicate(static_cast<int32_t>(k));
      record.set_value(value);
      record.mutable_resampled()->Assign(resampled.begin(), resampled.end());
      return take(record);
    };
    for (size_t k = 0; k < loss.before.size(); ++k) {
      if (!send(kBefore, k, loss.before[k].value, loss.before[k].resampled)) return;
    }
    for (size_t k = 0; k < loss.after.size(); ++k) {
      if (!send(kAfter, k, loss.after[k].value, loss.after[k].resampled)) return;
    }
    for (size_t k = 0; k < loss.swapped.size(); ++k) {
      if (!send(kSwapped, k, loss.swapped[k], {})) return;
    }
  }
}

absl::StatusOr<EvidenceAssembler> EvidenceAssembler::Begin(const v1::EvidenceHeader& header) {
  const auto fault = [](const std::string& field, const std::string& must) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": must be ", must));
  };
  if (header.backfire_evidence() != kFormatVersion) {
    return fault("backfire_evidence",
                 absl::StrCat(kFormatVersion, ", the version of the format: got ",
                              header.backfire_evidence()));
  }
  if (!(header.alpha() >= graph::kLeastAlpha && header.alpha() < 0.5)) {
    return fault("alpha", absl::StrCat("in [", graph::kLeastAlpha, ", 0.5)"));
  }
  if (header.replicates() < 1 || header.replicates() > kMostReplicates) {
    return fault("replicates", absl::StrCat("1 to ", kMostReplicates));
  }
  if (header.losses().empty()) return fault("losses", "at least one");
  if (int64_t{header.losses_size()} * header.replicates() > kMostSamples) {
    return fault("losses",
                 absl::StrCat("at most ", kMostSamples / header.replicates(), " of ",
                              header.replicates(), " replicates: got ", header.losses_size()));
  }
  const auto& looks = header.look_replicates();
  const bool one_look = looks.empty() && header.look() <= 1;
  const bool planned = looks.size() <= 3 && header.look() >= 1 && header.look() <= looks.size() &&
                       std::is_sorted(looks.begin(), looks.end()) && looks.Get(0) >= 1 &&
                       looks.Get(header.look() - 1) <= header.replicates();
  if (!one_look && !planned) {
    return fault("look, look_replicates",
                 "a look of those planned, at most three, whose replicates grow");
  }
  EvidenceAssembler assembler;
  assembler.header_ = header;
  assembler.evidence_.alpha = header.alpha();
  assembler.evidence_.look = std::max(1, header.look());
  assembler.evidence_.look_replicates.assign(looks.begin(), looks.end());
  assembler.evidence_.candidates_judged = header.candidates_judged();
  assembler.evidence_.commitments.assign(header.commitments().begin(), header.commitments().end());
  assembler.evidence_.unverified_vertices.assign(header.unverified_vertices().begin(),
                                                 header.unverified_vertices().end());
  const auto replicates = static_cast<size_t>(header.replicates());
  for (int i = 0; i < header.losses_size(); ++i) {
    const v1::ComparedLoss& compared = header.losses(i);
    const std::string field = absl::StrCat("losses[", i, "]");
    if (compared.vertex().empty() || compared.loss().empty()) {
      return fault(field, "named: vertex and loss");
    }
    if (compared.has_margin() && !(compared.margin() >= 0)) {
      return fault(absl::StrCat(field, ".margin"), ">= 0");
    }
    if (compared.example_count() < 1 || compared.bearing_count() < 0 ||
        compared.bearing_count() > compared.example_count()) {
      return fault(absl::StrCat(field, ".example_count, bearing_count"),
                   "at least 1, and at most that");
    }
    const bool clusters_fit = compared.bearing_cluster_count() >= 0 &&
                              compared.bearing_cluster_count() <= compared.cluster_count() &&
                              compared.cluster_count() <= compared.example_count() &&
                              compared.effective_cluster_count() >= 0;
    if (!clusters_fit)
      return fault(absl::StrCat(field, ".cluster_count"),
                   "at most the examples, and at least those that bear");
    verdict::LossEvidence& loss = assembler.evidence_.losses.emplace_back();
    loss.vertex = compared.vertex();
    loss.loss = compared.loss();
    loss.slice = compared.slice();
    loss.unit = compared.unit();
    loss.candidate = compared.candidate();
    loss.judged = compared.judged();
    if (compared.has_margin()) loss.margin = compared.margin();
    loss.size = {compared.example_count(), compared.bearing_count()};
    if (compared.cluster_count() > 0) {
      loss.size.clusters =
          verdict::ClusterCounts{compared.cluster_count(), compared.bearing_cluster_count(),
                                 compared.effective_cluster_count()};
    }
    loss.other_build = compared.other_build();
    loss.before.resize(replicates);
    loss.after.resize(replicates);
    const std::vector<bool> none(replicates, false);
    assembler.seen_.push_back({none, none, none});
  }
  return assembler;
}

absl::Status EvidenceAssembler::Add(const v1::EvidenceRecord& record) {
  if (record.loss() < 0 || record.loss() >= header_.losses_size()) {
    return absl::InvalidArgumentError(absl::StrCat("loss: must be 0 to ", header_.losses_size() - 1,
                                                   ", a position in the header's losses: got ",
                                                   record.loss()));
  }
  if (record.replicate() < 0 || record.replicate() >= header_.replicates()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "replicate: must be 0 to ", header_.replicates() - 1, ": got ", record.replicate()));
  }
  const auto k = static_cast<size_t>(record.replicate());
  verdict::LossEvidence& loss = evidence_.losses[static_cast<size_t>(record.loss())];
  Seen& seen = seen_[static_cast<size_t>(record.loss())];
  const std::string& when = record.when();
  std::vector<bool>* there = when == kBefore    ? &seen.before
                             : when == kAfter   ? &seen.after
                             : when == kSwapped ? &seen.swapped
                                                : nullptr;
  if (there == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("when: must be before, after or swapped: got \"", when, "\""));
  }
  if ((*there)[k]) {
    return absl::InvalidArgumentError(absl::StrCat(
        Name(header_.losses(record.loss())), ", replicate ", k, ", ", when, ": is there twice"));
  }
  (*there)[k] = true;
  if (when == kSwapped) {
    loss.swapped.resize(loss.before.size());
    loss.swapped[k] = record.value();
    return absl::OkStatus();
  }
  verdict::LossSample& sample = when == kBefore ? loss.before[k] : loss.after[k];
  sample.value = record.value();
  sample.resampled.assign(record.resampled().begin(), record.resampled().end());
  return absl::OkStatus();
}

absl::StatusOr<verdict::Evidence> EvidenceAssembler::Finish() {
  for (size_t i = 0; i < seen_.size(); ++i) {
    const std::string name = Name(header_.losses(static_cast<int>(i)));
    const verdict::LossEvidence& loss = evidence_.losses[i];
    const auto missing = [&](const std::vector<bool>& there, const char* when) {
      const auto at = std::find(there.begin(), there.end(), false);
      return absl::InvalidArgumentError(
          absl::StrCat(name, ", replicate ", at - there.begin(), ", ", when, ": is missing"));
    };
    const auto all = [](const std::vector<bool>& there) {
      return std::find(there.begin(), there.end(), false) == there.end();
    };
    if (!all(seen_[i].before)) return missing(seen_[i].before, kBefore);
    if (!all(seen_[i].after)) return missing(seen_[i].after, kAfter);
    if (!loss.swapped.empty() && !all(seen_[i].swapped)) return missing(seen_[i].swapped, kSwapped);
    for (const auto* samples : {&loss.before, &loss.after}) {
      for (const verdict::LossSample& sample : *samples) {
        if (sample.resampled.size() == loss.before[0].resampled.size()) continue;
        return absl::InvalidArgumentError(
            absl::StrCat(name, ": has ", loss.before[0].resampled.size(),
                         " resamples, and elsewhere ", sample.resampled.size()));
      }
    }
  }
  return std::move(evidence_);
}

absl::StatusOr<std::string> ToLine(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string line;
  const auto status = google::protobuf::util::MessageToJsonString(message, &line, options);
  if (!status.ok()) {
    return absl::InternalError(
        absl::StrCat(message.GetTypeName(), " as JSON: ", std::string(status.message())));
  }
  return line + "\n";
}

absl::Status FromLine(const std::string& line, google::protobuf::Message& message) {
  const auto status = google::protobuf::util::JsonStringToMessage(line, &message);
  if (status.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("not a line of evidence: ", std::string(status.message()).substr(0, 300)));
}

}  // namespace backfire::evidence
