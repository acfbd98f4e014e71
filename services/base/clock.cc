#include "services/base/clock.h"

namespace backfire {
namespace {

class MachineClocks final : public Clock {
 public:
  absl::Time Now() const override { return absl::FromChrono(std::chrono::system_clock::now()); }
  SteadyTime Steady() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace

const Clock& MachineClock() {
  static const MachineClocks* const clock = new MachineClocks;
  return *clock;
}

}  // namespace backfire
