#include "services/datasets/rendered_dataset.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/base/file.h"
#include "services/base/mutex.h"
#include "services/base/status.h"

namespace backfire::datasets {
namespace {

namespace fs = std::filesystem;
using runtime::Split;

constexpr char kManifest[] = "rendered.txt";

std::string Manifest(const RenderedDatasetOptions& options) {
  return absl::StrCat("Rendered by backfire vision dataset render; the same options give the same ",
                      "files.\nversion ", kRenderVersion, "\n", FormatProfile(options.profile),
                      "train ", options.train, "\nvalidation ", options.validation, "\ntest ",
                      options.test, "\nseed ", options.seed, "\n");
}

absl::Status CheckOptions(const RenderedDatasetOptions& options) {
  const auto check = [](const char* name, int64_t count) -> absl::Status {
    if (count >= 0 && count <= kMaxRenderedFrames) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(name, " must be in [0, ", kMaxRenderedFrames, "]: got ", count));
  };
  BACKFIRE_RETURN_IF_ERROR(check("train", options.train));
  BACKFIRE_RETURN_IF_ERROR(check("validation", options.validation));
  BACKFIRE_RETURN_IF_ERROR(check("test", options.test));
  if (options.train + options.validation + options.test == 0) {
    return absl::InvalidArgumentError("train, validation and test are all 0");
  }
  return absl::OkStatus();
}

// Holds a directory under construction, which no other process may work on; removes it unless it
// was published.
class Workspace {
 public:
  explicit Workspace(fs::path path) : path_(std::move(path)) {}
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() {
    if (descriptor_ < 0) return;
    std::error_code ignored;
    if (!published_) fs::remove_all(path_, ignored);
    ::close(descriptor_);
  }

  absl::Status Open() {
    BACKFIRE_RETURN_IF_ERROR(MakeDirectories(path_));
    descriptor_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor_ < 0) return ErrnoToStatus(errno, absl::StrCat("open ", path_.string()));
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      ::close(descriptor_);
      descriptor_ = -1;
      return absl::AbortedError(
          absl::StrCat(path_.string(), ": another process is rendering there"));
    }
    // What a killed process left.
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(path_, error)) fs::remove_all(entry, error);
    if (error) return ErrnoToStatus(error.value(), absl::StrCat("empty ", path_.string()));
    return absl::OkStatus();
  }

  absl::Status Publish(const fs::path& target) {
    // Everything to disk before the name appears. One call for thousands of files.
    if (::syncfs(descriptor_) != 0)
      return ErrnoToStatus(errno, absl::StrCat("sync ", path_.string()));
    if (::rename(path_.c_str(), target.c_str()) != 0) {
      return ErrnoToStatus(errno, absl::StrCat("rename ", path_.string(), " to ", target.string()));
    }
    published_ = true;
    return SyncDirectory(target.parent_path());
  }

  const fs::path& path() const { return path_; }

 private:
  const fs::path path_;
  int descriptor_ = -1;
  bool published_ = false;
};

struct FrameTask {
  Split split;
  int64_t index;
  std::string id;
};

absl::Status RenderFrames(const RenderProfile& profile, uint64_t seed,
                          const std::vector<FrameTask>& tasks, const fs::path& directory,
                          int threads, const std::function<void(int64_t, int64_t)>& progress,
                          const std::function<bool()>& cancelled) {
  Mutex mutex;
  absl::Status first_error;
  int64_t done = 0;
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  const auto work = [&] {
    for (size_t i = next++; i < tasks.size() && !stop; i = next++) {
      absl::Status status =
          cancelled() ? absl::CancelledError("rendering was interrupted")
                      : WriteKittiFrame(directory, tasks[i].id,
                                        RenderFrame(profile, seed, tasks[i].split, tasks[i].index));
      MutexLock lock(mutex);
      if (status.ok()) {
        progress(++done, static_cast<int64_t>(tasks.size()));
      } else {
        if (first_error.ok()) first_error = std::move(status);
        stop = true;
      }
    }
  };
  std::vector<std::thread> workers;
  for (int i = 1; i < threads; ++i) workers.emplace_back(work);
  work();
  for (std::thread& worker : workers) worker.join();
  return first_error;
}

}  // namespace

absl::StatusOr<RenderOutcome> RenderDataset(const RenderedDatasetOptions& options,
                                            const fs::path& directory, int threads,
                                            const std::function<void(int64_t, int64_t)>& progress,
                                            const std::function<bool()>& cancelled) {
  BACKFIRE_RETURN_IF_ERROR(CheckOptions(options));
  std::error_code error;
  fs::path target = fs::absolute(directory).lexically_normal();
  if (target.filename().empty()) target = target.parent_path();  // "out/"
  const std::string manifest = Manifest(options);
  if (fs::exists(target, error)) {
    const auto existing = ReadFile(target / kManifest);
    if (existing.ok() && *existing == manifest) return RenderOutcome::kWasThere;
    // An empty directory is as good as none: rename replaces it.
    if (!fs::is_directory(target, error) || !fs::is_empty(target, error)) {
      return absl::AlreadyExistsError(absl::StrCat(
          target.string(), ": ",
          existing.ok() ? "a dataset rendered with other options is there (see rendered.txt)"
                        : "something other than a rendered dataset is there",
          "; remove it, or choose another directory"));
    }
  }

  Workspace workspace(absl::StrCat(target.string(), ".partial"));
  BACKFIRE_RETURN_IF_ERROR(workspace.Open());
  BACKFIRE_RETURN_IF_ERROR(MakeKittiFolders(workspace.path() / "training"));
  std::vector<FrameTask> tasks;
  const auto add_split = [&](Split split, int64_t count, const char* list) {
    std::string ids;
    for (int64_t i = 0; i < count; ++i) {
      tasks.push_back({split, i, absl::StrFormat("%06d", tasks.size())});
      absl::StrAppend(&ids, tasks.back().id, "\n");
    }
    return WriteFileAtomically(workspace.path() / "ImageSets" / list, ids);
  };
  BACKFIRE_RETURN_IF_ERROR(add_split(Split::kTrain, options.train, "train.txt"));
  BACKFIRE_RETURN_IF_ERROR(add_split(Split::kValidation, options.validation, "val.txt"));
  BACKFIRE_RETURN_IF_ERROR(add_split(Split::kTest, options.test, "test.txt"));
  BACKFIRE_RETURN_IF_ERROR(RenderFrames(options.profile, options.seed, tasks,
                                        workspace.path() / "training", std::max(threads, 1),
                                        progress, cancelled));
  BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(workspace.path() / kManifest, manifest));
  BACKFIRE_RETURN_IF_ERROR(workspace.Publish(target));
  return RenderOutcome::kRendered;
}

}  // namespace backfire::datasets
