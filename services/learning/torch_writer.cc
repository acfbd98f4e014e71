// The other direction: weights as a file of torch.save.
#include <zip.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/learning/torch_checkpoint.h"

namespace backfire::learning {
namespace {

// A moment that zip can express, the same for all files, so that equal weights are equal bytes.
constexpr time_t kEpoch = 315532800;  // 1980-01-01

std::string_view StorageName(runtime::Datatype datatype) {
  switch (datatype) {
    case runtime::Datatype::kFp32:
      return "FloatStorage";
    case runtime::Datatype::kFp64:
      return "DoubleStorage";
    case runtime::Datatype::kInt64:
      return "LongStorage";
    case runtime::Datatype::kUint8:
      return "ByteStorage";
    default:
      return "";
  }
}

// Writes pickle's instructions, protocol 2 without a memo.
class PickleWriter {
 public:
  PickleWriter() : bytes_("\x80\x02") {}
  void Raw(std::string_view opcodes) { bytes_ += opcodes; }
  void Text(std::string_view text) {
    bytes_ += 'X';
    const auto size = static_cast<uint32_t>(text.size());
    bytes_.append(reinterpret_cast<const char*>(&size), sizeof(size));
    bytes_ += text;
  }
  void Integer(int64_t number) {
    bytes_ += "\x8a\x08";  // LONG1 of 8 bytes.
    bytes_.append(reinterpret_cast<const char*>(&number), sizeof(number));
  }
  void Global(std::string_view module, std::string_view name) {
    bytes_ += 'c';
    bytes_ += module;
    bytes_ += '\n';
    bytes_ += name;
    bytes_ += '\n';
  }
  void Tuple(const std::vector<int64_t>& numbers) {
    bytes_ += '(';
    for (const int64_t number : numbers) Integer(number);
    bytes_ += 't';
  }
  std::string Finish() {
    bytes_ += '.';
    return std::move(bytes_);
  }

 private:
  std::string bytes_;
};

std::string WritePickle(const WeightTensors& tensors) {
  PickleWriter writer;
  writer.Raw("}(");
  int64_t key = 0;
  for (const auto& [name, tensor] : tensors) {
    std::vector<int64_t> strides(tensor.shape.size(), 1);
    for (size_t d = strides.size(); d > 1; --d) {
      strides[d - 2] = strides[d - 1] * std::max<int64_t>(tensor.shape[d - 1], 1);
    }
    writer.Text(name);
    writer.Global("torch._utils", "_rebuild_tensor_v2");
    writer.Raw("((");
    writer.Text("storage");
    writer.Global("torch", StorageName(tensor.datatype));
    writer.Text(absl::StrCat(key++));
    writer.Text("cpu");
    writer.Integer(tensor.ElementCount());
    writer.Raw("tQ");  // The storage.
    writer.Integer(0);
    writer.Tuple(tensor.shape);
    writer.Tuple(strides);
    writer.Raw("\x89");  // Needs no gradient.
    writer.Global("collections", "OrderedDict");
    writer.Raw(")RtR");  // No hooks; call.
  }
  writer.Raw("u");
  return writer.Finish();
}

struct CloseSource {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};

absl::Status AddEntry(zip_t* zip, const std::string& name, const std::string& data) {
  zip_source_t* source = zip_source_buffer(zip, data.data(), data.size(), 0);
  const zip_int64_t index =
      source == nullptr ? -1 : zip_file_add(zip, name.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    return absl::InternalError(absl::StrCat("cannot write ", name, ": ", zip_strerror(zip)));
  }
  const auto position = static_cast<zip_uint64_t>(index);
  // torch.load maps storages into memory: they are not compressed.
  if (zip_set_file_compression(zip, position, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_mtime(zip, position, kEpoch, 0) != 0) {
    return absl::InternalError(absl::StrCat("cannot write ", name, ": ", zip_strerror(zip)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> WriteTorchCheckpoint(const WeightTensors& tensors) {
  for (const auto& [name, tensor] : tensors) {
    if (!StorageName(tensor.datatype).empty()) continue;
    return absl::InternalError(absl::StrCat("tensor ", name, " has type ",
                                            std::string(runtime::DatatypeName(tensor.datatype)),
                                            ", which no network has"));
  }
  // libzip reads these when the archive is closed.
  const std::string pickle = WritePickle(tensors);
  const std::string version = "3\n";
  zip_error_t error;
  zip_error_init(&error);
  const std::unique_ptr<zip_source_t, CloseSource> target(
      zip_source_buffer_create(nullptr, 0, 0, &error));
  zip_t* zip = nullptr;
  if (target != nullptr) {
    zip_source_keep(target.get());  // Its content is wanted after the archive is closed.
    zip = zip_open_from_source(target.get(), ZIP_TRUNCATE, &error);
    if (zip == nullptr) zip_source_free(target.get());
  }
  const std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  if (zip == nullptr) return absl::InternalError(absl::StrCat("cannot write a zip: ", reason));
  const auto add_all = [&]() -> absl::Status {
    BACKFIRE_RETURN_IF_ERROR(AddEntry(zip, "archive/data.pkl", pickle));
    int64_t key = 0;
    for (const auto& [name, tensor] : tensors) {
      BACKFIRE_RETURN_IF_ERROR(AddEntry(zip, absl::StrCat("archive/data/", key++), tensor.data));
    }
    return AddEntry(zip, "archive/version", version);
  };
  if (const absl::Status status = add_all(); !status.ok()) {
    zip_discard(zip);
    return status;
  }
  if (zip_close(zip) != 0) {
    const absl::Status status =
        absl::InternalError(absl::StrCat("cannot write a zip: ", zip_strerror(zip)));
    zip_discard(zip);
    return status;
  }
  zip_stat_t stat;
  zip_stat_init(&stat);
  std::string file;
  bool ok = zip_source_stat(target.get(), &stat) == 0 && (stat.valid & ZIP_STAT_SIZE) != 0;
  ok = ok && zip_source_open(target.get()) == 0;
  if (ok) {
    file.resize(stat.size);
    ok = zip_source_read(target.get(), file.data(), file.size()) ==
         static_cast<zip_int64_t>(file.size());
    zip_source_close(target.get());
  }
  if (!ok) return absl::InternalError("cannot write a zip: its bytes can't be read back");
  return file;
}

}  // namespace backfire::learning
