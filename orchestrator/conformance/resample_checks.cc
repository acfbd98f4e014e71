// The contract fixes which clusters a resample draws, not what a loss is. But whatever it is, a
// loss is the same on two resamples that hold the same clusters, and does not change with the
// inputs of examples that a resample does not hold, so that a generator of one's own shows.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/conformance/checks.h"
#include "orchestrator/conformance/resample_twins.h"
#include "services/base/resampling.h"
#include "services/base/status.h"

namespace backfire::conformance {
namespace {

constexpr int kPairs = 4;
constexpr int kPrefix = 20;
constexpr int kEnough = 20;  // Comparisons that may all be equal by chance.

std::vector<std::string> ClusterNames(const Outputs& outputs) {
  std::vector<std::string> names;
  for (const ExampleOutputs& example : outputs) names.push_back(example.cluster);
  return names;
}

int64_t ClusterCount(const Outputs& outputs) {
  const std::vector<size_t> numbers = NumberClusters(ClusterNames(outputs));
  return numbers.empty()
             ? 0
             : static_cast<int64_t>(*std::max_element(numbers.begin(), numbers.end())) + 1;
}

// The order of a sum is a service's own, so that last bits may differ; by far less than resamples
// do.
bool Equal(double a, double b, double spread) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b || std::abs(a - b) <= 1e-3 * spread;
}

double Spread(const v1::LossEstimate& loss) {
  double low = loss.value(), high = loss.value();
  for (const double value : loss.resampled()) {
    if (std::isnan(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  return high - low;
}

// Whether no resample's loss is greater than the whole split's, or none is less: it is the same for
// all examples, or the worst of them, whom it counts once however often they are drawn.
bool IsAtAnEnd(const v1::LossEstimate& loss) {
  bool is_most = true, is_least = true;
  for (const double value : loss.resampled()) {
    is_most = is_most && !(value > loss.value());
    is_least = is_least && !(value < loss.value());
  }
  return is_most || is_least;
}

std::string Which(const v1::LossEstimate& loss) {
  return absl::StrCat("loss ", loss.loss(), loss.slice().empty() ? "" : " of slice ", loss.slice());
}

absl::Status CheckCounts(const Trained& base) {
  const std::vector<std::string> names = ClusterNames(base.outputs);
  const bool is_named =
      std::any_of(names.begin(), names.end(), [](const auto& name) { return !name.empty(); });
  const int64_t expected = is_named ? ClusterCount(base.outputs) : 0;
  if (base.evaluation.cluster_count() != expected) {
    return Broken(absl::StrCat("Evaluation.cluster_count must be ", expected,
                               ", as Materialize names them: got ",
                               base.evaluation.cluster_count()));
  }
  for (const v1::LossEstimate& loss : base.evaluation.losses()) {
    if (loss.cluster_count() < 0 || loss.cluster_count() > expected ||
        !(loss.effective_cluster_count() >= 0) ||
        loss.effective_cluster_count() > static_cast<double>(expected) + 1e-6) {
      return Broken(Which(loss) + " has more clusters than the evaluation");
    }
  }
  return absl::OkStatus();
}

// On the resamples that there are; NotTried: none holds what another does.
absl::Status CheckGroups(Trial& trial, const Trained& base, int64_t clusters) {
  const v1::Bootstrap bootstrap = trial.EvaluateRequest(base.version).bootstrap();
  const auto groups = GroupResamples(bootstrap.seed(), bootstrap.resample_count(), clusters);
  bool compared = false;
  for (const v1::LossEstimate& loss : base.evaluation.losses()) {
    const double spread = Spread(loss);
    for (const auto& [counts, resamples] : groups) {
      const double first = loss.resampled(resamples[0]);
      for (size_t i = 1; i < resamples.size(); ++i) {
        compared = true;
        if (Equal(loss.resampled(resamples[i]), first, spread)) continue;
        return Broken(absl::StrCat(Which(loss), ": resamples ", resamples[0], " and ", resamples[i],
                                   " of seed ", bootstrap.seed(), " hold the same clusters: got ",
                                   first, " and ", loss.resampled(resamples[i])));
      }
      const bool is_whole = std::all_of(counts.begin(), counts.end(), [](int n) { return n == 1; });
      if (is_whole && !Equal(first, loss.value(), spread)) {
        return Broken(absl::StrCat(Which(loss), ": resample ", resamples[0], " of seed ",
                                   bootstrap.seed(), " holds each cluster once, so it must be ",
                                   loss.value(), " as without resampling: got ", first));
      }
    }
  }
  return compared ? absl::OkStatus() : NotTried("no two resamples hold the same clusters");
}

// On resamples that hold the same clusters, some more often than others: a loss of means or counts
// tells them apart.
absl::Status CheckMultiplicity(Trial& trial, const Trained& base, int64_t clusters) {
  const v1::Bootstrap bootstrap = trial.EvaluateRequest(base.version).bootstrap();
  std::map<std::vector<bool>, std::set<int>> alike;  // First of each group, by what it holds.
  for (const auto& [counts, resamples] :
       GroupResamples(bootstrap.seed(), bootstrap.resample_count(), clusters)) {
    std::vector<bool> holds;
    for (const int32_t count : counts) holds.push_back(count > 0);
    alike[holds].insert(resamples[0]);
  }
  int compared = 0;
  for (const v1::LossEstimate& loss : base.evaluation.losses()) {
    const double spread = Spread(loss);
    if (IsAtAnEnd(loss)) continue;
    for (const auto& [holds, resamples] : alike) {
      for (const int resample : resamples) {
        if (!Equal(loss.resampled(resample), loss.resampled(*resamples.begin()), spread)) {
          return absl::OkStatus();
        }
        compared += resample != *resamples.begin() ? 1 : 0;
      }
    }
  }
  return compared < kEnough
             ? absl::OkStatus()
             : Broken(
                   "no loss depends on how often a resample holds a cluster: are clusters drawn "
                   "with replacement, and counted as often as they are drawn?");
}

absl::StatusOr<v1::Evaluation> EvaluateWith(Trial& trial, const Trained& base, uint64_t seed,
                                            int resamples) {
  v1::EvaluateRequest request = trial.EvaluateRequest(base.version);
  request.mutable_bootstrap()->set_seed(seed);
  request.mutable_bootstrap()->set_resample_count(resamples);
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial.Evaluate(request));
  if (job.evaluation().losses_size() != base.evaluation.losses_size()) {
    return Broken("with another seed there are other losses");
  }
  for (const v1::LossEstimate& loss : job.evaluation().losses()) {
    if (loss.resampled_size() == resamples) continue;
    return Broken(absl::StrCat(Which(loss), " must have ", resamples, " resamples: got ",
                               loss.resampled_size()));
  }
  return job.evaluation();
}

absl::Status CheckTwins(Trial& trial, const Trained& base, int64_t clusters) {
  const auto twins = FindTwinSeeds(clusters, kPairs);
  if (twins.empty()) {
    return NotTried(absl::StrCat("the split test has ", clusters,
                                 " clusters: no two resamples that hold the same ones are known; "
                                 "try a dataset whose split test has at most 20"));
  }
  for (const auto& [a, b] : twins) {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Evaluation first, EvaluateWith(trial, base, a, 1));
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Evaluation second, EvaluateWith(trial, base, b, 1));
    for (int i = 0; i < first.losses_size(); ++i) {
      const double x = first.losses(i).resampled(0), y = second.losses(i).resampled(0);
      if (Equal(x, y, Spread(base.evaluation.losses(i)))) continue;
      return Broken(absl::StrCat(Which(first.losses(i)), ": resample 0 of seeds ", a, " and ", b,
                                 " hold the same clusters: got ", x, " and ", y));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Evaluation> EvaluateOn(Trial& trial, const Trained& base,
                                          const std::vector<v1::Parent>& parents, int resamples) {
  v1::EvaluateRequest request = trial.EvaluateRequest(base.version);
  request.mutable_swapped_parents()->Assign(parents.begin(), parents.end());
  request.mutable_bootstrap()->set_resample_count(resamples);
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial.Evaluate(request));
  if (job.evaluation().losses_size() != base.evaluation.losses_size()) {
    return Broken("on swapped parents there are other losses");
  }
  return job.evaluation();
}

absl::Status CheckSeeds(Trial& trial, const Trained& base) {
  const v1::Bootstrap bootstrap = trial.EvaluateRequest(base.version).bootstrap();
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Evaluation next,
                            EvaluateWith(trial, base, bootstrap.seed() + 1, kPrefix));
  bool varies = false;
  for (int i = 0; i < next.losses_size(); ++i) {
    const v1::LossEstimate& loss = base.evaluation.losses(i);
    const double spread = Spread(loss);
    varies = varies || spread > 0;
    if (!Equal(next.losses(i).value(), loss.value(), 0)) {
      return Broken(
          absl::StrCat(Which(loss), ": its value changes with the seed of its resamples"));
    }
    for (int b = 0; b < kPrefix; ++b) {
      if (Equal(next.losses(i).resampled(b), loss.resampled(b + 1), spread)) continue;
      return Broken(absl::StrCat(Which(loss), ": resample ", b, " of seed ", bootstrap.seed() + 1,
                                 " is resample ", b + 1, " of seed ", bootstrap.seed(), ": got ",
                                 next.losses(i).resampled(b), " and ", loss.resampled(b + 1)));
    }
  }
  if (varies || ClusterCount(base.outputs) < 2) return absl::OkStatus();
  const std::string nothing = "no loss differs between any two resamples";
  if (!trial.is_fed()) return NotTried(nothing);
  // All examples may have one loss; but not where made-up numbers make it another number.
  BACKFIRE_ASSIGN_OR_RETURN(
      const v1::Evaluation by_others,
      EvaluateOn(trial, base, trial.parents().Lineage(Conduct::kOther), kPrefix));
  for (int i = 0; i < by_others.losses_size(); ++i) {
    if (by_others.losses(i).value() == base.evaluation.losses(i).value() ||
        Spread(by_others.losses(i)) > 0) {
      continue;
    }
    return Broken(nothing + ": are they drawn at all?");
  }
  return NotTried(nothing);
}

absl::StatusOr<v1::Evaluation> EvaluateOnTwins(Trial& trial, const Trained& base, int twin,
                                               int resamples) {
  return EvaluateOn(trial, base, trial.parents().Lineage(Conduct::kPlain, twin), resamples);
}

// What comes of other inputs for the examples of one cluster alone: a resample that does not draw
// it has the loss that it had; a loss that becomes another on the whole split does so on one that
// does.
absl::Status CheckOneCluster(Trial& trial, const Trained& base, size_t cluster,
                             const std::set<int64_t>& examples, int64_t clusters) {
  const v1::Bootstrap bootstrap = trial.EvaluateRequest(base.version).bootstrap();
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Evaluation changed,
                            EvaluateOn(trial, base, trial.parents().ChangeExamples(examples),
                                       bootstrap.resample_count()));
  for (int i = 0; i < changed.losses_size(); ++i) {
    const v1::LossEstimate &before = base.evaluation.losses(i), &after = changed.losses(i);
    if (after.resampled_size() != before.resampled_size()) {
      return Broken(Which(after) + " has another number of resamples on swapped parents");
    }
    bool follows = before.value() == after.value() || after.resampled().empty();
    for (int b = 0; b < after.resampled_size(); ++b) {
      const bool drawn = ResampleCounts(bootstrap.seed(), b, clusters)[cluster] > 0;
      follows = follows || (drawn && before.resampled(b) != after.resampled(b));
      if (drawn || Equal(before.resampled(b), after.resampled(b), Spread(before))) continue;
      return Broken(absl::StrCat(Which(after), ": resample ", b, " of seed ", bootstrap.seed(),
                                 " does not draw example ", *examples.begin(),
                                 ", and changes with what that example's inputs are: from ",
                                 before.resampled(b), " to ", after.resampled(b)));
    }
    if (!follows) {
      return Broken(absl::StrCat(Which(after), " changes with the inputs of example ",
                                 *examples.begin(), ", and no resample that draws it does"));
    }
  }
  return absl::OkStatus();
}

// By parents that give other numbers for some examples alone: whatever a loss is, it shows which
// examples a resample holds.
absl::Status CheckDrawn(Trial& trial, const Trained& base, int64_t clusters) {
  constexpr size_t kMostTried = 3;
  const int resamples = trial.EvaluateRequest(base.version).bootstrap().resample_count();
  BACKFIRE_ASSIGN_OR_RETURN(
      const v1::Evaluation by_others,
      EvaluateOn(trial, base, trial.parents().Lineage(Conduct::kOther), resamples));
  if (SameLosses(by_others, base.evaluation)) {
    return NotTried("no loss depends on what its parents give");
  }
  const std::vector<size_t> cluster_of = NumberClusters(ClusterNames(base.outputs));
  std::vector<std::set<int64_t>> members(static_cast<size_t>(clusters));
  for (size_t i = 0; i < cluster_of.size(); ++i) {
    members[cluster_of[i]].insert(static_cast<int64_t>(i));
  }
  for (size_t t = 0; clusters > 1 && t < kMostTried; ++t) {  // The first, one amid, and the last.
    const size_t cluster = t * (members.size() - 1) / (kMostTried - 1);
    BACKFIRE_RETURN_IF_ERROR(CheckOneCluster(trial, base, cluster, members[cluster], clusters));
  }
  // Half of the examples bear upon some loss; and a loss that changes with half of them is not that
  // of every example, so that its resamples are not all alike before and after.
  const auto count = static_cast<int64_t>(base.outputs.size());
  const auto& losses = base.evaluation.losses();
  const bool all_at_an_end = std::all_of(losses.begin(), losses.end(), IsAtAnEnd);
  for (int part = 0; part < 4 && count >= 4; ++part) {  // Either half, the even ones, the odd ones.
    std::set<int64_t> half;
    for (int64_t i = 0; i < count; ++i) {
      if ((part < 2 ? (i < count / 2) : (i % 2 == 0)) == (part % 2 == 0)) half.insert(i);
    }
    BACKFIRE_ASSIGN_OR_RETURN(
        const v1::Evaluation changed,
        EvaluateOn(trial, base, trial.parents().ChangeExamples(half), resamples));
    for (int i = 0; clusters > 1 && i < changed.losses_size(); ++i) {
      const v1::LossEstimate &before = base.evaluation.losses(i), &after = changed.losses(i);
      if (before.value() == after.value() || Spread(before) > 0 || Spread(after) > 0) continue;
      return Broken(absl::StrCat(Which(after),
                                 " changes with the inputs of half of the examples, "
                                 "from ",
                                 before.value(), " to ", after.value(),
                                 ", and is the same in all resamples"));
    }
    if (!SameLosses(changed, base.evaluation) || all_at_an_end) continue;
    return Broken(absl::StrCat("no loss changes with the inputs of ", half.size(),
                               " of the examples, from ", *half.begin(), " to ", *half.rbegin(),
                               ": are they left out?"));
  }
  return absl::OkStatus();
}

// Clusters have numbers in the order in which the split has them, whatever their names. Stand-in
// parents have the first three examples in cluster 0, the next two in cluster 1.
absl::Status CheckNumbering(Trial& trial, const Trained& base) {
  constexpr int kThree = 20, kFive = 21;
  constexpr int kResamples = 40;
  BACKFIRE_ASSIGN_OR_RETURN(
      const v1::Evaluation renamed,
      EvaluateOnTwins(trial, base, StandInParents::kRenamedTwins,
                      trial.EvaluateRequest(base.version).bootstrap().resample_count()));
  if (base.outputs.front().cluster != "" && !SameLosses(renamed, base.evaluation)) {
    return Broken("losses must not change with the names of clusters: they do");
  }
  const int64_t usual = trial.parents().ExampleCount("test");
  trial.parents().SetExampleCount("test", 3);
  const auto first = EvaluateOnTwins(trial, base, kThree, 0);
  trial.parents().SetExampleCount("test", 5);
  const auto both = EvaluateOnTwins(trial, base, kFive, kResamples);
  trial.parents().SetExampleCount("test", usual);
  if (!first.ok() || !both.ok() || both->cluster_count() != 2) {
    return absl::OkStatus();  // Its examples are its dataset's own.
  }
  for (int i = 0; i < both->losses_size(); ++i) {  // Of which one draws the first cluster alone.
    const double one = first->losses(i).value(), two = both->losses(i).value();
    if (one == two || Spread(both->losses(i)) > 0) continue;
    return Broken(absl::StrCat(Which(both->losses(i)), " is ", one, " on the first cluster, ", two,
                               " on the first two, and the same in all resamples of these"));
  }
  const uint64_t seed = trial.EvaluateRequest(base.version).bootstrap().seed();
  for (const auto& [counts, resamples] : GroupResamples(seed, kResamples, 2)) {
    if (counts[1] == 0) continue;
    for (int i = 0; i < both->losses_size() && counts[0] == 0; ++i) {
      const v1::LossEstimate& loss = both->losses(i);
      // A loss of examples that come twice may be another; but not that of the other cluster.
      if (loss.resampled(resamples[0]) == first->losses(i).value() && Spread(loss) > 0) {
        return Broken(
            absl::StrCat(Which(loss), ": resample ", resamples[0], " of seed ", seed,
                         " draws the second cluster alone, and has the loss of the first"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

void TryResamples(Trial& trial, const Trained& base) {
  const int64_t clusters = ClusterCount(base.outputs);
  trial.Check("an evaluation draws its resamples from the clusters that Materialize names",
              [&] { return CheckCounts(base); });
  const int resamples = trial.EvaluateRequest(base.version).bootstrap().resample_count();
  for (const v1::LossEstimate& loss : base.evaluation.losses()) {
    if (loss.resampled_size() != resamples) return;  // As was found already.
  }
  trial.Check("resamples that hold the same clusters have the same losses", [&]() -> absl::Status {
    const absl::Status multiplicity = CheckMultiplicity(trial, base, clusters);
    if (!multiplicity.ok()) return multiplicity;
    const absl::Status status = CheckGroups(trial, base, clusters);
    return absl::IsUnimplemented(status) ? CheckTwins(trial, base, clusters) : status;
  });
  if (trial.is_fed()) {
    trial.Check("an example bears upon losses, and upon the resamples that draw it alone",
                [&] { return CheckDrawn(trial, base, clusters); });
  }
  trial.Check("seeds that lie close together share resamples, and change no loss itself",
              [&] { return CheckSeeds(trial, base); });
  if (trial.is_fed()) {
    trial.Check("clusters have numbers in the order in which the split has them",
                [&] { return CheckNumbering(trial, base); });
  }
  trial.Check("no resamples are none", [&] { return EvaluateWith(trial, base, 1, 0).status(); });
  trial.Check("a negative number of resamples is INVALID_ARGUMENT", [&] {
    v1::EvaluateRequest request = trial.EvaluateRequest(base.version);
    request.mutable_bootstrap()->set_resample_count(-1);
    return MustBe(absl::StatusCode::kInvalidArgument, trial.Evaluate(request));
  });
}

}  // namespace backfire::conformance
