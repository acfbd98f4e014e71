#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace backfire {

/// How many bytes the first character of UTF-8 has; 0: the text is empty, or begins with none.
size_t FirstCharacter(std::string_view text);

/// The text with U+FFFD in place of every byte that belongs to no character. Protobuf's texts must
/// be UTF-8: a message with another can be sent, and not be read.
std::string ValidUtf8(std::string_view text);

}  // namespace backfire
