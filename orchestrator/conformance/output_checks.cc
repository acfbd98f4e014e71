#include <string>

#include "absl/strings/str_cat.h"
#include "orchestrator/conformance/checks.h"
#include "services/base/status.h"

namespace backfire::conformance {

void TryOutputs(Trial& trial, const Trained& base) {
  const v1::MaterializeRequest request = trial.MaterializeRequest(base.version);
  trial.Check("Materialize gives the same again, bit for bit", [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const Outputs again, trial.Materialize(request));
    return SameOutputs(again, base.outputs) ? absl::OkStatus() : Broken("it differs");
  });
  trial.Check("Materialize gives the examples that are asked for, in that order",
              [&]() -> absl::Status {
                const auto last = static_cast<int64_t>(base.outputs.size()) - 1;
                v1::MaterializeRequest some = request;
                Outputs expected;
                for (const int64_t example : {last, int64_t{0}, last / 2}) {
                  some.add_examples(example);
                  expected.push_back(base.outputs[static_cast<size_t>(example)]);
                }
                BACKFIRE_ASSIGN_OR_RETURN(const Outputs given, trial.Materialize(some));
                if (!SameOutputs(given, expected)) {
                  return Broken("examples by themselves are others than among all");
                }
                for (size_t i = 0; i < given.size(); ++i) {
                  if (given[i].cluster != expected[i].cluster)
                    return Broken("their clusters differ");
                }
                return absl::OkStatus();
              });
  trial.Check("a version with another digest than expected is DATA_LOSS", [&] {
    v1::MaterializeRequest other = request;
    other.set_digest(std::string(64, '0'));
    return MustBe(absl::StatusCode::kDataLoss, trial.Materialize(other));
  });
  trial.Check("an example that there is not is INVALID_ARGUMENT", [&] {
    v1::MaterializeRequest beyond = request;
    beyond.add_examples(static_cast<int64_t>(base.outputs.size()));
    return MustBe(absl::StatusCode::kInvalidArgument, trial.Materialize(beyond));
  });
  trial.Check("outputs of an unknown version are NOT_FOUND", [&] {
    v1::MaterializeRequest unknown = request;
    unknown.clear_digest();
    unknown.set_version(absl::StrCat(trial.model().name(), "/versions/999999999"));
    return MustBe(absl::StatusCode::kNotFound, trial.Materialize(unknown));
  });
}

}  // namespace backfire::conformance
