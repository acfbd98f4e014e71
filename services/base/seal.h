#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

// Small files that decide something hold their own checksum, so that a bit that a disk turned is
// noticed before it decides otherwise.
namespace backfire {

/// Where the checksum is: in a last line, or, as JSON stays JSON, in a first member `checksum`.
enum class SealForm { kLastLine, kJsonMember };

/// The content with its SHA-256. JSON must be an object that starts with `{` on a line of its own.
std::string Seal(std::string_view content, SealForm form);

/// Whether there is a checksum, right or wrong. Files of older programs have none.
bool HasSeal(std::string_view file, SealForm form);

/// The content. DATA_LOSS, with `where` before it: there is no checksum, or it is another
/// content's.
absl::StatusOr<std::string> Unseal(std::string_view file, SealForm form, std::string_view where);

}  // namespace backfire
