#include "services/base/excerpt.h"

#include "absl/strings/str_cat.h"

namespace backfire {

std::string Excerpt(std::string_view text, size_t most) {
  if (text.size() <= most) return std::string(text);
  size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat(std::string(text.substr(0, end)), "... (", text.size(), " bytes)");
}

}  // namespace backfire
