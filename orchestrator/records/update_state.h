#pragma once

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::records {

/// Whether an update in this state has steps to run.
bool IsOpen(v1::Update::State state);
inline bool IsOpen(const v1::Update& update) { return IsOpen(update.state()); }

/// Whether an update in this state is decided or has ended: only a call changes it any more.
inline bool HasEnded(const v1::Update& update) {
  return update.state() != v1::Update::STATE_UNSPECIFIED && !IsOpen(update.state());
}

/// Whether a step belongs to the present look of its update or to one before it. Others wait for
/// their look, which may never come.
inline bool IsDue(const v1::Update& update, const v1::Step& step) {
  return step.replicate() < update.replicates();
}

/// Whether an update changes no vertex: it trains what the live release lacks of the system's
/// replicates, so that others can be compared with all of them. An update that is decided at an
/// early look leaves such gaps when it is promoted.
inline bool CompletesReplicates(const v1::Update& update) {
  return !update.baseline() && update.vertex().empty();
}

/// The state of an update while this step is its least advanced unfinished one.
v1::Update::State PhaseOf(const v1::Update& update, const v1::Step& step);

/// Whether a step takes an existing version that was proposed, instead of training one.
bool TakesProposedVersion(const v1::Update& update, const v1::Step& step);

}  // namespace backfire::records
