#pragma once

#include <map>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "services/base/mutex.h"

namespace backfire::runtime {

/// How many streams of a kind may be open at a server at once. A stream that waits holds a thread,
/// of which there are `max_calls`: those of one kind must not take all. An identity with a name may
/// have half of them, so that none keeps the others out; nobody in particular, and whoever has the
/// mesh's token, may have all. Thread-safe.
class StreamBudget {
 public:
  /// @param what  In the message of a refusal: `watches`.
  StreamBudget(int most, std::string what) : most_(most), what_(std::move(what)) {}

  /// A stream's place, for as long as it lives.
  class Place {
   public:
    /// @param budget    Borrowed.
    /// @param identity  Whose it is (Caller::name).
    explicit Place(StreamBudget& budget, std::string identity = "")
        : budget_(budget), identity_(std::move(identity)), status_(budget_.Take(identity_)) {}
    ~Place() {
      if (status_.ok()) budget_.GiveBack(identity_);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    /// RESOURCE_EXHAUSTED: there was none left.
    const absl::Status& status() const { return status_; }

   private:
    StreamBudget& budget_;
    const std::string identity_;
    const absl::Status status_;
  };

 private:
  absl::Status Take(const std::string& identity) {
    MutexLock lock(mutex_);
    if (open_ >= most_) {
      return absl::ResourceExhaustedError(absl::StrCat("there are ", most_, " ", what_,
                                                       " already, which is all that ",
                                                       "may be: end some, or try again later"));
    }
    if (!identity.empty()) {
      int& its = open_of_[identity];
      if (its >= (most_ + 1) / 2) {
        return absl::ResourceExhaustedError(
            absl::StrCat("\"", identity, "\" has ", its, " ", what_, " already, which is all that ",
                         "one identity may have: end some, or try again later"));
      }
      ++its;
    }
    ++open_;
    return absl::OkStatus();
  }
  void GiveBack(const std::string& identity) {
    MutexLock lock(mutex_);
    --open_;
    if (const auto its = open_of_.find(identity); its != open_of_.end() && --its->second == 0) {
      open_of_.erase(its);
    }
  }

  const int most_;
  const std::string what_;
  Mutex mutex_;
  int open_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, int> open_of_ ABSL_GUARDED_BY(mutex_);  // Of those that have any.
};

}  // namespace backfire::runtime
