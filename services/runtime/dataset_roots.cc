#include "services/runtime/dataset_roots.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace backfire::runtime {
namespace {

namespace fs = std::filesystem;

// Whether `path` is `root` or in it. Both are canonical.
bool IsIn(const fs::path& path, const fs::path& root) {
  return std::mismatch(root.begin(), root.end(), path.begin(), path.end()).first == root.end();
}

}  // namespace

DatasetRoots DatasetRoots::Anywhere() {
  DatasetRoots roots;
  roots.anywhere_ = true;
  return roots;
}

absl::StatusOr<DatasetRoots> DatasetRoots::Under(std::vector<fs::path> roots) {
  DatasetRoots result;
  for (fs::path& root : roots) {
    std::error_code error;
    if (!fs::is_directory(root, error)) {
      return absl::NotFoundError(absl::StrCat(root.string(), ": no such directory"));
    }
    fs::path absolute = fs::absolute(root, error);
    if (!absolute.has_filename()) absolute = absolute.parent_path();  // `data/` is `data`.
    result.roots_.push_back(std::move(absolute));
  }
  return result;
}

absl::Status DatasetRoots::Check(const fs::path& path) const {
  if (anywhere_) return absl::OkStatus();
  std::error_code error;
  // Of what is outside already as it is written nothing is told, not even where a link leads.
  bool is_told = false;
  const fs::path absolute = fs::absolute(path, error), written = absolute.lexically_normal();
  // What isn't there is taken as it is written, from where it ceases to be.
  const fs::path target = fs::weakly_canonical(absolute, error);
  for (const fs::path& root : roots_) {
    std::error_code unresolved;
    const fs::path real = fs::canonical(root, unresolved);
    is_told = is_told || IsIn(written, root) || IsIn(written, real);
    if (!error && !unresolved && IsIn(target, real)) return absl::OkStatus();
  }
  return absl::PermissionDeniedError(absl::StrCat(
      path.string(),
      !is_told ? ""
      : error  ? absl::StrCat(" (", error.message(), ")")
               : absl::StrCat(" (which leads to ", target.string(), ")"),
      roots_.empty() ? " can't be read: this service was given no folder for datasets"
                     : absl::StrCat(" is outside of the folders that datasets may be read from (",
                                    absl::StrJoin(roots_, ", ",
                                                  [](std::string* out, const fs::path& root) {
                                                    absl::StrAppend(out, root.string());
                                                  }),
                                    ")"),
      ": put it there, or start the service with --dataset-root=DIRECTORY"));
}

}  // namespace backfire::runtime
