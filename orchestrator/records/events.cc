#include "orchestrator/records/events.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "orchestrator/records/resource_name.h"
#include "orchestrator/records/update_state.h"

namespace backfire::records {
namespace {

using v1::Release;
using v1::Update;

v1::Event Make(const std::string& subject, const std::string& kind, const std::string& actor,
               std::string message) {
  v1::Event event;
  event.set_subject(subject);
  event.set_kind(kind);
  event.set_actor(actor);
  event.set_message(std::move(message));
  return event;
}

// `: why`, where somebody said why.
std::string Because(const std::string& reason) {
  return reason.empty() ? "" : absl::StrCat(": ", reason);
}

std::string ProposalText(const Update& update) {
  if (update.baseline()) {
    return absl::StrCat("the baseline of revision ", update.system_revision());
  }
  if (CompletesReplicates(update)) {
    return absl::StrCat("the replicates that ", update.baseline_release(), " lacks");
  }
  return absl::StrCat(
      update.vertex(), " by ",
      update.version().empty() ? absl::StrCat("recipe ", update.recipe().name()) : update.version(),
      ", compared with ", update.baseline_release());
}

const char* PhaseText(Update::State state) {
  switch (state) {
    case Update::TRAINING_CANDIDATE:
      return "trains what is proposed";
    case Update::EVALUATING_CANDIDATE:
      return "evaluates what is proposed";
    case Update::RETRAINING:
      return "retrains the descendants";
    default:
      return "evaluates the descendants, and loads the release";
  }
}

std::string VerdictText(const Update& update) {
  return absl::StrCat(v1::Verdict::Outcome_Name(update.verdict().outcome()),
                      update.release().empty() ? "" : absl::StrCat("; made ", update.release()));
}

// Of an update that goes from one state to another.
v1::Event Moved(Update::State from, const Update& update, const std::string& actor) {
  const std::string& name = update.name();
  const std::string state = Update::State_Name(update.state());
  switch (update.state()) {
    case Update::PROPOSED:
      return Make(name, "RETRIED", actor, "goes on from where it failed");
    case Update::DECIDED:
      return Make(name, state, "", VerdictText(update));
    case Update::PROMOTED:
      return Make(name, state, update.end_actor(),
                  absl::StrCat("its ", update.release(), " is live", Because(update.end_reason())));
    case Update::FAILED:
      return Make(name, "STEP_FAILED", "", update.error_message());
    case Update::REJECTED:
    case Update::CANCELLED:
      return Make(name, state, update.end_actor(), update.end_reason());
    default:
      return Make(name, from == Update::PROPOSED ? "STARTED" : state, "",
                  PhaseText(update.state()));
  }
}

void AddUpdateEvents(const State& before, int64_t number, const UpdateChange& changed,
                     const std::string& actor, std::vector<v1::Event>& events) {
  const Update& update = changed.update;
  const OpenUpdate* known = before.FindUpdate(number);
  for (int i = known == nullptr ? update.earlier_looks_size()
                                : known->update().earlier_looks_size();
       i < update.earlier_looks_size(); ++i) {
    const v1::Verdict& look = update.earlier_looks(i);
    events.push_back(Make(
        update.name(), "LOOKED", "",
        absl::StrCat("look ", look.look(), " of ", look.planned_looks(), ", ", look.replicates(),
                     " replicates: ", v1::Verdict::Outcome_Name(look.outcome()))));
  }
  if (update.state() != changed.from) events.push_back(Moved(changed.from, update, actor));
}

void AddReleaseEvents(const State& before, const ReleaseChange& changed,
                      std::vector<v1::Event>& events) {
  const Release& release = changed.record.release;
  const v1::ReleaseEvent last =
      release.history().empty() ? v1::ReleaseEvent() : *release.history().rbegin();
  const auto add = [&](const std::string& kind, const std::string& message) {
    events.push_back(Make(release.name(), kind, last.actor(), message));
  };
  if (release.state() == changed.from) return;
  switch (release.state()) {
    case Release::LIVE:
      add(last.kind() == v1::ReleaseEvent::ROLLED_BACK_TO ? "ROLLED_BACK_TO" : "LIVE",
          absl::StrCat(before.live == 0 ? "the first release"
                                        : absl::StrCat("in place of ", ReleaseName(before.live)),
                       Because(last.reason())));
      break;
    case Release::DRAINING:
      if (changed.from == Release::LIVE) {
        add("REPLACED", last.reason());
      } else {
        const bool is_abandoned = last.kind() == v1::ReleaseEvent::ABANDONED;
        events.push_back(Make(release.name(), "ABANDONED", is_abandoned ? last.actor() : "",
                              is_abandoned ? last.reason() : "it did not become live"));
      }
      break;
    case Release::RETIRED:
      events.push_back(Make(release.name(), "RETIRED", "", "unloaded where no other needs it"));
      break;
    default:
      break;
  }
}

// Whether a system is not just what was there before: services that are up again apply theirs anew.
bool IsNews(const State& before, const SystemRevision& system) {
  const SystemRevision* known = before.current_system();
  return known == nullptr || known->revision != system.revision ||
         !google::protobuf::util::MessageDifferencer::Equals(known->system(), system.system());
}

}  // namespace

std::vector<v1::Event> EventsOf(const State& before, const Change& change) {
  std::vector<v1::Event> events;
  if (change.system != nullptr && IsNews(before, *change.system)) {
    const SystemRevision* known = before.current_system();
    const bool is_revision = known == nullptr || known->revision != change.system->revision;
    events.push_back(Make("", "SYSTEM_APPLIED", change.actor,
                          absl::StrCat("system ", change.system->system().name(), ", ",
                                       is_revision ? "" : "the same experiment, ", "revision ",
                                       change.system->revision)));
  }
  for (const auto& added : change.added) {
    const Update& update = added->update();
    events.push_back(Make(update.name(), "PROPOSED", update.actor(),
                          absl::StrCat(ProposalText(update), Because(update.reason()))));
  }
  for (const auto& [number, changed] : change.updates) {
    AddUpdateEvents(before, number, changed, change.actor, events);
  }
  for (const auto& [number, changed] : change.releases) AddReleaseEvents(before, changed, events);
  return events;
}

}  // namespace backfire::records
