// A version is fed by its lineage and by nothing else: who was pulled, and what came of it.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/conformance/checks.h"
#include "services/base/status.h"

namespace backfire::conformance {
namespace {

constexpr int kFed = 10, kSwapped = 11;  // Twins that nothing was trained on before.

// Splits that a training may read, and an evaluation on the split test.
const std::set<std::string>& SplitsToLearnFrom() {
  static const auto* splits = new std::set<std::string>{"train", "validation", "population"};
  return *splits;
}
const std::set<std::string>& SplitToJudgeOn() {
  static const auto* splits = new std::set<std::string>{"test"};
  return *splits;
}

// Whether only these parents were pulled, each with its digest, and only on these splits. Notes
// which were.
absl::Status CheckPulls(Trial& trial, const std::vector<v1::Parent>& lineage,
                        const std::set<std::string>& splits, std::set<std::string>& pulled) {
  std::map<std::string, std::string> digests;
  for (const v1::Parent& parent : lineage) digests[parent.version()] = parent.digest();
  for (const StandInParents::Pull& pull : trial.parents().TakePulls()) {
    const auto found = digests.find(pull.version);
    if (found == digests.end()) {
      return Broken(absl::StrCat(pull.version, " was pulled, which is no parent here"));
    }
    if (pull.digest != found->second) {
      return Broken(absl::StrCat(pull.version, " must be pulled with digest ", found->second,
                                 ": got \"", pull.digest, "\""));
    }
    if (splits.count(pull.split) == 0) {
      return Broken(absl::StrCat("the split ", pull.split, " of ", pull.version,
                                 " was pulled, and is not to be read here"));
    }
    pulled.insert(pull.version);
  }
  return absl::OkStatus();
}

// Whether a version's losses depend on what these parents, which give other numbers on the split
// test alone, give there: those of one that learnt the same, and is judged on them, are others.
absl::StatusOr<bool> Matters(Trial& trial, const Trained& base,
                             const std::vector<v1::Parent>& others) {
  BACKFIRE_ASSIGN_OR_RETURN(const Trained other, trial.TrainAndLook(trial.TrainRequest(others)));
  return !SameLosses(other.evaluation, base.evaluation);
}

// Whether an evaluation by other parents than the lineage's reads them, and is by their numbers.
absl::Status CheckSwap(Trial& trial, const Trained& base, const std::set<std::string>& read) {
  const auto evaluate = [&](const std::vector<v1::Parent>& parents,
                            std::set<std::string>& pulled) -> absl::StatusOr<v1::Evaluation> {
    v1::EvaluateRequest request = trial.EvaluateRequest(base.version);
    request.mutable_swapped_parents()->Assign(parents.begin(), parents.end());
    trial.parents().TakePulls();
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial.Evaluate(request));
    BACKFIRE_RETURN_IF_ERROR(CheckPulls(trial, parents, SplitToJudgeOn(), pulled));
    return job.evaluation();
  };
  const std::vector<v1::Parent> plain = trial.parents().Lineage(Conduct::kPlain);
  const std::vector<v1::Parent> twins = trial.parents().Lineage(Conduct::kPlain, kSwapped);
  const std::vector<v1::Parent> others = trial.parents().Lineage(Conduct::kOther, kSwapped);
  std::set<std::string> pulled;
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Evaluation by_twins, evaluate(twins, pulled));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Evaluation by_others, evaluate(others, pulled));
  for (size_t i = 0; i < plain.size(); ++i) {
    if (read.count(trial.parents().ParentOf(i, Conduct::kPlain, kFed).version()) == 0) continue;
    for (const v1::Parent* parent : {&twins[i], &others[i]}) {
      if (pulled.count(parent->version()) > 0) continue;
      return Broken(absl::StrCat(parent->version(), " must be pulled, which takes the place of ",
                                 plain[i].version(), ": it was not"));
    }
  }
  if (!SameLosses(by_twins, base.evaluation)) {
    return Broken("by parents that give the same numbers losses must be the same: they differ");
  }
  BACKFIRE_ASSIGN_OR_RETURN(const bool matters,
                            Matters(trial, base, trial.parents().Lineage(Conduct::kOtherToJudge)));
  if (matters && SameLosses(by_others, base.evaluation)) {
    return Broken("by parents that give other numbers losses must be others: they are the same");
  }
  std::vector<v1::Parent> reversed = others;
  std::reverse(reversed.begin(), reversed.end());
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Evaluation by_reversed, evaluate(reversed, pulled));
  if (!SameLosses(by_reversed, by_others)) {
    return Broken(
        "parents that are listed in another order must give the same losses: they do not");
  }
  // One input at a time.
  for (size_t i = 0; plain.size() > 1 && i < plain.size(); ++i) {
    std::vector<v1::Parent> mixed = plain;
    mixed[i] = others[i];
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Evaluation by_one, evaluate(mixed, pulled));
    std::vector<v1::Parent> lineage = plain;
    lineage[i] = trial.parents().ParentOf(i, Conduct::kOtherToJudge);
    BACKFIRE_ASSIGN_OR_RETURN(const bool one_matters, Matters(trial, base, lineage));
    if (one_matters && SameLosses(by_one, base.evaluation)) {
      return Broken(absl::StrCat("input \"", plain[i].input(), "\" fed by ", others[i].version(),
                                 ", others as in the lineage: losses must be others"));
    }
  }
  return absl::OkStatus();
}

// Whether a version that learnt from other numbers gives something else by the same inputs.
absl::Status CheckLearning(Trial& trial, const Trained& base, bool pulls) {
  if (trial.model().kind() != v1::Model::MODEL) return NotTried("a transform learns nothing");
  const bool has_own_data =
      trial.options().dataset != Options().dataset ||
      static_cast<int>(trial.parents().fed().size()) != trial.model().inputs_size();
  if (has_own_data || !pulls) return NotTried("it may learn from a dataset alone");
  BACKFIRE_ASSIGN_OR_RETURN(
      const Trained other,
      trial.TrainAndLook(trial.TrainRequest(trial.parents().Lineage(Conduct::kOtherToLearn))));
  if (!SameOutputs(other.outputs, base.outputs) || !SameLosses(other.evaluation, base.evaluation)) {
    return absl::OkStatus();
  }
  return Broken(absl::StrCat(
      other.version.name(), " learnt from other numbers, and by the same inputs gives what ",
      base.version.name(),
      " does: are its parents read, and not learnt from? If that is right, "
      "for it learns nothing, or from a dataset alone, say --learns-without-parents"));
}

// Whether other parents change nothing where the user says so; `conduct` is how they are others.
absl::Status CheckNoEffect(Trial& trial, const Trained& base, Conduct conduct,
                           const std::string& flag) {
  BACKFIRE_ASSIGN_OR_RETURN(
      const Trained other,
      trial.TrainAndLook(trial.TrainRequest(trial.parents().Lineage(conduct))));
  if (trial.options().unrepeatable) return NotTried("--unrepeatable");
  if (SaySame(other, base)) return absl::OkStatus();
  return Broken(absl::StrCat(flag, " says so, and the outputs or losses of ", other.version.name(),
                             ", by parents that give other numbers",
                             conduct == Conduct::kOtherToLearn ? " to learn from" : "",
                             ", are others than those of ", base.version.name(),
                             ". If they are to be, leave out ", flag));
}

// What comes of parents that are learnt from, or are not, as the user says.
void TryLearning(Trial& trial, const Trained& base, bool pulls) {
  if (trial.options().ignores_parents) {
    trial.Check("what its parents give changes nothing",
                [&] { return CheckNoEffect(trial, base, Conduct::kOther, "--ignores-parents"); });
  } else if (trial.options().learns_without_parents) {
    trial.Check("what its parents give is not learnt from", [&] {
      return CheckNoEffect(trial, base, Conduct::kOtherToLearn, "--learns-without-parents");
    });
  } else {
    trial.Check("a model learns from what its parents give",
                [&] { return CheckLearning(trial, base, pulls); });
  }
}

}  // namespace

void TryFeeding(Trial& trial, const Trained& base) {
  if (!trial.is_fed()) return;
  std::set<std::string> learnt_from, read;  // Parents that a training needs, and an evaluation.
  const std::vector<v1::Parent> lineage = trial.parents().Lineage(Conduct::kPlain, kFed);
  v1::Version version;
  trial.parents().TakePulls();
  trial.Check(
      "a training pulls its parents, with their digests, and nothing else", [&]() -> absl::Status {
        BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial.Train(trial.TrainRequest(lineage)));
        version = job.version();
        return CheckPulls(trial, lineage, SplitsToLearnFrom(), learnt_from);
      });
  if (version.name().empty()) return;
  trial.parents().TakePulls();
  trial.Check("an evaluation pulls its version's parents, with their digests, and nothing else",
              [&]() -> absl::Status {
                BACKFIRE_RETURN_IF_ERROR(trial.Evaluate(trial.EvaluateRequest(version)).status());
                BACKFIRE_RETURN_IF_ERROR(CheckPulls(trial, lineage, SplitToJudgeOn(), read));
                const bool is_said = trial.options().ignores_parents;
                if (!is_said && read.empty() && learnt_from.empty()) {
                  return Broken(
                      "none was pulled, although parents feed the model. If that is right, for "
                      "nothing depends on them, say --ignores-parents");
                }
                return absl::OkStatus();
              });
  trial.Check(
      "Materialize pulls its version's parents, with their digests, and nothing else",
      [&]() -> absl::Status {
        BACKFIRE_RETURN_IF_ERROR(trial.Materialize(trial.MaterializeRequest(version)).status());
        std::set<std::string> pulled;
        return CheckPulls(trial, lineage, SplitToJudgeOn(), pulled);
      });
  TryLearning(trial, base, !learnt_from.empty());
  trial.Check("swapped_parents feed an evaluation in place of the lineage",
              [&] { return CheckSwap(trial, base, read); });
  trial.Check("swapped_parents are of that evaluation alone", [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const Trained again, trial.Look(base.version));
    if (SameOutputs(base.outputs, again.outputs) && SameLosses(base.evaluation, again.evaluation)) {
      return absl::OkStatus();
    }
    return Broken("after it, outputs or losses by the version's own lineage are others");
  });
  trial.Check("swapped_parents that feed an unknown input are INVALID_ARGUMENT", [&] {
    v1::EvaluateRequest request = trial.EvaluateRequest(base.version);
    *request.add_swapped_parents() = lineage[0];
    request.mutable_swapped_parents(0)->set_input("no-such-input");
    return MustBe(absl::StatusCode::kInvalidArgument, trial.Evaluate(request));
  });
  trial.Check("a parent that is lost for a moment is asked again", [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(
        const Trained lost,
        trial.TrainAndLook(trial.TrainRequest(trial.parents().Lineage(Conduct::kLost))));
    return trial.options().unrepeatable || SameOutputs(lost.outputs, base.outputs)
               ? absl::OkStatus()
               : Broken("it gave the same numbers in the end, and the outputs are others");
  });
  trial.Check(
      "a parent of another digest than the lineage has fails the job", [&]() -> absl::Status {
        if (learnt_from.empty()) return NotTried("a training pulls no parents");
        std::vector<v1::Parent> other = lineage;
        for (v1::Parent& parent : other) parent.set_digest(std::string(64, '0'));
        return trial.Train(trial.TrainRequest(other)).ok() ? Broken("it must fail: it succeeded")
                                                           : absl::OkStatus();
      });
  trial.Check("a parent whose outputs are damaged fails the job", [&]() -> absl::Status {
    if (learnt_from.empty()) return NotTried("a training pulls no parents");
    const auto damaged =
        trial.Train(trial.TrainRequest(trial.parents().Lineage(Conduct::kDamaged)));
    return damaged.ok() ? Broken("it must fail: it succeeded") : absl::OkStatus();
  });
}

}  // namespace backfire::conformance
