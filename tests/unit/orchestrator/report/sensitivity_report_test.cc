#include "orchestrator/report/sensitivity_report.h"

#include <gtest/gtest.h>

#include <cmath>

namespace backfire::report {
namespace {

TEST(SensitivityTextTest, IsARowPerLoss) {
  v1::Update update;
  EXPECT_EQ(SensitivityText(update), "");
  update.set_replicates(5);
  v1::Sensitivity& candidate = *update.add_sensitivities();
  candidate.set_vertex("disparity");
  candidate.set_loss("disparity_mae");
  candidate.set_unit("px");
  candidate.set_candidate(true);
  candidate.set_before(1.25);
  candidate.set_detectable_harm(0.05);
  candidate.set_margin(0.0125);
  candidate.set_margin_needed(0.05);
  candidate.set_note("too narrow");
  v1::Sensitivity& car = *update.add_sensitivities();
  car.set_vertex("car");
  car.set_loss("ap_3d");
  car.set_slice("depth_0_20_m");
  car.set_before(-60);
  car.set_detectable_harm(std::nan(""));
  car.set_margin(1);
  car.set_margin_needed(std::nan(""));
  EXPECT_EQ(
      SensitivityText(update),
      "What 5 replicates can find on this test split, by the baseline's noise, with a probability "
      "of 80 %:\n"
      "  vertex       loss                  before  harm found from   margin  margin needed  note\n"
      "  disparity *  disparity_mae (px)     1.250         +0.05000  0.01250        0.05000  too "
      "narrow\n"
      "  car          ap_3d [depth_0_20_m]  -60.00                -    1.000              -\n");
}

}  // namespace
}  // namespace backfire::report
