#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/page/sections.h"

namespace backfire::page {
namespace {

using markup::Markup;

// Of all pictures of a report, as they are written: a page has 2 MB.
constexpr size_t kMostPictureBytes = 1'300'000;

bool IsJpeg(const std::string& bytes) { return absl::StartsWith(bytes, "\xff\xd8\xff"); }

std::string Errors(int64_t missed, int64_t false_alarms) {
  return absl::StrCat(missed, " missed, ", false_alarms, " false");
}

void AppendTable(const v1::ClassFlips& flips, Markup& to) {
  to.Open("table", {{"class", "plain narrow"}}).Open("thead").Open("tr");
  for (const char* title : {"Frame", "Before", "After", "Worse by"}) {
    to.Element("th", {{"scope", "col"}}, title);
  }
  to.Close().Close().Open("tbody").Line();
  for (const v1::FrameFlip& flip : flips.worst()) {
    to.Open("tr").Open("th", {{"scope", "row"}}).Element("code", {}, flip.example()).Close();
    to.Element("td", {{"data-label", "before"}}, Errors(flip.missed_before(), flip.false_before()));
    to.Element("td", {{"data-label", "after"}}, Errors(flip.missed_after(), flip.false_after()));
    to.Element("td", {{"data-label", "worse by"}},
               absl::StrCat(flip.missed_after() + flip.false_after() - flip.missed_before() -
                            flip.false_before()));
    to.Close().Line();
  }
  to.Close().Close().Line();
}

}  // namespace

void AppendFlips(const View& view, Markup& to) {
  const v1::ExampleFlips& flips = *view.flips;
  to.Element("h3", {}, "What both releases see").Line();
  std::string lead = absl::StrCat(
      "Releases ", flips.before_release(), " and ", flips.after_release(), " on ",
      flips.frames() < flips.split_frames()
          ? absl::StrCat("the first ", flips.frames(), " of the ", flips.split_frames())
          : absl::StrCat("the ", flips.frames()),
      " frames of the ", flips.split(),
      flips.frames() < flips.split_frames() ? " split, as there was no time for more" : " split",
      ". An average precision is no mean over frames, so no frame has a share in it; at one "
      "score it comes down to errors: labelled objects that are missed, and detections of nothing. "
      "They are counted seen from above, at an overlap of more than ",
      absl::StrFormat("%.2g", flips.least_overlap()),
      ". Only detections from a score on count, for each class ",
      flips.validation_frames() > 0
          ? absl::StrCat("the best one on ", flips.validation_frames(), " validation frames")
          : std::string("the one that was given"));
  absl::StrAppend(&lead,
                  ". A release has one training of each model, so this shows where to look, and "
                  "decides nothing.");
  to.Element("p", {{"class", "lead"}}, lead).Line();
  size_t left = kMostPictureBytes;
  int left_out = 0;
  for (const v1::ClassFlips& one : flips.classes()) {
    to.Open("details", {{"open", "open"}, {"class", "pictures"}}).Open("summary");
    to.Element("b", {}, one.type())
        .Text(absl::StrCat(": ", one.errors_before(), " errors before, ", one.errors_after(),
                           " after; ", one.frames_worse(),
                           one.frames_worse() == 1 ? " frame" : " frames", " worse, ",
                           one.frames_better(), " better. Score ",
                           absl::StrFormat("%.2f", one.min_score()), " and more",
                           flips.validation_frames() > 0 ? absl::StrFormat(" (F1 %.2f)", one.f1())
                                                         : std::string()))
        .Close();
    if (!one.worst().empty()) AppendTable(one, to);
    for (const v1::FrameFlip& flip : one.worst()) {
      if (!IsJpeg(flip.picture())) continue;
      const size_t size = (flip.picture().size() + 2) / 3 * 4;
      if (size > left) {
        ++left_out;
        continue;
      }
      left -= size;
      const std::string what =
          absl::StrCat(one.type(), ", frame ", flip.example(), ": ",
                       Errors(flip.missed_before(), flip.false_before()), " before; ",
                       Errors(flip.missed_after(), flip.false_after()), " after");
      to.Open("figure");
      to.Empty(
          "img",
          {{"src", absl::StrCat("data:image/jpeg;base64,", absl::Base64Escape(flip.picture()))},
           {"alt", absl::StrCat("Left image, disparity and bird's-eye views of both "
                                "releases with the ground truth. ",
                                what)}});
      to.Element("figcaption", {}, what).Close().Line();
    }
    to.Close().Line();
  }
  if (left_out > 0) {
    to.Element("p", {{"class", "lead"}},
               absl::StrCat(left_out, left_out == 1 ? " more picture is" : " more pictures are",
                            " in the JSON of `backfire vision flips`: a page has room for 2 MB."));
  }
}

}  // namespace backfire::page
