#include "services/gateway/vertex_readiness.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace backfire::gateway {

void VertexReadiness::SetLive(const std::map<std::string, Wanted>& live) {
  std::map<std::string, Vertex> before;
  before.swap(vertices_);
  for (const auto& [name, wanted] : live) {
    Vertex& vertex = vertices_[name];
    if (const auto known = before.find(name); known != before.end()) {
      vertex = std::move(known->second);
    }
    if (vertex.wanted == wanted) continue;
    vertex.wanted = wanted;
    vertex.proved = false;
    for (auto& [endpoint, status] : vertex.endpoints) status.reset();
  }
}

void VertexReadiness::SetEndpoints(const std::string& vertex,
                                   const std::vector<std::string>& endpoints) {
  const auto entry = vertices_.find(vertex);
  if (entry == vertices_.end()) return;
  std::map<std::string, std::optional<absl::Status>> known;
  known.swap(entry->second.endpoints);
  for (const std::string& endpoint : endpoints) {
    const auto before = known.find(endpoint);
    entry->second.endpoints[endpoint] =
        before == known.end() ? std::nullopt : std::move(before->second);
  }
}

void VertexReadiness::Probed(const std::string& vertex, const Wanted& wanted,
                             const std::string& endpoint, const absl::Status& status,
                             Clock::time_point now) {
  const auto entry = vertices_.find(vertex);
  if (entry == vertices_.end() || !(entry->second.wanted == wanted)) return;
  Vertex& probed = entry->second;
  const auto known = probed.endpoints.find(endpoint);
  if (known == probed.endpoints.end()) return;
  known->second = status;
  if (status.ok()) {
    probed.proved = true;
    probed.last_success = now;
  }
}

bool VertexReadiness::CanServe(const Vertex& vertex, Clock::time_point now) {
  if (!vertex.last_success.has_value() || now >= *vertex.last_success + kFresh) return false;
  return vertex.proved || vertex.endpoints.empty() ||
         std::any_of(vertex.endpoints.begin(), vertex.endpoints.end(),
                     [](const auto& endpoint) { return !endpoint.second.has_value(); });
}

std::map<std::string, std::string> VertexReadiness::Faults(Clock::time_point now) const {
  std::map<std::string, std::string> faults;
  for (const auto& [name, vertex] : vertices_) {
    std::string& fault = faults[name];
    if (CanServe(vertex, now)) continue;
    fault = absl::StrCat("vertex ", name, " can't serve ", vertex.wanted.version);
    if (vertex.endpoints.empty()) absl::StrAppend(&fault, ": its name leads to no address");
    const char* separator = ": ";
    for (const auto& [endpoint, status] : vertex.endpoints) {
      absl::StrAppend(&fault, separator, endpoint, ": ",
                      !status.has_value() || status->ok() ? "it has not answered yet"
                                                          : std::string(status->message()));
      separator = "; ";
    }
  }
  return faults;
}

std::optional<VertexReadiness::Clock::time_point> VertexReadiness::NextExpiry(
    Clock::time_point now) const {
  std::optional<Clock::time_point> next;
  for (const auto& [name, vertex] : vertices_) {
    if (!CanServe(vertex, now)) continue;
    const Clock::time_point expiry = *vertex.last_success + kFresh;
    if (!next.has_value() || expiry < *next) next = expiry;
  }
  return next;
}

}  // namespace backfire::gateway
