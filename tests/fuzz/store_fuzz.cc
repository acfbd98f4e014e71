// The orchestrator's store, of which a disk may have changed any byte. An input is the changes:
// three bytes say where, the fourth what is there instead.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/store/sqlite_repository.h"
#include "services/base/file.h"
#include "tests/fuzz/fuzz_entry.h"
#include "tests/fuzz/fuzz_file.h"
#include "tests/support/record_kit.h"

namespace backfire::store {
namespace {

std::string SmallStore() {
  const FuzzFile file("store");
  {
    auto repository = SqliteRepository::Open(file.path());
    Require(repository.ok());
    records::Change change;
    change.system = testing::SmallRevision();
    change.added.push_back(testing::Open(testing::SmallUpdate(1, "")));
    change.events.emplace_back().set_kind("PROPOSED");
    change.requests.push_back({"propose-1", "digest", "updates/1"});
    Require((*repository)->Write(change).ok());
  }  // Closed: what its log held is in the file.
  return ReadFile(file.path()).value();
}

void FuzzStore(std::string_view changes) {
  static const auto* const sound = new std::string(SmallStore());
  static const auto* const file = new FuzzFile("store");
  std::string bytes = *sound;
  for (; changes.size() >= 4; changes.remove_prefix(4)) {
    size_t at = 0;
    for (int i = 0; i < 3; ++i)
      at = at << 8 | static_cast<unsigned char>(changes[static_cast<size_t>(i)]);
    bytes[at % bytes.size()] = changes[3];
  }
  file->Write(bytes);
  const absl::Status status = SqliteRepository::Verify(file->path());
  if (bytes == *sound) Require(status.ok());
  if (!status.ok()) Require(absl::IsDataLoss(status) || absl::IsFailedPrecondition(status));
}

}  // namespace
}  // namespace backfire::store

namespace backfire {

std::vector<std::string> FuzzExamples() {
  return {"", std::string("\0\0\x12\x04", 4), std::string("\0\x10\x12\x04\0\x20\x07\xff", 8)};
}

std::vector<std::string> FuzzTokens() { return {std::string("\0\0", 2), std::string("\x01\0", 2)}; }

int FuzzRuns() { return 500; }

}  // namespace backfire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  backfire::store::FuzzStore({reinterpret_cast<const char*>(data), size});
  return 0;
}
