#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "orchestrator/store/repository.h"
#include "services/base/status.h"

namespace backfire::store {

/// Calls `visit` with all rows that `list` gives a page of, newest first.
/// @param list  `absl::StatusOr<std::vector<Row>>(const Page&)`.
template <typename List, typename Visit>
absl::Status ForEachRow(const List& list, const Visit& visit) {
  constexpr int64_t kBatch = 100;  // Rows that are read at once.
  for (Page page{0, kBatch};; page.skip += kBatch) {
    BACKFIRE_ASSIGN_OR_RETURN(const auto rows, list(page));
    for (const auto& row : rows) visit(row);
    if (static_cast<int64_t>(rows.size()) < kBatch) return absl::OkStatus();
  }
}

}  // namespace backfire::store
