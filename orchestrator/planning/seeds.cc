#include "orchestrator/planning/seeds.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/base/digest.h"

namespace backfire::planning {
namespace {

// 64 bits of SHA-256.
uint64_t Bits(Sha256& hash) {
  uint64_t bits = 0;
  (void)absl::SimpleHexAtoi(hash.Finish().substr(0, 16), &bits);
  return bits;
}

}  // namespace

int64_t TrainingSeed(records::SeedRule rule, int64_t system_seed, const std::string& model,
                     int replicate) {
  if (rule == records::SeedRule::kConsecutive) return system_seed + replicate;
  Sha256 hash;
  hash.UpdateField("training").UpdateField(absl::StrCat(system_seed)).UpdateField(model);
  hash.UpdateField(absl::StrCat(replicate));
  return static_cast<int64_t>(Bits(hash) >> 1);
}

v1::Bootstrap BootstrapOf(records::SeedRule rule, const v1::System& system) {
  v1::Bootstrap bootstrap = system.bootstrap();
  if (rule == records::SeedRule::kConsecutive) return bootstrap;
  Sha256 hash;
  hash.UpdateField("bootstrap").UpdateField(absl::StrCat(bootstrap.seed()));
  bootstrap.set_seed(Bits(hash));
  return bootstrap;
}

}  // namespace backfire::planning
