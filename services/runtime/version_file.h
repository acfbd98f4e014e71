#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"

// The files of one version, `version.json` and `weights.bin`, in a folder of its own.
namespace backfire::runtime {

inline constexpr char kVersionFile[] = "version.json";
inline constexpr char kWeightsFile[] = "weights.bin";

/// SHA-256 over everything that decides what a training gives: model, recipe, lineage digests,
/// dataset digest, seed and build fingerprint. Names and numbers of parents don't enter: a parent
/// trained again to the same digest is the same parent, and so is a version that it starts from
/// (`initial_digest` in place of the parameter initialize_from). Of an imported version: model,
/// recipe, lineage digests and the digest of its weights. What its parents' outputs were
/// (`trained_on`) enters where it is known.
std::string ComputeInputKey(const std::string& model_name, const v1::Version& version);

/// SHA-256 over a version's input key and weights.
std::string ComputeDigest(const std::string& input_key, const std::string& weights);

/// Writes a description, sealed (services/base/seal.h).
absl::Status WriteVersionFile(const std::filesystem::path& folder, const v1::Version& version);

/// In a folder whose files all have checksums: none of them may be without one.
inline constexpr char kSealedMark[] = "sealed";

/// What to make of a file without a checksum: it has lost it, or an older program wrote it. The
/// latter is held against what else is known of it, and then gets its checksum, or not.
enum class Unsealed { kRefuse, kVerify, kSeal };

/// Reads a description: sealed, of that name, and with the input key that its content has. One of
/// an older program is held against its weights as well. NOT_FOUND: there is none. DATA_LOSS: it is
/// damaged. FAILED_PRECONDITION: a newer program made it.
absl::StatusOr<v1::Version> ReadVersionFile(const std::filesystem::path& folder,
                                            const std::string& model_name, int64_t number,
                                            Unsealed unsealed);

/// Reads a version's weights. DATA_LOSS: they are gone, or not those of its digest.
absl::StatusOr<std::string> ReadWeightsFile(const std::filesystem::path& folder,
                                            const v1::Version& version);

}  // namespace backfire::runtime
