#include "services/learning/checkpoint_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/learning/torch_checkpoint.h"
#include "services/learning/weight_tensors.h"
#include "tests/support/temporary_directory.h"

namespace backfire::learning {
namespace {

using runtime::Datatype;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// What write_checkpoints.py calls `state`.
WeightTensors State() {
  WeightTensors weights;
  weights["a.weight"] = runtime::MakeTensor(Datatype::kFp32, {2, 3});
  for (int64_t i = 0; i < 6; ++i) {
    weights["a.weight"].MutableAs<float>()[i] = static_cast<float>(i) / 4;
  }
  weights["a.bias"] = runtime::MakeTensor(Datatype::kFp32, {2});
  weights["a.bias"].MutableAs<float>()[0] = -1.5F;
  weights["a.bias"].MutableAs<float>()[1] = 2.5F;
  weights["n.num_batches_tracked"] = runtime::MakeTensor(Datatype::kInt64, {});
  weights["n.num_batches_tracked"].MutableAs<int64_t>()[0] = 7;
  return weights;
}

// Weights of a network of the same shape that was never trained.
std::string Expected() {
  WeightTensors weights = State();
  for (auto& [name, tensor] : weights) std::fill(tensor.data.begin(), tensor.data.end(), '\0');
  return FormatWeights(weights);
}

std::string Message(const absl::Status& status) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(CheckpointWeightsTest, NamesEveryDifferenceInOneMessage) {
  WeightTensors other = State();
  other.erase("a.bias");
  other["b.one"] = runtime::MakeTensor(Datatype::kFp32, {1});
  other["b.two"] = runtime::MakeTensor(Datatype::kFp32, {1});
  other["a.weight"] = runtime::MakeTensor(Datatype::kFp32, {3, 2});
  const std::string file = *WriteTorchCheckpoint(other);
  EXPECT_THAT(Message(WeightsFromCheckpoint(file, Expected()).status()),
              AllOf(HasSubstr("recipe's network, which its parameters may change"),
                    HasSubstr("1 missing: a.bias"), HasSubstr("2 extra: b.one, b.two"),
                    HasSubstr("1 misshapen: a.weight is [3, 2] where [2, 3] is needed")));
}

TEST(CheckpointWeightsTest, ThePrefixOfDataParallelIsTakenOff) {
  for (const std::string prefix : {"module.", "module.module."}) {
    WeightTensors renamed;
    for (const auto& [name, tensor] : State()) renamed[prefix + name] = tensor;
    const auto weights = WeightsFromCheckpoint(*WriteTorchCheckpoint(renamed), Expected());
    ASSERT_TRUE(weights.ok()) << weights.status();
    EXPECT_EQ(*weights, FormatWeights(State()));
  }
  // Only if all have it: otherwise it is a part of their names.
  WeightTensors half_renamed = State();
  half_renamed["module.a.bias"] = half_renamed["a.bias"];
  half_renamed.erase("a.bias");
  EXPECT_THAT(
      Message(WeightsFromCheckpoint(*WriteTorchCheckpoint(half_renamed), Expected()).status()),
      HasSubstr("1 missing: a.bias; 1 extra: module.a.bias"));
}

TEST(CheckpointWeightsTest, ThePartsOfTorchCompileAreTakenOff) {
  for (const auto& [weight, bias] :
       {std::pair("_orig_mod.a.weight", "_orig_mod.a.bias"),
        std::pair("module._orig_mod.a.weight", "module._orig_mod.a.bias"),
        std::pair("_orig_mod.module.a.weight", "_orig_mod.module.a.bias"),
        std::pair("a._orig_mod.weight", "a.bias")}) {
    WeightTensors renamed;
    renamed[weight] = State()["a.weight"];
    renamed[bias] = State()["a.bias"];
    WeightTensors without_counter = State();
    without_counter["n.num_batches_tracked"].MutableAs<int64_t>()[0] = 0;
    const auto weights = WeightsFromCheckpoint(*WriteTorchCheckpoint(renamed), Expected());
    ASSERT_TRUE(weights.ok()) << weights.status();
    EXPECT_EQ(*weights, FormatWeights(without_counter));
  }
  WeightTensors twice = State();
  twice["_orig_mod.a.bias"] = twice["a.bias"];
  EXPECT_THAT(Message(WeightsFromCheckpoint(*WriteTorchCheckpoint(twice), Expected()).status()),
              HasSubstr("two tensors for one of the network: _orig_mod.a.bias and a.bias"));
}

// As load_state_dict takes them.
TEST(CheckpointWeightsTest, CountersMayHaveOtherTypesAndOneElement) {
  for (const Datatype datatype : {Datatype::kFp32, Datatype::kFp64, Datatype::kInt64}) {
    for (const std::vector<int64_t>& shape : {std::vector<int64_t>{}, std::vector<int64_t>{1}}) {
      WeightTensors other = State();
      runtime::Tensor& counter = other["n.num_batches_tracked"];
      counter = runtime::MakeTensor(datatype, shape);
      if (datatype == Datatype::kFp32) counter.MutableAs<float>()[0] = 7;
      if (datatype == Datatype::kFp64) counter.MutableAs<double>()[0] = 7;
      if (datatype == Datatype::kInt64) counter.MutableAs<int64_t>()[0] = 7;
      const auto weights = WeightsFromCheckpoint(*WriteTorchCheckpoint(other), Expected());
      ASSERT_TRUE(weights.ok()) << weights.status();
      EXPECT_EQ(*weights, FormatWeights(State()));
    }
  }
  WeightTensors broken = State();
  broken["n.num_batches_tracked"] = runtime::MakeTensor(Datatype::kFp32, {});
  broken["n.num_batches_tracked"].MutableAs<float>()[0] = NAN;
  EXPECT_THAT(Message(WeightsFromCheckpoint(*WriteTorchCheckpoint(broken), Expected()).status()),
              HasSubstr("a counter must be >= 0"));
  broken["n.num_batches_tracked"] = runtime::MakeTensor(Datatype::kInt64, {2});
  EXPECT_THAT(Message(WeightsFromCheckpoint(*WriteTorchCheckpoint(broken), Expected()).status()),
              HasSubstr("n.num_batches_tracked is [2] where [] is needed"));
}

TEST(CheckpointWeightsTest, ManyDifferencesAreCounted) {
  WeightTensors other;
  for (int i = 0; i < 500; ++i) {
    other[absl::StrCat("layer", i, ".weight")] = runtime::MakeTensor(Datatype::kFp32, {1});
  }
  const std::string message =
      Message(WeightsFromCheckpoint(*WriteTorchCheckpoint(other), Expected()).status());
  EXPECT_THAT(message, AllOf(HasSubstr("500 extra: layer0.weight"), HasSubstr("and 490 more")));
  EXPECT_LT(message.size(), 1000u);
}

TEST(CheckpointWeightsTest, CountersThatOldVersionsDidNotWriteMayBeMissing) {
  WeightTensors old = State();
  old.erase("n.num_batches_tracked");
  const auto weights = WeightsFromCheckpoint(*WriteTorchCheckpoint(old), Expected());
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(ParseWeights(*weights)->at("n.num_batches_tracked").As<int64_t>()[0], 0);
}

TEST(CheckpointWeightsTest, NumbersMustBeFinite) {
  WeightTensors broken = State();
  broken["a.bias"].MutableAs<float>()[1] = NAN;
  EXPECT_THAT(Message(WeightsFromCheckpoint(*WriteTorchCheckpoint(broken), Expected()).status()),
              HasSubstr("tensor a.bias: element 1 must be finite as FP32: got nan"));
}

TEST(CheckpointWeightsTest, NumbersMustBeFiniteInTheTypeThatIsNeeded) {
  WeightTensors wide = State();
  wide["a.bias"] = runtime::MakeTensor(Datatype::kFp64, {2});
  wide["a.bias"].MutableAs<double>()[1] = 1e300;
  EXPECT_THAT(Message(WeightsFromCheckpoint(*WriteTorchCheckpoint(wide), Expected()).status()),
              HasSubstr("tensor a.bias: element 1 must be finite as FP32: got 1e+300"));
}

TEST(CheckpointWeightsTest, VariancesMustNotBeNegative) {
  WeightTensors state = State();
  state["n.running_var"] = runtime::MakeTensor(Datatype::kFp32, {2});
  const std::string expected = FormatWeights(state);
  EXPECT_TRUE(WeightsFromCheckpoint(*WriteTorchCheckpoint(state), expected).ok());
  state["n.running_var"].MutableAs<float>()[1] = -0.5F;
  EXPECT_THAT(Message(WeightsFromCheckpoint(*WriteTorchCheckpoint(state), expected).status()),
              HasSubstr("tensor n.running_var: element 1 must be >= 0: got -0.5"));
}

TEST(CheckpointWeightsTest, ExportedWeightsComeBack) {
  const auto file = CheckpointFromWeights(FormatWeights(State()));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(WeightsFromCheckpoint(*file, Expected()).value_or("?"), FormatWeights(State()));
  EXPECT_EQ(CheckpointFromWeights("nonsense").status().code(), absl::StatusCode::kDataLoss);
}

TEST(WeightTensorsTest, DamagedWeightsAreRefused) {
  const std::string bytes = FormatWeights(State());
  ASSERT_TRUE(ParseWeights(bytes).ok());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ParseWeights(bytes.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ParseWeights(bytes + "x").ok());
}

// With Python's own torch, where there is one.
class PythonTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* python : {"python3", "/usr/bin/python3"}) {
      python_ = python;
      if (Run("-c 'import torch'") == 0) return;
    }
    GTEST_SKIP() << "no python3 with torch (Debian's python3-torch)";
  }
  int Run(const std::string& arguments) const {
    return std::system((python_ + " " + arguments + " 2>/dev/null").c_str());
  }
  int Script(const std::string& verb, const std::filesystem::path& path) const {
    return Run(std::string(BACKFIRE_WRITE_CHECKPOINTS) + " " + verb + " " + path.string());
  }
  std::string File(const std::string& name) const { return *ReadFile(directory_ / name); }

  testing::TemporaryDirectory directory_;
  std::string python_;
};

TEST_F(PythonTest, ReadsWhatTorchWritesAndTorchReadsWhatIsWritten) {
  ASSERT_EQ(Script("write", directory_.path()), 0);
  for (const char* name :
       {"plain", "plain_legacy", "nested", "nested_legacy", "protocol_4", "parameters", "views",
        "views_legacy", "half", "bfloat16", "double", "malicious_beside"}) {
    const auto weights = WeightsFromCheckpoint(File(name), Expected());
    EXPECT_TRUE(weights.ok()) << name << ": " << weights.status();
    EXPECT_EQ(weights.value_or("?"), FormatWeights(State())) << name;
  }
  const auto refusal = [&](const std::string& name) {
    return Message(WeightsFromCheckpoint(File(name), Expected()).status());
  };
  EXPECT_THAT(refusal("malicious"), HasSubstr("open"));
  EXPECT_THAT(refusal("whole_module"), HasSubstr("Linear"));
  EXPECT_THAT(refusal("torchscript"), HasSubstr("TorchScript"));
  EXPECT_THAT(refusal("unusual"), AllOf(HasSubstr("a.bias is an object made by torch._utils"),
                                        HasSubstr("a.step is a number")));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "harm")) << "code in a file was run";

  ASSERT_TRUE(
      WriteFileAtomically(directory_ / "ours", *CheckpointFromWeights(FormatWeights(State())))
          .ok());
  EXPECT_EQ(Script("read", directory_ / "ours"), 0);
}

}  // namespace
}  // namespace backfire::learning
