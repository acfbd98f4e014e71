#include "orchestrator/page/page.h"

#include <gmock/gmock.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "orchestrator/page/plain_words.h"
#include "orchestrator/page/view.h"

namespace backfire::page {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using v1::GateResult;
using v1::LossComparison;

constexpr char kHostile[] = "</style><script>alert(\"x\")</script>'&";

LossComparison& Add(const std::string& vertex, GateResult::Status status,
                    LossComparison::Outcome outcome, v1::GateReport& report) {
  GateResult& result = *report.add_results();
  result.set_vertex(vertex);
  result.set_loss("error");
  result.set_status(status);
  LossComparison& one = *report.mutable_verdict()->add_comparisons();
  one.set_vertex(vertex);
  one.set_loss("error");
  one.set_outcome(outcome);
  one.set_judged(status != GateResult::ADVISORY);
  one.set_before(0.125);
  one.set_swapped(std::nan(""));
  one.set_after(0.25);
  one.set_difference(0.125);
  one.set_interval_low(0.0625);
  one.set_interval_high(0.1875);
  one.set_margin(0.03125);
  for (int k = 0; k < 5; ++k) {
    one.add_differences(0.125 + 0.001 * k);
    result.add_before(0.125);
    result.add_after(0.25);
  }
  return one;
}

v1::GateReport Refused() {
  v1::GateReport report;
  report.set_outcome(v1::GateReport::REFUSED);
  report.set_candidate("encoder");
  report.mutable_verdict()->set_outcome(v1::Verdict::SELF_DEFEATING);
  report.mutable_verdict()->set_replicates(5);
  Add("encoder", GateResult::OK, LossComparison::BETTER, report).set_candidate(true);
  Add("reader", GateResult::BLOCKS, LossComparison::WORSE, report).set_unit("percent");
  Add("other", GateResult::OK, LossComparison::NO_WORSE, report);
  return report;
}

TEST(PlainVerdictTest, SaysWhatHappenedWithoutStatistics) {
  v1::GateReport report = Refused();
  EXPECT_EQ(
      PlainVerdict(View(report, "")),
      "The new encoder is better by itself, and makes the system worse: 1 of the 2 models behind "
      "it gets worse than was allowed, though retrained on it. It is reader: its error went from "
      "0.1250 to 0.2500 %, and 0.03125 % more was allowed.");
  report.mutable_results(0)->set_status(GateResult::BLOCKS);
  EXPECT_THAT(
      PlainVerdict(View(report, "")),
      HasSubstr("is worse than the one in use by its own measure: its error went from 0.1250"));
  report = Refused();
  report.mutable_verdict()->mutable_comparisons(0)->set_outcome(LossComparison::NO_WORSE);
  EXPECT_THAT(PlainVerdict(View(report, "")),
              HasSubstr("The new encoder is no worse by itself, and makes the system worse"));
  // Where higher is better, numbers are as their owner has them.
  report = Refused();
  report.mutable_results(1)->set_higher_is_better(true);
  report.mutable_verdict()->mutable_comparisons(1)->set_before(-90);
  report.mutable_verdict()->mutable_comparisons(1)->set_after(-80);
  EXPECT_THAT(PlainVerdict(View(report, "")),
              HasSubstr("went from 90.00 to 80.00 %, and 0.03125 % less was allowed"));
}

TEST(PlainVerdictTest, SaysWhatPassesAndWhatIsOpen) {
  v1::GateReport report = Refused();
  report.set_outcome(v1::GateReport::PASSED);
  report.mutable_verdict()->set_outcome(v1::Verdict::SAFE);
  report.mutable_results(1)->set_status(GateResult::OK);
  EXPECT_EQ(PlainVerdict(View(report, "")),
            "The new encoder can replace the one in use: it is better by itself, and none of the 2 "
            "models behind it, retrained on it, gets worse than is allowed.");
  report.mutable_results(1)->set_status(GateResult::WAIVED);
  EXPECT_THAT(PlainVerdict(View(report, "")), HasSubstr("has waived for now: reader error."));
  report.set_outcome(v1::GateReport::UNDECIDED);
  report.mutable_results(1)->set_status(GateResult::OPEN);
  EXPECT_EQ(
      PlainVerdict(View(report, "")),
      "Nobody can tell yet whether the new encoder is safe: of 3 comparisons 1 is still open.");
  report.mutable_verdict()->set_first_look(true);
  EXPECT_THAT(PlainVerdict(View(report, "")), HasSubstr("5 trainings don't tell a change from"));
  v1::GateReport none;
  none.set_reason("there was no baseline");
  EXPECT_EQ(PlainVerdict(View(none, "")), "There was no baseline.");
}

TEST(ViewTest, TellsTheWorstFirst) {
  const v1::GateReport report = Refused();
  const View view(report, "x-");
  ASSERT_EQ(view.vertices.size(), 3U);
  EXPECT_EQ(view.vertices[0].name, "reader");
  EXPECT_EQ(view.vertices[0].id, "x-vertex-0");
  EXPECT_EQ(view.Find("encoder")->standing, Standing::kBetter);
  EXPECT_EQ(view.Find("nobody"), nullptr);
}

TEST(HtmlPageTest, EscapesWhateverPeopleTyped) {
  v1::GateReport report = Refused();
  report.set_candidate(kHostile);
  report.set_reason(kHostile);
  report.add_notes(kHostile);
  report.set_policy_digest(kHostile);
  for (int i = 0; i < report.results_size(); ++i) {
    GateResult& result = *report.mutable_results(i);
    LossComparison& one = *report.mutable_verdict()->mutable_comparisons(i);
    for (auto* field :
         {result.mutable_vertex(), result.mutable_loss(), result.mutable_slice(),
          result.mutable_waived_because(), result.mutable_would_decide(), one.mutable_vertex(),
          one.mutable_loss(), one.mutable_slice(), one.mutable_unit(), one.mutable_note()}) {
      *field = kHostile;
    }
    v1::ExampleChange& example = *result.add_worst_examples();
    example.set_example(kHostile);
    example.set_cluster(kHostile);
    example.add_slices(kHostile);
  }
  v1::GateReportVertex& vertex = *report.add_vertices();
  vertex.set_name(kHostile);
  vertex.add_parents(kHostile);
  report.mutable_self_test()->add_complaints(kHostile);
  v1::UpdateContext& update = *report.mutable_update();
  for (auto* field : {update.mutable_change(), update.mutable_actor(), update.mutable_reason(),
                      update.mutable_release(), update.mutable_name()}) {
    *field = kHostile;
  }
  v1::VertexDiagnosis& diagnosis = *update.add_diagnoses();
  diagnosis.set_vertex(kHostile);
  diagnosis.set_loss(kHostile);
  diagnosis.set_cause(kHostile);
  v1::TrainingCurve& curve = *update.add_curves();
  curve.set_vertex(kHostile);
  curve.add_steps(1);
  curve.add_losses(1);
  v1::ExampleFlips flips;
  flips.set_frames(1);
  for (auto* field : {flips.mutable_split(), flips.mutable_before_release(),
                      flips.mutable_after_release(), flips.add_classes()->mutable_type()}) {
    *field = kHostile;
  }
  v1::FrameFlip& flip = *flips.mutable_classes(0)->add_worst();
  flip.set_example(kHostile);
  flip.set_picture(kHostile);
  const std::string page =
      HtmlPage({{kHostile, report, kHostile, flips}, {kHostile, report, kHostile}});
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("alert(\"")));
  EXPECT_THAT(page, HasSubstr("&lt;/style&gt;&lt;script&gt;alert(&quot;x&quot;)"));
}

TEST(HtmlPageTest, HasSeveralReportsWithoutMixingThem) {
  v1::GateReport passed = Refused();
  passed.set_outcome(v1::GateReport::PASSED);
  const std::string page = HtmlPage({{"figure2", Refused(), ""}, {"benign", passed, ""}});
  EXPECT_THAT(page, HasSubstr("<a href=\"#r1-report\">benign</a>"));
  EXPECT_THAT(page, HasSubstr("id=\"r0-vertex-0\""));
  EXPECT_THAT(page, HasSubstr("id=\"r1-vertex-0\""));
}

TEST(HtmlPageTest, ShowsFramesAsReleasesSeeThemAsFarAsThereIsRoom) {
  v1::ExampleFlips flips;
  flips.set_frames(60);
  flips.set_before_release("1");
  flips.set_after_release("2");
  flips.set_split("test");
  flips.set_validation_frames(16);
  v1::ClassFlips& cars = *flips.add_classes();
  cars.set_type("Car");
  cars.set_min_score(0.375);
  cars.set_f1(0.5);
  cars.set_frames_worse(7);
  cars.set_frames_better(3);
  cars.set_errors_before(11);
  cars.set_errors_after(23);
  for (int i = 0; i < 3; ++i) {
    v1::FrameFlip& flip = *cars.add_worst();
    flip.set_example(absl::StrCat("00000", i));
    flip.set_missed_before(1);
    flip.set_missed_after(4);
    flip.set_false_after(2);
    flip.set_picture(absl::StrCat("\xff\xd8\xff", std::string(400'000, 'x')));
  }
  const std::string page = HtmlPage({{"", Refused(), "", flips}});
  EXPECT_THAT(
      page,
      HasSubstr(
          ": 11 errors before, 23 after; 7 frames worse, 3 better. Score 0.38 and more (F1 0.50)"));
  EXPECT_THAT(page, HasSubstr("for each class the best one on 16 validation frames. A release"));
  EXPECT_THAT(page, HasSubstr("<figcaption>Car, frame 000001: 1 missed, 0 false before; 4 missed, "
                              "2 false after</figcaption>"));
  EXPECT_THAT(page, HasSubstr("<td data-label=\"worse by\">5</td>"));
  EXPECT_THAT(page, HasSubstr("<img src=\"data:image/jpeg;base64,/9j/"));
  // Two have room, and the third is said not to be there.
  EXPECT_THAT(page, HasSubstr("frame 000001"));
  EXPECT_THAT(page, Not(HasSubstr("Car, frame 000002:")));
  EXPECT_THAT(page, HasSubstr("1 more picture is in the JSON"));
  EXPECT_LT(page.size(), 2'000'000u);
  EXPECT_THAT(page, HasSubstr("Releases 1 and 2 on the 60 frames of the test split. An average"));
  flips.set_split_frames(100);  // There was no time for all.
  EXPECT_THAT(
      HtmlPage({{"", Refused(), "", flips}}),
      HasSubstr("on the first 60 of the 100 frames of the test split, as there was no time"));
  EXPECT_THAT(HtmlPage({{"", Refused(), ""}}), Not(HasSubstr("What both releases see")));
}

TEST(HtmlPageTest, ShowsWhatIsNotFiniteAsNothing) {
  v1::GateReport report = Refused();
  LossComparison& one = *report.mutable_verdict()->mutable_comparisons(1);
  one.set_interval_low(std::nan(""));
  one.set_interval_high(std::nan(""));
  one.set_difference(std::nan(""));
  report.mutable_results(1)->set_after(2, std::nan(""));
  const std::string page = HtmlPage({{"", report, ""}});
  EXPECT_THAT(page, HasSubstr("no bounds"));
  EXPECT_THAT(page, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace backfire::page
