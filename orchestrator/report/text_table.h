#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace backfire::report {

/// How wide lines of tables may be, in this program; 0, as at first: as wide as they are. For a
/// main, before it starts threads.
void SetLineWidth(int columns);
int LineWidth();

/// Columns of text: a heading each, numbers to the right, words to the left. One thread.
class TextTable {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
  };
  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// Adds a row. Missing cells are empty; more cells than columns are dropped.
  void AddRow(std::vector<std::string> cells);

  /// Heading, then rows, each `indent` spaces in and ended by a newline, without trailing spaces.
  /// Columns that are empty in every row are left out. A table without rows is empty text.
  /// Where lines would be wider than LineWidth(), words wrap within the widest columns; where words
  /// or numbers would have to be broken for that, each row of three columns or more is a block of
  /// lines, a heading and its cell each.
  std::string ToString(int indent = 0) const;

 private:
  // How wide columns must be for no word or number to be broken; 0 where they are left out.
  std::vector<size_t> LeastWidths(const std::vector<size_t>& widths) const;
  std::string ToBlocks(const std::vector<size_t>& widths, int indent) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace backfire::report
