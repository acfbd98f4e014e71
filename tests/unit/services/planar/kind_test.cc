#include "services/planar/kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/planar/feature_table.h"

namespace backfire::planar {
namespace {

// What Train would give for two features, of kinds whose weights are easy to write down.
std::string SomeWeights(const std::string& kind) {
  if (kind == "half-plane" || kind == "polygon" || kind == "position") return kStated;
  if (kind == "linear") return WriteNumbers({1, 2, 3});
  if (kind == "least-squares") return WriteNumbers({1, 2, 3, 4, 5, 6});
  if (kind == "nearest-neighbours") return WriteNumbers({2, 0.5, 0.5, 1});
  if (kind == "table" || kind == "bayes" || kind == "optimal") {
    return FeatureTable::Write({{{0, 1}, -1}, {{1, 1}, 2}});
  }
  return "";
}

TEST(KindTest, OnlyWeightsOfTheRecipeAreLoaded) {
  int loaded = 0;
  for (const Kind* kind : Kinds()) {
    const v1::Recipe recipe = kind->defaults();
    for (const std::string& weights :
         {std::string("root:x:0:0:root:/root:/bin/bash\n"), std::string("nan\n"),
          WriteNumbers({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17})}) {
      EXPECT_TRUE(absl::IsDataLoss(kind->Load(recipe, weights, 2).status()))
          << recipe.name() << ": " << weights;
    }
    const std::string weights = SomeWeights(recipe.name());
    if (weights.empty()) continue;
    ++loaded;
    EXPECT_TRUE(kind->Load(recipe, weights, 2).ok()) << recipe.name();
    if (weights == kStated || recipe.name() == "bayes") continue;  // Whatever the features.
    EXPECT_TRUE(absl::IsDataLoss(kind->Load(recipe, weights, 3).status())) << recipe.name();
  }
  EXPECT_EQ(loaded, 9);
}

TEST(KindTest, EveryParameterIsDescribed) {
  for (const Kind* kind : Kinds()) {
    const v1::Recipe recipe = kind->defaults();
    EXPECT_EQ(recipe.described_size(), static_cast<int>(recipe.parameters().fields_size()))
        << recipe.name();
  }
}

}  // namespace
}  // namespace backfire::planar
