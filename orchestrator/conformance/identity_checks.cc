// What of a training's inputs makes another version, and what does not. Twins of parents (see
// StandInParents) make a service train anew from the same numbers, so that its bits can be compared
// and a seed can be seen before another seed's version is there.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/conformance/checks.h"
#include "services/base/status.h"

namespace backfire::conformance {
namespace {

constexpr int64_t kOtherSeed = 12345;
// Seeds that a number of few bits or digits would make of kOtherSeed: as it is modulo 2^16 and
// 1000.
constexpr int64_t kSeedStep = 65536 * 125;
constexpr int kMoreSeeds = 4;
constexpr size_t kMostInputs = 4;       // That are varied one by one.
constexpr int kAgain = 1, kSeeded = 2;  // Twins of the plain parents.

void TryParents(Trial& trial, const Trained& base) {
  const StandInParents& parents = trial.parents();
  const auto differs = [&](const std::vector<v1::Parent>& lineage, const std::string& what) {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial.Train(trial.TrainRequest(lineage)));
    return MustDiffer(base.version, job.version(), what);
  };
  trial.Check("other parents make another version, whichever of them it is", [&]() -> absl::Status {
    for (size_t i = 0; i < parents.fed().size() && i < kMostInputs; ++i) {
      std::vector<v1::Parent> lineage = parents.Lineage(Conduct::kPlain);
      lineage[i] = parents.ParentOf(i, Conduct::kOther);
      BACKFIRE_RETURN_IF_ERROR(
          differs(lineage, absl::StrCat("another parent of input \"", lineage[i].input(), "\"")));
    }
    return absl::OkStatus();
  });
  trial.Check("another output of the same parent makes another version", [&]() -> absl::Status {
    for (size_t i = 0; i < parents.fed().size() && i < kMostInputs; ++i) {
      std::vector<v1::Parent> lineage = parents.Lineage(Conduct::kPlain);
      lineage[i].set_output(lineage[i].output() + "_2");
      BACKFIRE_RETURN_IF_ERROR(
          differs(lineage, absl::StrCat("another output for input \"", lineage[i].input(), "\"")));
    }
    return absl::OkStatus();
  });
  trial.Check("parents that change places make another version", [&]() -> absl::Status {
    const std::vector<v1::TensorSignature>& fed = parents.fed();
    for (size_t i = 1; i < fed.size(); ++i) {
      v1::TensorSignature renamed = fed[i];
      renamed.set_name(fed[0].name());
      renamed.set_description(fed[0].description());
      if (renamed.SerializeAsString() != fed[0].SerializeAsString()) continue;
      std::vector<v1::Parent> lineage = parents.Lineage(Conduct::kPlain);
      std::swap(lineage[0], lineage[i]);
      lineage[0].set_input(fed[0].name());
      lineage[i].set_input(fed[i].name());
      return differs(lineage, absl::StrCat("\"", fed[0].name(), "\" and \"", fed[i].name(),
                                           "\" fed by each other's parents"));
    }
    return NotTried("no two inputs take the same");
  });
  trial.Check("the order in which a lineage is listed changes nothing", [&]() -> absl::Status {
    std::vector<v1::Parent> lineage = parents.Lineage(Conduct::kPlain);
    if (lineage.size() < 2) return NotTried("one input is fed");
    std::reverse(lineage.begin(), lineage.end());
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial.Train(trial.TrainRequest(lineage)));
    return MustBeSame(base.version, job.version());
  });
  trial.Check("the same training gives the same bits", [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(
        const Trained again,
        trial.TrainAndLook(trial.TrainRequest(parents.Lineage(Conduct::kPlain, kAgain))));
    BACKFIRE_RETURN_IF_ERROR(MustDiffer(base.version, again.version, "parents of another digest"));
    if (trial.options().unrepeatable) return NotTried("--unrepeatable");
    if (SameOutputs(base.outputs, again.outputs) && SameLosses(base.evaluation, again.evaluation)) {
      return absl::OkStatus();
    }
    return Broken(
        absl::StrCat(base.version.name(), " and ", again.version.name(),
                     " learnt from equal numbers with one seed: their outputs differ. If "
                     "a GPU adds in any order, choose its deterministic kernels; if there "
                     "are none, --unrepeatable tries the rest"));
  });
}

// Of a model that is fed, on twins whose versions are not there yet.
absl::Status CheckSeed(Trial& trial, const Trained& base) {
  v1::TrainRequest request = trial.TrainRequest(trial.parents().Lineage(Conduct::kPlain, kSeeded));
  request.set_seed(kOtherSeed);
  BACKFIRE_ASSIGN_OR_RETURN(const Trained seeded, trial.TrainAndLook(request));
  BACKFIRE_ASSIGN_OR_RETURN(
      const Trained plain,
      trial.TrainAndLook(trial.TrainRequest(trial.parents().Lineage(Conduct::kPlain, kSeeded))));
  if (trial.options().unrepeatable) return NotTried("--unrepeatable");
  if (!SameOutputs(base.outputs, plain.outputs)) {
    return Broken(absl::StrCat(plain.version.name(), " was asked for with seed 0, as ",
                               base.version.name(), ", and has the outputs of another seed"));
  }
  if (SameOutputs(base.outputs, seeded.outputs)) return absl::OkStatus();  // It changes nothing.
  BACKFIRE_RETURN_IF_ERROR(
      MustDiffer(plain.version, seeded.version, "a seed that changes its outputs"));
  if (seeded.version.seed() == kOtherSeed && plain.version.seed() == 0) return absl::OkStatus();
  return Broken(absl::StrCat("Version.seed must be what was asked for, ", kOtherSeed,
                             " and 0: got ", seeded.version.seed(), " and ", plain.version.seed()));
}

// Replicates are trainings by seeds of 63 bits, drawn at random. A model whose outputs are few may
// give the same for some of them; none gives it for all.
absl::Status CheckSeedBits(Trial& trial, const Trained& base) {
  v1::TrainRequest request = trial.TrainRequest();
  request.set_seed(kOtherSeed);
  BACKFIRE_ASSIGN_OR_RETURN(const Trained seeded, trial.TrainAndLook(request));
  if (SameOutputs(base.outputs, seeded.outputs)) return NotTried("a seed changes nothing");
  for (int i = 1; i <= kMoreSeeds; ++i) {
    request = trial.TrainRequest();
    request.set_seed(kOtherSeed + i * kSeedStep);
    BACKFIRE_ASSIGN_OR_RETURN(const Trained other, trial.TrainAndLook(request));
    if (!SameOutputs(other.outputs, seeded.outputs)) return absl::OkStatus();
  }
  return Broken(absl::StrCat("seeds ", kOtherSeed, ", ", kOtherSeed + kSeedStep, ", ",
                             kOtherSeed + 2 * kSeedStep,
                             " ... all give the same outputs, and seed 0 gives others: are some of "
                             "a seed's bits dropped?"));
}

}  // namespace

void TryIdentity(Trial& trial, const Trained& base) {
  if (trial.is_fed()) TryParents(trial, base);
  trial.Check("a seed makes another version exactly where it changes something",
              [&]() -> absl::Status {
                if (trial.is_fed()) return CheckSeed(trial, base);
                v1::TrainRequest request = trial.TrainRequest();
                request.set_seed(kOtherSeed);
                BACKFIRE_ASSIGN_OR_RETURN(const Trained seeded, trial.TrainAndLook(request));
                return seeded.version.name() == base.version.name()
                           ? absl::OkStatus()  // Deleting tells whether that is right.
                           : MustDiffer(base.version, seeded.version, "another seed");
              });
  trial.Check("seeds that differ in their high bits are different seeds",
              [&] { return CheckSeedBits(trial, base); });
  trial.Check("a parameter at its default by name is the default", [&]() -> absl::Status {
    v1::TrainRequest request = trial.TrainRequest();
    *request.mutable_recipe()->mutable_parameters() = base.version.recipe().parameters();
    BACKFIRE_ASSIGN_OR_RETURN(const v1::Job job, trial.Train(request));
    return MustBeSame(base.version, job.version());
  });
}

}  // namespace backfire::conformance
