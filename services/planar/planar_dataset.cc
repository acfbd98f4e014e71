#include "services/planar/planar_dataset.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/base/digest.h"
#include "services/base/random.h"
#include "services/base/status.h"
#include "services/yaml/yaml_message.h"

namespace backfire::planar {
namespace {

using runtime::Split;

constexpr char kScheme[] = "planar:";
constexpr int kDrawsBetweenLooks = 1024;  // At whether anybody waits.
constexpr int kMaxExamples = 1000000;
constexpr int64_t kMaxComponentCells = 10'000'000;  // Each takes a few integrals.

int OrDefault(int value, int standard) { return value == 0 ? standard : value; }

std::string SerializeInOrder(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);  // A map has no order otherwise.
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

absl::Status CheckTarget(const Data& data, const std::string& path, const Target& target) {
  if (!target.loss().empty() && target.loss() != "class_error" &&
      target.loss() != "position_error") {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ".loss must be class_error or position_error: got ", target.loss()));
  }
  if (target.false_positive_cost() < 0 || target.false_negative_cost() < 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": costs must be > 0"));
  }
  if (target.counts_size() != 0 && target.counts_size() != data.components_size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ".counts must have one entry per component, ", data.components_size(),
                     ": got ", target.counts_size()));
  }
  for (const double count : target.counts()) {
    if (count < 0) {
      return absl::InvalidArgumentError(absl::StrCat(path, ".counts must be >= 0: got ", count));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Data> ParseData(const std::string& uri) {
  if (!absl::StartsWith(uri, kScheme)) {
    return absl::InvalidArgumentError(
        absl::StrCat("dataset.uri must be planar:DESCRIPTION: got ", uri.substr(0, 80)));
  }
  Data data;
  BACKFIRE_RETURN_IF_ERROR(ParseYaml(uri.substr(sizeof(kScheme) - 1), "dataset", data));
  for (const int count : {data.train(), data.validation(), data.test()}) {
    if (count >= 0 && count <= kMaxExamples) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "dataset: train, validation and test must be in [0, ", kMaxExamples, "]: got ", count));
  }
  if (data.cells() < 0 || data.cells() % 2 != 0 || data.cells() > 400) {
    return absl::InvalidArgumentError(
        absl::StrCat("dataset: cells must be even and in [0, 400]: got ", data.cells()));
  }
  const int64_t cells = OrDefault(data.cells(), 48);
  if (cells * cells * data.components_size() > kMaxComponentCells) {
    return absl::InvalidArgumentError(
        absl::StrCat("dataset: cells x cells x components must be at most ", kMaxComponentCells,
                     ": got ", cells, " x ", cells, " x ", data.components_size()));
  }
  if (!(data.label_noise() >= 0 && data.label_noise() <= 0.5)) {
    return absl::InvalidArgumentError(
        absl::StrCat("dataset: label_noise must be in [0, 0.5]: got ", data.label_noise()));
  }
  for (const auto& [model, target] : data.targets()) {
    BACKFIRE_RETURN_IF_ERROR(
        Annotate(CheckTarget(data, absl::StrCat("targets[", model, "]"), target), "dataset"));
  }
  BACKFIRE_RETURN_IF_ERROR(
      Annotate(CheckTarget(data, "default_target", data.default_target()), "dataset"));
  return data;
}

PlanarDataset::PlanarDataset(std::string uri, Data data, Distribution distribution)
    : uri_(std::move(uri)), data_(std::move(data)), distribution_(std::move(distribution)) {}

absl::Status PlanarDataset::Fill(const runtime::DatasetAccess& access) {
  BACKFIRE_ASSIGN_OR_RETURN(population_,
                            Population::Build(distribution_, OrDefault(data_.cells(), 48), access));
  const int sizes[3] = {OrDefault(data_.train(), 400), OrDefault(data_.validation(), 1),
                        OrDefault(data_.test(), 2000)};
  for (size_t split = 0; split < 3; ++split) {
    for (int i = 0; i < sizes[split]; ++i) {
      if (i % kDrawsBetweenLooks == 0) BACKFIRE_RETURN_IF_ERROR(access.CheckWanted());
      Random random(static_cast<uint64_t>(data_.seed()),
                    (static_cast<uint64_t>(split) << 32) + static_cast<uint64_t>(i));
      Example& example = examples_[split].emplace_back(distribution_.Sample(random));
      for (int8_t& label : example.labels) {
        if (label >= 0 && random.Uniform() < data_.label_noise()) {
          label = static_cast<int8_t>(1 - label);
        }
      }
    }
  }
  Sha256 digest;
  digest.UpdateField("planar").UpdateField(SerializeInOrder(data_));
  // Of points from files, the content.
  for (const Distribution::Atom& atom : distribution_.atoms()) {
    digest.UpdateField(
        absl::StrFormat("%.17g %.17g %.17g", atom.point.x, atom.point.y, atom.probability));
    digest.UpdateField(std::string(atom.labels.begin(), atom.labels.end()));
  }
  digest_ = digest.Finish();
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const PlanarDataset>> PlanarDataset::Open(
    const std::string& uri, const runtime::DatasetAccess& access) {
  BACKFIRE_ASSIGN_OR_RETURN(Data data, ParseData(uri));
  absl::StatusOr<Distribution> distribution = Distribution::Build(data, access);
  if (!distribution.ok()) return Annotate(distribution.status(), "dataset");
  const std::shared_ptr<PlanarDataset> dataset(
      new PlanarDataset(uri, std::move(data), *std::move(distribution)));
  BACKFIRE_RETURN_IF_ERROR(dataset->Fill(access));
  return dataset;
}

int64_t PlanarDataset::size(Split split) const {
  return static_cast<int64_t>(split == Split::kPopulation ? population_->nodes().size()
                                                          : examples(split).size());
}

std::string PlanarDataset::ExampleId(Split, int64_t example) const {
  return absl::StrFormat("%06d", example);
}

absl::StatusOr<runtime::TensorMap> PlanarDataset::RequestInputs(
    Split split, int64_t example, const std::vector<std::string>& names) const {
  runtime::TensorMap inputs;
  const auto i = static_cast<size_t>(example);
  for (const std::string& name : names) {
    if (name != "point") {
      return absl::InvalidArgumentError(
          absl::StrCat("a planar dataset has only the tensor point: it has no \"", name, "\""));
    }
    const Position point =
        split == Split::kPopulation ? population_->nodes()[i] : examples(split)[i].point;
    runtime::Tensor& tensor = inputs[name] = runtime::MakeTensor(runtime::Datatype::kFp64, {2});
    tensor.MutableAs<double>()[0] = point.x;
    tensor.MutableAs<double>()[1] = point.y;
  }
  return inputs;
}

absl::StatusOr<std::shared_ptr<const PlanarDataset>> DatasetCache::Open(
    const std::string& uri, const runtime::DatasetAccess& access) {
  {
    MutexLock lock(mutex_);
    if (last_ != nullptr && last_->uri() == uri) return last_;
  }
  // Not under the lock: others need theirs meanwhile. Two who open the same at once both do.
  BACKFIRE_ASSIGN_OR_RETURN(auto opened, PlanarDataset::Open(uri, access));
  MutexLock lock(mutex_);
  last_ = opened;
  return opened;
}

}  // namespace backfire::planar
