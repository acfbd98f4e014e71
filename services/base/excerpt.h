#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace backfire {

/// Text of somebody else's for a message: as it is, or its first `most` bytes (cut before a
/// character of UTF-8, not in it), `...` and how many bytes there were.
std::string Excerpt(std::string_view text, size_t most = 64);

}  // namespace backfire
