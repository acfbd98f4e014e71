#include "orchestrator/store/past_events.h"

#include <map>
#include <string>
#include <utility>

#include "backfire/v1/orchestrator.pb.h"
#include "orchestrator/store/row.h"
#include "orchestrator/store/sqlite_schema.h"
#include "services/base/status.h"

namespace backfire::store {
namespace {

using PastEvents = std::multimap<int64_t, v1::Event>;  // By time.

void AddPast(const google::protobuf::Timestamp& time, const std::string& subject,
             const std::string& kind, const std::string& actor, const std::string& message,
             PastEvents& events) {
  v1::Event event;
  *event.mutable_time() = time;
  event.set_subject(subject);
  event.set_kind(kind);
  event.set_actor(actor);
  event.set_message(message);
  events.emplace(Nanoseconds(time), std::move(event));
}

}  // namespace

absl::Status AddPastEvents(SqliteConnection& connection) {
  PastEvents events;
  {
    auto rows = connection.Prepare("SELECT message FROM updates ORDER BY number");
    while (true) {
      BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
      if (!more) break;
      v1::Update update;
      BACKFIRE_RETURN_IF_ERROR(ParseRow(rows.Bytes(0), "updates", update));
      if (update.has_create_time()) {
        AddPast(update.create_time(), update.name(), "PROPOSED", "",
                update.baseline() ? "a baseline" : update.vertex(), events);
      }
      if (!update.has_end_time()) continue;
      const bool failed = update.state() == v1::Update::FAILED;
      AddPast(update.end_time(), update.name(),
              failed ? "STEP_FAILED" : v1::Update::State_Name(update.state()), "",
              update.has_verdict() ? v1::Verdict::Outcome_Name(update.verdict().outcome())
                                   : update.error_message(),
              events);
    }
    auto releases = connection.Prepare("SELECT message FROM releases ORDER BY number");
    while (true) {
      BACKFIRE_ASSIGN_OR_RETURN(const bool more, releases.Next());
      if (!more) break;
      v1::Release release;
      BACKFIRE_RETURN_IF_ERROR(ParseRow(releases.Bytes(0), "releases", release));
      for (const v1::ReleaseEvent& past : release.history()) {
        const bool promoted = past.kind() == v1::ReleaseEvent::PROMOTED;
        AddPast(past.time(), release.name(),
                promoted ? "LIVE" : v1::ReleaseEvent::Kind_Name(past.kind()), past.actor(),
                past.reason(), events);
      }
    }
  }
  for (const auto& [time, event] : events) {
    BACKFIRE_RETURN_IF_ERROR(
        connection.Prepare("INSERT INTO events (time, subject, event) VALUES (?, ?, ?)")
            .Bind(time)
            .BindText(event.subject())
            .Bind(event.SerializeAsString())
            .Run());
  }
  return absl::OkStatus();
}

}  // namespace backfire::store
