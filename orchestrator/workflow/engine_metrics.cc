#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/workflow/engine_state.h"
#include "services/runtime/sampled_family.h"

namespace backfire::workflow {
namespace {

using Families = std::vector<prometheus::MetricFamily>;
using runtime::AddSample;
using runtime::GaugeFamily;

// Every value of a protobuf enum but the one that is never sent.
std::vector<std::string> NamesOf(const google::protobuf::EnumDescriptor* values) {
  std::vector<std::string> names;
  for (int i = 0; i < values->value_count(); ++i) {
    if (values->value(i)->number() != 0) names.push_back(values->value(i)->name());
  }
  return names;
}

// The latest decided update that has a verdict; null: there is none.
const v1::Update* LatestDecided(const std::map<int64_t, store::UpdateRecord>& updates) {
  const v1::Update* latest = nullptr;
  for (const auto& [number, record] : updates) {
    const v1::Update& update = record.update;
    if (!update.has_verdict() || IsOpen(update)) continue;
    if (latest == nullptr || latest->end_time() < update.end_time()) latest = &update;
  }
  return latest;
}

void AddLatest(const v1::Update* update, Families& families) {
  prometheus::MetricFamily about = GaugeFamily("backfire_latest_update",
                                               "Number of the update that was decided last, with "
                                               "what it changed and what it was found to be.");
  prometheus::MetricFamily losses = GaugeFamily(
      "backfire_latest_update_loss",
      "Mean losses that its verdict compares: before, swapped (not retrained) and after.");
  prometheus::MetricFamily differences = GaugeFamily(
      "backfire_latest_update_loss_difference",
      "after - before, and the bounds of its confidence interval; more than 0 is worse.");
  prometheus::MetricFamily margins = GaugeFamily(
      "backfire_latest_update_loss_margin", "By how much it may grow and still count as no worse.");
  if (update != nullptr) {
    const v1::Verdict& verdict = update->verdict();
    AddSample(
        about,
        {{"vertex", update->vertex()},
         {"recipe", update->recipe().name()},
         {"verdict", v1::Verdict::Outcome_Name(verdict.outcome())},
         {"state", v1::Update::State_Name(update->state())}},
        static_cast<double>(std::stoll(update->name().substr(update->name().rfind('/') + 1))));
    for (const v1::LossComparison& comparison : verdict.comparisons()) {
      std::map<std::string, std::string> labels = {
          {"vertex", comparison.vertex()},
          {"loss", comparison.loss()},
          {"slice", comparison.slice()},
          {"role", comparison.candidate() ? "candidate" : "descendant"},
          {"evidence", comparison.judged() ? v1::LossComparison::Outcome_Name(comparison.outcome())
                                           : "NOT_JUDGED"}};
      AddSample(margins, labels, comparison.margin());
      const auto add = [&labels](prometheus::MetricFamily& family, const char* label,
                                 const char* value, double number) {
        if (std::isnan(number)) return;  // What there is not, such as a swapped candidate.
        labels[label] = value;
        AddSample(family, labels, number);
        labels.erase(label);
      };
      add(losses, "point", "before", comparison.before());
      add(losses, "point", "swapped", comparison.swapped());
      add(losses, "point", "after", comparison.after());
      add(differences, "bound", "mean", comparison.difference());
      add(differences, "bound", "low", comparison.interval_low());
      add(differences, "bound", "high", comparison.interval_high());
    }
  }
  for (auto* family : {&about, &losses, &differences, &margins}) {
    families.push_back(std::move(*family));
  }
}

}  // namespace

Engine::Metrics::Metrics(prometheus::Registry& registry)
    : steps(prometheus::BuildCounter()
                .Name("backfire_steps_total")
                .Help("Steps of updates that ended, by kind and state.")
                .Register(registry)),
      step_seconds(prometheus::BuildHistogram()
                       .Name("backfire_step_seconds")
                       .Help("From a step's start to its end, waiting included.")
                       .Register(registry)),
      updates(prometheus::BuildCounter()
                  .Name("backfire_updates_total")
                  .Help("Updates that reached a state, since the start.")
                  .Register(registry)),
      verdicts(prometheus::BuildCounter()
                   .Name("backfire_verdicts_total")
                   .Help("Verdicts, since the start.")
                   .Register(registry)),
      live_release(prometheus::BuildGauge()
                       .Name("backfire_live_release")
                       .Help("Number of the live release; 0: none.")
                       .Register(registry)
                       .Add({})),
      epoch(prometheus::BuildGauge()
                .Name("backfire_epoch")
                .Help("Epoch of the live release.")
                .Register(registry)
                .Add({})) {
  // From 0 on: of a counter that appears with its first event, increase() doesn't see that event,
  // and the alert for it would stay silent.
  for (const std::string& state : NamesOf(v1::Update::State_descriptor())) {
    updates.Add({{"state", state}});
  }
  for (const std::string& outcome : NamesOf(v1::Verdict::Outcome_descriptor())) {
    verdicts.Add({{"verdict", outcome}});
  }
}

std::vector<prometheus::MetricFamily> Engine::SampleMetrics() const {
  Families families;
  std::map<std::string, int64_t> updates, releases;
  for (const std::string& name : NamesOf(v1::Update::State_descriptor())) updates[name] = 0;
  for (const std::string& name : NamesOf(v1::Release::State_descriptor())) releases[name] = 0;
  std::map<std::string, int64_t> steps = {{"waiting", 0}, {"running", 0}};
  double idle_seconds = 0;
  int64_t epoch = 0, behind = 0, in_flight = 0;
  double oldest_request_seconds = 0;
  std::vector<v1::Gateway> gateways;
  {
    MutexLock lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    for (const auto& [number, record] : contents_.updates) {
      ++updates[v1::Update::State_Name(record.update.state())];
      if (!IsOpen(record.update)) continue;
      for (const store::StepRecord& step : record.steps) {
        if (step.step.state() == v1::Step::WAITING) ++steps["waiting"];
        if (step.step.state() == v1::Step::RUNNING) ++steps["running"];
      }
      const auto moved = moved_.find(number);
      // One that waits for others to end is not stuck; they may be.
      if (moved == moved_.end() || record.update.state() == v1::Update::PROPOSED) continue;
      idle_seconds =
          std::max(idle_seconds, std::chrono::duration<double>(now - moved->second).count());
    }
    for (const auto& [number, release] : contents_.releases) {
      ++releases[v1::Release::State_Name(release.state())];
    }
    gateways = gateways_.List(now);
    epoch = Epoch();
    AddLatest(LatestDecided(contents_.updates), families);
  }
  for (const v1::Gateway& gateway : gateways) {
    if (gateway.epoch() < epoch) ++behind;
    in_flight += gateway.requests_in_flight();
    oldest_request_seconds = std::max(oldest_request_seconds, gateway.oldest_request_seconds());
  }

  const auto add_by = [&families](prometheus::MetricFamily family,
                                  const std::map<std::string, int64_t>& counts) {
    for (const auto& [state, count] : counts) {
      AddSample(family, {{"state", state}}, static_cast<double>(count));
    }
    families.push_back(std::move(family));
  };
  const auto add = [&families](prometheus::MetricFamily family, double value) {
    AddSample(family, {}, value);
    families.push_back(std::move(family));
  };
  add_by(GaugeFamily("backfire_updates", "Updates that are in a state now."), updates);
  add_by(GaugeFamily("backfire_releases", "Releases that are in a state now."), releases);
  add_by(GaugeFamily("backfire_steps", "Steps of open updates that wait, or run."), steps);
  add(GaugeFamily("backfire_update_idle_seconds",
                  "For how long nothing has moved on, neither a step nor its progress, in the open "
                  "update in which that is longest; 0: none is under way."),
      idle_seconds);
  add(GaugeFamily("backfire_gateways", "Gateways that are heard of."),
      static_cast<double>(gateways.size()));
  add(GaugeFamily("backfire_gateways_behind", "Those of them that don't serve the live epoch yet."),
      static_cast<double>(behind));
  add(GaugeFamily("backfire_gateways_requests", "Requests that they have in flight."),
      static_cast<double>(in_flight));
  add(GaugeFamily("backfire_gateways_oldest_request_seconds", "Age of the oldest of these."),
      oldest_request_seconds);
  return families;
}

}  // namespace backfire::workflow
