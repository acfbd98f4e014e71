#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/runtime/tensor.h"

namespace backfire::runtime {

/// `kPopulation` is the whole distribution that the other splits are drawn from, as points with
/// weights: losses on it are true ones. Only datasets whose truth is known have it.
enum class Split { kTrain, kValidation, kTest, kPopulation };

/// `train`, `validation`, `test` or `population`.
std::string_view SplitName(Split split);
/// INVALID_ARGUMENT: none of these.
absl::StatusOr<Split> ParseSplit(std::string_view name);

/// A fixed, digested collection of examples with three splits, and a fourth where truth is known.
/// What its examples hold beyond what a request carries (labels, ground truth) is between it and
/// the models that open it. Thread-safe.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual const std::string& uri() const = 0;
  /// SHA-256 over all content that is used; equal digests mean equal examples.
  virtual const std::string& digest() const = 0;
  /// Whether it has this split. Don't ask it for any other.
  virtual bool Has(Split split) const { return split != Split::kPopulation; }
  virtual int64_t size(Split split) const = 0;
  /// The dataset's own name for an example: `000042`.
  virtual std::string ExampleId(Split split, int64_t example) const = 0;
  /// What the example shares with others that are alike: a drive, a user, a session. Its own name
  /// if it is like no other; empty if the dataset does not say. Sizes of samples are counted in
  /// these, and they are resampled together.
  virtual std::string Cluster(Split split, int64_t example) const = 0;
  /// What a client would send for this example: the tensors called `names`, and no labels.
  /// INVALID_ARGUMENT: it has no such tensor. Errors of reading name the file.
  virtual absl::StatusOr<TensorMap> RequestInputs(Split split, int64_t example,
                                                  const std::vector<std::string>& names) const = 0;
};

/// The cluster of each example of a split, in its order.
std::vector<std::string> Clusters(const Dataset& dataset, Split split);

/// Tensors of each example of a split, read when asked for: a model's inputs, or its outputs.
/// Thread-safe.
class Examples {
 public:
  virtual ~Examples() = default;
  virtual int64_t size() const = 0;
  virtual absl::StatusOr<TensorMap> Get(int64_t example) const = 0;
};

}  // namespace backfire::runtime
