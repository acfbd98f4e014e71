#include "services/rpc/byte_budget.h"

#include "absl/strings/str_cat.h"

namespace backfire::runtime {
namespace {

absl::Status TooMuch(const std::string& who, int64_t held, int64_t more, int64_t most,
                     const char* whose) {
  return absl::ResourceExhaustedError(
      absl::StrCat(who, " hold ", held >> 20, " MiB of messages, and ", more >> 20,
                   " MiB would be more than the ", most >> 20, " MiB that ", whose,
                   " may be: send less at once, try again later, or give the server more by "
                   "--rpc-memory-bytes"));
}

}  // namespace

absl::Status ByteBudget::Hold::Add(int64_t bytes) {
  const absl::Status taken = budget_.Take(identity_, bytes);
  if (taken.ok()) bytes_ += bytes;
  return taken;
}

std::string ByteBudget::NameOf(const grpc::ServerContextBase& context) const {
  return identities_ == nullptr ? "" : identities_->CallerOf(context).name;
}

absl::Status ByteBudget::Take(const std::string& identity, int64_t bytes) {
  const int64_t share = most_ / 4 * 3;
  MutexLock lock(mutex_);
  if (bytes > most_ - held_) return TooMuch("calls in flight", held_, bytes, most_, "all");
  if (!identity.empty()) {
    int64_t& its = held_of_[identity];
    if (bytes > share - its) {
      return TooMuch(absl::StrCat("calls of \"", identity, "\" in flight"), its, bytes, share,
                     "one identity's");
    }
    its += bytes;
  }
  held_ += bytes;
  return absl::OkStatus();
}

void ByteBudget::GiveBack(const std::string& identity, int64_t bytes) {
  MutexLock lock(mutex_);
  held_ -= bytes;
  const auto its = held_of_.find(identity);
  if (its == held_of_.end()) return;
  its->second -= bytes;
  if (its->second == 0) held_of_.erase(its);
}

}  // namespace backfire::runtime
