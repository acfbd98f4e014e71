#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/records/change.h"
#include "orchestrator/records/state.h"

namespace backfire::planning {

/// Adds the release of an update, PREPARING, to a change: its own versions, and else those that it
/// inherits. Returns its number.
absl::StatusOr<int64_t> MakeRelease(const records::State& state, const records::OpenUpdate& update,
                                    records::Change& change);

/// Takes back what an update had prepared to be served. Does nothing if it has no release, or one
/// that was served.
/// @param epoch  Of the live release: gateways at it or beyond don't serve the release.
void AbandonRelease(const records::State& state, const v1::Update& update,
                    const std::string& reason, int64_t epoch, absl::Time now,
                    records::Change& change);

/// Makes a release the live one; the one before drains. The change must get its standing as well.
/// @param release  As it is, unless the change has it.
/// @param event    By whom and why; epoch and time are filled in.
void MakeLive(const records::State& state, int64_t number, const records::ReleaseRecord& release,
              v1::ReleaseEvent event, absl::Time now, records::Change& change);

/// Ends a decided update without a promotion: it is REJECTED, and its release abandoned.
/// @param actor, reason  Who asked for it, empty if nobody did, and why it is so; kept.
/// @param epoch          As for AbandonRelease.
void Reject(const records::State& state, int64_t number, const v1::Update& update,
            const std::string& actor, const std::string& reason, int64_t epoch, absl::Time now,
            records::Change& change);

/// What becomes of the updates that were compared with the release that `promoted` replaces, by
/// what `change` has made of `promoted` and its release. Those that touch what it touches are
/// rejected if they are decided, and else compared with the new release once they begin, or go on
/// as they began; those that don't keep their verdict, and get a release that has both changes.
/// @param promoted  As if it had work left.
/// @param number    Of the release that replaces it.
/// @param decided   All updates of the current system that are DECIDED, as if they had work left.
absl::Status SettleOthers(const records::State& state, const records::OpenUpdate& promoted,
                          int64_t number,
                          const std::vector<std::shared_ptr<const records::OpenUpdate>>& decided,
                          absl::Time now, records::Change& change);

}  // namespace backfire::planning
