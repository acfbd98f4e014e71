// A lookup table over what parents say: for each combination of their hard outputs, the label that
// was seen more often.
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/planar/feature_table.h"
#include "services/planar/kind.h"
#include "services/planar/parameters.h"

namespace backfire::planar {
namespace {

constexpr size_t kMostRows = 1024;

class TableKind : public Kind {
 public:
  v1::Recipe defaults() const override {
    v1::Recipe recipe;
    recipe.set_name("table");
    AddSampling(recipe);
    return recipe;
  }
  absl::Status Check(const v1::Recipe&) const override { return absl::OkStatus(); }
  absl::StatusOr<std::string> Train(const Lesson& lesson) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto examples, lesson.observed());
    FeatureTable::Scores votes;
    for (const Example& example : examples) {
      votes[example.input.features] += example.cost.if_0 - example.cost.if_1;
    }
    if (votes.size() <= kMostRows) return FeatureTable::Write(votes);
    return absl::FailedPreconditionError(
        absl::StrCat("a table needs inputs of few values, as labels have: got ", votes.size(),
                     " different ones"));
  }
  absl::StatusOr<std::unique_ptr<const Rule>> Load(const v1::Recipe&, const std::string& weights,
                                                   size_t features) const override {
    BACKFIRE_ASSIGN_OR_RETURN(auto scores, FeatureTable::Read(weights, features));
    return std::make_unique<FeatureTable>(std::move(scores), /*by_point=*/false);
  }
};

const bool registered_table = RegisterKind(std::make_unique<TableKind>());

}  // namespace
}  // namespace backfire::planar
