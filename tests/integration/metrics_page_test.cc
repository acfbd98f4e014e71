// docs/metrics.md against the pages of running processes.
#include "tests/support/metrics_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <regex>
#include <thread>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/base/file.h"
#include "tests/support/orchestrator_fixture.h"
#include "tests/support/toy_client.h"

namespace backfire {
namespace {

using ::testing::IsEmpty;
using testing::MetricsPage;
using testing::ToyClient;
using ::testing::UnorderedElementsAreArray;

/// A row of a table: `counter kind,state`.
using Documented = std::map<std::string, std::string>;  // By name.

// The tables of docs/metrics.md by their headings.
std::map<std::string, Documented> ReadDocumentation() {
  std::map<std::string, Documented> tables;
  const auto text = ReadFile(BACKFIRE_SOURCE_DIR "/docs/metrics.md");
  EXPECT_TRUE(text.ok()) << text.status();
  std::string heading;
  const std::vector<std::string> lines = absl::StrSplit(text.value_or(""), '\n');
  for (const std::string& line : lines) {
    if (line.substr(0, 3) == "## ") heading = line.substr(3);
    if (line.substr(0, 3) != "| `") continue;
    const std::vector<std::string> cells = absl::StrSplit(line, '|');
    EXPECT_EQ(cells.size(), 6u) << line;
    const auto cell = [&](size_t i) {
      return std::string(absl::StripAsciiWhitespace(cells.at(i)));
    };
    EXPECT_FALSE(cell(4).empty()) << line;
    const std::string labels = absl::StrReplaceAll(cell(3), {{", ", ","}});
    const std::string name(absl::StripSuffix(absl::StripPrefix(cell(1), "`"), "`"));
    EXPECT_TRUE(tables[heading].emplace(name, cell(2) + " " + labels).second) << line;
  }
  return tables;
}

class MetricsTest : public testing::OrchestratorFixture {
 protected:
  MetricsTest() : OrchestratorFixture(BACKFIRE_TOY_SERVICE, BACKFIRE_ORCHESTRATOR) {}
  void SetUp() override {
    for (const char* name : {"a", "b"}) {
      Start(name, {toy_service_, "--listen=" + Target(name), "--metrics-listen=localhost:0",
                   "--data-dir=" + (directory_ / (std::string(name) + ".d")).string(), "--batch=2",
                   "--batch-wait-ms=1"});
      ASSERT_TRUE(testing::WaitUntilReady(Target(name), *processes_.at(name)));
    }
    StartOrchestrator({"--metrics-listen=localhost:0"});
    v1::System system = System();
    system.set_replicates(2);
    Apply(system);
    Start("g", {BACKFIRE_GATEWAY, "--listen=" + Target("g"), "--orchestrator=" + Target("o"),
                "--metrics-listen=localhost:0"});
    ASSERT_TRUE(testing::WaitUntilReady(Target("g"), *processes_.at("g")));
  }
  // The page of a process, which has said in its log where it is.
  MetricsPage Scrape(const std::string& process) {
    const std::string log = processes_.at(process)->Log();
    std::smatch match;
    if (!std::regex_search(log, match, std::regex("metrics=(localhost:[0-9]+)"))) {
      ADD_FAILURE() << log;
      return {};
    }
    auto page = testing::ScrapeMetrics(match[1]);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.value_or(MetricsPage());
  }
  // What a page has seen so far: some series are there only while something runs.
  void See(const MetricsPage& page, Documented& seen, std::map<std::string, std::string>& help) {
    for (const auto& [name, family] : page.families) {
      help[name] = family.help;
      if (family.samples.empty()) continue;
      std::string& row = seen[name];
      const std::string now = family.type + " " + absl::StrJoin(family.labels, ",");
      if (now.size() > row.size()) row = now;
    }
  }
  Documented seen_service_, seen_gateway_, seen_orchestrator_;
  std::map<std::string, std::string> help_;
};

TEST_F(MetricsTest, TheDocumentationHasEveryMetricAndNoOther) {
  const std::string update = Propose("slow", "left", 0.5, /*seconds=*/2);
  WaitForStep(update, "train/left/0", v1::Step::RUNNING);
  ASSERT_TRUE(ToyClient(Target("g")).Infer("toy", "", "x", 1).ok());
  // As long as it runs: not all that is there only meanwhile is there from the start.
  while (StepOf(Get(update), "train/left/0").state() == v1::Step::RUNNING) {
    See(Scrape("a"), seen_service_, help_);
  }
  const v1::Update decided = WaitForEnd(update);
  ASSERT_EQ(decided.state(), v1::Update::DECIDED) << decided.error_message();
  See(Scrape("a"), seen_service_, help_);
  See(Scrape("b"), seen_service_, help_);
  See(Scrape("g"), seen_gateway_, help_);
  See(Scrape("o"), seen_orchestrator_, help_);

  std::map<std::string, Documented> tables = ReadDocumentation();
  Documented every = tables["Every process"];
  every.erase("backfire_calls_refused_total");  // These processes ask nobody who calls.
  every.erase("backfire_tls_certificate_expiry_timestamp_seconds");  // Nor do they show one.
  tables["Model services"].erase("backfire_training_loss");          // Which toy models don't have.
  const auto compare = [&](const std::string& heading, const Documented& seen) {
    Documented documented = every;
    documented.insert(tables[heading].begin(), tables[heading].end());
    EXPECT_THAT(seen, UnorderedElementsAreArray(documented)) << heading;
  };
  compare("Model services", seen_service_);
  compare("Gateway", seen_gateway_);
  compare("Orchestrator", seen_orchestrator_);
  for (const auto& [name, help] : help_) EXPECT_FALSE(help.empty()) << name;
}

TEST_F(MetricsTest, TheLatestVerdictIsOnThePage) {
  const std::string update = Propose("worse", "left", 0.5);
  const v1::Update decided = WaitForEnd(update);
  ASSERT_TRUE(decided.has_verdict()) << decided.error_message();
  const MetricsPage page = Scrape("o");
  EXPECT_EQ(
      page.Value("backfire_latest_update{recipe=\"least-squares\",state=\"DECIDED\",verdict=\"" +
                 v1::Verdict::Outcome_Name(decided.verdict().outcome()) + "\",vertex=\"left\"}"),
      2);
  EXPECT_EQ(page.Value("backfire_updates{state=\"DECIDED\"}"), 1);
  EXPECT_EQ(page.Value("backfire_updates{state=\"FAILED\"}"), 0);
  EXPECT_EQ(page.Value("backfire_updates_total{state=\"FAILED\"}"), 0);
  EXPECT_EQ(page.Value("backfire_update_idle_seconds"), 0);
  for (const v1::LossComparison& comparison : decided.verdict().comparisons()) {
    const std::string labels =
        "evidence=\"" +
        (comparison.judged() ? v1::LossComparison::Outcome_Name(comparison.outcome())
                             : std::string("NOT_JUDGED")) +
        "\",loss=\"" + comparison.loss() + "\",";
    const std::string rest = std::string("role=\"") +
                             (comparison.candidate() ? "candidate" : "descendant") +
                             "\",slice=\"\",vertex=\"" + comparison.vertex() + "\"}";
    const auto loss = [&](const char* point) {
      return page.Value("backfire_latest_update_loss{" + labels + "point=\"" + point + "\"," +
                        rest);
    };
    EXPECT_FLOAT_EQ(loss("before"), comparison.before());
    EXPECT_FLOAT_EQ(loss("after"), comparison.after());
    EXPECT_EQ(std::isnan(loss("swapped")), std::isnan(comparison.swapped()));
    EXPECT_FLOAT_EQ(
        page.Value("backfire_latest_update_loss_difference{bound=\"mean\"," + labels + rest),
        comparison.difference());
  }
}

TEST_F(MetricsTest, SeriesOfAVersionGoWhenItIsUnloaded) {
  const std::string update = Propose("next", "left", 0.5);
  ASSERT_EQ(WaitForEnd(update).state(), v1::Update::DECIDED);
  ASSERT_TRUE(ToyClient(Target("g")).Infer("toy", "", "x", 1).ok());
  EXPECT_THAT(Scrape("a").Samples("backfire_inference_seconds_count{model=\"first\""),
              ::testing::SizeIs(1));
  // It answers requests as well: it is loaded, whatever is live.
  const std::string number(absl::StripPrefix(StepOf(Get(update), "train/left/0").version().name(),
                                             "models/first/versions/"));
  ASSERT_TRUE(ToyClient(Target("a")).Infer("first", number, "x", 1).ok());
  const std::string version = "model=\"first\",version=\"" + number + "\"";
  const std::string loaded = "backfire_version_loaded{model=\"first\",version=";
  MetricsPage page = Scrape("a");
  EXPECT_GE(page.Samples(loaded).size(), 2u);
  for (const char* series : {"backfire_version_loaded{", "backfire_inference_seconds_count{",
                             "backfire_inference_batch_size_count{"}) {
    EXPECT_FALSE(std::isnan(page.Value(series + version + "}"))) << series << version;
  }
  const auto losses = page.Samples("backfire_version_loss{");
  EXPECT_THAT(losses, ::testing::Contains(::testing::HasSubstr("version=\"" + number + "\"")));
  v1::CancelUpdateRequest cancel;
  cancel.set_name(update);
  ASSERT_TRUE(Call(&Stub::CancelUpdate, cancel).ok());
  // The orchestrator unloads what was staged for it.
  const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (Scrape("a").Samples(loaded).size() > 1 && std::chrono::steady_clock::now() < patience) {
  }
  page = Scrape("a");
  EXPECT_EQ(page.Samples(loaded).size(), 1u);
  EXPECT_THAT(page.Samples("version=\"" + number + "\""), IsEmpty());
  EXPECT_EQ(Scrape("o").Value("backfire_updates{state=\"REJECTED\"}"), 1);
}

// The hanging service has taken its job, and says nothing more.
TEST_F(MetricsTest, AnUpdateInWhichNothingMovesIsSeen) {
  const std::string update = Propose("stuck", "left", 0.5, /*seconds=*/600);
  WaitForStep(update, "train/left/0", v1::Step::RUNNING);
  EXPECT_EQ(Scrape("o").Value("backfire_updates{state=\"TRAINING_CANDIDATE\"}"), 1);
  EXPECT_GE(Scrape("o").Value("backfire_steps{state=\"running\"}"), 1);
  processes_.at("a")->Signal(SIGSTOP);
  const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  double idle = 0;
  while ((idle = Scrape("o").Value("backfire_update_idle_seconds")) < 1.5 &&
         std::chrono::steady_clock::now() < patience) {
  }
  EXPECT_GE(idle, 1.5);
  processes_.at("a")->Signal(SIGCONT);
  v1::CancelUpdateRequest cancel;
  cancel.set_name(update);
  ASSERT_TRUE(Call(&Stub::CancelUpdate, cancel).ok());
  WaitForEnd(update);
  EXPECT_EQ(Scrape("o").Value("backfire_update_idle_seconds"), 0);
}

}  // namespace
}  // namespace backfire
