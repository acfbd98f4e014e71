#include "services/disparity/pretrained.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

// A file in the program can't be missing beside it, nor be another than the build fingerprint
// covers.
__asm__(
    ".pushsection .rodata\n"
    "backfire_pretrained_small:\n"
    ".incbin \"" BACKFIRE_PRETRAINED_DIRECTORY
    "/small.pt\"\n"
    "backfire_pretrained_small_end:\n"
    ".byte 0\n"
    ".popsection\n");
extern "C" {
extern const char backfire_pretrained_small[];
extern const char backfire_pretrained_small_end[];
}

namespace backfire::disparity {

absl::StatusOr<std::string> PretrainedFile(std::string_view name) {
  if (name == "small") return std::string(backfire_pretrained_small, backfire_pretrained_small_end);
  return absl::NotFoundError(absl::StrCat("there are no pretrained weights \"", std::string(name),
                                          "\"; there are: small"));
}

}  // namespace backfire::disparity
