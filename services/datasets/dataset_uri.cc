#include "services/datasets/dataset_uri.h"

#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace backfire::datasets {

absl::Status MalformedUri(const std::string& uri, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("dataset.uri must be kitti:DIRECTORY or rendered:PROFILE, with ",
                   "?parameter=value&...: ", why, ": got \"", uri, "\""));
}

absl::StatusOr<DatasetUri> ParseDatasetUri(const std::string& uri) {
  const size_t colon = uri.find(':');
  if (colon == std::string::npos || colon == 0) return MalformedUri(uri, "it has no scheme");
  DatasetUri result;
  result.scheme = uri.substr(0, colon);
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(uri.substr(colon + 1), absl::MaxSplits('?', 1));
  result.path = parts.first;
  if (result.path.empty()) return MalformedUri(uri, "nothing follows the scheme");
  std::set<std::string> seen;
  for (const absl::string_view text : absl::StrSplit(parts.second, '&', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> item = absl::StrSplit(text, absl::MaxSplits('=', 1));
    if (text.find('=') == absl::string_view::npos || item.first.empty()) {
      return MalformedUri(uri, absl::StrCat("\"", text, "\" is not parameter=value"));
    }
    if (!seen.insert(item.first).second) {
      return MalformedUri(uri, absl::StrCat(item.first, " is given twice"));
    }
    result.parameters.push_back(item);
  }
  return result;
}

absl::StatusOr<double> ParseHeightScale(const std::string& uri, const std::string& value) {
  double scale = 0;
  if (absl::SimpleAtod(value, &scale) && scale > 0 && scale <= 10) return scale;
  return MalformedUri(uri, absl::StrCat(kHeightScale, " must be a number in (0, 10]"));
}

void DigestHeightScale(double scale, Sha256& digest) {
  if (scale != 1) digest.UpdateField(kHeightScale).UpdateField(absl::StrFormat("%.17g", scale));
}

}  // namespace backfire::datasets
