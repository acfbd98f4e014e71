#include "orchestrator/conformance/stand_in_parents.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "backfire/v1/model_service.grpc.pb.h"
#include "orchestrator/conformance/half_floats.h"
#include "services/base/digest.h"
#include "services/base/mutex.h"
#include "services/base/random.h"
#include "services/base/status.h"
#include "services/base/temporary_directory.h"
#include "services/rpc/rpc_server.h"

namespace backfire::conformance {
namespace {

constexpr char kModelPrefix[] = "models/stand-in-";
constexpr int kConducts = 7;
constexpr int kFirstMixed = 500;  // Twin.
constexpr size_t kLargestPiece = size_t{1} << 20;

template <typename T>
void Append(T value, std::string& data) {
  data.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// False: a type whose elements are not made up here. Without a range numbers are normal, or whole
// ones below `whole`.
bool AppendElement(const std::string& datatype, const Range* range, Random& random,
                   std::string& data) {
  const auto real = [&] {
    return range == nullptr ? random.Normal()
                            : range->low + random.Uniform() * (range->high - range->low);
  };
  const auto whole = [&](int64_t below) {
    if (range == nullptr) return random.Below(below);
    const auto low = static_cast<int64_t>(std::ceil(range->low));
    return low + random.Below(static_cast<int64_t>(std::floor(range->high)) - low + 1);
  };
  const int64_t bytes = ElementBytes(datatype);
  if (datatype == "FP64") {
    Append(real(), data);
  } else if (datatype == "FP32") {
    Append(static_cast<float>(real()), data);
  } else if (datatype == "FP16") {
    Append(ToFp16(real()), data);
  } else if (datatype == "BF16") {
    Append(ToBf16(real()), data);
  } else {  // Of whole numbers those of fewer bytes are the first of more.
    const int64_t number = whole(datatype == "UINT8" ? 256 : 2);
    data.append(reinterpret_cast<const char*>(&number), static_cast<size_t>(bytes));
  }
  return bytes > 0;
}

// Which clusters share what, in no order of their names, with two examples that name none: few
// enough that resamples hold the same clusters again and again.
std::string ClusterOf(int64_t example, bool renamed) {
  if (example == 7 || example == 12) return "";
  const int64_t turn = example % 7;
  const int drive = example >= 15 ? 1 : turn < 3 ? 3 : turn < 5 ? 2 : 4;
  return absl::StrCat("drive ", renamed ? 9 - drive : drive);
}

std::string ModelOf(size_t index) { return absl::StrCat(kModelPrefix, index); }

TensorData MakeUp(const v1::TensorSignature& input, const Range* range, uint64_t key,
                  uint64_t stream) {
  TensorData tensor;
  tensor.datatype = input.datatype();
  int64_t count = 1;
  for (const int64_t size : input.shape()) {
    tensor.shape.push_back(size < 0 ? 2 : size);
    count *= tensor.shape.back();
  }
  Random random(key, stream);
  for (int64_t e = 0; e < count; ++e) AppendElement(tensor.datatype, range, random, tensor.bytes);
  return tensor;
}

}  // namespace

struct StandInParents::Server final : public v1::ModelService::Service {
  explicit Server(TemporaryDirectory made) : directory(std::move(made)) {}

  std::vector<v1::TensorSignature> fed;
  std::map<std::string, Range> ranges;
  std::string run;
  const TemporaryDirectory directory;
  std::unique_ptr<runtime::RpcServer> server;
  mutable Mutex mutex;
  std::map<std::string, int64_t> counts ABSL_GUARDED_BY(mutex) = {
      {"train", 40}, {"validation", 10}, {"test", 20}};
  std::vector<Pull> pulls ABSL_GUARDED_BY(mutex);
  std::string dataset_digest ABSL_GUARDED_BY(mutex) = Sha256Hex("stand-in dataset");
  std::set<std::string> lost ABSL_GUARDED_BY(mutex);  // Versions and splits that have been away.
  std::vector<std::set<int64_t>> changed ABSL_GUARDED_BY(mutex);  // By twin from kFirstMixed.

  std::string endpoint() const {
    return absl::StrCat("unix:", (directory.path() / "parents").string());
  }

  std::string DigestOf(const std::string& version) const {
    return Sha256Hex(absl::StrCat("stand-in parent ", version, " of run ", run));
  }

  // What a name says; NOT_FOUND: it is none of theirs.
  struct Place {
    size_t index = 0;
    Conduct conduct = Conduct::kPlain;
    bool renamed = false;
    std::set<int64_t> changed;  // Of kMixed.
  };
  absl::StatusOr<Place> Find(const std::string& version) const {
    absl::string_view rest = version;
    const size_t slash = version.find("/versions/");
    Place place;
    int64_t number = 0;
    if (slash != std::string::npos && absl::ConsumePrefix(&rest, kModelPrefix) &&
        absl::SimpleAtoi(version.substr(sizeof(kModelPrefix) - 1, slash - sizeof(kModelPrefix) + 1),
                         &place.index) &&
        absl::SimpleAtoi(version.substr(slash + 10), &number) && place.index < fed.size() &&
        number >= 1) {
      place.conduct = static_cast<Conduct>((number - 1) % kConducts);
      const int64_t twin = (number - 1) / kConducts;
      place.renamed = twin >= kRenamedTwins;
      if (place.conduct != Conduct::kMixed) return place;
      MutexLock lock(mutex);
      if (twin >= kFirstMixed && twin - kFirstMixed < static_cast<int64_t>(changed.size())) {
        place.changed = changed[static_cast<size_t>(twin - kFirstMixed)];
        return place;
      }
    }
    return absl::NotFoundError(absl::StrCat("the stand-in parents have no ", version));
  }

  TensorData Tensor(size_t index, Conduct conduct, bool second, const std::string& split,
                    int64_t example) const {
    const bool is_other =
        conduct == Conduct::kOther ||
        conduct == (split == "test" ? Conduct::kOtherToJudge : Conduct::kOtherToLearn);
    const uint64_t content = (is_other ? 1 : 0) + (second ? 2 : 0);
    const uint64_t part = split == "train" ? 0 : split == "validation" ? 1 : 2;
    const auto range = ranges.find(fed[index].name());
    return MakeUp(fed[index], range == ranges.end() ? nullptr : &range->second, index * 4 + content,
                  static_cast<uint64_t>(example) * 4 + part);
  }

  grpc::Status GetVersion(grpc::ServerContext*, const v1::GetVersionRequest* request,
                          v1::Version* response) override {
    if (const auto place = Find(request->name()); !place.ok()) {
      return {grpc::StatusCode::NOT_FOUND, std::string(place.status().message())};
    }
    response->set_name(request->name());
    response->set_input_key(Sha256Hex(absl::StrCat("inputs of ", request->name())));
    response->set_digest(DigestOf(request->name()));
    response->mutable_recipe()->set_name("made-up");
    response->mutable_dataset()->set_uri("made-up");
    MutexLock lock(mutex);
    response->mutable_dataset()->set_digest(dataset_digest);
    return grpc::Status::OK;
  }

  grpc::Status Materialize(grpc::ServerContext*, const v1::MaterializeRequest* request,
                           grpc::ServerWriter<v1::MaterializeResponse>* writer) override {
    const auto place = Find(request->version());
    if (!place.ok()) return {grpc::StatusCode::NOT_FOUND, std::string(place.status().message())};
    int64_t size = 0;
    bool is_lost = false;
    {
      MutexLock lock(mutex);
      pulls.push_back({request->version(), request->digest(), request->split()});
      size = counts[request->split()];
      is_lost = place->conduct == Conduct::kLost &&
                lost.insert(absl::StrCat(request->version(), " ", request->split())).second;
    }
    if (!request->digest().empty() && request->digest() != DigestOf(request->version())) {
      return {grpc::StatusCode::DATA_LOSS,
              absl::StrCat(request->version(), " has another digest than was asked for")};
    }
    std::vector<int64_t> examples(request->examples().begin(), request->examples().end());
    for (int64_t i = 0; request->examples().empty() && i < size; ++i) examples.push_back(i);
    for (size_t i = 0; i < examples.size(); ++i) {
      if (i == examples.size() / 2) {
        if (is_lost) return {grpc::StatusCode::UNAVAILABLE, "the stand-in parent restarts"};
        if (place->conduct == Conduct::kDamaged) {
          return {grpc::StatusCode::DATA_LOSS, "the stand-in parent's files are damaged"};
        }
      }
      if (!Write(*place, request->split(), examples[i], *writer)) return grpc::Status::CANCELLED;
    }
    return grpc::Status::OK;
  }

  // An example as it is given.
  ExampleOutputs Give(const Place& place, const std::string& split, int64_t example) const {
    ExampleOutputs given{example, absl::StrCat(example), ClusterOf(example, place.renamed), {}};
    const Conduct conduct = place.changed.count(example) > 0 ? Conduct::kOther : place.conduct;
    for (const bool second : {false, true}) {
      given.tensors.emplace_back(absl::StrCat(fed[place.index].name(), second ? "_2" : ""),
                                 Tensor(place.index, conduct, second, split, example));
    }
    return given;
  }

  bool Write(const Place& place, const std::string& split, int64_t example,
             grpc::ServerWriter<v1::MaterializeResponse>& writer) const {
    const ExampleOutputs given = Give(place, split, example);
    for (const auto& [output, tensor] : given.tensors) {
      for (size_t at = 0; at == 0 || at < tensor.bytes.size(); at += kLargestPiece) {
        v1::MaterializeResponse piece;
        piece.set_example(example);
        piece.set_output(output);
        if (at == 0) {
          if (output == given.tensors.front().first) {
            piece.set_example_id(given.id);
            piece.set_cluster(given.cluster);
          }
          piece.set_datatype(tensor.datatype);
          piece.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
        }
        piece.set_data(tensor.bytes.substr(at, kLargestPiece));
        piece.set_last_piece(at + kLargestPiece >= tensor.bytes.size());
        if (!writer.Write(piece)) return false;
      }
    }
    return true;
  }
};

StandInParents::StandInParents(std::unique_ptr<Server> server) : server_(std::move(server)) {}

StandInParents::~StandInParents() {
  server_->server.reset();  // Before anything that its calls use.
}

absl::StatusOr<std::unique_ptr<StandInParents>> StandInParents::Start(
    const std::vector<v1::TensorSignature>& fed, const std::map<std::string, Range>& ranges,
    const std::string& run) {
  BACKFIRE_ASSIGN_OR_RETURN(TemporaryDirectory directory, TemporaryDirectory::Make());
  auto server = std::make_unique<Server>(std::move(directory));
  server->fed = fed;
  server->ranges = ranges;
  server->run = run;
  std::sort(server->fed.begin(), server->fed.end(),
            [](const auto& a, const auto& b) { return a.name() < b.name(); });
  for (const v1::TensorSignature& input : fed) {
    Random random(0);
    std::string data;
    if (!AppendElement(input.datatype(), /*range=*/nullptr, random, data)) {
      return absl::InvalidArgumentError(absl::StrCat("input \"", input.name(), "\" has datatype ",
                                                     input.datatype(),
                                                     ", whose elements have no one size: a tensor "
                                                     "here is of numbers"));
    }
  }
  runtime::RpcServerOptions options;
  options.announced = false;
  options.name = "stand-in-parents";
  options.listen = server->endpoint();
  options.drain_seconds = 0;
  std::unique_ptr<StandInParents> parents(new StandInParents(std::move(server)));
  BACKFIRE_ASSIGN_OR_RETURN(parents->server_->server,
                            runtime::RpcServer::Start(options, {parents->server_.get()}));
  return parents;
}

const std::vector<v1::TensorSignature>& StandInParents::fed() const { return server_->fed; }

v1::Parent StandInParents::ParentOf(size_t index, Conduct conduct, int twin) const {
  v1::Parent parent;
  parent.set_input(server_->fed[index].name());
  parent.set_output(server_->fed[index].name());
  parent.set_version(
      absl::StrCat(ModelOf(index), "/versions/", 1 + static_cast<int>(conduct) + kConducts * twin));
  parent.set_digest(server_->DigestOf(parent.version()));
  return parent;
}

std::vector<v1::Parent> StandInParents::Lineage(Conduct conduct, int twin) const {
  std::vector<v1::Parent> lineage;
  for (size_t i = 0; i < server_->fed.size(); ++i) lineage.push_back(ParentOf(i, conduct, twin));
  return lineage;
}

std::vector<v1::Parent> StandInParents::ChangeExamples(const std::set<int64_t>& examples) {
  int twin = kFirstMixed;
  {
    MutexLock lock(server_->mutex);
    twin += static_cast<int>(server_->changed.size());
    server_->changed.push_back(examples);
  }
  return Lineage(Conduct::kMixed, twin);
}

v1::OutputsCommitment StandInParents::CommitmentOf(const v1::Parent& parent,
                                                   const std::string& split) const {
  v1::OutputsCommitment commitment;
  commitment.set_version(parent.version());
  commitment.set_version_digest(parent.digest());
  commitment.set_split(split);
  commitment.set_example_count(ExampleCount(split));
  {
    MutexLock lock(server_->mutex);
    commitment.set_dataset_digest(server_->dataset_digest);
  }
  const auto place = server_->Find(parent.version());
  if (!place.ok()) return commitment;  // Of another's parent.
  Outputs outputs;
  for (int64_t i = 0; i < commitment.example_count(); ++i) {
    outputs.push_back(server_->Give(*place, split, i));
  }
  commitment.set_outputs_digest(OutputsDigest(outputs));
  return commitment;
}

v1::Endpoints StandInParents::endpoints() const {
  v1::Endpoints endpoints;
  for (size_t i = 0; i < server_->fed.size(); ++i) {
    (*endpoints.mutable_by_model())[ModelOf(i)] = server_->endpoint();
  }
  return endpoints;
}

TensorData StandInParents::Tensor(size_t index, Conduct conduct, const std::string& split,
                                  int64_t example) const {
  return server_->Tensor(index, conduct, /*second=*/false, split, example);
}

int64_t StandInParents::ExampleCount(const std::string& split) const {
  MutexLock lock(server_->mutex);
  const auto found = server_->counts.find(split);
  return found == server_->counts.end() ? 0 : found->second;
}

void StandInParents::SetExampleCount(const std::string& split, int64_t count) {
  MutexLock lock(server_->mutex);
  server_->counts[split] = count;
}

void StandInParents::SetDatasetDigest(const std::string& digest) {
  MutexLock lock(server_->mutex);
  server_->dataset_digest = digest;
}

std::vector<StandInParents::Pull> StandInParents::TakePulls() {
  MutexLock lock(server_->mutex);
  return std::exchange(server_->pulls, {});
}

}  // namespace backfire::conformance
