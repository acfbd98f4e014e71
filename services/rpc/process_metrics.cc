#include "services/rpc/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <iterator>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "services/base/file.h"
#include "services/rpc/sampled_family.h"

namespace backfire::runtime {
namespace {

// Field `number` of /proc/self/stat, counted from 1 as proc(5) does. The second one is the
// program's name in brackets, and may hold anything, brackets and spaces included.
std::optional<double> StatField(const std::string& stat, int number) {
  const size_t bracket = stat.rfind(')');
  if (bracket == std::string::npos) return std::nullopt;
  const std::vector<std::string> fields =
      absl::StrSplit(stat.substr(bracket + 1), ' ', absl::SkipWhitespace());
  const size_t index = static_cast<size_t>(number - 3);
  double value = 0;
  if (index >= fields.size() || !absl::SimpleAtod(fields[index], &value)) return std::nullopt;
  return value;
}

// When the machine was started, in seconds since 1970.
std::optional<double> BootTime() {
  const absl::StatusOr<std::string> stat = ReadFile("/proc/stat");
  if (!stat.ok()) return std::nullopt;
  const std::vector<std::string> lines = absl::StrSplit(*stat, '\n');
  for (const std::string& line : lines) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    double value = 0;
    if (words.size() == 2 && words[0] == "btime" && absl::SimpleAtod(words[1], &value)) {
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<prometheus::MetricFamily> ProcessMetrics(const std::string& program) {
  std::vector<prometheus::MetricFamily> families;
  const auto add = [&families](prometheus::MetricFamily family, std::optional<double> value) {
    if (!value.has_value()) return;
    AddSample(family, {}, *value);
    families.push_back(std::move(family));
  };
  prometheus::MetricFamily build =
      GaugeFamily("backfire_build_info", "1, with what runs: program, version, compiler.");
  AddSample(build, {{"program", program}, {"version", BACKFIRE_VERSION}, {"compiler", __VERSION__}},
            1);
  families.push_back(std::move(build));

  const std::string stat = ReadFile("/proc/self/stat").value_or("");
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  const auto in_user = StatField(stat, 14), in_system = StatField(stat, 15);
  if (in_user && in_system) {
    add(CounterFamily("process_cpu_seconds_total", "Time spent on a CPU, in user and kernel."),
        (*in_user + *in_system) / ticks);
  }
  if (const auto start = StatField(stat, 22), boot = BootTime(); start && boot) {
    add(GaugeFamily("process_start_time_seconds", "Start of the process, since 1970."),
        *boot + *start / ticks);
  }
  add(GaugeFamily("process_virtual_memory_bytes", "Virtual memory."), StatField(stat, 23));
  if (const auto pages = StatField(stat, 24)) {
    add(GaugeFamily("process_resident_memory_bytes", "Memory that is in RAM."), *pages * page);
  }
  add(GaugeFamily("process_threads", "Threads."), StatField(stat, 20));

  std::error_code error;
  const auto descriptors = std::filesystem::directory_iterator("/proc/self/fd", error);
  if (!error) {
    // One of them is the iterator's own.
    add(GaugeFamily("process_open_fds", "Open file descriptors."),
        static_cast<double>(std::distance(begin(descriptors), end(descriptors)) - 1));
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    add(GaugeFamily("process_max_fds", "File descriptors that may be open."),
        static_cast<double>(limit.rlim_cur));
  }
  return families;
}

std::vector<prometheus::MetricFamily> DiskMetrics(const std::filesystem::path& directory) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(directory, error);
  if (error) return {};
  prometheus::MetricFamily size =
      GaugeFamily("backfire_data_directory_size_bytes", "Size of the disk of --data-dir.");
  prometheus::MetricFamily free =
      GaugeFamily("backfire_data_directory_free_bytes", "Room left on the disk of --data-dir.");
  AddSample(size, {}, static_cast<double>(space.capacity));
  AddSample(free, {}, static_cast<double>(space.available));
  return {std::move(size), std::move(free)};
}

}  // namespace backfire::runtime
