#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/digest.h"
#include "services/runtime/dataset.h"
#include "services/runtime/tensor.h"

namespace backfire::runtime {

/// What names of such files end with.
inline constexpr char kExampleFileSuffix[] = ".examples";

/// Writes the tensors of examples, in order, to one file. The file appears under its name only
/// when Finish has succeeded; otherwise nothing is left. One thread.
class ExampleFileWriter {
 public:
  static absl::StatusOr<std::unique_ptr<ExampleFileWriter>> Create(
      const std::filesystem::path& path);
  ~ExampleFileWriter();
  ExampleFileWriter(const ExampleFileWriter&) = delete;
  ExampleFileWriter& operator=(const ExampleFileWriter&) = delete;

  /// RESOURCE_EXHAUSTED: the disk is full.
  absl::Status Append(const TensorMap& tensors);
  absl::Status Finish();

 private:
  ExampleFileWriter(std::filesystem::path path, std::filesystem::path temporary, int descriptor);
  absl::Status Write(std::string_view bytes);

  const std::filesystem::path path_;
  const std::filesystem::path temporary_;
  int descriptor_;
  int64_t size_ = 0;
  std::vector<int64_t> offsets_;
  Sha256 digest_;
};

/// Reads what ExampleFileWriter wrote. Thread-safe.
///
/// Layout, little-endian: the records; an index of one 8-byte offset per record and one for their
/// end; the number of records (8 bytes); the SHA-256 of all that as 64 hexadecimal digits; the text
/// `backfire-examples-1\n`. A record is the number of tensors (8 bytes), and for each: length and
/// text of its name, datatype (8 bytes), rank, sizes, length and bytes of its data.
class ExampleFile : public Examples {
 public:
  /// Verifies the whole file. DATA_LOSS: truncated or changed. NOT_FOUND: no such file.
  static absl::StatusOr<std::shared_ptr<const ExampleFile>> Open(const std::filesystem::path& path);
  ~ExampleFile() override;

  int64_t size() const override { return static_cast<int64_t>(offsets_.size()) - 1; }
  absl::StatusOr<TensorMap> Get(int64_t example) const override;

 private:
  ExampleFile(std::filesystem::path path, int descriptor, std::vector<int64_t> offsets);

  const std::filesystem::path path_;
  const int descriptor_;
  const std::vector<int64_t> offsets_;
};

}  // namespace backfire::runtime
