#include "services/runtime/versions/version_store.h"

#include <google/protobuf/util/json_util.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/base/crash_point.h"
#include "services/base/digest.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/runtime/recipe.h"

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

std::string ComputeDigest(const std::string& input_key, const std::string& weights) {
  return Sha256().UpdateField(input_key).UpdateField(weights).Finish();
}

constexpr char kVersionFile[] = "version.json";
constexpr char kWeightsFile[] = "weights.bin";

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

absl::Status CheckDigest(const v1::Version& version, const std::string& expected) {
  if (expected.empty() || expected == version.digest()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      version.name(), " has digest ", version.digest(), ": the caller expects ", expected,
      "; if this service's data directory was lost or replaced, restore it from a backup, or apply "
      "the system with another seed for a baseline of new versions"));
}

VersionStore::VersionStore(std::filesystem::path directory, std::string model_name)
    : directory_(std::move(directory)), model_name_(std::move(model_name)) {}

absl::StatusOr<std::unique_ptr<VersionStore>> VersionStore::Open(
    const std::filesystem::path& directory, const std::string& model_name) {
  BACKFIRE_RETURN_IF_ERROR(MakeDirectories(directory));
  std::unique_ptr<VersionStore> store(new VersionStore(directory, model_name));
  BACKFIRE_RETURN_IF_ERROR(store->Scan());
  return store;
}

absl::Status VersionStore::Scan() {
  MutexLock lock(mutex_);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    const std::string name = entry.path().filename();
    if (absl::StartsWith(name, "tmp.")) {
      std::filesystem::remove_all(entry.path(), error);
      continue;
    }
    int64_t number = 0;
    if (!absl::SimpleAtoi(name, &number) || number < 1) continue;
    last_number_ = std::max(last_number_, number);
    const std::filesystem::path path = entry.path() / kVersionFile;
    if (!std::filesystem::exists(path)) {
      // Deleted: an empty folder keeps the number.
      std::filesystem::remove(entry.path() / kWeightsFile, error);
      continue;
    }
    const absl::StatusOr<std::string> json = ReadFile(path);
    v1::Version version;
    if (!json.ok()) {
      versions_.emplace(number, json.status());
    } else if (!google::protobuf::util::JsonStringToMessage(*json, &version).ok() ||
               version.name() != VersionName(model_name_, number)) {
      versions_.emplace(number, absl::DataLossError(absl::StrCat(
                                    path.string(), " is not the description of ",
                                    VersionName(model_name_, number),
                                    "; restore it, or delete its folder and train again")));
    } else {
      versions_.emplace(number, std::move(version));
      continue;
    }
    spdlog::error("version state=UNREADABLE version={} error=\"{}\"",
                  VersionName(model_name_, number),
                  std::string(versions_.at(number).status().message()));
  }
  if (error) return ErrnoToStatus(error.value(), absl::StrCat("read ", directory_.string()));
  return absl::OkStatus();
}

absl::StatusOr<v1::Version> VersionStore::Add(v1::Version version, const std::string& weights) {
  MutexLock lock(mutex_);
  for (const auto& [number, known] : versions_) {
    if (known.ok() && known->input_key() == version.input_key()) return known;
  }
  const int64_t number = last_number_ + 1;
  version.set_name(VersionName(model_name_, number));
  version.set_digest(ComputeDigest(version.input_key(), weights));
  version.set_weights_bytes(static_cast<int64_t>(weights.size()));
  std::sort(version.mutable_lineage()->begin(), version.mutable_lineage()->end(),
            [](const auto& a, const auto& b) { return a.input() < b.input(); });
  BACKFIRE_RETURN_IF_ERROR(Write(number, version, weights));
  CrashPoint("version-added", version.name());
  last_number_ = number;
  versions_.emplace(number, version);
  return version;
}

absl::Status VersionStore::AddCopy(const v1::Version& version, const std::string& weights) {
  BACKFIRE_ASSIGN_OR_RETURN(const VersionId id, ParseVersionName(version.name()));
  if (id.model_name != model_name_) {
    return absl::InvalidArgumentError(
        absl::StrCat(version.name(), " is no version of ", model_name_));
  }
  if (ComputeDigest(version.input_key(), weights) != version.digest()) {
    return absl::DataLossError(absl::StrCat("the bytes of ", version.name(),
                                            " do not match its digest ", version.digest()));
  }
  MutexLock lock(mutex_);
  BACKFIRE_RETURN_IF_ERROR(Erase(id.number));
  BACKFIRE_RETURN_IF_ERROR(Write(id.number, version, weights));
  last_number_ = std::max(last_number_, id.number);
  versions_.emplace(id.number, version);
  return absl::OkStatus();
}

absl::Status VersionStore::Write(int64_t number, const v1::Version& version,
                                 const std::string& weights) {
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  if (!google::protobuf::util::MessageToJsonString(version, &json, options).ok()) {
    return absl::InternalError(absl::StrCat("cannot write ", version.name(), " as JSON"));
  }
  const std::filesystem::path temporary = directory_ / absl::StrCat("tmp.", number);
  std::error_code error;
  const auto write = [&]() -> absl::Status {
    BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(temporary / kWeightsFile, weights));
    BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(temporary / kVersionFile, json));
    CrashPoint("version-rename", version.name());
    std::filesystem::rename(temporary, directory_ / absl::StrCat(number), error);
    if (error) return ErrnoToStatus(error.value(), absl::StrCat("rename ", temporary.string()));
    return SyncDirectory(directory_);
  };
  if (const absl::Status status = write(); !status.ok()) {
    std::filesystem::remove_all(temporary, error);
    return status;
  }
  return absl::OkStatus();
}

std::optional<v1::Version> VersionStore::FindByInputKey(const std::string& input_key) const {
  MutexLock lock(mutex_);
  for (const auto& [number, version] : versions_) {
    if (version.ok() && version->input_key() == input_key) return *version;
  }
  return std::nullopt;
}

absl::StatusOr<v1::Version> VersionStore::Get(int64_t number) const {
  MutexLock lock(mutex_);
  const auto found = versions_.find(number);
  if (found == versions_.end()) {
    return absl::NotFoundError(
        absl::StrCat("there is no version ", VersionName(model_name_, number)));
  }
  return found->second;
}

std::vector<v1::Version> VersionStore::List() const {
  MutexLock lock(mutex_);
  std::vector<v1::Version> list;
  for (const auto& [number, version] : versions_) {
    if (version.ok()) list.push_back(*version);
  }
  return list;
}

absl::StatusOr<std::string> VersionStore::ReadWeights(int64_t number) const {
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, Get(number));
  const std::filesystem::path path = directory_ / absl::StrCat(number) / kWeightsFile;
  absl::StatusOr<std::string> weights = ReadFile(path);
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

absl::Status VersionStore::Delete(int64_t number) {
  MutexLock lock(mutex_);
  return Erase(number);
}

absl::Status VersionStore::Erase(int64_t number) {
  versions_.erase(number);
  const std::filesystem::path folder = directory_ / absl::StrCat(number);
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) return absl::OkStatus();
  // The description goes first: a folder without one is a deleted version, of which the weights may
  // be left if the process was killed here.
  std::filesystem::remove(folder / kVersionFile, error);
  CrashPoint("version-delete", VersionName(model_name_, number));
  if (!error) std::filesystem::remove(folder / kWeightsFile, error);
  if (error) return ErrnoToStatus(error.value(), absl::StrCat("delete ", folder.string()));
  return SyncDirectory(folder);
}

}  // namespace backfire::runtime
