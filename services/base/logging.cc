#include "services/base/logging.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/printable.h"

namespace backfire {
namespace {

// Most messages quote what somebody else sent.
void AppendEscaped(std::string_view message, bool in_json, spdlog::memory_buf_t& out) {
  std::string escaped;
  while (!message.empty()) {
    const size_t plain =
        in_json ? std::min(message.find_first_of("\"\\"), message.size()) : message.size();
    AppendPrintable(message.substr(0, plain), Keep::kNothing, escaped);
    message.remove_prefix(plain);
    if (message.empty()) break;
    escaped += '\\';
    escaped += message.front();
    message.remove_prefix(1);
  }
  out.append(escaped.data(), escaped.data() + escaped.size());
}

// spdlog 1.10 has no JSON formatter, and its patterns write the message verbatim. Of a line, only
// the message is others'.
class MessageFlag : public spdlog::custom_flag_formatter {
 public:
  explicit MessageFlag(bool in_json) : in_json_(in_json) {}
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    AppendEscaped({message.payload.data(), message.payload.size()}, in_json_, out);
  }
  std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
    return std::make_unique<MessageFlag>(in_json_);
  }

 private:
  const bool in_json_;
};

}  // namespace

absl::Status InitLogging(const LogOptions& options, const std::string& process_name) {
  const spdlog::level::level_enum level = spdlog::level::from_str(options.level);
  if (level == spdlog::level::off && options.level != "off") {
    return absl::InvalidArgumentError(
        absl::StrCat("--log-level must be trace, debug, info, warning, error or off: got \"",
                     options.level, "\""));
  }
  if (options.format != "text" && options.format != "json") {
    return absl::InvalidArgumentError(
        absl::StrCat("--log-format must be text or json: got \"", options.format, "\""));
  }
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  // Who sets it wants no colours of any program: https://no-color.org.
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && no_color[0] != '\0') sink->set_color_mode(spdlog::color_mode::never);
  auto logger = std::make_shared<spdlog::logger>(process_name, std::move(sink));
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  const bool in_json = options.format == "json";
  formatter->add_flag<MessageFlag>('*', in_json)
      .set_pattern(in_json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","process":"%n",)"
                             R"("message":"%*"})"
                           : "%Y-%m-%dT%H:%M:%S.%e %^%l%$ %n %*");
  logger->set_formatter(std::move(formatter));
  logger->set_level(level);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  return absl::OkStatus();
}

}  // namespace backfire
