#include "orchestrator/gate/record_files.h"

#include <gmock/gmock.h>

#include "tests/unit/orchestrator/gate/gate_test_kit.h"

namespace backfire::gate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kRecordPolicy[] = R"(candidate: a
vertices:
- name: a
  losses: [{name: loss}, {name: wer, numerator: wrong, denominator: words}]
  slices: [night, rain]
- name: b
  parents: [a]
  losses: [{name: ap, resampled: true}]
- {name: aside, losses: [{name: error}]}
bootstrap: {resample_count: 3}
)";

constexpr char kA0[] =
    R"({"vertex":"a","seed":0,"example":"x","loss":1,"wrong":1,"words":4,"slice":["night"]})"
    "\n";
constexpr char kB0[] =
    R"({"vertex":"b","seed":0,"name":"ap","value":5,"resampled":[1,null,"NaN"],"examples":9})"
    "\n";

class RecordFilesTest : public ::testing::Test {
 protected:
  RecordFilesTest() : policy_(PolicyOf(kRecordPolicy)), columns_(AllColumns(policy_)) {
    scope_ = *ScopeOf(policy_, "");
  }

  std::string Path(const std::string& name) const { return (directory_.path() / name).string(); }

  absl::StatusOr<RecordTable> Read(const std::string& path) {
    return ReadRecords(path, policy_, scope_, columns_, Completeness::kAll);
  }

  // The faults of a file of these lines, after those that are right.
  std::string Faults(const std::string& lines, const std::string& name = "r.jsonl") {
    WriteText(Path(name), lines);
    const auto table = Read(Path(name));
    EXPECT_TRUE(table.ok() || absl::IsInvalidArgument(table.status())) << table.status();
    return table.ok() ? "" : std::string(table.status().message());
  }

  const TemporaryDirectory directory_;
  const v1::GatePolicy policy_;
  const Columns columns_;
  Scope scope_;
};

TEST_F(RecordFilesTest, ReadsJsonLines) {
  ASSERT_EQ(Faults(std::string(kA0) +
                   R"({"vertex":"aside","seed":3,"example":1,"error":0.5})"
                   "\n" +
                   kB0),
            "");
  const auto table = Read(Path("r.jsonl"));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->row_count(), 3);
  EXPECT_EQ(table->skipped_count(), 1);
  const VertexRecords* a = table->Find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_THAT(a->examples, ElementsAre("x"));
  EXPECT_THAT(a->slices, ElementsAre(1));
  ASSERT_EQ(a->values.count(0), 1U);
  EXPECT_THAT(a->values.at(0), ElementsAre(ElementsAre(1), ElementsAre(1), ElementsAre(4)));
  const VertexRecords* b = table->Find("b");
  ASSERT_NE(b, nullptr);
  const ResampledRecord& ap = b->resampled.at({0, "ap", ""});
  EXPECT_EQ(ap.value, 5);
  EXPECT_EQ(ap.resampled[0], 1);
  EXPECT_TRUE(std::isnan(ap.resampled[1]));
  EXPECT_TRUE(std::isnan(ap.resampled[2]));
  EXPECT_EQ(ap.bearing, 9);
  EXPECT_EQ(table->Find("aside"), nullptr);
}

TEST_F(RecordFilesTest, ReadsCsvWithQuotesAndWholeNumbersInTheirOrder) {
  WriteText(Path("a.csv"),
            "vertex,seed,example,slice,cluster,loss,wrong,words,error\n"
            "a,0,10,night;rain,\"drive, \"\"one\"\"\",0.25,0,1,\n"
            "a,0,9,,other,-1e-3,0,1,\n"
            "aside,0,9,,,,,,0.5\n");
  WriteText(Path("b.jsonl"), kB0);
  const auto table = Read(directory_.path().string());
  ASSERT_TRUE(table.ok()) << table.status();
  const VertexRecords* a = table->Find("a");
  EXPECT_THAT(a->examples, ElementsAre("9", "10"));
  EXPECT_THAT(a->slices, ElementsAre(0, 3));
  EXPECT_THAT(a->cluster_names, ElementsAre("other", "drive, \"one\""));
  EXPECT_THAT(a->clusters, ElementsAre(0, 1));
  EXPECT_THAT(a->values.at(0)[0], ElementsAre(-1e-3, 0.25));
}

TEST_F(RecordFilesTest, TheOrderOfRowsAndFilesChangesNothing) {
  const std::string rows[] = {
      R"({"vertex":"a","seed":0,"example":"x","loss":1,"wrong":1,"words":4})"
      "\n",
      R"({"vertex":"a","seed":1,"example":"x","loss":2,"wrong":1,"words":4})"
      "\n",
      R"({"vertex":"a","seed":0,"example":"y","loss":3})"
      "\n",
      R"({"vertex":"a","seed":0,"example":"y","wrong":0,"words":2})"
      "\n",
      R"({"vertex":"a","seed":1,"example":"y","loss":4,"wrong":0,"words":2})"
      "\n",
      kB0};
  std::string forwards, backwards;
  for (const std::string& row : rows) {
    forwards += row;
    backwards = row + backwards;
  }
  WriteText(Path("f.jsonl"), forwards);
  const auto one = Read(Path("f.jsonl"));
  ASSERT_TRUE(one.ok()) << one.status();
  WriteText(Path("f.jsonl"), backwards);
  const auto other = Read(Path("f.jsonl"));
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(one->Digest(), other->Digest());
  EXPECT_EQ(one->Find("a")->values, other->Find("a")->values);
  WriteText(Path("f.jsonl"), rows[0] + kB0);
  EXPECT_NE(Read(Path("f.jsonl"))->Digest(), one->Digest());
}

struct FaultCase {
  std::string name, lines, fault;
};
class RecordFaultTest : public RecordFilesTest, public ::testing::WithParamInterface<FaultCase> {};

TEST_P(RecordFaultTest, IsNamedWithItsPlace) {
  EXPECT_THAT(Faults(GetParam().lines), HasSubstr(GetParam().fault));
}

std::string Row(const std::string& middle) {
  return std::string(kB0) + "{\"vertex\":\"a\"," + middle + "}\n";
}
INSTANTIATE_TEST_SUITE_P(
    Json, RecordFaultTest,
    ::testing::Values(
        FaultCase{"Empty", "", "r.jsonl:1: has no record"},
        FaultCase{"EmptyLine", std::string(kB0) + "\n", "r.jsonl:2: the line is empty"},
        FaultCase{"NotJson", std::string(kB0) + "{\"vertex\" 3}\n",
                  "r.jsonl:2: not JSON at column"},
        FaultCase{"TwoObjects", std::string(kB0) + "{}{}\n", "r.jsonl:2: not JSON at column"},
        FaultCase{"NoObject", std::string(kB0) + "3\n", "r.jsonl:2: must be an object"},
        FaultCase{"AList", std::string(kB0) + "[3]\n", "r.jsonl:2: the line: must not be a list"},
        FaultCase{"UnknownVertex", R"({"vertex":"z","seed":0,"example":"x","loss":1})",
                  "r.jsonl:1: vertex z, seed 0, example x: vertex: the policy has no vertex"},
        FaultCase{"UnknownColumn", Row(R"("seed":0,"example":"x","lost":1)"),
                  "r.jsonl:2: vertex a, seed 0, example x: unknown column \"lost\"; the policy's "
                  "losses have loss, wrong, words, error"},
        FaultCase{"AnothersColumn", Row(R"("seed":0,"example":"x","error":1)"),
                  "seed 0, example x: error: no loss of this vertex has such a column"},
        FaultCase{"UnknownSlice", Row(R"("seed":0,"example":"x","loss":1,"slice":"snow")"),
                  "example x: slice: the policy's vertex has no slice snow"},
        FaultCase{"NoSeed", Row(R"("example":"x","loss":1)"), "seed: is missing"},
        FaultCase{"NegativeSeed", Row(R"("seed":-1,"example":"x","loss":1)"),
                  "seed: must be a whole number >= 0: got -1"},
        FaultCase{"PaddedSeed", Row(R"("seed":"01","example":"x","loss":1)"),
                  "seed: must be a whole number >= 0: got 01"},
        FaultCase{"NoExample", Row(R"("seed":0,"loss":1)"), "example: is missing"},
        FaultCase{"NoLoss", Row(R"("seed":0,"example":"x")"), "has no loss"},
        FaultCase{"NotANumber", Row(R"("seed":0,"example":"x","loss":NaN)"),
                  "r.jsonl:2: vertex a, seed 0, example x: loss: must be a finite number"},
        FaultCase{"Infinite", Row(R"("seed":0,"example":"x","loss":-Infinity)"),
                  "loss: must be a finite number"},
        FaultCase{"TooLarge", Row(R"("seed":0,"example":"x","loss":1e999)"),
                  "r.jsonl:2: vertex a, seed 0, example x: not JSON at column 45: Number too big"},
        FaultCase{"TextAsNumber", Row(R"("seed":0,"example":"x","loss":"1")"),
                  "loss: must be a number, not a text: got 1"},
        FaultCase{"Null", Row(R"("seed":0,"example":"x","loss":null)"), "loss: must not be null"},
        FaultCase{"KeyTwice", Row(R"("seed":0,"example":"x","loss":1,"loss":1)"),
                  "loss: is there twice"},
        FaultCase{"Nested", Row(R"("seed":0,"example":{"x":1},"loss":1)"),
                  "example: must not be an object"},
        FaultCase{"ControlCharacter", Row(R"("seed":0,"example":"x\u0001","loss":1)"),
                  "example: must be text without control characters"},
        FaultCase{"Duplicate",
                  Row(R"("seed":0,"example":"x","loss":1)") +
                      R"({"vertex":"a","seed":0,"example":"x","loss":1})",
                  "r.jsonl:3: vertex a, seed 0, example x: loss: an earlier row has it already"},
        FaultCase{"OtherSlices",
                  std::string(kA0) + R"({"vertex":"a","seed":1,"example":"x","loss":1})",
                  "r.jsonl:2: vertex a, seed 1, example x: slice: other slices than in an earlier"},
        FaultCase{"OtherCluster",
                  R"({"vertex":"a","seed":0,"example":"x","loss":1,"cluster":"c"})"
                  "\n"
                  R"({"vertex":"a","seed":1,"example":"x","loss":1,"cluster":"d"})",
                  "cluster: another one than in an earlier row"},
        FaultCase{"MissingRow",
                  std::string(kA0) + kB0 +
                      R"({"vertex":"a","seed":0,"example":"y","loss":1,"wrong":0,"words":1})"
                      "\n"
                      R"({"vertex":"a","seed":1,"example":"y","loss":1,"wrong":0,"words":1})",
                  "vertex a, seed 1, example x: loss is missing, which others have"},
        FaultCase{"MissingColumn",
                  std::string(kB0) + R"({"vertex":"a","seed":0,"example":"x","loss":1})",
                  "vertex a, seed 0, example x: wrong is missing"},
        FaultCase{"MissingVertex", kA0, "r.jsonl: vertex b: has no record"},
        FaultCase{
            "TooFewResamples",
            R"({"vertex":"b","seed":0,"name":"ap","value":5,"resampled":[1],"examples":9})",
            "vertex b, seed 0, loss ap: resampled: must have 3 numbers, one a resample: got 1"},
        FaultCase{"ResampledTwice", std::string(kB0) + kB0,
                  "r.jsonl:2: vertex b, seed 0, loss ap: an earlier"},
        FaultCase{
            "UnknownLoss",
            R"({"vertex":"b","seed":0,"name":"map","value":5,"resampled":[1,2,3],"examples":9})",
            "name: the policy has no such loss"},
        FaultCase{"HalfAResampledRow", R"({"vertex":"b","seed":0,"name":"ap","value":5})",
                  "a row with resamples must have"}),
    [](const auto& info) { return info.param.name; });

TEST_F(RecordFilesTest, FaultsOfCsv) {
  EXPECT_THAT(Faults("vertex,seed,example,loss\na,0,x\n", "r.csv"),
              HasSubstr("r.csv:2: must have 4 cells, as the heading has: got 3"));
  EXPECT_THAT(Faults("vertex,seed,example,lost\n", "r.csv"),
              HasSubstr("r.csv:1: unknown column \"lost\""));
  EXPECT_THAT(Faults("vertex,seed,seed\n", "r.csv"),
              HasSubstr("r.csv:1: column seed is there twice"));
  EXPECT_THAT(Faults("vertex,seed,example,loss\na,0,x,nan\n", "r.csv"),
              HasSubstr("r.csv:2: vertex a, seed 0, example x: loss: must be a finite number"));
  EXPECT_THAT(Faults("vertex,seed,example,loss\na,0,x,1.0x\n", "r.csv"),
              HasSubstr("loss: must be a number: got 1.0x"));
  EXPECT_THAT(Faults("vertex,seed,example,loss\na,0,\"x,1\n", "r.csv"),
              HasSubstr("r.csv:2: cell 3: its quote does not end in this line"));
  EXPECT_THAT(Faults("", "r.csv"), HasSubstr("r.csv:1: has no heading"));
  EXPECT_THAT(Faults("vertex,seed,example,loss\n", "r.csv"), HasSubstr("r.csv:1: has no record"));
  EXPECT_THAT(Faults("vertex,seed,example,resampled\n", "r.csv"),
              HasSubstr("are JSON Lines, not CSV"));
}

TEST_F(RecordFilesTest, ManyFaultsAreCutShort) {
  std::string lines;
  for (int i = 0; i < 50; ++i) lines += "{}\n";
  const std::string faults = Faults(lines);
  EXPECT_THAT(faults, HasSubstr("r.jsonl:20: vertex: is missing"));
  EXPECT_THAT(faults, HasSubstr("and more"));
  EXPECT_EQ(faults.find("r.jsonl:21:"), std::string::npos);
}

// Later rows are held against earlier ones of their example, and not against what was none.
TEST_F(RecordFilesTest, AFaultyRowLeavesNothingBehind) {
  const std::string faults =
      Faults(R"({"vertex":"a","seed":0,"example":"x","loss":1,"wrong":1,"words":4,"slice":["fog"]})"
             "\n"
             R"({"vertex":"a","seed":1,"example":"x","loss":1,"wrong":1,"words":4})"
             "\n");
  EXPECT_THAT(faults, HasSubstr("r.jsonl:1: "));
  EXPECT_EQ(faults.find("r.jsonl:2: "), std::string::npos) << faults;
}

TEST_F(RecordFilesTest, AFolderHasRecordsAlone) {
  EXPECT_EQ(RecordFiles(Path("none")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(RecordFiles(directory_.path().string()).status().code(),
            absl::StatusCode::kInvalidArgument);
  std::filesystem::create_directories(directory_.path() / "deep");
  for (const char* name : {"b.csv", "a.jsonl.gz", "deep/c.ndjson", ".hidden"})
    WriteText(Path(name), "");
  const auto files = RecordFiles(directory_.path().string());
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(*files, ElementsAre(Path("a.jsonl.gz"), Path("b.csv"), Path("deep/c.ndjson")));
  WriteText(Path("notes.txt"), "");
  EXPECT_THAT(std::string(RecordFiles(directory_.path().string()).status().message()),
              HasSubstr("notes.txt: is no file of records"));
}

}  // namespace
}  // namespace backfire::gate
