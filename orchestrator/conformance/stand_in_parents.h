#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"
#include "orchestrator/conformance/conformance.h"
#include "orchestrator/conformance/outputs.h"

namespace backfire::conformance {

/// How a version of a stand-in parent behaves.
enum class Conduct {
  kPlain,    ///< Gives made-up numbers, the same ones always.
  kOther,    ///< Gives others.
  kLost,     ///< As kPlain, but is UNAVAILABLE in the middle of the first stream of each split.
  kDamaged,  ///< As kPlain, but every stream ends with DATA_LOSS in its middle.
  kMixed,    ///< As kOther for the examples that ChangeExamples named, else as kPlain.
  kOtherToLearn,  ///< As kPlain on the split test, as kOther on those that are learnt from.
  kOtherToJudge,  ///< As kOther on the split test, as kPlain on those that are learnt from.
};

/// Parents of whatever model, one for each input that they feed: they serve made-up numbers, and
/// remember who was pulled. Each has two outputs, named like the input and `{input}_2`. They listen
/// on a unix socket of their own while they live. Thread-safe.
///
/// A version has a twin for each number: a version of another digest that gives the same numbers.
/// What a child makes of twins must be other versions with the same outputs. Twins from
/// kRenamedTwins have other names for the same clusters, in another order of the alphabet.
class StandInParents {
 public:
  /// A call of Materialize.
  struct Pull {
    std::string version, digest, split;
  };

  static constexpr int kRenamedTwins = 1000;

  /// @param fed  Inputs; sizes of -1 become 2. INVALID_ARGUMENT: a datatype that can't be made up.
  /// @param ranges  Of the numbers, by input; of others they are normal, or as their type allows.
  /// @param run  Part of all digests: a service may keep what it was given in another run.
  static absl::StatusOr<std::unique_ptr<StandInParents>> Start(
      const std::vector<v1::TensorSignature>& fed, const std::map<std::string, Range>& ranges,
      const std::string& run);
  ~StandInParents();

  const std::vector<v1::TensorSignature>& fed() const;
  /// The parent of input `index` of fed().
  v1::Parent ParentOf(size_t index, Conduct conduct, int twin = 0) const;
  /// A lineage that feeds all inputs, sorted by input.
  std::vector<v1::Parent> Lineage(Conduct conduct, int twin = 0) const;
  /// A lineage of kMixed, of a twin of its own: others are given for these examples alone.
  std::vector<v1::Parent> ChangeExamples(const std::set<int64_t>& examples);
  /// What a parent's service would state of what it gives.
  v1::OutputsCommitment CommitmentOf(const v1::Parent& parent, const std::string& split) const;
  /// Where they are reached.
  v1::Endpoints endpoints() const;

  /// What a parent gives for input `index` of an example, by its output of the input's name.
  TensorData Tensor(size_t index, Conduct conduct, const std::string& split, int64_t example) const;

  /// Examples of a split: 40 to train on, 10 to validate, 20 to test, unless it is set.
  int64_t ExampleCount(const std::string& split) const;
  void SetExampleCount(const std::string& split, int64_t count);

  /// What they say from now on of the dataset that they all read.
  void SetDatasetDigest(const std::string& digest);

  /// Calls since the last TakePulls.
  std::vector<Pull> TakePulls();

 private:
  struct Server;
  explicit StandInParents(std::unique_ptr<Server> server);
  const std::unique_ptr<Server> server_;
};

}  // namespace backfire::conformance
