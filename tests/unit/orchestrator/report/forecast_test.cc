#include "orchestrator/report/forecast.h"

#include <gtest/gtest.h>

namespace backfire::report {
namespace {

using v1::Step;

// u feeds v, v feeds w1 and w2.
v1::System Diamond(int parallel_jobs) {
  v1::System system;
  system.set_parallel_jobs(parallel_jobs);
  for (const auto& [name, source] :
       {std::pair("u", "request.x"), {"v", "u.y"}, {"w1", "v.y"}, {"w2", "v.y"}}) {
    v1::Vertex& vertex = *system.add_vertices();
    vertex.set_name(name);
    (*vertex.mutable_inputs())["in"] = source;
  }
  return system;
}

Step& Add(v1::Update& update, Step::Kind kind, const char* vertex, Step::State state,
          double seconds = 0, int replicate = 0) {
  Step& step = *update.add_steps();
  step.set_kind(kind);
  step.set_vertex(vertex);
  step.set_state(state);
  step.set_compute_seconds(seconds);
  step.set_replicate(replicate);
  return step;
}

// What every step took in the baseline.
v1::Update Baseline() {
  v1::Update update;
  for (const auto& [vertex, seconds] :
       {std::pair("u", 100.0), {"v", 10.0}, {"w1", 60.0}, {"w2", 50.0}}) {
    Add(update, Step::TRAIN, vertex, Step::SUCCEEDED, seconds);
    Add(update, Step::EVALUATE, vertex, Step::SUCCEEDED, 1);
  }
  return update;
}

v1::Update Waiting() {
  v1::Update update;
  for (const char* vertex : {"u", "v", "w1", "w2"}) {
    Add(update, Step::TRAIN, vertex, Step::WAITING);
    Add(update, Step::EVALUATE, vertex, Step::WAITING);
  }
  Add(update, Step::LOAD, "u", Step::WAITING);
  return update;
}

TEST(ForecastTest, StepsThatWaitForEachOtherAreAChain) {
  Forecast forecast(Diamond(4));
  forecast.Learn(Baseline());
  // Train u, v, w1, and evaluate it.
  EXPECT_EQ(forecast.SecondsLeft(Waiting()), 100 + 10 + 60 + 1);
}

TEST(ForecastTest, WorkIsSharedByWhatRunsAtOnce) {
  Forecast forecast(Diamond(1));
  forecast.Learn(Baseline());
  EXPECT_EQ(forecast.SecondsLeft(Waiting()), 220 + 4);
  // As many as were seen to run at once, where the system does not say.
  Forecast seen(Diamond(0));
  seen.Learn(Baseline());
  EXPECT_EQ(seen.SecondsLeft(Waiting()), 220 + 4);
  v1::Update running = Waiting();
  for (Step& step : *running.mutable_steps()) step.set_state(Step::RUNNING);
  seen.SecondsLeft(running);
  EXPECT_EQ(seen.SecondsLeft(Waiting()), 171);
}

TEST(ForecastTest, ARunningStepTakesWhatItsServiceSays) {
  Forecast forecast(Diamond(4));
  forecast.Learn(Baseline());
  v1::Update update = Waiting();
  update.mutable_steps(0)->set_state(Step::RUNNING);
  update.mutable_steps(0)->mutable_progress()->set_eta_seconds(40);
  EXPECT_EQ(forecast.SecondsLeft(update), 40 + 10 + 60 + 1);
}

TEST(ForecastTest, TheUpdatesOwnStepsSayMore) {
  Forecast forecast(Diamond(1));
  forecast.Learn(Baseline());
  v1::Update update;
  Add(update, Step::TRAIN, "u", Step::SUCCEEDED, 7);
  Add(update, Step::TRAIN, "u", Step::WAITING, 0, 1);
  forecast.Learn(update);
  EXPECT_EQ(forecast.SecondsLeft(update), 7);
}

TEST(ForecastTest, WhatWasThereAlreadyWouldHaveTakenWhatItSaved) {
  Forecast forecast(Diamond(1));
  v1::Update update;
  Add(update, Step::TRAIN, "u", Step::SUCCEEDED).set_saved_seconds(30);
  Add(update, Step::TRAIN, "u", Step::WAITING, 0, 1);
  forecast.Learn(update);
  EXPECT_EQ(forecast.SecondsLeft(update), 30);
}

TEST(ForecastTest, WhatIsNotKnownIsNotForecast) {
  Forecast forecast(Diamond(1));
  EXPECT_FALSE(forecast.SecondsLeft(Waiting()).has_value());
  EXPECT_EQ(forecast.SecondsLeft(v1::Update()), 0);
}

}  // namespace
}  // namespace backfire::report
