#include "services/runtime/versions/lineage.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/runtime/version_name.h"

namespace backfire::runtime {

bool IsDigest(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c)) && !absl::ascii_isupper(c);
         });
}

absl::Status CheckLineage(const v1::Model& model,
                          const google::protobuf::RepeatedPtrField<v1::Parent>& lineage,
                          const std::string& field) {
  std::set<std::string> fed;
  for (int i = 0; i < lineage.size(); ++i) {
    const v1::Parent& parent = lineage[i];
    const std::string path = absl::StrCat(field, "[", i, "]");
    const bool known =
        std::any_of(model.inputs().begin(), model.inputs().end(),
                    [&](const auto& input) { return input.name() == parent.input(); });
    if (!known) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ".input: ", model.name(), " has no input \"", parent.input(), "\""));
    }
    if (!fed.insert(parent.input()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ".input: \"", parent.input(), "\" is fed twice"));
    }
    BACKFIRE_RETURN_IF_ERROR(
        Annotate(ParseVersionName(parent.version()).status(), absl::StrCat(path, ".version")));
    if (parent.output().empty()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ".output must not be empty"));
    }
    if (!IsDigest(parent.digest())) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ".digest must have 64 lower-case hexadecimal digits: got \"",
                       parent.digest(), "\""));
    }
  }
  return absl::OkStatus();
}

}  // namespace backfire::runtime
