#include "orchestrator/study/stereo_study.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/gate/evidence_file.h"
#include "orchestrator/study/stereo_rows.h"
#include "orchestrator/verdict/sensitivity.h"
#include "services/base/status.h"

namespace backfire::study {
namespace {

namespace fs = std::filesystem;

// Whether the plan counts a loss: the changed vertex's own, and the cars'.
bool IsPrimary(const verdict::LossEvidence& loss) {
  if (!loss.slice.empty()) return false;
  return loss.candidate || loss.vertex == "car" || loss.vertex == "car-rcnn";
}

bool SameLoss(const verdict::LossEvidence& a, const verdict::LossEvidence& b) {
  return std::tie(a.vertex, a.loss, a.slice, a.unit, a.candidate, a.judged, a.margin) ==
         std::tie(b.vertex, b.loss, b.slice, b.unit, b.candidate, b.judged, b.margin);
}

fs::path FileOf(const fs::path& evidence, int piece, const char* role) {
  return evidence / absl::StrCat(piece) / absl::StrCat(role, ".jsonl");
}

// Whether two losses were measured on as many examples, with as many resamples. Resamples are the
// same draws in all pieces, so that what pieces have in common, the test split, stays in common.
bool SameMeasurement(const verdict::LossEvidence& a, const verdict::LossEvidence& b) {
  return a.size.examples == b.size.examples && a.size.bearing == b.size.bearing &&
         a.size.drawn() == b.size.drawn() &&
         a.before.front().resampled.size() == b.before.front().resampled.size();
}

// Of the datasets that a piece was measured on: one, as a system has it.
std::set<std::string> DatasetDigests(const verdict::Evidence& evidence) {
  std::set<std::string> digests;
  for (const v1::OutputsCommitment& commitment : evidence.commitments) {
    digests.insert(commitment.dataset_digest());
  }
  return digests;
}

std::vector<double> Values(const std::vector<verdict::LossSample>& samples) {
  std::vector<double> values;
  for (const verdict::LossSample& sample : samples) values.push_back(sample.value);
  return values;
}

// Takes the losses of 11 recall points out of a piece's evidence. The first pieces are older than
// these losses, and have none: they are no part of what the pieces must have in common.
verdict::Evidence TakeElevenPoints(verdict::Evidence& evidence) {
  const auto is = [](const verdict::LossEvidence& loss) { return loss.slice == kElevenPoints; };
  verdict::Evidence taken = evidence;
  const auto keep_if = [](verdict::Evidence& of, const auto& kept) {
    of.losses.erase(std::remove_if(of.losses.begin(), of.losses.end(), std::not_fn(kept)),
                    of.losses.end());
  };
  keep_if(taken, is);
  keep_if(evidence, std::not_fn(is));
  return taken;
}

// Of the pieces, in their order.
struct Pieces {
  verdict::Evidence merged;                      // What all of them have.
  std::vector<verdict::Evidence> eleven_points;  // Of each, without losses where it has none.
};

absl::StatusOr<Pieces> ReadPieces(const fs::path& evidence, const std::vector<int>& pieces,
                                  const char* role) {
  Pieces result;
  std::vector<verdict::Evidence> parts;
  for (const int piece : pieces) {
    const fs::path file = FileOf(evidence, piece, role);
    BACKFIRE_ASSIGN_OR_RETURN(gate::EvidenceFile read, gate::ReadEvidenceFile(file.string()));
    result.eleven_points.push_back(TakeElevenPoints(read.evidence));
    parts.push_back(std::move(read.evidence));
    if (const auto merged = MergeReplicates({parts.front(), parts.back()}); !merged.ok()) {
      return Annotate(merged.status(), file.string());
    }
  }
  BACKFIRE_ASSIGN_OR_RETURN(result.merged, MergeReplicates(parts));
  return result;
}

StereoEntry EntryOf(const verdict::LossEvidence& loss, const v1::LossComparison& comparison) {
  StereoEntry entry;
  entry.set_vertex(loss.vertex);
  entry.set_loss(loss.loss);
  entry.set_slice(loss.slice);
  entry.set_primary(loss.judged);
  for (const double value : Values(loss.before)) entry.add_u(value);
  for (const double value : Values(loss.after)) entry.add_improved(value);
  for (const double value : loss.swapped) entry.add_swapped(value);
  entry.set_difference(comparison.difference());
  entry.set_interval_low(comparison.interval_low());
  entry.set_interval_high(comparison.interval_high());
  entry.set_outcome(v1::LossComparison::Outcome_Name(comparison.outcome()));
  entry.set_worse_by_point(comparison.worse_by_point());
  return entry;
}

// An entry of each loss.
// @param verdict  Of `improved`.
void AddEntries(const verdict::Evidence& improved, const verdict::Evidence& oracle,
                const v1::Verdict& verdict, const std::vector<int>& pieces, StereoStudy& study) {
  using Key = std::tuple<std::string, std::string, std::string>;  // Vertex, loss, slice.
  const auto primary = std::count_if(improved.losses.begin(), improved.losses.end(),
                                     [](const auto& loss) { return loss.judged; });
  std::map<Key, const v1::LossComparison*> comparisons;
  for (const v1::LossComparison& comparison : verdict.comparisons()) {
    comparisons[{comparison.vertex(), comparison.loss(), comparison.slice()}] = &comparison;
  }
  std::map<Key, const verdict::LossEvidence*> of_oracle;
  for (const verdict::LossEvidence& loss : oracle.losses) {
    of_oracle[{loss.vertex, loss.loss, loss.slice}] = &loss;
  }
  for (const verdict::LossEvidence& loss : improved.losses) {
    const Key key{loss.vertex, loss.loss, loss.slice};
    StereoEntry entry = EntryOf(loss, *comparisons.at(key));
    for (const int piece : pieces) entry.add_pieces(piece);
    if (const auto same = of_oracle.find(key); same != of_oracle.end()) {
      for (const double value : Values(same->second->after)) entry.add_oracle(value);
    }
    if (entry.primary() && loss.unit == "percent" && pieces.size() > 1) {
      entry.set_pieces_to_find_two_points(PiecesToFind(
          *comparisons.at(key), static_cast<int>(pieces.size()), 2, verdict.alpha() / primary));
    }
    *study.add_entries() = std::move(entry);
  }
}

// Entries of the losses of 11 recall points, of the pieces that have them.
absl::Status AddElevenPoints(const Pieces& improved, const Pieces& oracle,
                             const std::vector<int>& pieces, StereoStudy& study) {
  std::vector<int> having;
  std::vector<verdict::Evidence> of_improved, of_oracle;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (improved.eleven_points[i].losses.empty() || oracle.eleven_points[i].losses.empty()) {
      continue;
    }
    having.push_back(pieces[i]);
    of_improved.push_back(improved.eleven_points[i]);
    of_oracle.push_back(oracle.eleven_points[i]);
  }
  if (having.empty()) return absl::OkStatus();
  BACKFIRE_ASSIGN_OR_RETURN(verdict::Evidence merged, MergeReplicates(of_improved));
  BACKFIRE_ASSIGN_OR_RETURN(const verdict::Evidence merged_oracle, MergeReplicates(of_oracle));
  for (verdict::LossEvidence& loss : merged.losses) loss.judged = false;
  AddEntries(merged, merged_oracle, verdict::Decide(merged), having, study);
  return absl::OkStatus();
}

}  // namespace

int PiecesToFind(const v1::LossComparison& one, int pieces, double harm, double level) {
  constexpr int kMost = 1000;
  for (int k = verdict::kReplicatesToDecide; k <= kMost; ++k) {
    const double training = one.training_variance() * pieces / k, examples = one.example_variance();
    const double variance = training + examples;
    if (variance == 0) return k;
    const auto part = [](double share, double freedom) {
      return share == 0 ? 0 : share * share / freedom;
    };
    const double freedom =
        variance * variance / (part(training, k - 1) + part(examples, one.example_freedom()));
    const double effect = verdict::DetectableEffect(level, verdict::kPower, freedom);
    if (harm - one.margin() >= effect * std::sqrt(variance)) return k;
  }
  return -1;
}

absl::StatusOr<verdict::Evidence> MergeReplicates(const std::vector<verdict::Evidence>& parts) {
  verdict::Evidence merged = parts.front();
  for (size_t part = 1; part < parts.size(); ++part) {
    const verdict::Evidence& other = parts[part];
    if (other.alpha != merged.alpha || other.losses.size() != merged.losses.size()) {
      return absl::InvalidArgumentError("it is of another plan: other losses, or another alpha");
    }
    if (DatasetDigests(other) != DatasetDigests(merged)) {
      return absl::InvalidArgumentError("it was measured on another dataset");
    }
    for (size_t i = 0; i < merged.losses.size(); ++i) {
      verdict::LossEvidence& loss = merged.losses[i];
      const verdict::LossEvidence& more = other.losses[i];
      if (!SameLoss(loss, more)) {
        return absl::InvalidArgumentError(
            absl::StrCat("it is of another plan: loss ", i, " is ", more.vertex, " ", more.loss,
                         " instead of ", loss.vertex, " ", loss.loss, ", or has another margin"));
      }
      if (!SameMeasurement(loss, more)) {
        return absl::InvalidArgumentError(
            absl::StrCat("it is of another plan: ", loss.vertex, " ", loss.loss,
                         " was measured on other examples, or with another number of resamples"));
      }
      loss.before.insert(loss.before.end(), more.before.begin(), more.before.end());
      loss.after.insert(loss.after.end(), more.after.begin(), more.after.end());
      loss.swapped.insert(loss.swapped.end(), more.swapped.begin(), more.swapped.end());
      loss.other_build = loss.other_build || more.other_build;
    }
  }
  return merged;
}

absl::StatusOr<StereoStudy> ReadStereoStudy(const fs::path& evidence) {
  StereoStudy study;
  std::vector<int> pieces;
  std::set<int> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(evidence, error)) {
    int piece = 0;
    if (absl::SimpleAtoi(entry.path().filename().string(), &piece) && piece > 0) {
      found.insert(piece);
    }
  }
  for (const int piece : found) {
    const bool complete = fs::exists(FileOf(evidence, piece, kImproved), error) &&
                          fs::exists(FileOf(evidence, piece, kOracle), error);
    if (complete) {
      pieces.push_back(piece);
      study.add_pieces(piece);
    } else {
      study.add_left_out(piece);
    }
  }
  if (pieces.empty()) {
    return absl::NotFoundError(
        absl::StrCat(evidence.string(), ": no piece of the study is there: ", "no folder N with ",
                     kImproved, ".jsonl and ", kOracle, ".jsonl"));
  }
  BACKFIRE_ASSIGN_OR_RETURN(Pieces improved, ReadPieces(evidence, pieces, kImproved));
  BACKFIRE_ASSIGN_OR_RETURN(const Pieces oracle, ReadPieces(evidence, pieces, kOracle));
  for (verdict::LossEvidence& loss : improved.merged.losses) {
    loss.judged = loss.judged && IsPrimary(loss);
  }
  const v1::Verdict verdict = verdict::Decide(improved.merged);
  study.set_verdict(v1::Verdict::Outcome_Name(verdict.outcome()));
  study.set_definition_2_1(verdict.definition_2_1());
  study.set_summary(verdict.summary());
  study.set_alpha(verdict.alpha());
  AddEntries(improved.merged, oracle.merged, verdict, pieces, study);
  BACKFIRE_RETURN_IF_ERROR(
      Annotate(AddElevenPoints(improved, oracle, pieces, study), evidence.string()));
  return study;
}

}  // namespace backfire::study
