#include "orchestrator/records/standing.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace backfire::records {
namespace {

struct StepName {
  std::string of_all;  // What the ids of all replicates have in common.
  int replicate = 0;
};

// Takes `commit/v/0/test` apart into `commit/v//test` and 0.
StepName Parse(absl::string_view id) {
  const size_t before = id.find('/', id.find('/') + 1);
  if (before == absl::string_view::npos) return {std::string(id), 0};
  const size_t after = std::min(id.find('/', before + 1), id.size());
  StepName name;
  if (!absl::SimpleAtoi(id.substr(before + 1, after - before - 1), &name.replicate)) {
    return {std::string(id), 0};
  }
  name.of_all = absl::StrCat(id.substr(0, before + 1), id.substr(after));
  return name;
}

}  // namespace

const Standing::Kept* Standing::FindIn(const Replicates& replicates, int replicate) {
  const auto found = std::find_if(replicates.begin(), replicates.end(),
                                  [&](const Kept& kept) { return kept.replicate == replicate; });
  return found == replicates.end() ? nullptr : &*found;
}

const Standing::Kept* Standing::FindKept(absl::string_view id) const {
  const StepName name = Parse(id);
  const auto found = steps_.find(name.of_all);
  return found == steps_.end() ? nullptr : FindIn(found->second, name.replicate);
}

bool Standing::Inherits(int64_t update, absl::string_view id) const {
  const StepName name = Parse(id);
  const auto found = steps_.find(name.of_all);
  if (found == steps_.end()) return true;
  if (FindIn(found->second, name.replicate) != nullptr) return false;
  const Kept* first = FindIn(found->second, 0);
  return first == nullptr || first->ref.update == update;
}

void Standing::Set(StepRef ref, const v1::Step& step) {
  const v1::Step::Kind kind = step.kind();
  const bool is_training = kind == v1::Step::TRAIN || kind == v1::Step::TRAIN_REFERENCE;
  absl::Cord bytes;
  if (!is_training && step.has_version()) {
    // Which version was evaluated its training says as well; there may be many thousands.
    v1::Step slim = step;
    slim.clear_version();
    bytes = slim.SerializeAsString();
  } else {
    bytes = step.SerializeAsString();
  }
  const StepName name = Parse(step.id());
  Replicates& replicates = steps_[name.of_all];
  const auto same = std::find_if(replicates.begin(), replicates.end(), [&](const Kept& kept) {
    return kept.replicate == name.replicate;
  });
  if (same != replicates.end()) replicates.erase(same);
  replicates.push_back({ref, name.replicate, std::move(bytes)});
}

void Standing::Inherit(const Standing& before) {
  for (const auto& [name, theirs] : before.steps_) {
    Replicates& own = steps_[name];
    if (FindIn(own, 0) != nullptr) continue;
    for (const Kept& kept : theirs) {
      if (FindIn(own, kept.replicate) == nullptr) own.push_back(kept);
    }
  }
}

absl::StatusOr<Standing::Entry> Standing::Find(const std::string& id) const {
  const Kept* kept = FindKept(id);
  if (kept == nullptr) return absl::InternalError(absl::StrCat("no update has a step ", id));
  auto step = std::make_shared<v1::Step>();
  if (!step->ParseFromString(std::string(kept->step))) {
    return absl::InternalError(absl::StrCat("step ", id, " can't be read"));
  }
  return Entry{kept->ref, std::move(step)};
}

}  // namespace backfire::records
