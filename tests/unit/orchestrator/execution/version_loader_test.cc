#include "orchestrator/execution/version_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_services.h"

namespace backfire::execution {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr char kVersion[] = "models/m/versions/1";

class VersionLoaderTest : public ::testing::Test {
 protected:
  VersionLoaderTest() {
    v1::TrainRequest train;
    train.set_model("models/m");
    train.set_request_id("train");
    EXPECT_TRUE(services_
                    .Run(
                        "host", train, true, {}, [] { return Interrupt::kNone; },
                        [](const v1::Progress&) {})
                    .ok());
  }
  absl::Status Load(const std::vector<std::string>& replicas = {}) {
    v1::Vertex vertex;
    vertex.set_name("v");
    vertex.set_endpoint("host");
    for (const std::string& replica : replicas) vertex.add_replicas(replica);
    return loader_.Load({{vertex, kVersion}}, {}, [] { return false; });
  }
  testing::FakeClock clock_;
  testing::FakeServices services_;
  VersionLoader loader_{services_, clock_};
};

TEST_F(VersionLoaderTest, LoadsOnTheEndpointThenOnReplicasThatAreThere) {
  services_.FailLoading("away", absl::UnavailableError("away"));
  EXPECT_TRUE(Load({"near", "away"}).ok());
  EXPECT_THAT(services_.loaded(), UnorderedElementsAre(std::string("host ") + kVersion,
                                                       std::string("near ") + kVersion));
  services_.FailLoading("near", absl::InternalError("broken"));
  EXPECT_TRUE(absl::IsInternal(Load({"near"}))) << "this is no absence";
  services_.FailLoading("host", absl::UnavailableError("away"));
  const absl::Status status = Load();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("loading models/m/versions/1 failed at vertex v: away"));
}

// Loads everywhere but on one host, which hangs until whoever waits gives up.
class HangingHost : public VersionHost {
 public:
  HangingHost(testing::FakeServices& services, testing::FakeClock& clock)
      : services_(services), clock_(clock) {}
  absl::Status LoadVersion(const std::string& endpoint, const std::string& version,
                           const std::string& digest, const runtime::Patience& patience,
                           const std::function<bool()>& interrupted) override {
    if (endpoint != "hangs") {
      return services_.LoadVersion(endpoint, version, digest, patience, interrupted);
    }
    EXPECT_FALSE(interrupted());
    clock_.Advance(absl::Seconds(6));
    EXPECT_TRUE(interrupted()) << "replicas are not waited for so long";
    return absl::CancelledError("interrupted");
  }
  absl::Status UnloadVersion(const std::string& endpoint, const std::string& version) override {
    return services_.UnloadVersion(endpoint, version);
  }
  absl::StatusOr<v1::Model> GetModel(const std::string& endpoint,
                                     const std::string& name) override {
    return services_.GetModel(endpoint, name);
  }
  absl::StatusOr<v1::Recipe> ResolveRecipe(const std::string& endpoint,
                                           const v1::ResolveRecipeRequest& request) override {
    return services_.ResolveRecipe(endpoint, request);
  }
  absl::StatusOr<v1::Version> GetVersion(const std::string& endpoint,
                                         const std::string& name) override {
    return services_.GetVersion(endpoint, name);
  }
  absl::StatusOr<std::vector<v1::Version>> ListVersions(const std::string& endpoint,
                                                        const std::string& model) override {
    return services_.ListVersions(endpoint, model);
  }
  absl::Status DeleteVersion(const std::string& endpoint, const std::string& version) override {
    return services_.DeleteVersion(endpoint, version);
  }

 private:
  testing::FakeServices& services_;
  testing::FakeClock& clock_;
};

// Loads nowhere until a number of others are asked as well.
class WaitingHost final : public HangingHost {
 public:
  WaitingHost(testing::FakeServices& services, testing::FakeClock& clock, int wanted)
      : HangingHost(services, clock), wanted_(wanted) {}
  absl::Status LoadVersion(const std::string& endpoint, const std::string&, const std::string&,
                           const runtime::Patience&,
                           const std::function<bool()>& interrupted) override {
    ++asked_;
    if (endpoint == "broken") return absl::NotFoundError("no such version");
    while (asked_ < wanted_ && !interrupted()) std::this_thread::yield();
    return interrupted() ? absl::CancelledError("interrupted")
                         : absl::UnavailableError(endpoint + " is away");
  }

 private:
  const int wanted_;
  std::atomic<int> asked_ = 0;
};

std::vector<VersionLoader::VertexVersion> OnHosts(const std::vector<std::string>& hosts) {
  std::vector<VersionLoader::VertexVersion> versions;
  for (const std::string& host : hosts) {
    v1::Vertex vertex;
    vertex.set_name("at-" + host);
    vertex.set_endpoint(host);
    versions.push_back({vertex, kVersion, ""});
  }
  return versions;
}

TEST_F(VersionLoaderTest, VerticesAreAskedAtOnceAndThoseThatAreAwayAreNamed) {
  // It would wait for ever if one were asked after the other.
  WaitingHost host(services_, clock_, 3);
  VersionLoader loader(host, clock_);
  const absl::Status status = loader.Load(OnHosts({"a", "b", "c"}), {}, [] { return false; });
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(status.message(),
            "loading models/m/versions/1 failed at vertex at-a: a is away; "
            "loading models/m/versions/1 failed at vertex at-b: b is away; "
            "loading models/m/versions/1 failed at vertex at-c: c is away");
}

TEST_F(VersionLoaderTest, WhatCanNeverBeLoadedEndsTheWaitingForOthers) {
  WaitingHost host(services_, clock_, 1000);
  VersionLoader loader(host, clock_);
  const absl::Status status = loader.Load(OnHosts({"a", "broken"}), {}, [] { return false; });
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_EQ(status.message(),
            "loading models/m/versions/1 failed at vertex at-broken: no such version");
}

TEST_F(VersionLoaderTest, AReplicaThatHangsIsPassedOver) {
  HangingHost host(services_, clock_);
  VersionLoader loader(host, clock_);
  v1::Vertex vertex;
  vertex.set_endpoint("host");
  vertex.add_replicas("hangs");
  EXPECT_TRUE(loader.Load({{vertex, kVersion}}, {}, [] { return false; }).ok());
  EXPECT_THAT(services_.loaded(), ElementsAre(std::string("host ") + kVersion));
}

TEST_F(VersionLoaderTest, AReplicaWithOtherWeightsIsSaid) {
  const absl::Status status =
      loader_.LoadOnReplica({"near", "near", kVersion, "another digest"}, [] { return false; });
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("near has other weights by the name"));
}

TEST_F(VersionLoaderTest, WhatBecameNeededMeanwhileIsNotUnloaded) {
  const ServedVersion kept("host", "models/m/versions/1"), other("host", "models/m/versions/2");
  std::vector<std::string> unloaded;
  loader_.Unload(
      {kept, other}, [&] { return std::set<ServedVersion>{kept}; },
      [&](const ServedVersion& served, const absl::Status&) { unloaded.push_back(served.second); });
  EXPECT_THAT(unloaded, ElementsAre("models/m/versions/2"));
}

TEST_F(VersionLoaderTest, ALoadWaitsForTheUnloadingOfTheSame) {
  std::atomic<bool> is_loaded{false};
  std::thread loading;
  loader_.Unload(
      {{"host", kVersion}},
      [&] {
        // Somebody wants it from here on, and must not get it before it is gone.
        loading = std::thread([&] {
          EXPECT_TRUE(Load().ok());
          is_loaded = true;
        });
        return std::set<ServedVersion>();
      },
      [&](const ServedVersion&, const absl::Status&) { EXPECT_FALSE(is_loaded); });
  loading.join();
  const std::vector<std::string> calls = services_.calls();
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(calls[1], std::string("unload host ") + kVersion);
  EXPECT_EQ(calls[2], std::string("load host ") + kVersion);
}

TEST_F(VersionLoaderTest, WaitingCanBeInterrupted) {
  loader_.Unload(
      {{"host", kVersion}},
      [&] {
        const absl::Status status =
            loader_.LoadOnReplica({"host", "host", kVersion, ""}, [] { return true; });
        EXPECT_TRUE(absl::IsCancelled(status)) << status;
        return std::set<ServedVersion>();
      },
      [](const ServedVersion&, const absl::Status&) {});
}

TEST_F(VersionLoaderTest, AnEndpointThatLooksAtNoDigestIsAskedForIt) {
  v1::Vertex vertex;
  vertex.set_endpoint("host");
  const auto load = [&](const std::string& digest) {
    return loader_.Load({{vertex, kVersion, digest}}, {}, [] { return false; });
  };
  EXPECT_TRUE(load(services_.GetVersion("host", kVersion)->digest()).ok());
  EXPECT_TRUE(load("").ok());
  const absl::Status status = load("another digest");
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("restore it from a backup"));
}

}  // namespace
}  // namespace backfire::execution
