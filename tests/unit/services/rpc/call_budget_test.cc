#include "services/rpc/call_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <list>
#include <memory>
#include <string>

#include "backfire/v1/orchestrator.grpc.pb.h"
#include "services/base/digest.h"
#include "services/rpc/cancellation_watch.h"
#include "services/rpc/rpc_server.h"
#include "services/rpc/stream_budget.h"
#include "services/rpc/token.h"
#include "services/rpc/unary_call.h"
#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

using ::testing::HasSubstr;
using Stub = v1::Orchestrator::Stub;

TEST(CallBudgetTest, OneIdentityHasSoManyCallsAndOthersTheirs) {
  CallBudget budget(2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(budget.Reserve("ada").ok());
    budget.Begin("ada");
  }
  const absl::Status refused = budget.Reserve("ada");
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("\"ada\" has 2 calls in flight"));
  EXPECT_TRUE(budget.Reserve("bob").ok());
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(budget.Reserve("").ok()) << "who has no name";
  budget.End("ada");
  EXPECT_EQ(budget.InFlight("ada"), 1);
  EXPECT_TRUE(budget.Reserve("ada").ok());
}

TEST(CallBudgetTest, ManyAtOnceAreBoundedBeforeTheyBeginAndThoseThatNeverDoAreForgotten) {
  CallBudget budget(3);
  const auto start = CallBudget::Clock::now();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.Reserve("ada", start).ok());
  EXPECT_FALSE(budget.Reserve("ada", start + std::chrono::seconds(9)).ok());
  budget.Begin("ada");
  EXPECT_FALSE(budget.Reserve("ada", start + std::chrono::seconds(9)).ok()) << "one place, not two";
  EXPECT_TRUE(budget.Reserve("ada", start + std::chrono::seconds(11)).ok());
  EXPECT_EQ(budget.InFlight("ada"), 2);
}

TEST(StreamBudgetTest, OneIdentityHasHalfOfThePlaces) {
  StreamBudget budget(4, "watches");
  std::list<StreamBudget::Place> places;
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(places.emplace_back(budget, "ada").status().ok());
  {
    const StreamBudget::Place third(budget, "ada");
    EXPECT_TRUE(absl::IsResourceExhausted(third.status()));
    EXPECT_EQ(
        third.status().message(),
        "\"ada\" has 2 watches already, which is all that one identity may have: end some, or "
        "try again later");
  }
  EXPECT_TRUE(places.emplace_back(budget, "bob").status().ok());
  EXPECT_TRUE(places.emplace_back(budget).status().ok()) << "nobody in particular";
  EXPECT_THAT(std::string(StreamBudget::Place(budget, "bob").status().message()),
              HasSubstr("there are 4 watches already"));
  places.pop_front();
  EXPECT_TRUE(StreamBudget::Place(budget, "ada").status().ok()) << "a refused one took no place";
  places.clear();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(places.emplace_back(budget).status().ok());
}

// Watches that last until their caller goes.
class Watched final : public v1::Orchestrator::Service {
 public:
  grpc::Status WatchUpdate(grpc::ServerContext* context, const v1::WatchUpdateRequest*,
                           grpc::ServerWriter<v1::Update>* writer) override {
    writer->Write(v1::Update());
    WaitUnlessCancelled(std::chrono::minutes(1), [&] { return context->IsCancelled(); });
    return grpc::Status::CANCELLED;
  }
};

TEST(CallBudgetTest, AnIdentityThatTakesAllItsPlacesKeepsNobodyElseOut) {
  const testing::TemporaryDirectory directory;
  const auto token = [](const std::string& name) { return name + std::string(40, '0'); };
  std::ofstream(directory / "identities")
      << "viewer greedy sha256:" << Sha256Hex(token("greedy"))
      << "\noperator ada sha256:" << Sha256Hex(token("ada")) << "\n";
  Watched service;
  RpcServerOptions options;
  options.listen = "unix:" + (directory / "socket").string();
  options.security.identities_file = directory / "identities";
  options.surface = Surface::kOrchestrator;
  options.max_calls = 32;  // Some of these threads wait for calls.
  const auto server = RpcServer::Start(options, {&service});
  ASSERT_TRUE(server.ok()) << server.status();
  const auto stub = v1::Orchestrator::NewStub(MakeChannel(options.listen));
  const auto get = [&](const std::string& name) {
    grpc::ClientContext context;
    SetDeadline(context, absl::Minutes(1));
    context.AddMetadata(kAuthorization, BearerOf(token(name)));
    v1::Update update;
    return stub->GetUpdate(&context, {}, &update).error_code();
  };
  // Calls that end give their places back.
  for (int i = 0; i < 100; ++i) EXPECT_EQ(get("greedy"), grpc::StatusCode::UNIMPLEMENTED) << i;
  struct Watch {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::Update>> reader;
  };
  std::list<Watch> watches;
  v1::Update update;
  // Three quarters.
  for (int i = 0; i < 24; ++i) {
    Watch& watch = watches.emplace_back();
    SetDeadline(watch.context, absl::Minutes(1));
    watch.context.AddMetadata(kAuthorization, BearerOf(token("greedy")));
    watch.reader = stub->WatchUpdate(&watch.context, {});
    EXPECT_TRUE(watch.reader->Read(&update)) << i;
  }
  EXPECT_EQ(get("greedy"), grpc::StatusCode::RESOURCE_EXHAUSTED);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(get("ada"), grpc::StatusCode::UNIMPLEMENTED) << i;
  watches.back().context.TryCancel();
  EXPECT_FALSE(watches.back().reader->Read(&update));
  // The server notices it in a moment.
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  auto code = get("greedy");
  while (code == grpc::StatusCode::RESOURCE_EXHAUSTED &&
         std::chrono::steady_clock::now() < give_up) {
    code = get("greedy");
  }
  EXPECT_EQ(code, grpc::StatusCode::UNIMPLEMENTED);
  for (Watch& watch : watches) watch.context.TryCancel();
  for (Watch& watch : watches) watch.reader->Finish();
}

}  // namespace
}  // namespace backfire::runtime
