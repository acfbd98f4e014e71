#include "services/metrics/object_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/parallel.h"
#include "services/base/status.h"
#include "services/base/text_file.h"

namespace backfire::metrics {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 16> kColumns = {
    "type",   "truncated", "occluded", "alpha", "left", "top", "right",      "bottom",
    "height", "width",     "length",   "x",     "y",    "z",   "rotation_y", "score"};

// Tokens between white space, with the lines that they are on.
class TokenStream {
 public:
  explicit TokenStream(std::string_view text) : text_(text) {}

  // The next token; empty at the end.
  std::string_view Next() {
    while (at_ < text_.size() && absl::ascii_isspace(static_cast<unsigned char>(text_[at_]))) {
      line_ += text_[at_] == '\n' ? 1 : 0;
      ++at_;
    }
    const size_t start = at_;
    while (at_ < text_.size() && !absl::ascii_isspace(static_cast<unsigned char>(text_[at_]))) {
      ++at_;
    }
    return text_.substr(start, at_ - start);
  }
  // Of the token last returned.
  int64_t line() const { return line_; }

 private:
  const std::string_view text_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

std::optional<double> ParseNumber(std::string_view token) {
  const char* first = token.data();
  const char* last = first + token.size();
  if (first != last && *first == '+') ++first;
  double value = 0;
  const auto [end, error] = std::from_chars(first, last, value);
  // What is too small for a double is 0 to scanf as well; too large would be infinite.
  if (end != last || first == last || !std::isfinite(value)) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::nullopt;
  return value;
}

struct Record {
  int64_t line = 0;
  std::string_view type;
  std::array<double, 16> values{};
};

class RecordReader {
 public:
  RecordReader(std::string_view content, ObjectFileKind kind, std::string_view where)
      : tokens_(content), columns_(kind == ObjectFileKind::kLabels ? 15 : 16), where_(where) {}

  // False at the end of the stream.
  absl::StatusOr<bool> Next(Record& record) {
    record.type = tokens_.Next();
    record.line = tokens_.line();
    if (record.type.empty()) return false;
    if (ParseNumber(record.type).has_value()) {
      return Fault(record.line, "a class name was expected, as ", columns_,
                   " columns end before it: got ", Quoted(record.type));
    }
    for (size_t column = 1; column < columns_; ++column) {
      const std::string_view token = tokens_.Next();
      if (token.empty()) {
        return Fault(record.line, What(), " has ", columns_, " columns: the file ends after ",
                     column);
      }
      const std::optional<double> value = ParseNumber(token);
      if (!value.has_value()) {
        if (tokens_.line() != record.line) {
          return Fault(record.line, What(), " has ", columns_, " columns: column ", column + 1,
                       " (", kColumns[column], ") would be ", Quoted(token), " on line ",
                       tokens_.line());
        }
        return Fault(record.line, "column ", column + 1, " (", kColumns[column],
                     ") must be a finite number: got ", Quoted(token));
      }
      if (column == 2 && columns_ == 15 &&
          (std::floor(*value) != *value || std::abs(*value) > 1e6)) {
        return Fault(record.line, "column 3 (occluded) must be a whole number: got ",
                     Quoted(token));
      }
      record.values[column] = *value;
    }
    return true;
  }

 private:
  std::string What() const { return columns_ == 15 ? "a label" : "a detection"; }

  static std::string Quoted(std::string_view token) {
    return absl::StrCat("\"", absl::string_view(token.data(), std::min<size_t>(token.size(), 40)),
                        "\"");
  }

  template <typename... Parts>
  absl::Status Fault(int64_t line, const Parts&... parts) const {
    return absl::DataLossError(
        absl::StrCat(absl::string_view(where_.data(), where_.size()), ":", line, ": ", parts...));
  }

  TokenStream tokens_;
  const size_t columns_;
  const std::string_view where_;
};

bool IsFrameName(const std::string& name) {
  return name.size() == 10 && absl::EndsWith(name, ".txt") &&
         std::all_of(name.begin(), name.begin() + 6,
                     [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); });
}

// The ids of a folder's frames, rising; `others` counts what is named otherwise, unless null.
absl::StatusOr<std::vector<std::string>> FrameIds(const fs::path& folder, int64_t* others) {
  std::vector<std::string> ids;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (IsFrameName(name)) {
      ids.push_back(name.substr(0, 6));
    } else if (others != nullptr) {
      ++*others;
    }
  }
  if (error) return ErrnoToStatus(error.value(), absl::StrCat("list ", folder.string()));
  std::sort(ids.begin(), ids.end());
  return ids;
}

absl::StatusOr<fs::path> FolderOf(const fs::path& folder, const char* inner, const char* what) {
  std::error_code error;
  if (fs::is_directory(folder / inner, error)) return folder / inner;
  if (fs::is_directory(folder, error)) return folder;
  return absl::NotFoundError(absl::StrCat(folder.string(), ": no such folder of ", what));
}

}  // namespace

absl::StatusOr<std::vector<Object>> ParseObjectStream(std::string_view content, ObjectFileKind kind,
                                                      std::string_view where) {
  RecordReader reader(content, kind, where);
  std::vector<Object> objects;
  Record record;
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, reader.Next(record));
    if (!more) return objects;
    const auto& v = record.values;
    Object& object = objects.emplace_back();
    object.type = std::string(record.type);
    object.truncation = v[1];
    object.occlusion = kind == ObjectFileKind::kLabels ? static_cast<int>(v[2]) : -1;
    object.alpha = v[3];
    object.box_2d = {v[4], v[5], v[6], v[7]};
    object.box_3d = {v[8], v[9], v[10], v[11], v[12], v[13], v[14]};
    if (kind == ObjectFileKind::kDetections) object.score = v[15];
  }
}

absl::StatusOr<EvaluationFrames> ReadEvaluationFrames(const fs::path& labels,
                                                      const fs::path& detections, int threads) {
  BACKFIRE_ASSIGN_OR_RETURN(const fs::path label_folder, FolderOf(labels, "label_2", "labels"));
  BACKFIRE_ASSIGN_OR_RETURN(const fs::path detection_folder,
                            FolderOf(detections, "data", "detections"));
  EvaluationFrames frames;
  BACKFIRE_ASSIGN_OR_RETURN(frames.ids, FrameIds(detection_folder, &frames.other_files));
  if (frames.ids.empty()) {
    return absl::NotFoundError(
        absl::StrCat(detection_folder.string(), ": no detection file NNNNNN.txt (six digits)"));
  }
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<std::string> labelled,
                            FrameIds(label_folder, /*others=*/nullptr));
  for (const std::string& id : labelled) {
    frames.unanswered_labels +=
        std::binary_search(frames.ids.begin(), frames.ids.end(), id) ? 0 : 1;
  }

  frames.images.resize(frames.ids.size());
  std::vector<absl::Status> faults(frames.ids.size());
  const auto read = [](const fs::path& path, ObjectFileKind kind,
                       std::vector<Object>& objects) -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const std::string content, ReadTextFile(path));
    BACKFIRE_ASSIGN_OR_RETURN(objects, ParseObjectStream(content, kind, path.string()));
    return absl::OkStatus();
  };
  ParallelFor(static_cast<int64_t>(frames.ids.size()), threads, [&](int64_t i) {
    const std::string name = frames.ids[i] + ".txt";
    faults[i] = read(label_folder / name, ObjectFileKind::kLabels, frames.images[i].labels);
    if (absl::IsNotFound(faults[i])) {
      faults[i] = absl::NotFoundError(
          absl::StrCat((label_folder / name).string(), ": no labels for a frame with detections"));
    }
    if (faults[i].ok()) {
      faults[i] =
          read(detection_folder / name, ObjectFileKind::kDetections, frames.images[i].detections);
    }
  });
  const auto is_fault = [](const absl::Status& status) { return !status.ok(); };
  const auto first = std::find_if(faults.begin(), faults.end(), is_fault);
  if (first == faults.end()) return frames;
  const auto more = std::count_if(first + 1, faults.end(), is_fault);
  if (more == 0) return *first;
  return absl::Status(first->code(),
                      absl::StrCat(first->message(), " (and ", more, " more frames have faults)"));
}

}  // namespace backfire::metrics
