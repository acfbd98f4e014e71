#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/serialize.h>
#include <torch/types.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "services/base/file.h"
#include "tests/parity/directory_parity.h"
#include "tests/parity/formula.h"
#include "tests/parity/state_dict_table.h"
#include "tests/support/temporary_directory.h"

namespace backfire::parity {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Values that the reference's README gives for its own generator.
TEST(FormulaTest, GivesTheNumbersOfTheReference) {
  EXPECT_EQ(Crc32("a"), 0xE8B7BE43U);
  EXPECT_EQ(Crc32("feature_extraction.firstconv.0.0.weight"), 0x235EAA83U);
  const torch::Tensor weight = FormulaV("feature_extraction.firstconv.0.0.weight", {3});
  EXPECT_DOUBLE_EQ(weight[0].item<double>(), 0.3888416843127658);
  EXPECT_DOUBLE_EQ(weight[1].item<double>(), -0.25250328941025546);
  EXPECT_DOUBLE_EQ(weight[2].item<double>(), 0.15882506146030395);
  const torch::Tensor input = FormulaV("A.psmnet.left", {1, 2});
  EXPECT_DOUBLE_EQ(input[0][0].item<double>(), -0.5982919225434418);
  EXPECT_DOUBLE_EQ(input[0][1].item<double>(), 0.6545162617351152);
}

TEST(VectorFileNameTest, HasNetworkSetAndPart) {
  const auto name = ParseVectorFileName("psmnet_basic.B.eval.pt");
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name->network, "psmnet_basic");
  EXPECT_EQ(name->set, "B");
  EXPECT_EQ(name->part, "eval");
  EXPECT_EQ(ParseVectorFileName("frustum_pointnet_v1.A.pt")->part, "");
  for (const char* wrong : {"a.pt", ".A.pt", "a.A.b.c.pt", "a.A.eval.tsv"}) {
    EXPECT_FALSE(ParseVectorFileName(wrong).ok()) << wrong;
  }
}

// A reference of one tensor, 0 ... 9, of which every third element is kept, with a noise of 1e-3.
class DirectoryTest : public ::testing::Test {
 protected:
  void Write(const std::string& name,
             const std::vector<std::pair<std::string, torch::Tensor>>& all) {
    c10::Dict<std::string, torch::Tensor> dictionary;
    for (const auto& [key, tensor] : all) dictionary.insert(key, tensor);
    const std::vector<char> bytes = torch::pickle_save(dictionary);
    ASSERT_TRUE(WriteFileAtomically(directory_ / name, {bytes.data(), bytes.size()}).ok());
  }
  void WriteRamp(const std::string& name) {
    const torch::Tensor ramp = torch::arange(10, torch::kFloat32);
    Write(name,
          {{"ramp", ramp.slice(0, 0, 10, 3).clone()},
           {"ramp.shape", torch::tensor({int64_t{2}, int64_t{5}})},
           {"ramp.stride", torch::tensor(int64_t{3})},
           {"ramp.stats", torch::tensor({4.5, 2.8722813232690143, 0.0, 9.0}, torch::kFloat64)},
           {"ramp.noise", torch::tensor({1e-3, 1e-4}, torch::kFloat64)}});
  }
  ParityOutcome Run(RunParity run, const std::string& network = "toy") {
    lines_.clear();
    return RunDirectory(directory_.path(), "", {{network, run}},
                        [&](const std::string& line) { lines_ += line + "\n"; });
  }
  testing::TemporaryDirectory directory_;
  std::string lines_;
};

torch::Tensor Ramp() { return torch::arange(10, torch::kFloat32).view({2, 5}); }

TEST_F(DirectoryTest, AcceptsWhatIsWithinTwentyTimesTheNoise) {
  WriteRamp("toy.A.eval.pt");
  const ParityOutcome outcome = Run([](const VectorCase& vector_case, ParityReport& report) {
    EXPECT_EQ(vector_case.name.set, "A");
    report.Compare("ramp", Ramp() + 0.019);
    return absl::OkStatus();
  });
  EXPECT_EQ(outcome.failed, 0) << lines_;
  EXPECT_EQ(outcome.compared, 1);
  EXPECT_THAT(lines_, HasSubstr("bound 2.0e-02  ok"));
}

TEST_F(DirectoryTest, RefusesWhatIsFartherEvenWhereNothingWasKept) {
  WriteRamp("toy.A.eval.pt");
  EXPECT_EQ(Run([](const VectorCase&, ParityReport& report) {
              report.Compare("ramp", Ramp() + 0.021);
              return absl::OkStatus();
            }).failed,
            1);
  EXPECT_THAT(lines_, HasSubstr("MISMATCH"));
  // Element 1 is not in the file, but it moves the mean.
  EXPECT_EQ(Run([](const VectorCase&, ParityReport& report) {
              torch::Tensor ramp = Ramp();
              ramp[0][1] = 8;
              report.Compare("ramp", ramp);
              return absl::OkStatus();
            }).failed,
            1);
  EXPECT_EQ(Run([](const VectorCase&, ParityReport& report) {
              torch::Tensor ramp = Ramp();
              ramp[1][1] = NAN;
              report.Compare("ramp", ramp);
              return absl::OkStatus();
            }).failed,
            1);
  EXPECT_EQ(Run([](const VectorCase&, ParityReport& report) {
              report.Compare("ramp", Ramp().view({5, 2}));
              return absl::OkStatus();
            }).failed,
            1);
  EXPECT_THAT(lines_, HasSubstr("shape must be [2, 5]: ours is [5, 2]"));
}

TEST_F(DirectoryTest, WhatNobodyComparesIsAFailure) {
  WriteRamp("toy.A.eval.pt");
  EXPECT_EQ(Run([](const VectorCase&, ParityReport&) { return absl::OkStatus(); }).failed, 1);
  EXPECT_THAT(lines_, HasSubstr("nothing compares it"));
  EXPECT_EQ(Run([](const VectorCase&, ParityReport&) { return absl::OkStatus(); }, "other").failed,
            1);
  EXPECT_THAT(lines_, HasSubstr("no network here is called toy"));
}

TEST_F(DirectoryTest, FilesThatCannotBeReadAreFailures) {
  EXPECT_EQ(Run(nullptr).failed, 1);  // No file.
  ASSERT_TRUE(WriteFileAtomically(directory_ / "toy.A.pt", "no archive").ok());
  EXPECT_EQ(Run(nullptr).failed, 1);
  EXPECT_THAT(lines_, HasSubstr("not a dictionary of tensors"));
  Write("toy.A.pt", {{"x", torch::zeros({3})}, {"x.shape", torch::tensor({int64_t{4}})}});
  EXPECT_EQ(Run(nullptr).failed, 1);
  EXPECT_THAT(lines_, HasSubstr("must have 4 elements"));
  ASSERT_TRUE(
      WriteFileAtomically(directory_ / "contents.tsv", "file\ttensor\ntoy.B.pt\tramp\n").ok());
  EXPECT_EQ(Run(nullptr).failed, 2);
  EXPECT_THAT(lines_, HasSubstr("toy.B.pt"));
}

class Pair : public torch::nn::Module {
 public:
  Pair() {
    register_parameter("weight", torch::zeros({2, 3}));
    register_buffer("running_var", torch::zeros({2}));
  }
};

TEST_F(DirectoryTest, WeightsAreFilledByTheTable) {
  const auto row = [&](const char* gain) {
    // v(weight, 0..5) sqrt(3) sqrt(gain / 3); the sums come from an independent run of the formula.
    return std::string("0\tweight\t2x3\tfloat32\tparameter\tweight\t3\t") + gain;
  };
  const torch::Tensor v = FormulaV("weight", {2, 3}) * std::sqrt(2.0);
  const torch::Tensor variance = 1 + 0.1 * FormulaV("running_var", {2}).abs();
  const auto numbers = [](const torch::Tensor& t) {
    char text[200];
    std::snprintf(text, sizeof(text), "\t%.9g\t%.9g\t%.9g\n", t.sum().item<double>(),
                  t.reshape({-1})[0].item<double>(), t.reshape({-1})[-1].item<double>());
    return std::string(text);
  };
  const std::string header = "index\tname\n";
  const std::string second = "1\trunning_var\t2\tfloat32\tbuffer\tvar\t\t" + numbers(variance);
  const auto fill = [&](const std::string& content) {
    EXPECT_TRUE(WriteFileAtomically(directory_ / "t.tsv", header + content).ok());
    const auto rows = ReadStateDictTable(directory_ / "t.tsv");
    if (!rows.ok()) return rows.status();
    Pair network;
    const absl::Status status = FillByFormula(*rows, "A.", network);
    if (status.ok()) {
      EXPECT_TRUE(torch::allclose(network.named_parameters()["weight"].to(torch::kFloat64), v));
    }
    return status;
  };
  EXPECT_TRUE(fill(row("2.0") + numbers(v) + second).ok());
  EXPECT_THAT(std::string(fill(row("1.0") + numbers(v) + second).message()),
              HasSubstr("weight: the formula gives another sum"));
  EXPECT_THAT(std::string(fill(second + row("2.0") + numbers(v)).message()),
              HasSubstr("state_dict entry 0 must be running_var [2]: the network has weight"));
  EXPECT_THAT(std::string(fill(row("2.0") + numbers(v)).message()),
              HasSubstr("must have 1 entries: the network has 2"));
  EXPECT_TRUE(absl::IsDataLoss(fill("0\tweight\n")));
}

}  // namespace
}  // namespace backfire::parity
