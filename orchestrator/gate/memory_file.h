#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace backfire::gate {

/// Text that other programs read as a file, which is in memory alone and has no name: nothing is
/// left behind, however the program ends. Programs that this one runs or becomes find it under the
/// same path. Owns it.
class MemoryFile {
 public:
  /// @param what  That the text is, for messages. RESOURCE_EXHAUSTED, INTERNAL: there is no memory.
  static absl::StatusOr<MemoryFile> Make(const std::string& what, absl::string_view text);
  MemoryFile(MemoryFile&& other) noexcept;
  MemoryFile& operator=(MemoryFile&&) = delete;
  ~MemoryFile();

  std::string path() const;

 private:
  explicit MemoryFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace backfire::gate
