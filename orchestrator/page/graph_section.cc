#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/gate/result_words.h"
#include "orchestrator/page/graph_layout.h"
#include "orchestrator/page/sections.h"
#include "services/markup/svg.h"

namespace backfire::page {
namespace {

using markup::Markup;
using markup::Path;
using markup::Pixels;

constexpr size_t kMostInLayer = 12;
constexpr double kWidth = 176, kHeight = 50, kAcross = 62, kDown = 14, kRim = 6;
// Names are cut to what fits into a box in bold letters; the whole name is in its title.
constexpr size_t kMostLetters = 14;

// Cut in the middle, as the ends of names tell them apart; never within a character of UTF-8.
std::string Fitted(const std::string& name) {
  std::vector<size_t> letters;  // Where each begins.
  for (size_t i = 0; i < name.size(); ++i) {
    if ((static_cast<unsigned char>(name[i]) & 0xC0) != 0x80) letters.push_back(i);
  }
  if (letters.size() <= kMostLetters) return name;
  constexpr size_t kFirst = kMostLetters / 2, kLast = kMostLetters - kFirst - 1;
  return absl::StrCat(name.substr(0, letters[kFirst]), "\xe2\x80\xa6",
                      name.substr(letters[letters.size() - kLast]));
}

class Drawing {
 public:
  Drawing(const View& view, const GraphLayout& layout) : view_(view), layout_(layout) {
    size_t most = 1;
    for (const size_t boxes : layout.layers) most = std::max(most, boxes);
    height_ = Extent(most, kHeight, kDown);
    width_ = Extent(std::max<size_t>(layout.layers.size(), 1), kWidth, kAcross);
  }

  void AppendTo(Markup& to) const {
    markup::OpenDrawing(to, width_, height_, /*standalone=*/false, "graph", "The system's graph");
    to.Line();
    Path lines;
    for (const auto& [from, to_box] : layout_.edges) {
      const double x1 = Left(from) + kWidth, y1 = Top(from) + kHeight / 2;
      const double x2 = Left(to_box) - 5, y2 = Top(to_box) + kHeight / 2;
      const double bend = std::max(24.0, (x2 - x1) / 2);
      lines.Move(x1, y1).Curve(x1 + bend, y1, x2 - bend, y2, x2, y2);
      if (layout_.boxes[to_box].count > 0) {
        lines.Relative("m-5 -4l5 4l-5 4");
      } else {
        lines.Line(x2 + 5 + kWidth, y2);
      }
    }
    if (!lines.empty()) to.Empty("path", {{"class", "edge"}, {"d", lines.text()}}).Line();
    for (size_t box = 0; box < layout_.boxes.size(); ++box) {
      if (layout_.boxes[box].count > 0) AppendBox(box, to);
    }
    to.Close().Line();
  }

 private:
  static double Extent(size_t count, double size, double gap) {
    return static_cast<double>(count) * (size + gap) - gap + 2 * kRim;
  }
  double Left(size_t box) const {
    return kRim + static_cast<double>(layout_.boxes[box].layer) * (kWidth + kAcross);
  }
  double Top(size_t box) const {
    const GraphBox& one = layout_.boxes[box];
    const double used = Extent(layout_.layers[one.layer], kHeight, kDown);
    return (height_ - used) / 2 + kRim + static_cast<double>(one.row) * (kHeight + kDown);
  }

  void AppendBox(size_t number, Markup& to) const {
    const GraphBox& box = layout_.boxes[number];
    const VertexView* vertex = box.name.empty() ? nullptr : view_.Find(box.name);
    const bool candidate = !box.name.empty() && box.name == view_.report.candidate();
    const std::string title = box.name.empty() ? absl::StrCat(box.count, " more") : box.name;
    const std::string word =
        candidate ? absl::StrCat("changed, ", WordOf(box.standing)) : WordOf(box.standing);
    const std::string says = absl::StrCat(title, ": ", word);
    const std::string target = vertex != nullptr ? absl::StrCat("#", vertex->id)
                               : box.name.empty() && box.standing != Standing::kNotJudged
                                   ? absl::StrCat("#", view_.prefix, "evidence")
                                   : "";
    const double x = Left(number), y = Top(number);
    to.Open(target.empty() ? "g" : "a",
            {{"href", target},
             {"class", absl::StrCat("box ", ClassOf(box.standing), candidate ? " candidate" : "",
                                    box.name.empty() ? " folded" : "")},
             {"aria-label", target.empty() ? "" : says}});
    to.Element("title", {}, says);
    to.Empty("rect", {{"x", Pixels(x)},
                      {"y", Pixels(y)},
                      {"width", Pixels(kWidth)},
                      {"height", Pixels(kHeight)},
                      {"rx", "7"}});
    to.Empty("use", {{"href", absl::StrCat("#symbol-", ClassOf(box.standing))},
                     {"x", Pixels(x + 11)},
                     {"y", Pixels(y + 16)},
                     {"width", "18"},
                     {"height", "18"}});
    to.Element("text", {{"class", "name"}, {"x", Pixels(x + 38)}, {"y", Pixels(y + 22)}},
               Fitted(title));
    to.Element("text", {{"class", "word"}, {"x", Pixels(x + 38)}, {"y", Pixels(y + 38)}}, word);
    to.Close().Line();
  }

  const View& view_;
  const GraphLayout& layout_;
  double width_ = 0, height_ = 0;
};

}  // namespace

void AppendGraph(const View& view, Markup& to) {
  if (view.report.vertices().empty()) return;
  OpenSection(view, "system", "The system", to);
  to.Element(
      "p", {{"class", "lead"}},
      "What feeds what, from left to right, and how each model stands after it was retrained "
      "on the change. Choose a model to see its evidence.");
  const GraphLayout layout = LayOut(view, kMostInLayer);
  to.Open("div", {{"class", "wide"},
                  {"tabindex", "0"},
                  {"role", "region"},
                  {"aria-label", "The system's graph; scrolls sideways"}});
  Drawing(view, layout).AppendTo(to);
  to.Close().Line();
  const bool folded = std::any_of(layout.boxes.begin(), layout.boxes.end(),
                                  [](const GraphBox& box) { return box.count > 1; });
  if (folded) {
    to.Open("details").Element(
        "summary", {}, absl::StrCat("All ", view.vertices.size(), " models that have losses"));
    to.Open("ul", {{"class", "chips"}}).Line();
    for (const VertexView& vertex : view.vertices) {
      to.Open("li").Open("a", {{"href", absl::StrCat("#", vertex.id)},
                               {"class", absl::StrCat("chip ", ClassOf(vertex.standing))}});
      AppendSymbol(vertex.standing, to);
      to.Text(vertex.name)
          .Element("span", {{"class", "sr"}}, absl::StrCat(": ", WordOf(vertex.standing)))
          .Close()
          .Close()
          .Line();
    }
    to.Close().Close().Line();
  }
  to.Close();
}

}  // namespace backfire::page
