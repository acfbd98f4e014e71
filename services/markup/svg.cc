#include "services/markup/svg.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace backfire::markup {
namespace {

std::string Place(double x, double y) { return absl::StrCat(Pixels(x), " ", Pixels(y)); }

}  // namespace

std::string Pixels(double value) { return absl::StrFormat("%.1f", value); }

Path& Path::Move(double x, double y) {
  std::string to = Place(x, y);
  // Segments that go on from where the pen is need no move.
  if (to == at_) return *this;
  absl::StrAppend(&text_, "M", to);
  at_ = std::move(to);
  return *this;
}

Path& Path::Line(double x, double y) {
  at_ = Place(x, y);
  absl::StrAppend(&text_, "L", at_);
  return *this;
}

Path& Path::Curve(double x1, double y1, double x2, double y2, double x, double y) {
  at_ = Place(x, y);
  absl::StrAppend(&text_, "C", Place(x1, y1), " ", Place(x2, y2), " ", at_);
  return *this;
}

Path& Path::Dot(double x, double y) {
  absl::StrAppend(&text_, "M", Place(x, y), "h0");
  at_.clear();
  return *this;
}

Path& Path::Square(double x, double y, double side) {
  const std::string half = Pixels(side / 2), whole = Pixels(side);
  absl::StrAppend(&text_, "M", Place(x, y), "m-", half, " -", half, "h", whole, "v", whole, "h-",
                  whole, "z");
  at_.clear();
  return *this;
}

Path& Path::Relative(absl::string_view commands) {
  absl::StrAppend(&text_, commands);
  at_.clear();
  return *this;
}

void OpenDrawing(Markup& to, double width, double height, bool standalone, const std::string& style,
                 const std::string& label) {
  const std::string wide = Pixels(width), high = Pixels(height);
  to.Open("svg", {{"xmlns", standalone ? "http://www.w3.org/2000/svg" : ""},
                  {"width", wide},
                  {"height", high},
                  {"viewBox", absl::StrCat("0 0 ", wide, " ", high)},
                  {"class", style},
                  {"role", label.empty() ? "" : "img"},
                  {"aria-label", label},
                  {"aria-hidden", label.empty() && !standalone ? "true" : ""}});
}

}  // namespace backfire::markup
