// What a parent's service sends when it is asked for its outputs. An input is messages: each is its
// length in a byte, and its bytes as the wire has them.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/runtime/outputs/example_assembler.h"
#include "tests/fuzz/fuzz_entry.h"
#include "tests/fuzz/fuzz_file.h"

namespace backfire::runtime {
namespace {

// Examples that are whole are read as what they are.
void RequireReadable(const std::filesystem::path& path, int64_t count) {
  const auto examples = ExampleFile::Open(path);
  Require(examples.ok() && (*examples)->size() == count);
  for (int64_t i = 0; i < count; ++i) {
    const auto tensors = (*examples)->Get(i);
    Require(tensors.ok());
    for (const auto& [name, tensor] : *tensors) {
      Require(!name.empty());
      Require(tensor.ElementCount() * DatatypeSize(tensor.datatype) ==
              static_cast<int64_t>(tensor.data.size()));
    }
  }
}

void FuzzStream(std::string_view content) {
  static const auto* const file = new FuzzFile("outputs");
  auto writer = ExampleFileWriter::Create(file->path());
  Require(writer.ok());
  OutputsHasher hasher;
  ExampleAssembler assembler(0, **writer, hasher);
  while (!content.empty()) {
    const size_t length = static_cast<unsigned char>(content.front());
    content.remove_prefix(1);
    const std::string message(content.substr(0, length));
    content.remove_prefix(message.size());
    v1::MaterializeResponse piece;
    if (!piece.ParseFromString(message)) return;
    const int64_t before = assembler.next_example();
    const absl::Status added = assembler.Add(piece);
    if (!added.ok()) return Require(absl::IsInternal(added) && added.message().size() < 2000);
    Require(assembler.next_example() - before <= 1);
  }
  const absl::Status finished = assembler.Finish();
  if (!finished.ok()) return Require(absl::IsInternal(finished));
  Require((*writer)->Finish().ok());
  RequireReadable(file->path(), assembler.next_example());
}

std::string Piece(int64_t example, const std::string& output, const std::string& data, bool last) {
  v1::MaterializeResponse piece;
  piece.set_example(example);
  piece.set_example_id("e");
  piece.set_output(output);
  piece.set_datatype("FP32");
  piece.add_shape(2);
  piece.add_shape(1);
  piece.set_data(data);
  piece.set_last_piece(last);
  const std::string message = piece.SerializeAsString();
  return static_cast<char>(message.size()) + message;
}

}  // namespace
}  // namespace backfire::runtime

namespace backfire {

std::vector<std::string> FuzzExamples() {
  using runtime::Piece;
  const std::string two = Piece(0, "y", "1234", false) + Piece(0, "y", "5678", true);
  return {two, two + Piece(0, "z", "12345678", true) + Piece(1, "y", "12345678", true)};
}

std::vector<std::string> FuzzTokens() {
  return {"FP32", "FP64", "INT64",    "BOOL",    "BYTES", "\xff\xff\xff\xff\xff\xff\xff\x7f",
          "y",    "z",    "\x08\x01", "\x10\x01"};
}

int FuzzRuns() { return 5000; }

}  // namespace backfire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  backfire::runtime::FuzzStream({reinterpret_cast<const char*>(data), size});
  return 0;
}
