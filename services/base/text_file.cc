#include "services/base/text_file.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/regular_file.h"
#include "services/base/status.h"

namespace backfire {
namespace {

constexpr int64_t kMaxTextBytes = int64_t{64} << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

}  // namespace

absl::StatusOr<std::string> DecodeText(std::string_view bytes, std::string_view where) {
  const absl::string_view place(where.data(), where.size());
  if (StartsWith(bytes, "\xFF\xFE") || StartsWith(bytes, "\xFE\xFF")) {
    return absl::DataLossError(
        absl::StrCat(place, ":1: is UTF-16 or UTF-32, by its byte-order mark: save it as UTF-8"));
  }
  std::string text;
  text.reserve(bytes.size());
  int64_t line = 1;
  bool at_start = true;  // Of a line.
  for (size_t i = 0; i < bytes.size();) {
    if (at_start && StartsWith(bytes.substr(i), kByteOrderMark)) {
      i += kByteOrderMark.size();
      continue;
    }
    const char c = bytes[i++];
    if (c == '\0') {
      return absl::DataLossError(absl::StrCat(
          place, ":", line, ": has a NUL byte: damaged, or UTF-16 (then save it as UTF-8)"));
    }
    at_start = c == '\n' || c == '\r';
    if (c == '\r' && i < bytes.size() && bytes[i] == '\n') ++i;
    line += at_start ? 1 : 0;
    text.push_back(at_start ? '\n' : c);
  }
  return text;
}

absl::StatusOr<std::string> ReadTextFile(const std::filesystem::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string bytes, ReadRegularFile(path, kMaxTextBytes));
  return DecodeText(bytes, path.string());
}

}  // namespace backfire
