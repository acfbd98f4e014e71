#pragma once

#include <atomic>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace backfire::runtime {

/// How many streams of a kind may be open at a server at once. A stream that waits holds a thread,
/// of which there are `max_calls`: those of one kind must not take all. Thread-safe.
class StreamBudget {
 public:
  /// @param what  In the message of a refusal: `watches`.
  StreamBudget(int most, std::string what) : most_(most), what_(std::move(what)) {}

  /// A stream's place, for as long as it lives.
  class Place {
   public:
    /// @param budget  Borrowed.
    explicit Place(StreamBudget& budget)
        : budget_(budget), is_taken_(budget.open_.fetch_add(1) < budget.most_) {}
    ~Place() { --budget_.open_; }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    /// RESOURCE_EXHAUSTED: there was none left.
    absl::Status status() const {
      if (is_taken_) return absl::OkStatus();
      return absl::ResourceExhaustedError(
          absl::StrCat("there are ", budget_.most_, " ", budget_.what_,
                       " already, which is all that ", "may be: end some, or try again later"));
    }

   private:
    StreamBudget& budget_;
    const bool is_taken_;
  };

 private:
  const int most_;
  const std::string what_;
  std::atomic<int> open_ = 0;
};

}  // namespace backfire::runtime
