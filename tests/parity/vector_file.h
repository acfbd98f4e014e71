#pragma once

#include <torch/types.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace backfire::parity {

/// One tensor of a reference run.
struct Vector {
  torch::Tensor values;        ///< All, in their shape; or every stride-th element, 1-D.
  std::vector<int64_t> shape;  ///< Of the full tensor.
  int64_t stride = 1;
  std::optional<double> noise_max;  ///< Largest rounding error of the reference itself.
  std::vector<double> stats;  ///< Mean, deviation, minimum, maximum of the full tensor; or none.
};

/// Vectors by name.
using VectorMap = std::map<std::string, Vector>;

/// Reads a `.pt` file of vectors. DATA_LOSS: it is none, or a tensor's companions (`.shape`,
/// `.stride`, `.noise`, `.stats`) don't fit it.
absl::StatusOr<VectorMap> ReadVectorFile(const std::filesystem::path& path);

/// What a vector file's name says: `psmnet_basic.A.eval.pt`.
struct VectorFileName {
  std::string network;  ///< `psmnet_basic`
  std::string set;      ///< `A`: the prefix of the inputs' names.
  std::string part;     ///< `eval`; empty where the file holds all.
};
/// INVALID_ARGUMENT: not such a name.
absl::StatusOr<VectorFileName> ParseVectorFileName(const std::string& name);

/// A vector file with all that a comparison needs.
struct VectorCase {
  std::filesystem::path directory;
  VectorFileName name;
  VectorMap vectors;

  /// NETWORK.SET[.PART]
  std::string Label() const;
  /// The vector of that name. NOT_FOUND: the file has none.
  absl::StatusOr<const Vector*> Find(const std::string& vector) const;
};

}  // namespace backfire::parity
