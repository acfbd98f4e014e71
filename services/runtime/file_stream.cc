#include "services/runtime/file_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/digest.h"

namespace backfire::runtime {

absl::Status ImportedFile::Add(v1::ImportVersionRequest message) {
  const std::string data = std::move(*message.mutable_data());
  message.clear_data();
  if (!started_) {
    if (message.file_bytes() <= 0 || message.file_bytes() > max_bytes_) {
      return absl::InvalidArgumentError(
          absl::StrCat("file_bytes must be in [1, ", max_bytes_, "]: got ", message.file_bytes()));
    }
    started_ = true;
    description_ = std::move(message);
  } else if (message.ByteSizeLong() != 0) {
    return absl::InvalidArgumentError(
        "only the first message of an import may have more than data");
  }
  if (static_cast<int64_t>(data.size()) > kPieceBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("data must have at most ", kPieceBytes, " bytes: got ", data.size()));
  }
  if (static_cast<int64_t>(bytes_.size() + data.size()) > description_.file_bytes()) {
    return absl::InvalidArgumentError(absl::StrCat("data: more came than file_bytes, ",
                                                   description_.file_bytes(), ", announced"));
  }
  bytes_ += data;
  return absl::OkStatus();
}

absl::StatusOr<std::string> ImportedFile::Finish() {
  if (!started_) return absl::InvalidArgumentError("the import has no message");
  if (static_cast<int64_t>(bytes_.size()) != description_.file_bytes()) {
    return absl::DataLossError(absl::StrCat("the import ended after ", bytes_.size(), " of ",
                                            description_.file_bytes(), " bytes"));
  }
  if (!description_.file_digest().empty() && Sha256Hex(bytes_) != description_.file_digest()) {
    return absl::DataLossError(absl::StrCat("the file has digest ", Sha256Hex(bytes_), ": ",
                                            description_.file_digest(), " was announced"));
  }
  return std::move(bytes_);
}

void ExportedFile::Add(const v1::ExportVersionResponse& message) {
  bytes_ += message.data();
  if (started_) return;
  started_ = true;
  first_ = message;
  first_.clear_data();
}

absl::Status ExportedFile::Finish() const {
  const std::string digest = Sha256Hex(bytes_);
  if (started_ && first_.file_bytes() == static_cast<int64_t>(bytes_.size()) &&
      first_.file_digest() == digest) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(
      "export of ", first_.version().name(), ": ", first_.file_bytes(), " bytes with digest ",
      first_.file_digest(), " were announced, ", bytes_.size(), " came with ", digest));
}

bool SendExportedFile(const v1::Version& version, const std::string& file,
                      const std::function<bool(const v1::ExportVersionResponse&)>& write) {
  size_t sent = 0;
  do {
    v1::ExportVersionResponse piece;
    if (sent == 0) {
      *piece.mutable_version() = version;
      piece.set_file_bytes(static_cast<int64_t>(file.size()));
      piece.set_file_digest(Sha256Hex(file));
    }
    const size_t count = std::min(static_cast<size_t>(kPieceBytes), file.size() - sent);
    piece.set_data(file.data() + sent, count);
    sent += count;
    if (!write(piece)) return false;
  } while (sent < file.size());
  return true;
}

}  // namespace backfire::runtime
