#include "orchestrator/report/text_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/base/printable.h"

namespace backfire::report {
namespace {

constexpr char kGap[] = "  ";
// Narrower than that, a column is harder to read than a line that the terminal wraps.
constexpr size_t kNarrowest = 5;
// A word longer than that, as a path, is broken rather than its table.
constexpr size_t kLongestWord = 20;

int line_width = 0;

size_t Total(const std::vector<size_t>& widths, int indent) {
  size_t total = static_cast<size_t>(indent);
  for (const size_t width : widths) {
    if (width > 0) total += width + (total > static_cast<size_t>(indent) ? sizeof(kGap) - 1 : 0);
  }
  return total;
}

// Takes from the widest columns until the table fits, or all are as narrow as is of use.
// @param widths  0: the column is left out.
// @param least  None becomes narrower than that.
void Narrow(std::vector<size_t>& widths, const std::vector<size_t>& least, int indent) {
  const size_t most = static_cast<size_t>(LineWidth());
  size_t total = Total(widths, indent);
  while (total > most) {
    size_t* widest = nullptr;
    for (size_t i = 0; i < widths.size(); ++i) {
      if (widths[i] > least[i] && (widest == nullptr || widths[i] > *widest)) widest = &widths[i];
    }
    if (widest == nullptr) return;
    --*widest;
    --total;
  }
}

// Of the parts of a cell the longest that is better not broken: a name goes on after its slash.
size_t LongestWord(const std::string& cell) {
  size_t longest = 0;
  for (size_t begin = 0; begin < cell.size();) {
    const size_t found = std::min(cell.find_first_of(" ,", begin), cell.size());
    const size_t end = found < cell.size() && cell[found] == ',' ? found + 1 : found;
    longest = std::max(longest, end - begin);
    begin = found + 1;
  }
  return longest;
}

// A cell's lines of at most `width`, broken after a space, a comma or a slash where there is one.
std::vector<std::string> Wrap(const std::string& cell, size_t width) {
  std::vector<std::string> lines;
  size_t begin = 0;
  while (cell.size() - begin > width) {
    const size_t found = cell.find_last_of(" ,/", begin + width - 1);
    const bool breaks = found != std::string::npos && found > begin;
    // A space may be the first letter that no longer fits.
    const bool fits = cell[begin + width] == ' ';
    const size_t end = fits ? begin + width : breaks ? found + 1 : begin + width;
    lines.emplace_back(absl::StripTrailingAsciiWhitespace(cell.substr(begin, end - begin)));
    begin = end;
    while (begin < cell.size() && cell[begin] == ' ') ++begin;
  }
  lines.push_back(cell.substr(begin));
  return lines;
}

}  // namespace

void SetLineWidth(int columns) { line_width = columns; }
int LineWidth() { return line_width; }

void TextTable::AddRow(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = Printable(cell);
  rows_.push_back(std::move(cells));
}

std::vector<size_t> TextTable::LeastWidths(const std::vector<size_t>& widths) const {
  std::vector<size_t> least(widths.size(), 0);
  for (size_t i = 0; i < widths.size(); ++i) {
    if (widths[i] == 0) continue;
    least[i] = LongestWord(columns_[i].heading);
    for (const auto& row : rows_) least[i] = std::max(least[i], LongestWord(row[i]));
    // Half a number is another one.
    least[i] = columns_[i].align == Align::kRight ? widths[i]
                                                  : std::min({least[i], kLongestWord, widths[i]});
  }
  return least;
}

std::string TextTable::ToBlocks(const std::vector<size_t>& widths, int indent) const {
  size_t longest = 0;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (widths[i] > 0) longest = std::max(longest, columns_[i].heading.size());
  }
  const size_t begin = static_cast<size_t>(indent) + longest + sizeof(kGap) - 1;
  const size_t width = std::max(static_cast<size_t>(LineWidth()), begin + kNarrowest) - begin;
  std::string text;
  for (const auto& row : rows_) {
    if (!text.empty()) absl::StrAppend(&text, "\n");
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (row[i].empty()) continue;
      std::string before = std::string(static_cast<size_t>(indent), ' ') + columns_[i].heading;
      for (const std::string& line : Wrap(row[i], width)) {
        before.resize(begin, ' ');
        absl::StrAppend(&text, before, line, "\n");
        before.clear();
      }
    }
  }
  return text;
}

std::string TextTable::ToString(int indent) const {
  if (rows_.empty()) return "";
  std::vector<size_t> widths(columns_.size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (widths[i] > 0) widths[i] = std::max(widths[i], columns_[i].heading.size());
  }
  if (LineWidth() > 0 && Total(widths, indent) > static_cast<size_t>(LineWidth())) {
    const std::vector<size_t> least = LeastWidths(widths);
    const auto shown = std::count_if(widths.begin(), widths.end(), [](size_t w) { return w > 0; });
    const bool fits = Total(least, indent) <= static_cast<size_t>(LineWidth());
    if (!fits && shown > 2) return ToBlocks(widths, indent);
    Narrow(widths, fits ? least : std::vector<size_t>(widths.size(), kNarrowest), indent);
  }
  std::string text;
  // A row takes as many lines as the cell that wraps most.
  const auto add_row = [&](const auto& cell_of) {
    std::vector<std::vector<std::string>> cells;
    size_t lines = 1;
    for (size_t i = 0; i < columns_.size(); ++i) {
      cells.push_back(widths[i] == 0 ? std::vector<std::string>() : Wrap(cell_of(i), widths[i]));
      lines = std::max(lines, cells.back().size());
    }
    for (size_t k = 0; k < lines; ++k) {
      std::string line(static_cast<size_t>(indent), ' ');
      bool first = true;
      for (size_t i = 0; i < columns_.size(); ++i) {
        if (widths[i] == 0) continue;
        const std::string cell = k < cells[i].size() ? cells[i][k] : "";
        const std::string padding(widths[i] - cell.size(), ' ');
        absl::StrAppend(&line, first ? "" : kGap);
        first = false;
        if (columns_[i].align == Align::kRight) {
          absl::StrAppend(&line, padding, cell);
        } else {
          absl::StrAppend(&line, cell, padding);
        }
      }
      absl::StrAppend(&text, absl::StripTrailingAsciiWhitespace(line), "\n");
    }
  };
  add_row([&](size_t i) -> const std::string& { return columns_[i].heading; });
  for (const auto& row : rows_) add_row([&](size_t i) -> const std::string& { return row[i]; });
  return text;
}

}  // namespace backfire::report
