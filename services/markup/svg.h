#pragma once

#include <string>

#include "services/markup/markup.h"

namespace backfire::markup {

/// A length or place in pixels, as drawings have it: one decimal.
std::string Pixels(double value);

/// The `d` of a path, in pixels. One thread.
class Path {
 public:
  /// Lifts the pen, and sets it down there; nothing where it is there already.
  Path& Move(double x, double y);
  /// A straight line.
  Path& Line(double x, double y);
  /// A cubic curve by two control points.
  Path& Curve(double x1, double y1, double x2, double y2, double x, double y);
  /// A dot, as wide as the stroke, which must have round ends.
  Path& Dot(double x, double y);
  /// A square around a place.
  Path& Square(double x, double y, double side);
  /// Whatever SVG has, relative to where the pen is.
  Path& Relative(absl::string_view commands);

  bool empty() const { return text_.empty(); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::string at_;  // Where the pen is.
};

/// Begins a drawing of a size, in pixels; Close() ends it.
/// @param standalone  Whether it is a document of its own, not part of a page.
/// @param style       Its class; empty: none.
/// @param label       What it shows, for those who can't see it; empty: nothing that is not said
///                    beside it.
void OpenDrawing(Markup& to, double width, double height, bool standalone,
                 const std::string& style = "", const std::string& label = "");

}  // namespace backfire::markup
