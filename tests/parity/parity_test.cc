#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/types.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "services/base/file.h"
#include "services/disparity/psmnet.h"
#include "services/learning/state_dict.h"
#include "services/learning/torch_checkpoint.h"
#include "tests/parity/directory_parity.h"
#include "tests/parity/formula.h"
#include "tests/parity/state_dict_table.h"
#include "tests/support/temporary_directory.h"

namespace backfire::parity {
namespace {

using ::testing::ContainsRegex;
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
    learning::WeightTensors tensors;
    for (const auto& [key, tensor] : all) {
      runtime::Tensor& written = tensors[key];
      written.datatype = tensor.scalar_type() == torch::kInt64     ? runtime::Datatype::kInt64
                         : tensor.scalar_type() == torch::kFloat64 ? runtime::Datatype::kFp64
                                                                   : runtime::Datatype::kFp32;
      written.shape = tensor.sizes().vec();
      written.data.assign(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
    }
    ASSERT_TRUE(
        WriteFileAtomically(directory_ / name, *learning::WriteTorchCheckpoint(tensors)).ok());
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

// {'x': 2.5}, and {'x': tensor([7, 8], int32)} as an OrderedDict in torch's format before 1.6.
TEST_F(DirectoryTest, ReadsWhatTorchSavesAndSaysWhatItHolds) {
  const auto prologue = [](const std::string& object) {
    return absl::HexStringToBytes(
               "80028a0a6cfc9c46f9206aa850192e80024de9032e80027d58"
               "0d0000006c6974746c655f656e6469616e88732e8002") +
           object;
  };
  ASSERT_TRUE(WriteFileAtomically(directory_ / "toy.A.pt",
                                  prologue(absl::HexStringToBytes("7d5501784740040000000000007"
                                                                  "32e80025d2e")))
                  .ok());
  EXPECT_EQ(Run(nullptr).failed, 1);
  EXPECT_THAT(lines_, HasSubstr("toy.A.pt: not a dictionary of tensors: the file has no dict"));
  EXPECT_THAT(lines_, Not(HasSubstr("PyTorch")));
  const std::string dict = "ccollections\nOrderedDict\n)RU\x01xctorch._utils\n_rebuild_tensor_v2\n";
  const std::string storage =
      "((U\x07storagectorch\nIntStorage\nU\x01"
      "0U\x03"
      "cpuK\x02tQ";
  const std::string rest(
      "K\0K\x02\x85K\x01\x85\x89NtRs.\x80\x02]U\x01"
      "0a.\x02\0\0\0\0\0\0\0\x07\0\0\0\x08\0\0\0",
      44);
  ASSERT_TRUE(WriteFileAtomically(directory_ / "toy.A.pt", prologue(dict + storage + rest)).ok());
  EXPECT_EQ(Run([](const VectorCase& vector_case, ParityReport& report) {
              report.Compare("x", torch::tensor({7, 8}, torch::kInt32));
              EXPECT_EQ(vector_case.vectors.at("x").values.scalar_type(), torch::kInt32);
              return absl::OkStatus();
            }).failed,
            0)
      << lines_;
}

TEST_F(DirectoryTest, ContentsThatAreNoneAreAFailure) {
  WriteRamp("toy.A.pt");
  const auto lines = [&](const std::string& contents) {
    EXPECT_TRUE(WriteFileAtomically(directory_ / "contents.tsv", contents).ok());
    const ParityOutcome outcome = Run([](const VectorCase&, ParityReport& report) {
      report.Compare("ramp", Ramp());
      return absl::OkStatus();
    });
    EXPECT_EQ(outcome.failed == 0, lines_.find("MISMATCH") == std::string::npos);
    return lines_;
  };
  EXPECT_THAT(lines("file\ttensor\tmore\ntoy.A.pt\tramp\t3\n"), Not(HasSubstr("MISMATCH")));
  EXPECT_THAT(lines("garbage\n"), HasSubstr("contents.tsv:1: the first columns must be called"));
  EXPECT_THAT(lines("file\ttensor\ntoy.A.pt\tramp\n\ntoy.A.pt ramp\n"),
              HasSubstr("contents.tsv:4: must be NETWORK.SET[.PART].pt, a tab"));
  EXPECT_THAT(lines("file\ttensor\ntoy\tramp\n"), HasSubstr("contents.tsv:2: must be"));
}

// The smallest images that the network takes.
class PsmNetParityTest : public DirectoryTest {
 protected:
  // A table for `basic` of the formula's own numbers.
  void WriteTable() {
    disparity::PsmNet network(disparity::BasicPsmNet(), 1);
    std::string table = "index\tname\n";
    for (const auto& [name, tensor] : learning::StateDict(*network)) {
      torch::Tensor values = FormulaV(name, tensor.sizes());
      std::string rule;
      if (absl::EndsWith(name, "tracked")) {
        rule = "tracked\t\t";
        values.zero_();
      } else if (absl::EndsWith(name, "running_mean") || absl::EndsWith(name, "bias")) {
        rule = "bias\t\t";
        values *= 0.1;
      } else if (absl::EndsWith(name, "running_var")) {
        rule = "var\t\t";
        values = 1 + 0.1 * values.abs();
      } else if (tensor.dim() == 1) {
        rule = "bnweight\t\t";
        values = 1 + 0.1 * values;
      } else {
        rule = "weight\t300\t1";
        values *= 0.1;
      }
      const torch::Tensor flat = values.to(torch::kFloat32).to(torch::kFloat64).reshape({-1});
      absl::StrAppendFormat(&table, "0\t%s\t%s\tfloat32\tx\t%s\t%.9g\t%.9g\t%.9g\n", name,
                            tensor.dim() == 0 ? "scalar" : absl::StrJoin(tensor.sizes(), "x"), rule,
                            flat.sum().item<double>(), flat[0].item<double>(),
                            flat[-1].item<double>());
    }
    ASSERT_TRUE(WriteFileAtomically(directory_ / "psmnet_basic.state_dict.tsv", table).ok());
  }
  void SetUp() override { WriteTable(); }
};

TEST_F(PsmNetParityTest, TheOneMapOfBasicIsCalledPred1OrPred) {
  for (const char* name : {"pred1", "pred"}) {
    Write("psmnet_basic.A.train.pt", {{name, torch::zeros({2, 64, 64})}});
    EXPECT_GT(Run(RunPsmNetParity, "psmnet_basic").failed, 0);
    // Compared, with what is not there said in words.
    EXPECT_THAT(lines_, ContainsRegex(absl::StrCat("\n  ", name, " +[0-9.e+]+  bound")));
    EXPECT_THAT(lines_, ContainsRegex("mask_count +the file has no such number"));
    EXPECT_THAT(lines_, Not(HasSubstr("map::at")));
  }
}

TEST_F(PsmNetParityTest, AnEvaluationWithoutACostVolumeIsCompared) {
  Write("psmnet_basic.A.eval.pt", {{"pred", torch::zeros({1, 1, 64, 64})}});
  // Traced, and as it is served.
  EXPECT_EQ(Run(RunPsmNetParity, "psmnet_basic").compared, 2);
  EXPECT_THAT(lines_, ContainsRegex("\n  pred +[0-9.e+]+  bound"));
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
