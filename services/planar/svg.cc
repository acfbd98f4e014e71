#include "services/planar/svg.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace backfire::planar {
namespace {

std::string Pixels(double value) { return absl::StrFormat("%.1f", value); }

}  // namespace

Svg::Svg(int columns, int rows, double footer)
    : width_(columns * (kPanel + kMargin) + kMargin),
      height_(rows * (kPanel + kTitle + kMargin) + kMargin + footer),
      footer_(footer) {}

std::string Svg::X(Position at) const {
  return Pixels(left_ + (at.x - low_.x) / (high_.x - low_.x) * kPanel);
}

std::string Svg::Y(Position at) const {
  return Pixels(top_ + (high_.y - at.y) / (high_.y - low_.y) * kPanel);
}

void Svg::Close() {
  if (open_) absl::StrAppend(&body_, "</g>\n");
  open_ = false;
}

void Svg::Panel(int column, int row, Position low, Position high, const std::string& title) {
  Close();
  left_ = kMargin + column * (kPanel + kMargin);
  top_ = kMargin + kTitle + row * (kPanel + kTitle + kMargin);
  low_ = low;
  high_ = high;
  const std::string box =
      absl::StrCat("x=\"", Pixels(left_), "\" y=\"", Pixels(top_), "\" width=\"", Pixels(kPanel),
                   "\" height=\"", Pixels(kPanel), "\"");
  absl::StrAppend(&body_, "<text x=\"", Pixels(left_), "\" y=\"", Pixels(top_ - 7), "\">", title,
                  "</text>\n<clipPath id=\"p", panels_, "\"><rect ", box, "/></clipPath>\n<rect ",
                  box, " fill=\"#fff\" stroke=\"#999\"/>\n<g clip-path=\"url(#p", panels_,
                  ")\">\n");
  ++panels_;
  open_ = true;
}

void Svg::Dots(const std::vector<Position>& at, double diameter, const std::string& fill) {
  if (at.empty()) return;
  // Strokes of no length with round ends: a few bytes each.
  absl::StrAppend(&body_, "<path stroke=\"", fill, "\" stroke-width=\"", Pixels(diameter),
                  "\" stroke-linecap=\"round\" d=\"");
  for (const Position dot : at) absl::StrAppend(&body_, "M", X(dot), " ", Y(dot), "h0");
  absl::StrAppend(&body_, "\"/>\n");
}

void Svg::Squares(const std::vector<Position>& at, double side, const std::string& fill,
                  const std::string& stroke) {
  if (at.empty()) return;
  absl::StrAppend(&body_, "<path fill=\"", fill, "\" stroke=\"", stroke,
                  "\" stroke-width=\"1.5\" d=\"");
  const std::string half = Pixels(side / 2), whole = Pixels(side);
  for (const Position square : at) {
    absl::StrAppend(&body_, "M", X(square), " ", Y(square), "m-", half, " -", half, "h", whole, "v",
                    whole, "h-", whole, "z");
  }
  absl::StrAppend(&body_, "\"/>\n");
}

void Svg::Signs(const std::vector<Position>& at, bool plus, const std::string& stroke) {
  if (at.empty()) return;
  absl::StrAppend(&body_, "<path stroke=\"", stroke, "\" stroke-width=\"1.4\" d=\"");
  for (const Position sign : at) {
    absl::StrAppend(&body_, "M", X(sign), " ", Y(sign), "m-3 0h6", plus ? "m-3 -3v6" : "");
  }
  absl::StrAppend(&body_, "\"/>\n");
}

void Svg::Lines(const Segments& segments, const std::string& stroke, double width,
                const std::string& dash) {
  if (segments.empty()) return;
  absl::StrAppend(&body_, "<path fill=\"none\" stroke=\"", stroke, "\" stroke-width=\"",
                  Pixels(width), "\" stroke-linecap=\"round\"");
  if (!dash.empty()) absl::StrAppend(&body_, " stroke-dasharray=\"", dash, "\"");
  absl::StrAppend(&body_, " d=\"");
  std::string at;  // Where the pen is: segments that go on from there need no move.
  for (const auto& [from, to] : segments) {
    const std::string start = absl::StrCat(X(from), " ", Y(from));
    if (start != at) absl::StrAppend(&body_, "M", start);
    at = absl::StrCat(X(to), " ", Y(to));
    absl::StrAppend(&body_, "L", at);
  }
  absl::StrAppend(&body_, "\"/>\n");
}

void Svg::Legend(double at, const std::string& text, const std::string& stroke,
                 const std::string& dash) {
  Close();
  const double y = height_ - footer_ + 6;
  absl::StrAppend(&body_, "<path d=\"M", Pixels(at), " ", Pixels(y), "h26\" stroke=\"", stroke,
                  "\" stroke-width=\"2\"");
  if (!dash.empty()) absl::StrAppend(&body_, " stroke-dasharray=\"", dash, "\"");
  absl::StrAppend(&body_, "/>\n<text x=\"", Pixels(at + 32), "\" y=\"", Pixels(y + 4), "\">", text,
                  "</text>\n");
}

std::string Svg::Finish() {
  Close();
  const std::string size =
      absl::StrCat("width=\"", Pixels(width_), "\" height=\"", Pixels(height_), "\"");
  return absl::StrCat("<svg xmlns=\"http://www.w3.org/2000/svg\" ", size, " viewBox=\"0 0 ",
                      Pixels(width_), " ", Pixels(height_),
                      "\" font-family=\"sans-serif\" font-size=\"12\">\n<rect ", size,
                      " fill=\"#fff\"/>\n", body_, "</svg>\n");
}

}  // namespace backfire::planar
