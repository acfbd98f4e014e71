#pragma once

#include <string>
#include <utility>
#include <vector>

#include "services/markup/markup.h"
#include "services/planar/geometry.h"

namespace backfire::planar {

/// Segments of a drawing, each from one position to another.
using Segments = std::vector<std::pair<Position, Position>>;

/// An SVG document of square panels side by side, each a window on the plane.
class Panels {
 public:
  static constexpr double kPanel = 220;  ///< Pixels, as are all sizes.
  static constexpr double kMargin = 12;
  static constexpr double kTitle = 22;

  Panels(int columns, int rows, double footer);

  /// Starts a panel that shows the plane from low to high, with a title above it.
  void Panel(int column, int row, Position low, Position high, const std::string& title);
  /// Equal marks: dots of a diameter, squares of a side, plus or minus signs.
  void Dots(const std::vector<Position>& at, double diameter, const std::string& fill);
  /// @param fill, stroke  `none`: not.
  void Squares(const std::vector<Position>& at, double side, const std::string& fill,
               const std::string& stroke);
  void Signs(const std::vector<Position>& at, bool plus, const std::string& stroke);
  /// @param dash  As SVG has it; empty: solid.
  void Lines(const Segments& segments, const std::string& stroke, double width,
             const std::string& dash);
  /// An entry of the legend, in the footer, `at` pixels from the left.
  void Legend(double at, const std::string& text, const std::string& stroke,
              const std::string& dash);
  /// The document.
  std::string Finish();

 private:
  double X(Position at) const;
  double Y(Position at) const;
  void Close();

  double width_, height_, footer_;
  double left_ = 0, top_ = 0;
  Position low_, high_;
  bool open_ = false;
  int panels_ = 0;
  markup::Markup drawing_;
};

}  // namespace backfire::planar
