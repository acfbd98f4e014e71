#include "services/rpc/name_follower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "services/base/mutex.h"

namespace backfire::runtime {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Targets = std::vector<std::string>;

// Names whose addresses a test says. Kept by the follower's thread as well, which may outlive the
// test.
class Names {
 public:
  void Set(const std::string& name, absl::StatusOr<Targets> targets) {
    MutexLock lock(mutex_);
    targets_.insert_or_assign(name, std::move(targets));
  }
  absl::StatusOr<Targets> Resolve(const std::string& name) {
    MutexLock lock(mutex_);
    ++rounds_;
    const auto found = targets_.find(name);
    return found == targets_.end() ? Targets() : found->second;
  }
  int rounds() {
    MutexLock lock(mutex_);
    return rounds_;
  }

 private:
  Mutex mutex_;
  std::map<std::string, absl::StatusOr<Targets>> targets_ ABSL_GUARDED_BY(mutex_);
  int rounds_ ABSL_GUARDED_BY(mutex_) = 0;
};

class NameFollowerTest : public ::testing::Test {
 protected:
  // Until `done`, for at most half a minute.
  static bool Eventually(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::chrono::steady_clock::now() < deadline) {
      if (done()) return true;
      std::this_thread::yield();
    }
    return false;
  }
  const std::shared_ptr<Names> names_ = std::make_shared<Names>();
  NameFollower follower_{[names = names_](const std::string& name) { return names->Resolve(name); },
                         std::chrono::milliseconds(1)};
};

TEST_F(NameFollowerTest, ReplacesNamesByWhatIsBehindThem) {
  names_->Set("dns:car:7000", Targets{"10.0.0.1:7000", "10.0.0.2:7000"});
  EXPECT_THAT(follower_.Expand({"a:7000", "dns:car:7000", "unix:/b"}, absl::Seconds(30)),
              ElementsAre("a:7000", "10.0.0.1:7000", "10.0.0.2:7000", "unix:/b"));
}

TEST_F(NameFollowerTest, DoesNotWaitWithoutPatience) {
  EXPECT_THAT(follower_.Expand({"a:7000", "dns:nobody:7000"}), ElementsAre("a:7000"));
}

TEST_F(NameFollowerTest, FollowsProcessesAsTheyComeAndGo) {
  names_->Set("dns:car:7000", Targets{"10.0.0.1:7000"});
  EXPECT_THAT(follower_.Expand({"dns:car:7000"}, absl::Seconds(30)), ElementsAre("10.0.0.1:7000"));
  names_->Set("dns:car:7000", Targets{"10.0.0.1:7000", "10.0.0.2:7000"});
  EXPECT_TRUE(Eventually([&] { return follower_.Expand({"dns:car:7000"}).size() == 2; }));
  names_->Set("dns:car:7000", Targets{});
  EXPECT_TRUE(Eventually([&] { return follower_.Expand({"dns:car:7000"}).empty(); }));
}

TEST_F(NameFollowerTest, KeepsWhatItKnewWhileNobodyAnswers) {
  names_->Set("dns:car:7000", Targets{"10.0.0.1:7000"});
  follower_.Expand({"dns:car:7000"}, absl::Seconds(30));
  names_->Set("dns:car:7000", absl::UnavailableError("no name server"));
  const int before = names_->rounds();
  ASSERT_TRUE(Eventually([&] { return names_->rounds() >= before + 3; }));
  EXPECT_THAT(follower_.Expand({"dns:car:7000"}), ElementsAre("10.0.0.1:7000"));
}

TEST(NameFollowerEnd, DoesNotWaitForAResolverThatHangs) {
  struct Gate {
    Mutex mutex;
    CondVar changed;
    bool entered ABSL_GUARDED_BY(mutex) = false;
    bool open ABSL_GUARDED_BY(mutex) = false;
  };
  const auto gate = std::make_shared<Gate>();
  {
    NameFollower follower([gate](const std::string&) -> absl::StatusOr<Targets> {
      MutexLock lock(gate->mutex);
      gate->entered = true;
      gate->changed.NotifyAll();
      while (!gate->open) gate->changed.Wait(gate->mutex);
      return Targets();
    });
    EXPECT_THAT(follower.Expand({"dns:car:7000"}), IsEmpty());
    MutexLock lock(gate->mutex);
    while (!gate->entered) gate->changed.Wait(gate->mutex);
  }
  MutexLock lock(gate->mutex);
  gate->open = true;
  gate->changed.NotifyAll();
}

TEST(ResolveTarget, HasATargetForEachAddress) {
  const auto loopback = ResolveTarget("dns:127.0.0.1:7000");
  ASSERT_TRUE(loopback.ok()) << loopback.status();
  EXPECT_THAT(*loopback, ElementsAre("127.0.0.1@127.0.0.1:7000"));
  const auto local = ResolveTarget("dns:///localhost:7000");
  ASSERT_TRUE(local.ok()) << local.status();
  EXPECT_THAT(*local,
              Contains(::testing::AnyOf("localhost@127.0.0.1:7000", "localhost@[::1]:7000")));
}

}  // namespace
}  // namespace backfire::runtime
