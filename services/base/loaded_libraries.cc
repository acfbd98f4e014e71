#include "services/base/loaded_libraries.h"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace backfire {
namespace {

constexpr size_t Padded(size_t size) { return (size + 3) & ~size_t{3}; }

// The GNU build id among the notes of a loaded file, or nothing.
std::string BuildId(const dl_phdr_info& file) {
  for (int i = 0; i < file.dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = file.dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const char* note = reinterpret_cast<const char*>(file.dlpi_addr + segment.p_vaddr);
    const char* end = note + segment.p_memsz;
    while (note + sizeof(ElfW(Nhdr)) <= end) {
      ElfW(Nhdr) header;
      std::memcpy(&header, note, sizeof(header));
      const char* name = note + sizeof(header);
      const char* text = name + Padded(header.n_namesz);
      if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 &&
          std::memcmp(name, "GNU", 4) == 0) {
        return absl::BytesToHexString({text, header.n_descsz});
      }
      note = text + Padded(header.n_descsz);
    }
  }
  return "";
}

struct Search {
  const std::vector<std::string>& prefixes;
  std::vector<std::string> found;
};

int Visit(dl_phdr_info* file, size_t, void* argument) {
  auto& search = *static_cast<Search*>(argument);
  const std::filesystem::path path = file->dlpi_name;
  const std::string name = path.filename();
  const auto begins = [&](const std::string& prefix) { return absl::StartsWith(name, prefix); };
  if (std::none_of(search.prefixes.begin(), search.prefixes.end(), begins)) return 0;
  std::string id = BuildId(*file);
  if (id.empty()) {
    std::error_code error;
    id = absl::StrCat(std::filesystem::file_size(path, error), " bytes");
  }
  search.found.push_back(absl::StrCat(name, " ", id));
  return 0;
}

}  // namespace

std::vector<std::string> LoadedLibraries(const std::vector<std::string>& prefixes) {
  Search search{prefixes, {}};
  dl_iterate_phdr(Visit, &search);
  std::sort(search.found.begin(), search.found.end());
  return search.found;
}

}  // namespace backfire
