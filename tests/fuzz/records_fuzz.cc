// Evaluation records: lines of JSON and of CSV, and the same compressed. The first byte says which.
#include <zlib.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/gate/line_reader.h"
#include "orchestrator/gate/memory_file.h"
#include "orchestrator/gate/policy.h"
#include "orchestrator/gate/record_table.h"
#include "tests/fuzz/fuzz_entry.h"

namespace backfire::gate {
namespace {

constexpr char kPolicy[] = R"(candidate: encoder
vertices:
- name: encoder
  losses:
  - {name: mse, margin: 0.01}
- name: reader
  parents: [encoder]
  losses:
  - {name: wer, numerator: wrong, denominator: words, unit: fraction, margin: 0.02}
  required_slices: [night]
)";

const v1::GatePolicy& Policy() {
  static const auto* const policy =
      new v1::GatePolicy(ParsePolicy(kPolicy, "p.yaml", "", PolicyUse::kRecords).value());
  return *policy;
}

// Every row of a file, into a table that is then read as a gate reads it.
void FuzzRecords(std::string_view content, bool csv) {
  static const auto* const scope = new Scope(ScopeOf(Policy(), "").value());
  static const auto* const columns = new Columns(AllColumns(Policy()));
  const absl::StatusOr<MemoryFile> file =
      MemoryFile::Make("records", {content.data(), content.size()});
  Require(file.ok());
  absl::StatusOr<LineReader> reader = LineReader::Open(file->path());
  Require(reader.ok());
  const auto parser = csv ? MakeCsvRowParser(*columns) : MakeJsonRowParser(*columns);
  RecordTable table(Policy(), *scope, *columns);
  RecordRow row;
  absl::string_view line;
  int64_t lines = 0, rows = 0;
  bool faulty = false;
  while (true) {
    const absl::StatusOr<bool> more = reader->Next(line);
    if (!more.ok()) return RequireRefusal(more.status());
    if (!*more) break;
    Require(++lines == reader->line_number());
    Require(line.find('\n') == absl::string_view::npos);
    const absl::StatusOr<bool> parsed = parser->Parse(line, row);
    if (!parsed.ok()) {
      RequireRefusal(parsed.status());
      faulty = true;
      continue;
    }
    if (!*parsed) continue;
    const absl::Status added = table.Add(row);
    ++rows;
    if (!added.ok()) {
      RequireRefusal(added);
      faulty = true;
    }
  }
  if (faulty) return;  // As a gate does: what is missing says nothing then.
  const absl::Status finished = table.Finish(Completeness::kWhateverIsThere);
  if (!finished.ok()) return RequireRefusal(finished);
  Require(table.row_count() == rows && table.skipped_count() <= rows);
  Require(table.Digest().size() == 64);
  for (const v1::GateVertex& vertex : Policy().vertices()) {
    const VertexRecords* records = table.Find(vertex.name());
    if (records == nullptr) continue;
    for (const auto& [seed, by_column] : records->values) {
      for (const auto& values : by_column) Require(values.size() == records->examples.size());
    }
  }
}

std::string Gzip(const std::string& text) {
  z_stream deflater = {};
  Require(deflateInit2(&deflater, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string compressed(deflateBound(&deflater, text.size()), '\0');
  deflater.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  deflater.avail_in = static_cast<uInt>(text.size());
  deflater.next_out = reinterpret_cast<Bytef*>(compressed.data());
  deflater.avail_out = static_cast<uInt>(compressed.size());
  Require(deflate(&deflater, Z_FINISH) == Z_STREAM_END);
  compressed.resize(deflater.total_out);
  deflateEnd(&deflater);
  return compressed;
}

constexpr char kJson[] = R"({"vertex": "encoder", "seed": 1, "example": "17", "mse": 0.25}
{"vertex": "encoder", "seed": 1, "example": "18", "mse": 1e-3}
{"vertex": "reader", "seed": 1, "example": 17, "wrong": 1, "words": 9, "slice": ["night", "rain"], "cluster": "a"}
{"vertex": "reader", "seed": 1, "example": 18, "wrong": null, "words": 4, "slice": "night", "cluster": "b"}
{"vertex": "encoder", "seed": 2, "name": "mse", "value": 0.5, "resampled": [0.5, null, 0.25], "examples": 2}
)";
constexpr char kCsv[] =
    "vertex,seed,example,cluster,slice,mse,wrong,words\n"
    "encoder,1,17,,,0.25,,\n"
    "reader,1,17,a,\"night,rain\",,1,9\n"
    "reader,1,\"1\"\"8\",b,night;rain,,0,4\n";

}  // namespace
}  // namespace backfire::gate

namespace backfire {

std::vector<std::string> FuzzExamples() {
  return {
      std::string(1, '\0') + gate::kJson, std::string("\1") + gate::kCsv,
      std::string(1, '\0') + gate::Gzip(gate::kJson),
      std::string("\1") + gate::Gzip(gate::kCsv) + gate::Gzip("\n"),
      // A fault, and another row of its example.
      std::string("\1vertex,seed,example,slice,mse\nencoder,1,17,z,0.25\nencoder,0,17,,0.24\n")};
}

std::vector<std::string> FuzzTokens() {
  return {"\"vertex\": ",
          "\"seed\": ",
          "\"example\": ",
          "\"slice\": ",
          "\"cluster\": ",
          "\"name\": ",
          "\"value\": ",
          "\"resampled\": [",
          "\"cluster_sizes\": [",
          "\"bearing\": ",
          "null",
          "true",
          "{",
          "}",
          "[",
          "]",
          ",",
          ";",
          "\"\"",
          "\\u0000",
          "\\ud800",
          "\"encoder\"",
          "\"reader\"",
          "\x1f\x8b",
          "1e308",
          "9007199254740993"};
}

int FuzzRuns() { return 20000; }

}  // namespace backfire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view content(reinterpret_cast<const char*>(data) + 1, size - 1);
  backfire::gate::FuzzRecords(content, data[0] % 2 == 1);
  return 0;
}
