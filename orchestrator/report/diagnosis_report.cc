#include "orchestrator/report/diagnosis_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "orchestrator/report/numbers.h"
#include "orchestrator/report/text_table.h"

namespace backfire::report {

std::string DiagnosisText(const v1::Update& update) {
  if (update.diagnoses().empty()) return "";
  using Align = TextTable::Align;
  TextTable table({{"vertex"},
                   {"error"},
                   {"before", Align::kRight},
                   {"after", Align::kRight},
                   {"growth", Align::kRight},
                   {"cause"}});
  double numerical_error = 0;
  for (const v1::VertexDiagnosis& diagnosis : update.diagnoses()) {
    const v1::ErrorTerms& before = diagnosis.before();
    const v1::ErrorTerms& after = diagnosis.after();
    numerical_error =
        std::max({numerical_error, before.numerical_error(), after.numerical_error()});
    const auto add = [&](const std::string& name, double was, double is) {
      table.AddRow({diagnosis.vertex(), name, FormatNumber(was), FormatNumber(is),
                    FormatSigned(is - was), name == diagnosis.cause() ? "grew most" : ""});
    };
    add("true loss", before.loss(), after.loss());
    add("least possible", before.bayes_loss(), after.bayes_loss());
    add("upstream", before.upstream(), after.upstream());
    if (before.has_compatibility() && after.has_compatibility()) {
      add("compatibility", before.compatibility(), after.compatibility());
      add("excess_upstream", before.excess_upstream(), after.excess_upstream());
    }
    add("approximation", before.approximation(), after.approximation());
    add("estimation", before.estimation(), after.estimation());
  }
  std::string text =
      absl::StrCat("Where the error is, on the known distribution (true loss = least possible + ",
                   "upstream + approximation + estimation):\n\n", table.ToString(2), "\n");
  if (numerical_error > 1e-9) {
    absl::StrAppend(&text, "  Integrals are within ", FormatNumber(numerical_error), ".\n");
  }
  return text;
}

}  // namespace backfire::report
