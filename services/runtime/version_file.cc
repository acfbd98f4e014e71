#include "services/runtime/version_file.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <limits>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/base/digest.h"
#include "services/base/file.h"
#include "services/base/regular_file.h"
#include "services/base/seal.h"
#include "services/base/status.h"
#include "services/runtime/recipe.h"
#include "services/runtime/version_name.h"

namespace backfire::runtime {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

// Protobuf promises no stable order of map entries, so the digest is over a form of our own.
void AddCanonical(const Value& value, Sha256& digest);

void AddCanonical(const Struct& structure, Sha256& digest) {
  std::map<std::string, const Value*> sorted;
  for (const auto& [name, value] : structure.fields()) sorted.emplace(name, &value);
  digest.UpdateField(absl::StrCat("struct ", sorted.size()));
  for (const auto& [name, value] : sorted) {
    digest.UpdateField(name);
    AddCanonical(*value, digest);
  }
}

void AddCanonical(const Value& value, Sha256& digest) {
  switch (value.kind_case()) {
    case Value::kNumberValue:
      digest.UpdateField(absl::StrFormat("number %.17g", value.number_value()));
      break;
    case Value::kStringValue:
      digest.UpdateField("text").UpdateField(value.string_value());
      break;
    case Value::kBoolValue:
      digest.UpdateField(value.bool_value() ? "true" : "false");
      break;
    case Value::kStructValue:
      AddCanonical(value.struct_value(), digest);
      break;
    case Value::kListValue:
      digest.UpdateField(absl::StrCat("list ", value.list_value().values_size()));
      for (const Value& element : value.list_value().values()) AddCanonical(element, digest);
      break;
    default:
      digest.UpdateField("null");
  }
}

constexpr char kAdvice[] = "; restore it, or delete its folder and train again";
constexpr int64_t kMaxDescriptionBytes = int64_t{64} << 20;

absl::StatusOr<v1::Version> Parse(const std::string& json, const std::string& where) {
  using google::protobuf::util::JsonParseOptions;
  using google::protobuf::util::JsonStringToMessage;
  v1::Version version;
  if (JsonStringToMessage(json, &version).ok()) return version;
  JsonParseOptions options;
  options.ignore_unknown_fields = true;
  if (JsonStringToMessage(json, &version, options).ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(where, " has fields that are unknown here: a newer program made it"));
  }
  return absl::DataLossError(absl::StrCat(where, " is no description of a version", kAdvice));
}

}  // namespace

std::string ComputeInputKey(const std::string& model_name, const v1::Version& version) {
  const bool imported = !version.imported_digest().empty();
  Sha256 digest;
  digest.UpdateField(imported ? "backfire imported key 1" : "backfire input key 1");
  digest.UpdateField(model_name).UpdateField(version.recipe().name());
  Struct parameters = version.recipe().parameters();
  if (!version.initial_digest().empty()) {
    (*parameters.mutable_fields())[kInitializeFrom].set_string_value(version.initial_digest());
  }
  AddCanonical(parameters, digest);
  std::vector<v1::Parent> lineage(version.lineage().begin(), version.lineage().end());
  std::sort(lineage.begin(), lineage.end(),
            [](const auto& a, const auto& b) { return a.input() < b.input(); });
  digest.UpdateField(absl::StrCat("lineage ", lineage.size()));
  for (const v1::Parent& parent : lineage) {
    digest.UpdateField(parent.input()).UpdateField(parent.output()).UpdateField(parent.digest());
  }
  if (!version.trained_on().empty()) {
    std::map<std::pair<std::string, std::string>, std::string> outputs;
    for (const v1::OutputsCommitment& commitment : version.trained_on()) {
      outputs[{commitment.version_digest(), commitment.split()}] = commitment.outputs_digest();
    }
    digest.UpdateField(absl::StrCat("trained on ", outputs.size()));
    for (const auto& [of, outputs_digest] : outputs) {
      digest.UpdateField(of.first).UpdateField(of.second).UpdateField(outputs_digest);
    }
  }
  if (imported) return digest.UpdateField(version.imported_digest()).Finish();
  digest.UpdateField(version.dataset().digest());
  digest.UpdateField(absl::StrCat("seed ", version.seed()));
  digest.UpdateField(version.build_fingerprint());
  return digest.Finish();
}

std::string ComputeDigest(const std::string& input_key, const std::string& weights) {
  return Sha256().UpdateField(input_key).UpdateField(weights).Finish();
}

absl::Status WriteVersionFile(const std::filesystem::path& folder, const v1::Version& version) {
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  if (!google::protobuf::util::MessageToJsonString(version, &json, options).ok()) {
    return absl::InternalError(absl::StrCat("cannot write ", version.name(), " as JSON"));
  }
  return WriteFileAtomically(folder / kVersionFile, Seal(json, SealForm::kJsonMember));
}

absl::StatusOr<v1::Version> ReadVersionFile(const std::filesystem::path& folder,
                                            const std::string& model_name, int64_t number,
                                            Unsealed unsealed) {
  const std::string where = (folder / kVersionFile).string();
  absl::StatusOr<std::string> json = ReadRegularFile(where, kMaxDescriptionBytes);
  if (absl::IsNotFound(json.status()) || absl::IsPermissionDenied(json.status())) {
    return json.status();
  }
  // A folder, a loop of links ...
  if (!json.ok()) return absl::DataLossError(json.status().message());
  const bool is_sealed = HasSeal(*json, SealForm::kJsonMember);
  if (is_sealed || unsealed == Unsealed::kRefuse) {
    json = Unseal(*json, SealForm::kJsonMember, where);
    if (!json.ok()) return absl::DataLossError(absl::StrCat(json.status().message(), kAdvice));
  }
  BACKFIRE_ASSIGN_OR_RETURN(v1::Version version, Parse(*json, where));
  if (version.name() != VersionName(model_name, number)) {
    return absl::DataLossError(absl::StrCat(where, " is not the description of ",
                                            VersionName(model_name, number), kAdvice));
  }
  if (ComputeInputKey(model_name, version) != version.input_key()) {
    return absl::DataLossError(
        absl::StrCat(where, ": its input_key is not that of its content", kAdvice));
  }
  if (!is_sealed) {
    BACKFIRE_RETURN_IF_ERROR(ReadWeightsFile(folder, version).status());
    if (unsealed == Unsealed::kSeal) BACKFIRE_RETURN_IF_ERROR(WriteVersionFile(folder, version));
  }
  return version;
}

absl::StatusOr<std::string> ReadWeightsFile(const std::filesystem::path& folder,
                                            const v1::Version& version) {
  const std::filesystem::path path = folder / kWeightsFile;
  absl::StatusOr<std::string> weights = ReadRegularFile(path, std::numeric_limits<int64_t>::max());
  if (!weights.ok()) {
    return absl::DataLossError(
        absl::StrCat("weights of ", version.name(), " are gone: ", weights.status().message()));
  }
  if (ComputeDigest(version.input_key(), *weights) != version.digest()) {
    return absl::DataLossError(absl::StrCat(
        path.string(), " does not match the digest of ", version.name(), " (", weights->size(),
        " bytes, ", version.weights_bytes(), " expected): the file was truncated or changed"));
  }
  return weights;
}

}  // namespace backfire::runtime
