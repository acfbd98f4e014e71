#include "services/gateway/vertex_prober.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/services/gateway/echo_vertex.h"

namespace backfire::gateway {
namespace {

using ::testing::HasSubstr;

class VertexProberTest : public ::testing::Test {
 protected:
  // Waits until the prober says that the vertex can serve, or that it can't; what it says.
  std::string AwaitFault(bool is_fault) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    MutexLock lock(mutex_);
    while (faults_.count("v") == 0 || faults_.at("v").empty() == is_fault) {
      if (std::chrono::steady_clock::now() >= deadline) return "not in a minute";
      changed_.WaitUntil(mutex_, deadline);
    }
    return faults_.at("v");
  }

  EchoVertex vertex_;
  const std::shared_ptr<const ReleaseView> view_ = vertex_.View();
  Mutex mutex_;
  CondVar changed_;
  VertexProber::Faults faults_ ABSL_GUARDED_BY(mutex_);
  runtime::ChannelPool channels_;
  runtime::NameFollower names_;
  VertexProber prober_{channels_, names_, [this](const VertexProber::Faults& faults) {
                         MutexLock lock(mutex_);
                         faults_ = faults;
                         changed_.NotifyAll();
                       }};
};

// ModelReady, which the service doesn't have, says less than that it answered.
TEST_F(VertexProberTest, AServiceOfFewMethodsCanServeAsLongAsItAnswers) {
  ASSERT_NE(view_, nullptr);
  auto server = vertex_.Serve("primary");
  prober_.Follow(*view_);
  EXPECT_EQ(AwaitFault(false), "");
  EXPECT_TRUE(prober_.Check({"v"}).ok());
  server.reset();
  EXPECT_THAT(AwaitFault(true), HasSubstr("vertex v can't serve models/echo/versions/1"));
  EXPECT_TRUE(absl::IsUnavailable(prober_.Check({"v"})));
  server = vertex_.Serve("replica");
  EXPECT_EQ(AwaitFault(false), "");
}

}  // namespace
}  // namespace backfire::gateway
