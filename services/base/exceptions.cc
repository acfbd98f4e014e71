#include "services/base/exceptions.h"

#include <new>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace backfire {

absl::Status StatusOfException(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return absl::ResourceExhaustedError("out of memory");
  }
  const std::string text = error.what();
  const std::string line = text.substr(0, text.find('\n'));  // LibTorch adds a stack.
  // LibTorch 1.13 has no type for it.
  if (absl::StrContains(line, "can't allocate memory") ||
      absl::StrContains(line, "out of memory")) {
    return absl::ResourceExhaustedError(absl::StrCat("out of memory: ", line));
  }
  return absl::InternalError(absl::StrCat("an exception: ", line));
}

}  // namespace backfire
