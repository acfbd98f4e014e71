#include "orchestrator/metrics/orchestrator_metrics.h"

#include <google/protobuf/descriptor.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "orchestrator/records/update_state.h"
#include "services/rpc/sampled_family.h"

namespace backfire::metrics {
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

OrchestratorMetrics::OrchestratorMetrics(prometheus::Registry& registry, const Clock& clock)
    : clock_(clock),
      steps_(prometheus::BuildCounter()
                 .Name("backfire_steps_total")
                 .Help("Steps of updates that ended, by kind and state.")
                 .Register(registry)),
      step_seconds_(prometheus::BuildHistogram()
                        .Name("backfire_step_seconds")
                        .Help("From a step's start to its end, waiting included.")
                        .Register(registry)),
      updates_(prometheus::BuildCounter()
                   .Name("backfire_updates_total")
                   .Help("Updates that reached a state, since the start.")
                   .Register(registry)),
      verdicts_(prometheus::BuildCounter()
                    .Name("backfire_verdicts_total")
                    .Help("Verdicts, since the start.")
                    .Register(registry)),
      live_release_(prometheus::BuildGauge()
                        .Name("backfire_live_release")
                        .Help("Number of the live release; 0: none.")
                        .Register(registry)
                        .Add({})),
      epoch_(prometheus::BuildGauge()
                 .Name("backfire_epoch")
                 .Help("Epoch of the live release.")
                 .Register(registry)
                 .Add({})) {
  // From 0 on: of a counter that appears with its first event, increase() doesn't see that event,
  // and the alert for it would stay silent.
  for (const std::string& state : NamesOf(v1::Update::State_descriptor())) {
    updates_.Add({{"state", state}});
  }
  for (const std::string& outcome : NamesOf(v1::Verdict::Outcome_descriptor())) {
    verdicts_.Add({{"verdict", outcome}});
  }
}

void OrchestratorMetrics::ShowLive(const records::State& state) {
  live_release_.Set(static_cast<double>(state.live));
  epoch_.Set(static_cast<double>(state.epoch));
}

void OrchestratorMetrics::Begin(const records::State& state) {
  ShowLive(state);
  MutexLock lock(mutex_);
  for (const auto& [number, update] : state.updates) moved_[number] = clock_.Steady();
}

void OrchestratorMetrics::Count(const ledger::Ledger::Committed& committed) {
  const records::Change& change = committed.change;
  const auto count_update = [&](const v1::Update& update) {
    const std::string state = v1::Update::State_Name(update.state());
    spdlog::info("update state={} update={}", state, update.name());
    updates_.Add({{"state", state}}).Increment();
  };
  for (const auto& update : change.added) count_update(update->update());
  for (const auto& [number, changed] : change.updates) {
    if (changed.update.state() != changed.from) count_update(changed.update);
    if (changed.update.has_verdict() && changed.update.state() == v1::Update::DECIDED &&
        changed.from != v1::Update::DECIDED) {
      verdicts_.Add({{"verdict", v1::Verdict::Outcome_Name(changed.update.verdict().outcome())}})
          .Increment();
    }
  }
  for (const auto& [number, changed] : change.releases) {
    const v1::Release& release = changed.record.release;
    spdlog::info("release state={} release={}", v1::Release::State_Name(release.state()),
                 release.name());
  }
  ShowLive(committed.after);
  MutexLock lock(mutex_);
  const auto move = [&](int64_t number) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (committed.after.FindUpdate(number) != nullptr) {
      moved_[number] = clock_.Steady();
    } else {
      moved_.erase(number);
    }
  };
  for (const auto& update : change.added) move(update->number());
  for (const auto& [number, changed] : change.updates) move(number);
  for (const auto& [ref, changed] : change.steps) move(ref.update);
}

void OrchestratorMetrics::CountStep(const v1::Step& step, const std::string& update,
                                    double seconds) {
  const std::string kind = v1::Step::Kind_Name(step.kind());
  const std::string state = v1::Step::State_Name(step.state());
  steps_.Add({{"kind", kind}, {"state", state}}).Increment();
  step_seconds_
      .Add({{"kind", kind}},
           prometheus::Histogram::BucketBoundaries{0.1, 1, 10, 60, 300, 1800, 7200, 28800})
      .Observe(seconds);
  spdlog::info("step state={} update={} step={} seconds={:.1f}", state, update, step.id(), seconds);
}

void OrchestratorMetrics::NoteMove(int64_t update) {
  MutexLock lock(mutex_);
  const auto known = moved_.find(update);
  if (known != moved_.end()) known->second = clock_.Steady();
}

double OrchestratorMetrics::IdleSeconds(const records::State& state) const {
  const auto now = clock_.Steady();
  double idle = 0;
  MutexLock lock(mutex_);
  for (const auto& [number, update] : state.updates) {
    // One that waits for others to end is not stuck; they may be.
    if (!records::IsOpen(update->update()) || update->update().state() == v1::Update::PROPOSED) {
      continue;
    }
    const auto moved = moved_.find(number);
    if (moved == moved_.end()) continue;
    idle = std::max(idle, std::chrono::duration<double>(now - moved->second).count());
  }
  return idle;
}

std::vector<prometheus::MetricFamily> OrchestratorMetrics::Sample(
    const records::State& state, const store::Repository& history,
    const std::vector<v1::Gateway>& gateways) const {
  Families families;
  std::map<std::string, int64_t> updates, releases;
  for (const std::string& name : NamesOf(v1::Update::State_descriptor())) updates[name] = 0;
  for (const std::string& name : NamesOf(v1::Release::State_descriptor())) releases[name] = 0;
  const auto counted_updates = history.CountUpdates();
  if (counted_updates.ok()) {
    for (const auto& [is, count] : *counted_updates) updates[v1::Update::State_Name(is)] = count;
  }
  const auto counted_releases = history.CountReleases();
  if (counted_releases.ok()) {
    for (const auto& [is, count] : *counted_releases) {
      releases[v1::Release::State_Name(is)] = count;
    }
  }
  std::map<std::string, int64_t> steps = {{"waiting", 0}, {"running", 0}};
  for (const auto& [number, update] : state.updates) {
    if (!records::IsOpen(update->update())) continue;
    for (size_t i = 0; i < update->step_count(); ++i) {
      if (update->step(i).step.state() == v1::Step::WAITING) ++steps["waiting"];
    }
    steps["running"] += static_cast<int64_t>(update->Running().size());
  }
  const auto latest = history.ReadLatestVerdict();
  AddLatest(latest.ok() && latest->has_value() ? &**latest : nullptr, families);
  int64_t behind = 0, in_flight = 0;
  double oldest_request_seconds = 0;
  for (const v1::Gateway& gateway : gateways) {
    if (gateway.epoch() < state.epoch) ++behind;
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
      IdleSeconds(state));
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

}  // namespace backfire::metrics
