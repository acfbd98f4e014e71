#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"

namespace backfire::cli {

/// A recipe from a name and `key=value` arguments. A value that reads as a JSON number, true or
/// false is one; one that begins with `[`, `{` or `"` is YAML; anything else is text.
/// INVALID_ARGUMENT: no `=`, no key, a key twice, or no YAML.
absl::StatusOr<v1::Recipe> MakeRecipe(const std::string& name,
                                      const std::vector<std::string>& assignments);

/// A request id that depends on what is proposed and on nothing else, so that proposing the same
/// again, after a lost connection or a day, finds what it proposed before.
/// @param context  What makes an equal proposal another one: the live release.
/// @param attempt  From 0; counts proposals whose predecessor was cancelled.
std::string ProposalId(const std::string& vertex, const v1::Recipe& recipe, int replicates,
                       int looks, const std::string& context, int attempt);

}  // namespace backfire::cli
