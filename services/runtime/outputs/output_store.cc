#include "services/runtime/outputs/output_store.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/base/crash_point.h"
#include "services/base/exceptions.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::runtime {
namespace {

// Beside each file: how long producing it took. What a kill left without one counts as no time.
constexpr char kSecondsSuffix[] = ".seconds";

std::filesystem::path SecondsPath(const std::filesystem::path& path) {
  return path.string() + kSecondsSuffix;
}

double ReadSeconds(const std::filesystem::path& path) {
  double seconds = 0;
  const absl::StatusOr<std::string> text = ReadFile(SecondsPath(path));
  if (!text.ok() || !absl::SimpleAtod(*text, &seconds) || !(seconds >= 0)) return 0;
  return seconds;
}

}  // namespace

OutputStore::OutputStore(std::filesystem::path directory, int64_t max_bytes)
    : directory_(std::move(directory)), max_bytes_(max_bytes) {}

absl::StatusOr<std::unique_ptr<OutputStore>> OutputStore::Open(
    const std::filesystem::path& directory, int64_t max_bytes) {
  BACKFIRE_RETURN_IF_ERROR(MakeDirectories(directory));
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (absl::EndsWith(entry.path().string(), ".tmp")) {
      std::filesystem::remove(entry.path(), error);
    }
  }
  std::unique_ptr<OutputStore> store(new OutputStore(directory, max_bytes));
  store->EvictUnused();  // The bound may be lower than it was.
  return store;
}

absl::StatusOr<std::shared_ptr<const Examples>> OutputStore::Get(
    const OutputKey& key, const Produce& produce, const std::function<bool()>& cancelled,
    OutputTally* tally) {
  // Half of each digest names the file; collisions among 128 bits do not happen by accident.
  const bool is_copy = key.keeper == OutputKey::Keeper::kChild;
  const std::string name =
      absl::StrCat(key.version_digest.substr(0, 32), "-", key.dataset_digest.substr(0, 32), "-",
                   std::string(SplitName(key.split)), is_copy ? "-copy" : "", kExampleFileSuffix);
  const std::filesystem::path path = directory_ / name;
  {
    MutexLock lock(mutex_);
    while (in_production_.count(name) > 0) {
      if (cancelled()) return absl::CancelledError("cancelled while waiting for outputs");
      changed_.WaitUntil(mutex_, std::chrono::steady_clock::now() + std::chrono::milliseconds(200));
    }
    if (std::shared_ptr<const Examples> open = open_[name].lock()) {
      ++reused_;
      if (tally != nullptr) {
        ++tally->reused;
        tally->saved_seconds += ReadSeconds(path);
      }
      return open;
    }
    in_production_.insert(name);
  }
  bool was_there = false;
  const auto open_or_produce = [&]() -> absl::StatusOr<std::shared_ptr<const Examples>> {
    absl::StatusOr<std::shared_ptr<const ExampleFile>> file = ExampleFile::Open(path);
    if (file.ok()) {
      was_there = true;
      std::error_code
          error;  // The time of last use orders eviction; failing to note it is harmless.
      std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now(), error);
      if (tally != nullptr) {
        ++tally->reused;
        tally->saved_seconds += ReadSeconds(path);
      }
      return std::shared_ptr<const Examples>(*file);
    }
    if (!absl::IsNotFound(file.status())) {
      spdlog::warn("outputs state=DISCARDED error=\"{}\"", std::string(file.status().message()));
    }
    if (tally != nullptr) ++tally->produced;
    const auto start = std::chrono::steady_clock::now();
    BACKFIRE_ASSIGN_OR_RETURN(const auto writer, ExampleFileWriter::Create(path));
    BACKFIRE_RETURN_IF_ERROR(produce(*writer));
    CrashPoint("outputs-finish", name);
    BACKFIRE_RETURN_IF_ERROR(writer->Finish());
    CrashPoint("outputs-finished", name);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    // Only a figure in a report: it may be lost.
    WriteFileAtomically(SecondsPath(path), absl::StrCat(elapsed.count())).IgnoreError();
    BACKFIRE_ASSIGN_OR_RETURN(file, ExampleFile::Open(path));
    std::error_code error;
    const auto bytes = static_cast<int64_t>(std::filesystem::file_size(path, error));
    bool too_much = false;
    {
      MutexLock lock(mutex_);
      if (!error) total_bytes_ += bytes;
      too_much = total_bytes_ > max_bytes_;
    }
    if (too_much) EvictUnused();
    return std::shared_ptr<const Examples>(*file);
  };
  absl::StatusOr<std::shared_ptr<const Examples>> outputs = CatchExceptions(open_or_produce);
  MutexLock lock(mutex_);
  in_production_.erase(name);
  if (outputs.ok()) {
    open_[name] = *outputs;
    ++(was_there ? reused_ : produced_);
  }
  changed_.NotifyAll();
  return outputs;
}

OutputStore::Usage OutputStore::usage() const {
  MutexLock lock(mutex_);
  return {reused_, produced_, total_bytes_};
}

void OutputStore::EvictUnused() {
  struct File {
    std::filesystem::file_time_type used;
    std::filesystem::path path;
    int64_t bytes;
  };
  std::vector<File> files;
  int64_t total = 0;
  int64_t before = 0;
  {
    MutexLock lock(mutex_);
    before = total_bytes_;
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    if (!absl::EndsWith(entry.path().string(), kExampleFileSuffix)) continue;
    const auto bytes = static_cast<int64_t>(entry.file_size(error));
    total += bytes;
    files.push_back({entry.last_write_time(error), entry.path(), bytes});
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) {
    return std::tie(a.used, a.path) < std::tie(b.used, b.path);
  });
  for (const File& file : files) {
    if (total <= max_bytes_) break;
    // Asked file by file, as others go on meanwhile: what is in production may be finished by now,
    // and is opened before it is out of production.
    MutexLock lock(mutex_);
    if (in_production_.count(file.path.filename().string()) > 0) continue;
    // Readers that have it open keep it: the file goes when the last of them closes it.
    std::filesystem::remove(file.path, error);
    std::filesystem::remove(SecondsPath(file.path), error);
    total -= file.bytes;
    spdlog::info("outputs state=EVICTED file={} bytes={}", file.path.filename().string(),
                 file.bytes);
  }
  MutexLock lock(mutex_);
  total_bytes_ += total - before;  // Others may have added files meanwhile.
}

}  // namespace backfire::runtime
