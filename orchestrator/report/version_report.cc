#include "orchestrator/report/version_report.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/report/recipe_report.h"
#include "orchestrator/report/text_table.h"

namespace backfire::report {
namespace {

using Align = TextTable::Align;

// Digits of a digest that tell the versions of a store apart.
constexpr size_t kShortDigest = 12;

std::string BytesText(int64_t bytes) {
  if (bytes < 1000) return absl::StrCat(bytes, " B");
  if (bytes < 1'000'000) return absl::StrFormat("%.1f kB", static_cast<double>(bytes) / 1e3);
  return absl::StrFormat("%.1f MB", static_cast<double>(bytes) / 1e6);
}

std::string Origin(const v1::Version& version) {
  if (!version.imported_digest().empty()) return "imported";
  return absl::StrCat("trained, seed ", version.seed());
}

std::string ParentsText(const v1::Version& version) {
  std::vector<std::string> parents;  // Several inputs may come from one parent.
  for (const v1::Parent& parent : version.lineage()) {
    if (parents.empty() || parents.back() != parent.version()) parents.push_back(parent.version());
  }
  return absl::StrJoin(parents, ", ");
}

}  // namespace

std::string VersionText(const v1::Version& version) {
  std::string text = absl::StrCat(version.name(), ": ", version.recipe().name(), ", ",
                                  Origin(version), version.loaded() ? ", loaded" : "", "\n");
  TextTable facts({{""}, {""}});
  facts.AddRow({"digest", version.digest()});
  facts.AddRow({"input key", version.input_key()});
  facts.AddRow({"weights", BytesText(version.weights_bytes())});
  if (version.has_dataset()) {
    facts.AddRow(
        {"dataset", absl::StrCat(version.dataset().uri(), " (",
                                 version.dataset().digest().substr(0, kShortDigest), ")")});
  }
  if (version.recipe().unservable()) facts.AddRow({"served", "never: evaluated only"});
  for (const v1::Parent& parent : version.lineage()) {
    facts.AddRow({absl::StrCat("input ", parent.input()),
                  absl::StrCat(parent.version(), ".", parent.output(), " (",
                               parent.digest().substr(0, kShortDigest), ")")});
  }
  std::map<std::string, std::string> sorted;  // A protobuf map has no order.
  for (const auto& [name, value] : version.recipe().parameters().fields()) {
    sorted[name] = ValueText(value);
  }
  for (const auto& [name, value] : sorted) facts.AddRow({name, value});
  const std::string table = facts.ToString(2);
  // The table has no headings worth a line.
  return absl::StrCat(text, table.substr(table.find('\n') + 1));
}

std::string PruneText(const v1::PruneUpdatesResponse& response, bool dry_run) {
  if (response.releases().empty() && response.versions().empty()) return "nothing to let go of\n";
  std::string text = absl::StrCat(
      dry_run ? "would let go of " : "let go of ", response.releases_size(), " releases",
      response.releases().empty() ? "" : ": ", absl::StrJoin(response.releases(), ", "), "\n",
      dry_run ? "would delete " : "deleted ", response.versions_size(), " versions, ",
      BytesText(response.bytes()), response.versions().empty() ? "" : ", children first:", "\n");
  for (const std::string& version : response.versions()) {
    absl::StrAppend(&text, "  ", version, "\n");
  }
  return text;
}

std::string VersionSizesText(const v1::ListVersionsResponse& versions) {
  struct Size {
    int64_t bytes = 0, count = 0;
  };
  std::map<std::string, Size> by_model;
  Size all;
  for (const v1::Version& version : versions.versions()) {
    Size& model = by_model[version.name().substr(0, version.name().find("/versions/"))];
    for (Size* size : {&model, &all}) {
      size->bytes += version.weights_bytes();
      ++size->count;
    }
  }
  std::vector<std::pair<std::string, Size>> sorted(by_model.begin(), by_model.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
  sorted.emplace_back("all", all);
  TextTable table({{"model"}, {"versions", Align::kRight}, {"weights", Align::kRight}});
  for (const auto& [name, size] : sorted) {
    table.AddRow({name, absl::StrCat(size.count), BytesText(size.bytes)});
  }
  return table.ToString();
}

std::string VersionListText(const v1::ListVersionsResponse& versions) {
  TextTable table({{"version"},
                   {"recipe"},
                   {"origin"},
                   {"fed by"},
                   {"weights", Align::kRight},
                   {"digest"},
                   {"loaded"}});
  for (const v1::Version& version : versions.versions()) {
    table.AddRow({version.name(), version.recipe().name(), Origin(version), ParentsText(version),
                  BytesText(version.weights_bytes()), version.digest().substr(0, kShortDigest),
                  version.loaded() ? "yes" : ""});
  }
  std::string text = table.ToString();
  if (text.empty()) text = "no versions\n";
  if (!versions.next_page_token().empty()) {
    absl::StrAppend(&text, "more: --page-token ", versions.next_page_token(), "\n");
  }
  return text;
}

}  // namespace backfire::report
