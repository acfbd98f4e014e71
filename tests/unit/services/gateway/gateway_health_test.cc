#include "services/gateway/gateway_health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/toy_system.h"

namespace backfire::gateway {
namespace {

using ::testing::IsSupersetOf;
using ::testing::Pair;

// `right` needs itself alone, `sum` needs `left`.
ReleaseView ToyView(int64_t live) {
  ReleaseView view;
  view.graph = *graph::SystemGraph::Build(
      testing::ToySystem([](const std::string& name) { return name + ":1"; }));
  view.live = live;
  view.epoch = live;
  return view;
}

class GatewayHealthTest : public ::testing::Test {
 protected:
  void Begin() {
    health_.Begin([this](const std::string& name, bool serves) { shown_[name] = serves; });
  }
  // The samples of a gauge, by the value of their only label.
  std::map<std::string, double> Gauge(const std::string& name) {
    std::map<std::string, double> samples;
    for (const prometheus::MetricFamily& family : health_.Metrics()) {
      if (family.name != name) continue;
      for (const prometheus::ClientMetric& metric : family.metric) {
        samples[metric.label.empty() ? "" : metric.label[0].value] = metric.gauge.value;
      }
    }
    return samples;
  }
  GatewayHealth health_;
  std::map<std::string, bool> shown_;
};

TEST_F(GatewayHealthTest, AVertexThatCannotServeTakesDownWhatNeedsItAndNothingElse) {
  const ReleaseView view = ToyView(3);
  health_.Released(&view, true);
  health_.Probed({{"left", ""}, {"right", ""}, {"sum", ""}});
  Begin();
  EXPECT_THAT(shown_, IsSupersetOf({Pair("", true), Pair("orchestrator", true), Pair("toy", true),
                                    Pair("left", true), Pair("right", true), Pair("sum", true)}));
  health_.Probed({{"left", "it hangs"}, {"right", ""}, {"sum", ""}});
  EXPECT_THAT(shown_, IsSupersetOf({Pair("", true), Pair("toy", false), Pair("left", false),
                                    Pair("right", true), Pair("sum", false)}));
  EXPECT_EQ(Gauge("backfire_gateway_vertex_ready"),
            (std::map<std::string, double>{{"left", 0}, {"right", 1}, {"sum", 1}}));
  EXPECT_EQ(Gauge("backfire_gateway_live_release")[""], 3);
  health_.Released(&view, false);
  EXPECT_FALSE(shown_.at("orchestrator"));
  EXPECT_TRUE(shown_.at("")) << "it serves what it knows";
}

TEST_F(GatewayHealthTest, WithoutALiveReleaseNothingServes) {
  Begin();
  EXPECT_FALSE(shown_.at(""));
  EXPECT_EQ(Gauge("backfire_gateway_live_release")[""], 0);
  const ReleaseView view = ToyView(0);
  health_.Released(&view, true);
  EXPECT_FALSE(shown_.at("toy"));
  const ReleaseView live = ToyView(1);
  health_.Released(&live, true);
  EXPECT_FALSE(shown_.at("toy")) << "nobody has been asked";
  health_.Probed({{"left", ""}, {"right", ""}, {"sum", ""}});
  EXPECT_TRUE(shown_.at("toy"));
}

TEST_F(GatewayHealthTest, AVertexThatHasGoneServesNoMore) {
  const ReleaseView view = ToyView(1);
  Begin();
  health_.Released(&view, true);
  health_.Probed({{"left", ""}, {"right", ""}, {"sum", ""}});
  v1::System system = view.graph.system();
  system.set_name("small");
  system.mutable_vertices()->DeleteSubrange(1, system.vertices_size() - 1);
  system.mutable_outputs()->clear();
  const std::string left = system.vertices(0).name();
  ASSERT_EQ(left, "left");
  (*system.mutable_outputs())["y"] = "left.y";
  auto graph = graph::SystemGraph::Build(system);
  ASSERT_TRUE(graph.ok()) << graph.status();
  ReleaseView smaller;
  smaller.graph = *std::move(graph);
  smaller.live = 2;
  health_.Released(&smaller, true);
  health_.Probed({{"left", ""}});
  EXPECT_THAT(shown_, IsSupersetOf({Pair("small", true), Pair("left", true), Pair("toy", false),
                                    Pair("right", false), Pair("sum", false)}));
  EXPECT_EQ(Gauge("backfire_gateway_vertex_ready").size(), 1u);
}

}  // namespace
}  // namespace backfire::gateway
