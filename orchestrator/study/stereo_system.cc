#include "orchestrator/study/stereo_system.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace backfire::study {

void KeepFamily(const std::string& kept, v1::System& system) {
  constexpr absl::string_view kFamilies[] = {"frustum-pointnet", "point-rcnn"};
  for (int i = system.vertices_size() - 1; i >= 0; --i) {
    for (const absl::string_view family : kFamilies) {
      if (absl::StartsWith(system.vertices(i).recipe().name(), family) && family != kept) {
        system.mutable_vertices()->DeleteSubrange(i, 1);
        break;
      }
    }
  }
  // An output of a detector that is left out is another's, or none.
  for (auto output = system.mutable_outputs()->begin();
       output != system.mutable_outputs()->end();) {
    const std::string vertex = output->second.substr(0, output->second.find('.'));
    const bool is_there = std::any_of(system.vertices().begin(), system.vertices().end(),
                                      [&](const v1::Vertex& one) { return one.name() == vertex; });
    output = is_there ? std::next(output) : system.mutable_outputs()->erase(output);
  }
}

bool SetDevice(const std::string& device, v1::System& system) {
  bool found = false;
  for (v1::Vertex& vertex : *system.mutable_vertices()) {
    for (std::string& argument : *vertex.mutable_process()->mutable_arguments()) {
      if (!absl::StartsWith(argument, "--device=")) continue;
      argument = absl::StrCat("--device=", device);
      found = true;
    }
  }
  return found;
}

}  // namespace backfire::study
