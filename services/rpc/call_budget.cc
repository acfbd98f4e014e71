#include "services/rpc/call_budget.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace backfire::runtime {
namespace {

// How long a call may be on its way from the door to its method: it waits for a thread at most.
constexpr std::chrono::seconds kBeginsWithin(10);

class HeldPlace final : public grpc::experimental::Interceptor {
 public:
  HeldPlace(std::shared_ptr<CallBudget> budget, std::shared_ptr<const Identities> identities,
            const grpc::ServerContextBase& context)
      : budget_(std::move(budget)), identities_(std::move(identities)), context_(context) {}
  ~HeldPlace() override { GiveBack(); }
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using grpc::experimental::InterceptionHookPoints;
    // Not sooner: when this is made, the call's certificate is not known yet.
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      identity_ = identities_->CallerOf(context_).name;
      if (!identity_.empty()) budget_->Begin(identity_);
    }
    // Before the caller knows that it has ended, and may call again.
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) GiveBack();
    methods->Proceed();
  }

 private:
  void GiveBack() {
    if (!identity_.empty()) budget_->End(identity_);
    identity_.clear();
  }

  const std::shared_ptr<CallBudget> budget_;
  const std::shared_ptr<const Identities> identities_;
  const grpc::ServerContextBase& context_;
  std::string identity_;  // While the call holds a place; empty of those that have no budget.
};

class HeldPlaceFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  HeldPlaceFactory(std::shared_ptr<CallBudget> budget, std::shared_ptr<const Identities> identities)
      : budget_(std::move(budget)), identities_(std::move(identities)) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    // gRPC deletes it when the call has ended.
    return new HeldPlace(budget_, identities_, *info->server_context());
  }

 private:
  const std::shared_ptr<CallBudget> budget_;
  const std::shared_ptr<const Identities> identities_;
};

}  // namespace

absl::Status CallBudget::Reserve(const std::string& identity, Clock::time_point now) {
  if (identity.empty()) return absl::OkStatus();
  MutexLock lock(mutex_);
  Use& use = uses_[identity];
  while (!use.reserved.empty() && use.reserved.front() + kBeginsWithin < now) {
    use.reserved.pop_front();
  }
  if (use.begun + static_cast<int>(use.reserved.size()) >= most_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("\"", identity, "\" has ", most_, " calls in flight here, which is all that ",
                     "one identity may have: end some, or try again later"));
  }
  use.reserved.push_back(now);
  return absl::OkStatus();
}

void CallBudget::Begin(const std::string& identity) {
  MutexLock lock(mutex_);
  Use& use = uses_[identity];
  ++use.begun;
  if (!use.reserved.empty()) use.reserved.pop_front();
}

void CallBudget::End(const std::string& identity) {
  MutexLock lock(mutex_);
  const auto use = uses_.find(identity);
  if (--use->second.begun == 0 && use->second.reserved.empty()) uses_.erase(use);
}

int CallBudget::InFlight(const std::string& identity) const {
  MutexLock lock(mutex_);
  const auto use = uses_.find(identity);
  return use == uses_.end() ? 0 : use->second.begun + static_cast<int>(use->second.reserved.size());
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeBudgetKeeper(
    std::shared_ptr<CallBudget> budget, std::shared_ptr<const Identities> identities) {
  return std::make_unique<HeldPlaceFactory>(std::move(budget), std::move(identities));
}

}  // namespace backfire::runtime
