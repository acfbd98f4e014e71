#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/store/repository.h"
#include "services/base/excerpt.h"

namespace backfire::api {

/// The rows that a listing request asks for, and one more, which tells whether there is a next
/// page. INVALID_ARGUMENT: malformed page_size or page_token.
inline absl::StatusOr<store::Page> PageOf(int32_t page_size, const std::string& token) {
  constexpr int64_t kDefaultPageSize = 100, kMaxPageSize = 1000;
  constexpr int64_t kPageBytes = int64_t{4} << 20;  // Messages have bounds, and so has memory.
  store::Page page;
  page.bytes = kPageBytes;
  if (!token.empty() &&
      (!absl::SimpleAtoi(token, &page.skip) || page.skip < 0 || absl::StrCat(page.skip) != token)) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_token is not one of this call's: \"", Excerpt(token), "\""));
  }
  if (page_size < 0) {
    return absl::InvalidArgumentError(absl::StrCat("page_size must be >= 0: got ", page_size));
  }
  page.count = 1 + (page_size == 0 ? kDefaultPageSize : std::min<int64_t>(page_size, kMaxPageSize));
  return page;
}

/// Drops the rows too many: those beyond the number or the bytes of a page, which has one at least.
/// Returns the token of the next page, empty if there is none.
template <typename Rows>
std::string CutPage(const store::Page& page, Rows& rows) {
  size_t kept = 0;
  for (int64_t bytes = 0; kept < rows.size() && bytes < page.bytes; ++kept) {
    bytes += static_cast<int64_t>(rows[kept].ByteSizeLong());
  }
  kept = std::min(kept, static_cast<size_t>(page.count - 1));
  if (kept == rows.size()) return "";
  rows.resize(kept);
  return absl::StrCat(page.skip + static_cast<int64_t>(kept));
}

}  // namespace backfire::api
