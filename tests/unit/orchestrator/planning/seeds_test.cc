#include "orchestrator/planning/seeds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace backfire::planning {
namespace {

using records::SeedRule;

TEST(TrainingSeedTest, SystemsModelsAndReplicatesShareNone) {
  std::set<int64_t> seeds;
  for (const int64_t system : {0, 1, 2, 3}) {
    for (const char* model : {"models/car", "models/pedestrian"}) {
      for (int replicate = 0; replicate < 10; ++replicate) {
        const int64_t seed = TrainingSeed(SeedRule::kHashed, system, model, replicate);
        EXPECT_GE(seed, 0);
        EXPECT_TRUE(seeds.insert(seed).second) << system << " " << model << " " << replicate;
      }
    }
  }
}

// What a store's versions were trained with must not change: the first 63 and 64 bits of what
// `sha256sum` says of "8:training1:110:models/car1:0" and of "9:bootstrap1:1".
TEST(SeedsTest, StayWhatTheyAre) {
  EXPECT_EQ(TrainingSeed(SeedRule::kHashed, 1, "models/car", 0), 1166783283882468540LL);
  v1::System system;
  system.mutable_bootstrap()->set_seed(1);
  EXPECT_EQ(BootstrapOf(SeedRule::kHashed, system).seed(), 6027989641529834158ULL);
}

TEST(TrainingSeedTest, SystemsOfBeforeCountOn) {
  EXPECT_EQ(TrainingSeed(SeedRule::kConsecutive, 7, "models/car", 3), 10);
  EXPECT_EQ(TrainingSeed(SeedRule::kConsecutive, 7, "models/pedestrian", 3), 10);
}

TEST(BootstrapTest, NeighbouringSeedsShareNoResamples) {
  v1::System system;
  system.mutable_bootstrap()->set_resample_count(10000);
  std::set<uint64_t> seeds;
  for (const uint64_t seed : {0, 1, 2}) {
    system.mutable_bootstrap()->set_seed(seed);
    const v1::Bootstrap hashed = BootstrapOf(SeedRule::kHashed, system);
    EXPECT_EQ(hashed.resample_count(), 10000);
    EXPECT_EQ(BootstrapOf(SeedRule::kConsecutive, system).seed(), seed);
    // Resample b is keyed by seed + b.
    for (const uint64_t other : seeds) {
      EXPECT_GT(std::min(hashed.seed() - other, other - hashed.seed()), 10000u);
    }
    seeds.insert(hashed.seed());
  }
}

}  // namespace
}  // namespace backfire::planning
