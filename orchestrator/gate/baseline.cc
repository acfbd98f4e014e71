#include "orchestrator/gate/baseline.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "orchestrator/gate/policy.h"
#include "orchestrator/gate/record_files.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::gate {
namespace {

constexpr int kGzip = 16 + MAX_WBITS;  // As zlib's deflateInit2 has it: a header without a time.

// The shortest text that is read as the same number.
std::string Number(double value) {
  for (const int digits : {15, 16}) {
    std::string text = absl::StrFormat("%.*g", digits, value);
    double again = 0;
    if (absl::SimpleAtod(text, &again) && again == value) return text;
  }
  return absl::StrFormat("%.17g", value);
}

std::string Text(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

void AppendVertex(const v1::GateVertex& vertex, const VertexRecords& records, std::string& lines) {
  const std::vector<std::string> columns = ColumnNames(vertex), slices = SliceNames(vertex);
  const std::string head = absl::StrCat("{\"vertex\":", Text(vertex.name()), ",\"seed\":");
  for (const auto& [seed, values] : records.values) {
    for (size_t i = 0; i < records.examples.size(); ++i) {
      absl::StrAppend(&lines, head, seed, ",\"example\":", Text(records.examples[i]));
      std::string in;
      for (size_t s = 0; s < slices.size(); ++s) {
        if ((records.slices[i] >> s & 1) == 0) continue;
        absl::StrAppend(&in, in.empty() ? "" : ",", Text(slices[s]));
      }
      if (!in.empty()) absl::StrAppend(&lines, ",\"slice\":[", in, "]");
      if (!records.clusters.empty()) {
        const auto cluster = static_cast<size_t>(records.clusters[i]);
        absl::StrAppend(&lines, ",\"cluster\":", Text(records.cluster_names[cluster]));
      }
      for (size_t c = 0; c < columns.size(); ++c) {
        absl::StrAppend(&lines, ",", Text(columns[c]), ":", Number(values[c][i]));
      }
      lines += "}\n";
    }
  }
  // JSON has no word for what is undefined.
  const auto number = [](double value) {
    return std::isfinite(value) ? Number(value) : std::string("null");
  };
  for (const auto& [key, record] : records.resampled) {
    const auto& [seed, loss, slice] = key;
    absl::StrAppend(&lines, head, seed, ",\"name\":", Text(loss));
    if (!slice.empty()) absl::StrAppend(&lines, ",\"slice\":", Text(slice));
    absl::StrAppend(&lines, ",\"value\":", number(record.value), ",\"examples\":", record.examples,
                    ",\"bearing\":", record.bearing, ",");
    if (!record.cluster_sizes.empty()) {
      absl::StrAppend(&lines, "\"cluster_sizes\":[", absl::StrJoin(record.cluster_sizes, ","),
                      "],");
    }
    absl::StrAppend(&lines, "\"resampled\":[");
    for (size_t b = 0; b < record.resampled.size(); ++b) {
      absl::StrAppend(&lines, b > 0 ? "," : "", number(record.resampled[b]));
    }
    lines += "]}\n";
  }
}

absl::StatusOr<std::string> Compressed(const std::string& text) {
  z_stream deflater = {};
  if (deflateInit2(&deflater, Z_BEST_COMPRESSION, Z_DEFLATED, kGzip, /*memLevel=*/9,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return absl::ResourceExhaustedError("no memory to compress the baseline");
  }
  std::string compressed;
  std::string piece(1 << 16, '\0');
  size_t at = 0;
  int result = Z_OK;
  while (result != Z_STREAM_END) {
    // zlib counts in 32 bits.
    const size_t length = std::min<size_t>(text.size() - at, 1 << 30);
    deflater.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data() + at));
    deflater.avail_in = static_cast<uInt>(length);
    deflater.next_out = reinterpret_cast<Bytef*>(piece.data());
    deflater.avail_out = static_cast<uInt>(piece.size());
    result = deflate(&deflater, at + length == text.size() ? Z_FINISH : Z_NO_FLUSH);
    at += length - deflater.avail_in;
    compressed.append(piece, 0, piece.size() - deflater.avail_out);
  }
  deflateEnd(&deflater);
  return compressed;
}

// Every vertex of a policy, whichever changed.
Scope WholeScope(const v1::GatePolicy& policy) {
  Scope scope;
  for (const v1::GateVertex& vertex : policy.vertices()) scope.vertices.push_back(&vertex);
  return scope;
}

}  // namespace

bool LacksBaseline(const GateRequest& request) {
  return !request.baseline.empty() && !std::filesystem::exists(request.baseline);
}

absl::Status WriteBaseline(const GateRequest& request) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string policy_text, ReadFile(request.policy));
  const std::string folder = std::filesystem::path(request.policy).parent_path().string();
  BACKFIRE_ASSIGN_OR_RETURN(const v1::GatePolicy policy,
                            ParsePolicy(policy_text, request.policy, folder, PolicyUse::kRecords));
  const Scope scope = WholeScope(policy);
  const Columns columns = AllColumns(policy);
  std::vector<RecordTable> tables;
  BACKFIRE_ASSIGN_OR_RETURN(RecordTable after, ReadRecords(request.after, policy, scope, columns,
                                                           Completeness::kWhateverIsThere));
  tables.push_back(std::move(after));
  if (!LacksBaseline(request)) {
    BACKFIRE_ASSIGN_OR_RETURN(
        RecordTable before,
        ReadRecords(request.baseline, policy, scope, columns, Completeness::kWhateverIsThere));
    tables.push_back(std::move(before));
  }
  std::string lines;
  for (const v1::GateVertex& vertex : policy.vertices()) {
    const VertexRecords* records = nullptr;
    for (const RecordTable& table : tables) {
      if (records == nullptr) records = table.Find(vertex.name());
    }
    if (records != nullptr) {
      AppendVertex(vertex, *records, lines);
    } else if (!vertex.losses().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(request.after, ": vertex ", vertex.name(),
                       ": has no record, and a baseline has those of every vertex"));
    }
  }
  if (absl::EndsWith(request.baseline, ".gz")) {
    BACKFIRE_ASSIGN_OR_RETURN(lines, Compressed(lines));
  }
  return WriteFileAtomically(request.baseline, lines);
}

}  // namespace backfire::gate
