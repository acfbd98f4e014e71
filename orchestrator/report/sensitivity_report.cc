#include "orchestrator/report/sensitivity_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "orchestrator/report/numbers.h"
#include "orchestrator/report/text_table.h"

namespace backfire::report {

std::string SensitivityText(const v1::Update& update) {
  if (update.sensitivities().empty()) return "";
  const int replicates = std::max(update.replicates(), update.planned_replicates());
  using Align = TextTable::Align;
  TextTable table({{"vertex"},
                   {"loss"},
                   {"before", Align::kRight},
                   {"harm found from", Align::kRight},
                   {"margin", Align::kRight},
                   {"margin needed", Align::kRight},
                   {"note"}});
  for (const v1::Sensitivity& one : update.sensitivities()) {
    std::string loss = one.loss();
    if (!one.slice().empty()) absl::StrAppend(&loss, " [", one.slice(), "]");
    absl::StrAppend(&loss, UnitSuffix(one.unit()));
    table.AddRow({absl::StrCat(one.vertex(), one.candidate() ? " *" : ""), loss,
                  FormatNumber(one.before()), FormatSigned(one.detectable_harm()),
                  FormatNumber(one.margin()), FormatNumber(one.margin_needed()), one.note()});
  }
  return absl::StrCat("What ", replicates, replicates == 1 ? " replicate" : " replicates",
                      " can find on this test split, by the baseline's noise, with a probability "
                      "of 80 %:\n",
                      table.ToString(2));
}

}  // namespace backfire::report
