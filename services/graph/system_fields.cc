#include "services/graph/system_fields.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "services/base/dns_target.h"
#include "services/base/excerpt.h"
#include "services/graph/datatypes.h"

namespace backfire::graph {
namespace {

// As long as a host name's label may be, so that ids made of names stay within 128 characters.
constexpr size_t kMaxNameLength = 63;
constexpr int kMaxResamples = 10000;
constexpr int kMaxExtents = 16;  // As checked_tensor.h has it.

bool IsName(const std::string& name) {
  if (name.empty() || name.size() > kMaxNameLength) return false;
  if (!absl::ascii_islower(static_cast<unsigned char>(name[0]))) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' || c == '_';
  });
}

void CheckServing(const v1::Vertex& vertex, const std::string& path, Faults& faults) {
  if (vertex.endpoint().empty() && !vertex.has_process()) {
    faults.Add(path,
               ".endpoint must not be empty: there is no process that `backfire up` could start");
  } else if (const absl::Status status = CheckTarget(vertex.endpoint());
             !vertex.endpoint().empty() && !status.ok()) {
    faults.Add(path, ".endpoint ", status.message());
  }
  std::set<std::string> served = {vertex.endpoint()};
  for (int i = 0; i < vertex.replicas_size(); ++i) {
    const std::string& replica = vertex.replicas(i);
    if (const auto parsed = ParseDnsTarget(replica); IsDnsTarget(replica) && !parsed.ok()) {
      faults.Add(path, ".replicas[", i, "]: ", parsed.status().message());
    } else if (const absl::Status status = CheckTarget(replica); !status.ok()) {
      faults.Add(path, ".replicas[", i, "] ", status.message());
    } else if (!served.insert(replica).second) {
      faults.Add(path, ".replicas[", i, "]: \"", replica,
                 "\" is the endpoint, or another of its replicas");
    }
  }
}

void CheckRecipes(const v1::Vertex& vertex, const std::string& path, Faults& faults) {
  if (vertex.recipe().name().empty()) {
    faults.Add(path,
               ".recipe.name must not be empty: it says what release 1 is trained by; "
               "`backfire system recipes` lists what there is");
  }
  const v1::References& references = vertex.references();
  for (const auto& [field, is_set, recipe] :
       {std::make_tuple("bayes", references.has_bayes(), &references.bayes()),
        std::make_tuple("optimal", references.has_optimal(), &references.optimal()),
        std::make_tuple("optimal_in_class", references.has_optimal_in_class(),
                        &references.optimal_in_class()),
        std::make_tuple("optimal_partner", references.has_optimal_partner(),
                        &references.optimal_partner())}) {
    if (is_set && recipe->name().empty()) {
      faults.Add(path, ".references.", field, ".name must not be empty");
    }
  }
}

}  // namespace

absl::Status Faults::status() const {
  if (lines_.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(lines_, "\n"));
}

absl::Status CheckTarget(const std::string& target) {
  if (target.empty()) return absl::InvalidArgumentError("must not be empty");
  if (absl::StartsWith(target, "unix:") || absl::StartsWith(target, "unix-abstract:")) {
    return absl::OkStatus();
  }
  const size_t colon = target.rfind(':');
  int port = 0;
  if (colon != std::string::npos && colon > 0 &&
      absl::SimpleAtoi(target.substr(colon + 1), &port) && port >= 1 && port <= 65535) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("must be HOST:PORT or unix:PATH: got \"", target, "\""));
}

void CheckRetention(const v1::Retention& retention, Faults& faults) {
  if (retention.keep_updates() < 0) {
    faults.Add("retention.keep_updates must be >= 0: got ", retention.keep_updates());
  }
  if (retention.has_keep_for() &&
      (retention.keep_for().seconds() < 0 || retention.keep_for().nanos() < 0)) {
    faults.Add("retention.keep_for must be >= 0s: got ", retention.keep_for().seconds(), "s");
  }
  if (retention.keep_updates() == 0 && !retention.has_keep_for()) {
    faults.Add("retention must say keep_updates, keep_for, or both");
  }
}

void CheckSignature(const v1::TensorSignature& tensor, const std::string& path, Faults& faults) {
  if (!IsDatatype(tensor.datatype())) {
    faults.Add(path, ".datatype must be ", absl::StrJoin(kDatatypes, ", "), ": got \"",
               Excerpt(tensor.datatype()), "\"");
  }
  if (tensor.shape_size() > kMaxExtents) {
    faults.Add(path, ".shape must have at most ", kMaxExtents, " extents: got ",
               tensor.shape_size());
  }
  for (const int64_t extent : tensor.shape()) {
    if (extent >= -1) continue;
    faults.Add(path, ".shape: an extent must be >= 0, or -1 for any size: got ", extent);
    break;
  }
}

void CheckFields(const v1::System& system, Faults& faults) {
  if (!IsName(system.name())) {
    faults.Add("name must be [a-z][a-z0-9_-]*, at most 63 long: got \"", system.name(), "\"");
  }
  if (system.vertices().empty()) faults.Add("vertices must not be empty");
  for (const v1::Vertex& vertex : system.vertices()) {
    const std::string path = absl::StrCat("vertices[", vertex.name(), "]");
    if (!IsName(vertex.name()) || vertex.name() == kRequest || vertex.name() == system.name()) {
      faults.Add(path,
                 ".name must be [a-z][a-z0-9_-]*, at most 63 long, and neither \"request\" nor the "
                 "system's ",
                 "name: got \"", vertex.name(), "\"");
    }
    CheckServing(vertex, path, faults);
    CheckRecipes(vertex, path, faults);
  }
  for (const v1::TensorSignature& tensor : system.request()) {
    if (tensor.name().empty()) faults.Add("request: a tensor must have a name");
    // One without a datatype fits no vertex's input.
    if (!tensor.datatype().empty()) {
      CheckSignature(tensor, absl::StrCat("request[", Excerpt(tensor.name()), "]"), faults);
    }
  }
  if (system.dataset().empty()) faults.Add("dataset must not be empty");
  if (system.replicates() < 0 || system.replicates() > 100) {
    faults.Add("replicates must be in [0, 100]: got ", system.replicates());
  }
  if (system.alpha() != 0 && !(system.alpha() >= kLeastAlpha && system.alpha() < 0.5)) {
    faults.Add("alpha must be 0, which is 0.05, or in [", kLeastAlpha, ", 0.5): got ",
               system.alpha());
  }
  if (system.seed() < 0) faults.Add("seed must be >= 0: got ", system.seed());
  if (system.parallel_jobs() < 0) {
    faults.Add("parallel_jobs must be >= 0: got ", system.parallel_jobs());
  }
  if (system.has_service_timeout() && (system.service_timeout().seconds() < 1 ||
                                       system.service_timeout().seconds() > int64_t{7} * 86400)) {
    faults.Add("service_timeout must be in [1s, 604800s]: got ", system.service_timeout().seconds(),
               "s");
  }
  if (const int count = system.bootstrap().resample_count(); count < 0 || count > kMaxResamples) {
    faults.Add("bootstrap.resample_count must be in [0, ", kMaxResamples, "]: got ", count);
  }
  if (system.has_retention()) CheckRetention(system.retention(), faults);
}

}  // namespace backfire::graph
