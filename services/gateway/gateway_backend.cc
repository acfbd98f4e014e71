#include "services/gateway/gateway_backend.h"

#include <google/protobuf/util/message_differencer.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/status.h"

namespace backfire::gateway {
namespace {

using graph::Source;
using runtime::TensorMap;
using runtime::TensorSignatures;

// A request goes to another release only when that became live meanwhile: more often than this in
// one request's time, something else is wrong.
constexpr int kMostReruns = 3;

bool Equal(const TensorSignatures& a, const TensorSignatures& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return google::protobuf::util::MessageDifferencer::Equals(x, y);
  });
}

}  // namespace

// What a request names: a model, on the release of a view that it holds.
class ReleaseTarget final : public runtime::InferenceTarget {
 public:
  ReleaseTarget(const GatewayBackend& backend, HeldView held, std::string model, int64_t release,
                bool follows_live)
      : backend_(backend),
        held_(std::move(held)),
        model_(std::move(model)),
        release_(release),
        follows_live_(follows_live) {
    const ReleaseView& view = *held_.view;
    sources_ = view.graph.outputs();
    if (view.graph.Has(model_)) {
      sources_.clear();
      for (const v1::TensorSignature& output : view.models.at(model_).outputs()) {
        sources_[output.name()] = {model_, output.name()};
      }
    }
    std::set<std::string> vertices;
    std::set<std::string> request;
    for (const auto& [name, source] : sources_) {
      if (source.from_request()) {
        request.insert(source.tensor);
      } else {
        vertices.insert(source.vertex);
        AddOutput(name, source);
      }
    }
    vertices_ = view.graph.WithAncestors(vertices);
    for (const std::string& vertex : vertices_) {
      for (const auto& [input, source] : view.graph.node(vertex).inputs) {
        if (source.from_request()) request.insert(source.tensor);
      }
    }
    for (const v1::TensorSignature& tensor : view.graph.system().request()) {
      if (request.count(tensor.name()) > 0) *inputs_.Add() = tensor;
    }
  }

  int64_t version() const override { return release_; }
  const TensorSignatures& inputs() const override { return inputs_; }
  const TensorSignatures& outputs() const override { return outputs_; }
  // By what the vertices' services say of the live release: one that is dead serves no other.
  absl::Status Ready() const override { return backend_.prober_.Check(vertices_); }

  absl::StatusOr<TensorMap> Infer(TensorMap inputs, const std::vector<std::string>& outputs,
                                  runtime::InferenceCall& call) const override {
    if (!follows_live_) return RunOnce(std::move(inputs), outputs, call);
    // Kept for a second run; a copy costs little beside the network.
    absl::StatusOr<TensorMap> result = RunOnce(inputs, outputs, call);
    int64_t tried = release_;
    for (int rerun = 0; rerun < kMostReruns && absl::IsUnavailable(result.status()); ++rerun) {
      HeldView newer = backend_.watcher_.Hold();
      const int64_t live = newer.view->live;
      if (live == tried || live == 0) break;
      const ReleaseTarget target(backend_, std::move(newer), model_, live, true);
      if (!Equal(target.inputs(), inputs_) || !Equal(target.outputs(), outputs_)) break;
      spdlog::info("infer state=RERUN id={} from={} to={} error=\"{}\"", call.id, tried, live,
                   std::string(result.status().message()));
      backend_.rerun_();
      call.served_version = live;
      result = target.RunOnce(inputs, outputs, call);
      tried = live;
    }
    return result;
  }

 private:
  absl::StatusOr<TensorMap> RunOnce(TensorMap inputs, const std::vector<std::string>& outputs,
                                    runtime::InferenceCall& call) const {
    std::map<std::string, Source> wanted;
    for (const std::string& name : outputs) wanted[name] = sources_.at(name);
    BACKFIRE_ASSIGN_OR_RETURN(
        TensorMap tensors,
        RunGraph(*held_.view, release_, wanted, std::move(inputs), call, backend_.services_));
    call.response_parameters.clear();
    call.response_parameters["release"].set_int64_param(release_);
    for (const std::string& vertex : vertices_) {
      call.response_parameters[absl::StrCat("version.", vertex)].set_int64_param(
          held_.view->releases.at(release_).at(vertex));
    }
    return tensors;
  }

  void AddOutput(const std::string& name, const Source& source) {
    for (const v1::TensorSignature& output : held_.view->models.at(source.vertex).outputs()) {
      if (output.name() != source.tensor) continue;
      v1::TensorSignature& signature = *outputs_.Add();
      signature = output;
      signature.set_name(name);
    }
  }

  const GatewayBackend& backend_;
  const HeldView held_;
  const std::string model_;
  const int64_t release_;
  const bool follows_live_;
  std::map<std::string, Source> sources_;
  std::vector<std::string> vertices_;
  TensorSignatures inputs_;
  TensorSignatures outputs_;
};

absl::Status GatewayBackend::Ready() const {
  const auto view = watcher_.view();
  if (view == nullptr || view->live == 0) return absl::UnavailableError("no release is live");
  return prober_.Check(view->graph.order());
}

absl::StatusOr<HeldView> GatewayBackend::ViewOf(const std::string& model) const {
  HeldView held = watcher_.Hold();
  if (held.view == nullptr) {
    return absl::UnavailableError("no release is known yet: the orchestrator has not answered");
  }
  const graph::SystemGraph& graph = held.view->graph;
  if (model == graph.system().name() || graph.Has(model)) return held;
  return absl::NotFoundError(absl::StrCat("there is no model \"", model, "\"; there are ",
                                          graph.system().name(), " (the whole system), ",
                                          absl::StrJoin(graph.order(), ", ")));
}

absl::StatusOr<std::shared_ptr<const runtime::InferenceTarget>> GatewayBackend::Find(
    const std::string& model, std::optional<int64_t> version) const {
  BACKFIRE_ASSIGN_OR_RETURN(HeldView held, ViewOf(model));
  const ReleaseView& view = *held.view;
  if (!version.has_value() && view.live == 0) {
    return absl::NotFoundError("there is no live release yet");
  }
  const int64_t release = version.value_or(view.live);
  if (view.releases.count(release) == 0) {
    return absl::NotFoundError(
        absl::StrCat("there is no release ", release, " that can be served; there are ",
                     absl::StrJoin(view.releases, ", ", [](std::string* out, const auto& servable) {
                       absl::StrAppend(out, servable.first);
                     })));
  }
  return std::make_shared<const ReleaseTarget>(*this, std::move(held), model, release,
                                               /*follows_live=*/!version.has_value());
}

std::vector<std::string> GatewayBackend::Models() const {
  const auto view = watcher_.view();
  if (view == nullptr) return {};
  std::vector<std::string> names = view->graph.order();
  names.insert(names.begin(), view->graph.system().name());
  return names;
}

absl::StatusOr<std::vector<int64_t>> GatewayBackend::Versions(const std::string& model) const {
  BACKFIRE_ASSIGN_OR_RETURN(const HeldView held, ViewOf(model));
  std::vector<int64_t> numbers;
  for (const auto& [number, versions] : held.view->releases) numbers.push_back(number);
  return numbers;
}

}  // namespace backfire::gateway
