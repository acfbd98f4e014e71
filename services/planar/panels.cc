#include "services/planar/panels.h"

#include "absl/strings/str_cat.h"
#include "services/markup/svg.h"

namespace backfire::planar {

using markup::Path;
using markup::Pixels;

Panels::Panels(int columns, int rows, double footer)
    : width_(columns * (kPanel + kMargin) + kMargin),
      height_(rows * (kPanel + kTitle + kMargin) + kMargin + footer),
      footer_(footer) {
  markup::OpenDrawing(drawing_, width_, height_, /*standalone=*/true);
  drawing_.Line().Open("g", {{"font-family", "sans-serif"}, {"font-size", "12"}}).Line();
  drawing_.Empty("rect", {{"width", Pixels(width_)}, {"height", Pixels(height_)}, {"fill", "#fff"}})
      .Line();
}

double Panels::X(Position at) const {
  return left_ + (at.x - low_.x) / (high_.x - low_.x) * kPanel;
}

double Panels::Y(Position at) const {
  return top_ + (high_.y - at.y) / (high_.y - low_.y) * kPanel;
}

void Panels::Close() {
  if (open_) drawing_.Close().Line();
  open_ = false;
}

void Panels::Panel(int column, int row, Position low, Position high, const std::string& title) {
  Close();
  left_ = kMargin + column * (kPanel + kMargin);
  top_ = kMargin + kTitle + row * (kPanel + kTitle + kMargin);
  low_ = low;
  high_ = high;
  const std::string id = absl::StrCat("p", panels_++);
  const auto box = [&](const std::string& fill, const std::string& stroke) {
    drawing_.Empty("rect", {{"x", Pixels(left_)},
                            {"y", Pixels(top_)},
                            {"width", Pixels(kPanel)},
                            {"height", Pixels(kPanel)},
                            {"fill", fill},
                            {"stroke", stroke}});
  };
  drawing_.Element("text", {{"x", Pixels(left_)}, {"y", Pixels(top_ - 7)}}, title).Line();
  drawing_.Open("clipPath", {{"id", id}});
  box("", "");
  drawing_.Close().Line();
  box("#fff", "#999");
  drawing_.Line().Open("g", {{"clip-path", absl::StrCat("url(#", id, ")")}}).Line();
  open_ = true;
}

void Panels::Dots(const std::vector<Position>& at, double diameter, const std::string& fill) {
  if (at.empty()) return;
  // Strokes of no length with round ends: a few bytes each.
  Path path;
  for (const Position dot : at) path.Dot(X(dot), Y(dot));
  drawing_
      .Empty("path", {{"stroke", fill},
                      {"stroke-width", Pixels(diameter)},
                      {"stroke-linecap", "round"},
                      {"d", path.text()}})
      .Line();
}

void Panels::Squares(const std::vector<Position>& at, double side, const std::string& fill,
                     const std::string& stroke) {
  if (at.empty()) return;
  Path path;
  for (const Position square : at) path.Square(X(square), Y(square), side);
  drawing_
      .Empty("path",
             {{"fill", fill}, {"stroke", stroke}, {"stroke-width", "1.5"}, {"d", path.text()}})
      .Line();
}

void Panels::Signs(const std::vector<Position>& at, bool plus, const std::string& stroke) {
  if (at.empty()) return;
  Path path;
  for (const Position sign : at) {
    path.Move(X(sign), Y(sign)).Relative(plus ? "m-3 0h6m-3 -3v6" : "m-3 0h6");
  }
  drawing_.Empty("path", {{"stroke", stroke}, {"stroke-width", "1.4"}, {"d", path.text()}}).Line();
}

void Panels::Lines(const Segments& segments, const std::string& stroke, double width,
                   const std::string& dash) {
  if (segments.empty()) return;
  Path path;
  for (const auto& [from, to] : segments) path.Move(X(from), Y(from)).Line(X(to), Y(to));
  drawing_
      .Empty("path", {{"fill", "none"},
                      {"stroke", stroke},
                      {"stroke-width", Pixels(width)},
                      {"stroke-linecap", "round"},
                      {"stroke-dasharray", dash},
                      {"d", path.text()}})
      .Line();
}

void Panels::Legend(double at, const std::string& text, const std::string& stroke,
                    const std::string& dash) {
  Close();
  const double y = height_ - footer_ + 6;
  drawing_
      .Empty("path", {{"d", Path().Move(at, y).Relative("h26").text()},
                      {"stroke", stroke},
                      {"stroke-width", "2"},
                      {"stroke-dasharray", dash}})
      .Line()
      .Element("text", {{"x", Pixels(at + 32)}, {"y", Pixels(y + 4)}}, text)
      .Line();
}

std::string Panels::Finish() {
  Close();
  drawing_.Close().Line().Close().Line();
  return drawing_.Take();
}

}  // namespace backfire::planar
