#include "orchestrator/gate/policy_faults.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/gate/webhook.h"
#include "services/graph/system_fields.h"

namespace backfire::gate {
namespace {

// Slices of an example are bits of a word.
constexpr int kMostSlices = 64;
constexpr int kMostLooks = 3;
// The format of records has these names already.
constexpr const char* kReserved[] = {"vertex", "seed",      "example",  "slice",   "cluster",
                                     "name",   "resampled", "examples", "bearing", "cluster_sizes"};

bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= 63 &&
         absl::ascii_islower(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_' || c == '-';
         });
}

class Checker {
 public:
  Checker(const v1::GatePolicy& policy, PolicyUse use) : policy_(policy), use_(use) {
    for (const v1::GateVertex& vertex : policy.vertices())
      vertices_.emplace(vertex.name(), &vertex);
  }

  std::vector<std::string> Run() {
    CheckWhole();
    std::set<std::string> seen;
    for (int i = 0; i < policy_.vertices_size(); ++i) {
      const v1::GateVertex& vertex = policy_.vertices(i);
      // By its position where its name doesn't lead to it.
      const bool named = IsName(vertex.name()) && seen.insert(vertex.name()).second;
      const std::string path =
          named ? absl::StrCat("vertices[", vertex.name(), "]") : absl::StrCat("vertices[", i, "]");
      if (!IsName(vertex.name())) {
        Fault(absl::StrCat(path, ".name"),
              absl::StrCat("must be at most 63 of [a-z0-9_-], a letter first: got \"",
                           vertex.name(), "\""));
      } else if (!named) {
        Fault(absl::StrCat(path, ".name"), absl::StrCat("is there twice: ", vertex.name()));
      }
      CheckVertex(vertex, path);
    }
    CheckCycles();
    for (int i = 0; i < policy_.waivers_size(); ++i) {
      CheckWaiver(policy_.waivers(i), absl::StrCat("waivers[", i, "]"));
    }
    return std::move(faults_);
  }

 private:
  void Fault(const std::string& path, const std::string& what) {
    faults_.push_back(absl::StrCat(path, ": ", what));
  }

  void CheckOneOf(const std::string& path, const std::string& value,
                  const std::vector<std::string>& allowed) {
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
    Fault(path, absl::StrCat("must be ", absl::StrJoin(allowed, " or "), ": got \"", value, "\""));
  }

  void CheckWhole() {
    if (policy_.vertices().empty() && use_ == PolicyUse::kRecords) {
      Fault("vertices", "must name at least one vertex");
    }
    if (!policy_.candidate().empty() && !policy_.vertices().empty() &&
        vertices_.count(policy_.candidate()) == 0) {
      Fault("candidate", absl::StrCat("there is no vertex ", policy_.candidate()));
    }
    if (policy_.alpha() != 0 && !(policy_.alpha() >= graph::kLeastAlpha && policy_.alpha() < 0.5)) {
      Fault("alpha", absl::StrCat("must be at least ", graph::kLeastAlpha,
                                  " and less than 0.5: got ", policy_.alpha()));
    }
    if (policy_.looks_size() > kMostLooks) {
      Fault("looks", absl::StrCat("must be at most ", kMostLooks, ": got ", policy_.looks_size()));
    }
    for (int i = 0; i < policy_.looks_size(); ++i) {
      if (policy_.looks(i) < 1 || (i > 0 && policy_.looks(i) <= policy_.looks(i - 1))) {
        Fault(absl::StrCat("looks[", i, "]"),
              absl::StrCat("must be numbers of seeds that grow: got ", policy_.looks(i)));
      }
    }
    const int resamples = policy_.bootstrap().resample_count();
    if (policy_.has_bootstrap() && (resamples < 2 || resamples > 10000)) {
      Fault("bootstrap.resample_count", absl::StrCat("must be 2 to 10000: got ", resamples));
    }
    if (policy_.has_on_verdict()) {
      for (const std::string& fault : WebhookFaults(policy_.on_verdict())) {
        faults_.push_back(absl::StrCat("on_verdict.", fault));
      }
    }
    for (int i = 0; i < policy_.fail_on_size(); ++i) {
      CheckOneOf(absl::StrCat("fail_on[", i, "]"), policy_.fail_on(i),
                 {"worse", "worse-within-margin", "unresolved", "none"});
      if (policy_.fail_on(i) == "none" && policy_.fail_on_size() > 1) {
        Fault(absl::StrCat("fail_on[", i, "]"), "none stands alone");
      }
    }
  }

  void CheckVertex(const v1::GateVertex& vertex, const std::string& path) {
    std::set<std::string> parents, losses, slices;
    for (int i = 0; i < vertex.parents_size(); ++i) {
      const std::string& parent = vertex.parents(i);
      const std::string at = absl::StrCat(path, ".parents[", i, "]");
      if (vertices_.count(parent) == 0) {
        Fault(at, absl::StrCat("there is no vertex ", parent));
      } else if (!parents.insert(parent).second) {
        Fault(at, absl::StrCat("is there twice: ", parent));
      }
    }
    for (const auto* list : {&vertex.required_slices(), &vertex.slices()}) {
      const char* field = list == &vertex.slices() ? ".slices[" : ".required_slices[";
      for (int i = 0; i < list->size(); ++i) {
        const std::string at = absl::StrCat(path, field, i, "]");
        if (list->Get(i).empty()) Fault(at, "must not be empty");
        if (!slices.insert(list->Get(i)).second) {
          Fault(at, absl::StrCat("is there twice: ", list->Get(i)));
        }
      }
    }
    if (static_cast<int>(slices.size()) > kMostSlices) {
      Fault(absl::StrCat(path, ".slices"),
            absl::StrCat("must be at most ", kMostSlices, ": got ", slices.size()));
    }
    for (int i = 0; i < vertex.losses_size(); ++i) {
      const v1::GateLoss& loss = vertex.losses(i);
      const bool is_new = !loss.name().empty() && losses.insert(loss.name()).second;
      const std::string at = is_new ? absl::StrCat(path, ".losses[", loss.name(), "]")
                                    : absl::StrCat(path, ".losses[", i, "]");
      if (loss.name().empty()) {
        Fault(absl::StrCat(at, ".name"), "must not be empty");
      } else if (!is_new) {
        Fault(absl::StrCat(at, ".name"), absl::StrCat("is there twice: ", loss.name()));
      }
      CheckLoss(loss, at);
    }
  }

  void CheckColumn(const std::string& path, const std::string& column) {
    if (std::find(std::begin(kReserved), std::end(kReserved), column) != std::end(kReserved)) {
      Fault(path, absl::StrCat("\"", column, "\" is a column that all records have: name another"));
    }
  }

  void CheckLoss(const v1::GateLoss& loss, const std::string& path) {
    const bool ratio = !loss.numerator().empty() || !loss.denominator().empty();
    if (ratio && loss.numerator().empty()) {
      Fault(absl::StrCat(path, ".numerator"), "must be there too, as there is a denominator");
    }
    if (ratio && loss.denominator().empty()) {
      Fault(absl::StrCat(path, ".denominator"), "must be there too, as there is a numerator");
    }
    if (ratio && !loss.column().empty()) {
      Fault(absl::StrCat(path, ".column"), "must stay empty, as there is a numerator");
    }
    if (loss.resampled() && (ratio || !loss.column().empty())) {
      Fault(absl::StrCat(path, ".resampled"), "its records have no columns per example");
    }
    if (ratio) {
      CheckColumn(absl::StrCat(path, ".numerator"), loss.numerator());
      CheckColumn(absl::StrCat(path, ".denominator"), loss.denominator());
    } else if (!loss.resampled()) {
      CheckColumn(absl::StrCat(path, loss.column().empty() ? ".name" : ".column"),
                  loss.column().empty() ? loss.name() : loss.column());
    }
    if (!loss.direction().empty()) {
      CheckOneOf(absl::StrCat(path, ".direction"), loss.direction(), {"lower", "higher"});
    }
    if (!loss.role().empty()) {
      CheckOneOf(absl::StrCat(path, ".role"), loss.role(), {"blocking", "advisory"});
    }
    if (loss.has_margin() && !(loss.margin() >= 0)) {
      Fault(absl::StrCat(path, ".margin"), absl::StrCat("must be >= 0: got ", loss.margin()));
    }
  }

  // A vertex that feeds itself, by way of whatever.
  void CheckCycles() {
    std::map<std::string, int> waits_for;
    for (const auto& [name, vertex] : vertices_) {
      const std::set<std::string> parents(vertex->parents().begin(), vertex->parents().end());
      waits_for[name] =
          static_cast<int>(std::count_if(parents.begin(), parents.end(), [&](const auto& one) {
            return vertices_.count(one) > 0;
          }));
    }
    for (bool moved = true; moved;) {
      moved = false;
      for (auto at = waits_for.begin(); at != waits_for.end();) {
        if (at->second > 0) {
          ++at;
          continue;
        }
        for (const auto& [name, vertex] : vertices_) {
          const auto& parents = vertex->parents();
          const auto child = waits_for.find(name);
          if (child == waits_for.end()) continue;
          if (std::find(parents.begin(), parents.end(), at->first) != parents.end())
            --child->second;
        }
        at = waits_for.erase(at);
        moved = true;
      }
    }
    if (waits_for.empty()) return;
    const std::string& name = waits_for.begin()->first;
    Fault(absl::StrCat("vertices[", name, "].parents"),
          "lead back to the vertex, or to one on a circle");
  }

  void CheckWaiver(const v1::Waiver& waiver, const std::string& path) {
    if (waiver.owner().empty()) {
      Fault(absl::StrCat(path, ".owner"), "must say who answers for it");
    }
    if (waiver.reason().empty()) Fault(absl::StrCat(path, ".reason"), "must not be empty");
    if (!IsDay(waiver.expires())) {
      Fault(absl::StrCat(path, ".expires"),
            absl::StrCat("must be its last day, as 2026-12-31: got \"", waiver.expires(), "\""));
    }
    if (waiver.vertex().empty()) Fault(absl::StrCat(path, ".vertex"), "must not be empty");
    if (use_ == PolicyUse::kEvidence && policy_.vertices().empty()) return;
    const auto found = vertices_.find(waiver.vertex());
    if (found == vertices_.end()) {
      if (!waiver.vertex().empty()) {
        Fault(absl::StrCat(path, ".vertex"), absl::StrCat("there is no vertex ", waiver.vertex()));
      }
      return;
    }
    const v1::GateVertex& vertex = *found->second;
    const bool has_loss =
        std::any_of(vertex.losses().begin(), vertex.losses().end(),
                    [&](const v1::GateLoss& loss) { return loss.name() == waiver.loss(); });
    if (!waiver.loss().empty() && !has_loss) {
      Fault(absl::StrCat(path, ".loss"),
            absl::StrCat("vertex ", vertex.name(), " has no loss ", waiver.loss()));
    }
    const auto& slices = vertex.required_slices();
    if (!waiver.slice().empty() &&
        std::find(slices.begin(), slices.end(), waiver.slice()) == slices.end()) {
      Fault(absl::StrCat(path, ".slice"),
            absl::StrCat("vertex ", vertex.name(), " requires no slice ", waiver.slice()));
    }
  }

  const v1::GatePolicy& policy_;
  const PolicyUse use_;
  std::map<std::string, const v1::GateVertex*> vertices_;
  std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> PolicyFaults(const v1::GatePolicy& policy, PolicyUse use) {
  return Checker(policy, use).Run();
}

bool IsDay(const std::string& text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  int year = 0, month = 0, day = 0;
  const auto digits = [&](size_t from, size_t count, int& number) {
    const std::string part = text.substr(from, count);
    return std::all_of(part.begin(), part.end(),
                       [](unsigned char c) { return absl::ascii_isdigit(c); }) &&
           absl::SimpleAtoi(part, &number);
  };
  if (!digits(0, 4, year) || !digits(5, 2, month) || !digits(8, 2, day)) return false;
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12) return false;
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return day >= 1 && day <= kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

}  // namespace backfire::gate
