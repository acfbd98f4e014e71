// The reference recipes of Equation 2, solved on the population: `bayes` (w*), `optimal` (w+) and
// `optimal-in-class` (w+_H).
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"
#include "services/planar/feature_table.h"
#include "services/planar/kind.h"
#include "services/planar/parameters.h"
#include "services/runtime/recipe.h"

namespace backfire::planar {
namespace {

/// The best prediction from where a point is, or from what the parents say of it.
class TableOfBest : public Kind {
 public:
  TableOfBest(std::string name, bool by_point) : name_(std::move(name)), by_point_(by_point) {}
  v1::Recipe defaults() const override {
    v1::Recipe recipe;
    recipe.set_name(name_);
    recipe.mutable_parameters();
    return recipe;
  }
  absl::Status Check(const v1::Recipe&) const override { return absl::OkStatus(); }
  absl::StatusOr<std::string> Train(const Lesson& lesson) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const auto population, lesson.population());
    return FeatureTable::Write(BestScores(population, by_point_));
  }
  absl::StatusOr<std::unique_ptr<const Rule>> Load(const v1::Recipe&, const std::string& weights,
                                                   size_t features) const override {
    BACKFIRE_ASSIGN_OR_RETURN(auto scores, FeatureTable::Read(weights, by_point_ ? 2 : features));
    return std::make_unique<FeatureTable>(std::move(scores), by_point_);
  }

 private:
  const std::string name_;
  const bool by_point_;
};

class OptimalInClass : public Kind {
 public:
  v1::Recipe defaults() const override {
    v1::Recipe recipe;
    recipe.set_name("optimal-in-class");
    google::protobuf::Value none;
    none.mutable_struct_value();
    runtime::Declare(recipe, "hypotheses", "linear", {}, "The recipe whose best hypothesis it is.");
    runtime::Declare(recipe, "parameters", none,
                     "Of that recipe; those left out have its defaults.");
    return recipe;
  }
  absl::Status Check(const v1::Recipe& recipe) const override { return Resolve(recipe).status(); }
  absl::StatusOr<std::string> Train(const Lesson& lesson) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Hypotheses hypotheses, Resolve(lesson.recipe));
    if (hypotheses.kind->universal()) {
      BACKFIRE_ASSIGN_OR_RETURN(const auto population, lesson.population());
      return FeatureTable::Write(BestScores(population, /*by_point=*/false));
    }
    Lesson own = lesson;
    own.recipe = hypotheses.recipe;
    return hypotheses.kind->Best(own);
  }
  absl::StatusOr<std::unique_ptr<const Rule>> Load(const v1::Recipe& recipe,
                                                   const std::string& weights,
                                                   size_t features) const override {
    BACKFIRE_ASSIGN_OR_RETURN(const Hypotheses hypotheses, Resolve(recipe));
    if (!hypotheses.kind->universal())
      return hypotheses.kind->Load(hypotheses.recipe, weights, features);
    BACKFIRE_ASSIGN_OR_RETURN(auto scores, FeatureTable::Read(weights, features));
    return std::make_unique<FeatureTable>(std::move(scores), /*by_point=*/false);
  }

 private:
  struct Hypotheses {
    const Kind* kind;
    v1::Recipe recipe;
  };
  static absl::StatusOr<Hypotheses> Resolve(const v1::Recipe& recipe) {
    v1::Model offered;
    offered.set_name("hypotheses");
    for (const Kind* kind : Kinds()) {
      if (kind->gives() == Gives::kLabel) *offered.add_recipes() = kind->defaults();
    }
    v1::Recipe named;
    named.set_name(Parameter(recipe, "hypotheses").string_value());
    *named.mutable_parameters() = Parameter(recipe, "parameters").struct_value();
    absl::StatusOr<v1::Recipe> complete = runtime::CompleteRecipe(offered, named);
    if (!complete.ok()) return Annotate(complete.status(), ParameterPath("hypotheses"));
    const Kind* kind = FindKind(complete->name());
    BACKFIRE_RETURN_IF_ERROR(Annotate(kind->Check(*complete), ParameterPath("hypotheses")));
    return Hypotheses{kind, *std::move(complete)};
  }
};

const bool registered_references = RegisterKind(std::make_unique<TableOfBest>("bayes", true)) &&
                                   RegisterKind(std::make_unique<TableOfBest>("optimal", false)) &&
                                   RegisterKind(std::make_unique<OptimalInClass>());

}  // namespace
}  // namespace backfire::planar
