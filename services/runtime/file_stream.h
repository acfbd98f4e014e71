#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfire/v1/model_service.pb.h"

namespace backfire::runtime {

/// Bytes of one piece of a file or tensor on the wire, at most.
inline constexpr int64_t kPieceBytes = int64_t{1} << 20;
/// Bytes of a file that is imported, at most: it is held in memory while it is converted.
inline constexpr int64_t kMaxImportBytes = int64_t{1} << 30;

/// Puts the messages of an import back together. One thread.
class ImportedFile {
 public:
  explicit ImportedFile(int64_t max_bytes = kMaxImportBytes) : max_bytes_(max_bytes) {}

  /// Takes the next message. INVALID_ARGUMENT: a first one without a size, or with one beyond the
  /// limit; a later one with more than data; more data than announced; a piece that is too large.
  absl::Status Add(v1::ImportVersionRequest message);
  /// Whether the first message has come.
  bool started() const { return started_; }
  /// The first message without its data.
  const v1::ImportVersionRequest& description() const { return description_; }
  /// The whole file, once the stream has ended. INVALID_ARGUMENT: nothing came. DATA_LOSS: it ended
  /// early, or its digest is not the announced one.
  absl::StatusOr<std::string> Finish();

 private:
  const int64_t max_bytes_;
  bool started_ = false;
  v1::ImportVersionRequest description_;
  std::string bytes_;
};

/// Puts the messages of an export back together. One thread.
class ExportedFile {
 public:
  /// Takes the next message.
  void Add(const v1::ExportVersionResponse& message);
  /// Checks what came, once the stream has ended well. DATA_LOSS: it is not what the first message
  /// announced.
  absl::Status Finish() const;
  /// What was exported.
  const v1::Version& version() const { return first_.version(); }
  const std::string& bytes() const { return bytes_; }

 private:
  bool started_ = false;
  v1::ExportVersionResponse first_;  // Without its data.
  std::string bytes_;
};

/// Cuts an exported file into messages, in order; an empty file is one message without data.
/// Returns false as soon as `write` does.
bool SendExportedFile(const v1::Version& version, const std::string& file,
                      const std::function<bool(const v1::ExportVersionResponse&)>& write);

}  // namespace backfire::runtime
