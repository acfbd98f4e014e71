// What libFuzzer starts from: before it looks at its corpus, a folder that is its first argument,
// the target's examples are put in there, and its tokens beside it, as FOLDER.dict.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/fuzz/fuzz_entry.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc < 2 || (*argv)[1][0] == '-' || std::filesystem::is_regular_file((*argv)[1])) return 0;
  const std::filesystem::path folder = (*argv)[1];
  std::filesystem::create_directories(folder);
  int number = 0;
  for (const std::string& example : backfire::FuzzExamples()) {
    std::ofstream(folder / absl::StrCat("example-", number++), std::ios::binary) << example;
  }
  std::ofstream dictionary(folder.string() + ".dict");
  for (const std::string& token : backfire::FuzzTokens()) {
    dictionary << '"';
    for (const char c : token)
      dictionary << absl::StrFormat("\\x%02x", static_cast<unsigned char>(c));
    dictionary << "\"\n";
  }
  return 0;
}
