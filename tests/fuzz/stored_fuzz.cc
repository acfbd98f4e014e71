// What a service keeps, which a disk may have changed: descriptions of versions, jobs, outputs of
// parents; and imports of versions. The first byte says which.
#include <google/protobuf/any.pb.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/base/digest.h"
#include "services/base/file.h"
#include "services/base/seal.h"
#include "services/runtime/file_stream.h"
#include "services/runtime/job_file.h"
#include "services/runtime/outputs/example_file.h"
#include "services/runtime/version_file.h"
#include "tests/fuzz/fuzz_entry.h"
#include "tests/fuzz/fuzz_file.h"

namespace backfire {
namespace {

using runtime::Unsealed;

constexpr char kModel[] = "models/toy";
constexpr int64_t kNumber = 3;
const std::string kOutputsMagic = "backfire-examples-1\n";

v1::Version SomeVersion() {
  v1::Version version;
  version.set_name("models/toy/versions/3");
  version.mutable_recipe()->set_name("fit");
  (*version.mutable_recipe()->mutable_parameters()->mutable_fields())["offset"].set_number_value(
      0.5);
  version.set_seed(7);
  version.set_input_key(runtime::ComputeInputKey(kModel, version));
  version.set_digest(runtime::ComputeDigest(version.input_key(), "weights"));
  return version;
}

void RequireDamage(const absl::Status& status) {
  // A newer program's file is no damage.
  Require(absl::IsDataLoss(status) || absl::IsFailedPrecondition(status));
}

// A description with the right checksum, so that what is behind the seal is reached as well.
void FuzzVersion(std::string_view content) {
  static const auto* const file = new FuzzFile(runtime::kVersionFile);
  file->Write(content.substr(0, 2) == "{\n" ? Seal(content, SealForm::kJsonMember)
                                            : std::string(content));
  const auto version = runtime::ReadVersionFile(file->folder(), kModel, kNumber, Unsealed::kRefuse);
  if (!version.ok()) return RequireDamage(version.status());
  Require(version->name() == SomeVersion().name());
  Require(version->input_key() == runtime::ComputeInputKey(kModel, *version));
}

void FuzzJob(std::string_view content) {
  static const auto* const request_file = new FuzzFile(runtime::kRequestFile);
  static const auto* const job_file = new FuzzFile(runtime::kJobFile);
  const std::string sealed = Seal(content, SealForm::kLastLine);
  request_file->Write(sealed);
  job_file->Write(sealed);
  const auto request = runtime::ReadRequestFile(request_file->folder(), Unsealed::kRefuse);
  if (!request.ok()) RequireDamage(request.status());
  const auto job = runtime::ReadJobFile(job_file->folder(), Unsealed::kRefuse);
  if (!job.ok()) RequireDamage(job.status());
}

// Kept outputs; with the digest that their bytes have, or as they came.
void FuzzOutputs(std::string_view content, bool digested) {
  static const auto* const file = new FuzzFile("outputs");
  file->Write(std::string(content) + (digested ? Sha256Hex(content) + kOutputsMagic : ""));
  const auto outputs = runtime::ExampleFile::Open(file->path());
  if (!outputs.ok()) return RequireDamage(outputs.status());
  for (int64_t i = 0; i < std::min<int64_t>((*outputs)->size(), 100); ++i) {
    const auto tensors = (*outputs)->Get(i);
    if (!tensors.ok()) {
      RequireDamage(tensors.status());
      continue;
    }
    for (const auto& [name, tensor] : *tensors) {
      Require(tensor.ElementCount() * DatatypeSize(tensor.datatype) ==
              static_cast<int64_t>(tensor.data.size()));
    }
  }
}

// An import, as messages: each is a length and its bytes.
void FuzzImport(std::string_view content) {
  runtime::ImportedFile file(/*max_bytes=*/1000);
  while (!content.empty()) {
    const size_t length = static_cast<unsigned char>(content.front());
    content.remove_prefix(1);
    const std::string message(content.substr(0, length));
    content.remove_prefix(message.size());
    v1::ImportVersionRequest request;
    if (!request.ParseFromString(message)) return;
    const absl::Status added = file.Add(std::move(request));
    if (!added.ok()) return RequireRefusal(added);
    Require(file.started());
  }
  const auto bytes = file.Finish();
  if (!bytes.ok()) return RequireRefusal(bytes.status());
  Require(static_cast<int64_t>(bytes->size()) == file.description().file_bytes() &&
          bytes->size() <= 1000);
}

}  // namespace

std::vector<std::string> FuzzExamples() {
  const FuzzFile file("outputs");
  Require(runtime::WriteVersionFile(file.folder(), SomeVersion()).ok());
  const std::string version =
      *Unseal(*ReadFile(file.folder() / runtime::kVersionFile), SealForm::kJsonMember, "");
  v1::Job job;
  job.set_name("jobs/1");
  job.set_state(v1::Job::SUCCEEDED);
  google::protobuf::Any request;
  request.PackFrom(job);
  auto writer = runtime::ExampleFileWriter::Create(file.path());
  Require(writer.ok());
  for (int i = 0; i < 2; ++i) {
    Require((*writer)->Append({{"y", runtime::MakeTensor(runtime::Datatype::kFp64, {2, 1})}}).ok());
  }
  Require((*writer)->Finish().ok());
  const std::string outputs = *ReadFile(file.path());
  const std::string digested = outputs.substr(0, outputs.size() - 64 - kOutputsMagic.size());
  v1::ImportVersionRequest first, second;
  first.set_file_bytes(8);
  first.set_data("weig");
  second.set_data("hts!");
  std::string import;
  for (const auto& message : {first, second}) {
    import += static_cast<char>(message.ByteSizeLong());
    import += message.SerializeAsString();
  }
  return {std::string(1, '\0') + version,
          "\1" + job.SerializeAsString(),
          "\1" + request.SerializeAsString(),
          "\2" + digested,
          "\3" + outputs,
          "\4" + import};
}

std::vector<std::string> FuzzTokens() {
  return {"\"name\": ",
          "\"recipe\": ",
          "\"parameters\": ",
          "\"lineage\": ",
          "\"seed\": ",
          "\"input_key\": ",
          "\"trained_on\": ",
          "{",
          "}",
          "[",
          "]",
          ",",
          "null",
          "1e999",
          "models/toy/versions/3",
          "type.googleapis.com/backfire.v1.Job",
          "\xff\xff\xff\xff\xff\xff\xff\x7f",
          std::string(8, '\0')};
}

int FuzzRuns() { return 12000; }

}  // namespace backfire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace backfire;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  const std::string_view content(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      FuzzVersion(content);
      break;
    case 1:
      FuzzJob(content);
      break;
    case 2:
      FuzzOutputs(content, true);
      break;
    case 3:
      FuzzOutputs(content, false);
      break;
    default:
      FuzzImport(content);
  }
  return 0;
}
