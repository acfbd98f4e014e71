#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace backfire::gate {

/// Lines of a text file, compressed by gzip or not, of which only a piece is in memory. One thread.
class LineReader {
 public:
  /// Errors as ReadFile: NOT_FOUND, PERMISSION_DENIED or INTERNAL, with the path.
  static absl::StatusOr<LineReader> Open(const std::string& path);
  ~LineReader();
  LineReader(LineReader&&) noexcept;
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// Reads the next line, without its end, valid until the next call; false at the end of the file.
  /// INVALID_ARGUMENT, as `path:line: fault`: the gzip stream is damaged or ends too soon, a line
  /// ends in CR, is longer than 256 MiB, or the file begins with a byte order mark. INTERNAL: the
  /// disk can't be read.
  absl::StatusOr<bool> Next(absl::string_view& line);

  int64_t line_number() const { return line_number_; }  ///< Of the last line, from 1.

 private:
  struct Source;
  explicit LineReader(std::unique_ptr<Source> source);
  absl::Status Fault(const std::string& what) const;
  absl::Status Fill();
  absl::Status FillInflated(size_t room);

  std::unique_ptr<Source> source_;
  std::string buffer_;  // Text that was read and not yet returned, from `begin_` to `end_`.
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t scanned_ = 0;  // Up to here there is no line end.
  bool at_end_ = false;
  int64_t line_number_ = 0;
};

}  // namespace backfire::gate
