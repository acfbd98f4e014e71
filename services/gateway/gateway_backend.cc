#include "services/gateway/gateway_backend.h"

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

class ReleaseTarget final : public runtime::InferenceTarget {
 public:
  ReleaseTarget(std::shared_ptr<const ReleaseView> view, int64_t release,
                std::map<std::string, Source> outputs, runtime::ChannelPool& channels,
                const VertexTimer& timer)
      : view_(std::move(view)),
        release_(release),
        sources_(std::move(outputs)),
        channels_(channels),
        timer_(timer) {
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
    vertices_ = view_->graph.WithAncestors(vertices);
    for (const std::string& vertex : vertices_) {
      for (const auto& [input, source] : view_->graph.node(vertex).inputs) {
        if (source.from_request()) request.insert(source.tensor);
      }
    }
    for (const v1::TensorSignature& tensor : view_->graph.system().request()) {
      if (request.count(tensor.name()) > 0) *inputs_.Add() = tensor;
    }
  }

  int64_t version() const override { return release_; }
  const TensorSignatures& inputs() const override { return inputs_; }
  const TensorSignatures& outputs() const override { return outputs_; }

  absl::StatusOr<TensorMap> Infer(TensorMap inputs, const std::vector<std::string>& outputs,
                                  runtime::InferenceCall& call) const override {
    std::map<std::string, Source> wanted;
    for (const std::string& name : outputs) wanted[name] = sources_.at(name);
    BACKFIRE_ASSIGN_OR_RETURN(
        TensorMap tensors,
        RunGraph(*view_, release_, wanted, std::move(inputs), call, channels_, timer_));
    call.response_parameters["release"].set_int64_param(release_);
    for (const std::string& vertex : vertices_) {
      call.response_parameters[absl::StrCat("version.", vertex)].set_int64_param(
          view_->releases.at(release_).at(vertex));
    }
    return tensors;
  }

 private:
  void AddOutput(const std::string& name, const Source& source) {
    for (const v1::TensorSignature& output : view_->models.at(source.vertex).outputs()) {
      if (output.name() != source.tensor) continue;
      v1::TensorSignature& signature = *outputs_.Add();
      signature = output;
      signature.set_name(name);
    }
  }

  const std::shared_ptr<const ReleaseView> view_;
  const int64_t release_;
  const std::map<std::string, Source> sources_;
  runtime::ChannelPool& channels_;
  const VertexTimer& timer_;
  std::vector<std::string> vertices_;
  TensorSignatures inputs_;
  TensorSignatures outputs_;
};

}  // namespace

bool GatewayBackend::Ready() const {
  const auto view = current_();
  return view != nullptr && view->live != 0;
}

absl::StatusOr<std::shared_ptr<const ReleaseView>> GatewayBackend::ViewOf(
    const std::string& model) const {
  std::shared_ptr<const ReleaseView> view = current_();
  if (view == nullptr) {
    return absl::UnavailableError("no release is known yet: the orchestrator has not answered");
  }
  if (model == view->graph.system().name() || view->graph.Has(model)) return view;
  return absl::NotFoundError(absl::StrCat("there is no model \"", model, "\"; there are ",
                                          view->graph.system().name(), " (the whole system), ",
                                          absl::StrJoin(view->graph.order(), ", ")));
}

absl::StatusOr<std::shared_ptr<const runtime::InferenceTarget>> GatewayBackend::Find(
    const std::string& model, std::optional<int64_t> version) const {
  BACKFIRE_ASSIGN_OR_RETURN(const std::shared_ptr<const ReleaseView> view, ViewOf(model));
  if (!version.has_value() && view->live == 0) {
    return absl::NotFoundError("there is no live release yet");
  }
  const int64_t release = version.value_or(view->live);
  if (view->releases.count(release) == 0) {
    return absl::NotFoundError(absl::StrCat(
        "there is no release ", release, " that can be served; there are ",
        absl::StrJoin(view->releases, ", ", [](std::string* out, const auto& servable) {
          absl::StrAppend(out, servable.first);
        })));
  }
  std::map<std::string, Source> outputs = view->graph.outputs();
  if (view->graph.Has(model)) {
    outputs.clear();
    for (const v1::TensorSignature& output : view->models.at(model).outputs()) {
      outputs[output.name()] = {model, output.name()};
    }
  }
  return std::make_shared<const ReleaseTarget>(view, release, std::move(outputs), channels_,
                                               timer_);
}

absl::StatusOr<std::vector<int64_t>> GatewayBackend::Versions(const std::string& model) const {
  BACKFIRE_ASSIGN_OR_RETURN(const std::shared_ptr<const ReleaseView> view, ViewOf(model));
  std::vector<int64_t> numbers;
  for (const auto& [number, versions] : view->releases) numbers.push_back(number);
  return numbers;
}

}  // namespace backfire::gateway
