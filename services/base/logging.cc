#include "services/base/logging.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace backfire {
namespace {

// Writes a message so that it can neither end its line nor steer a terminal: control characters as
// `\u001b`, those of Unicode's second block (U+0080 to U+009F, of two bytes in UTF-8) as well. Most
// messages quote what somebody else sent.
void AppendEscaped(std::string_view message, bool in_json, spdlog::memory_buf_t& out) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  const auto append_code = [&](unsigned char code) {
    for (const char c : {'\\', 'u', '0', '0', kHex[code >> 4], kHex[code & 15]}) out.push_back(c);
  };
  for (size_t i = 0; i < message.size(); ++i) {
    const auto byte = static_cast<unsigned char>(message[i]);
    const auto next = i + 1 < message.size() ? static_cast<unsigned char>(message[i + 1]) : '\0';
    if (in_json && (byte == '"' || byte == '\\')) {
      out.push_back('\\');
      out.push_back(message[i]);
    } else if (byte < 0x20 || byte == 0x7F) {
      append_code(byte);
    } else if (byte == 0xC2 && next >= 0x80 && next < 0xA0) {
      append_code(next);
      ++i;
    } else {
      out.push_back(message[i]);
    }
  }
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
