#include "services/base/printable.h"

#include "services/base/utf8.h"

namespace backfire {

void AppendPrintable(std::string_view text, Keep keep, std::string& out) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  const auto append_code = [&](unsigned char code) {
    out += "\\u00";
    out += kHex[code >> 4];
    out += kHex[code & 15];
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : '\0';
    const bool stays = keep == Keep::kLines && (byte == '\n' || byte == '\t');
    if ((byte < 0x20 || byte == 0x7F) && !stays) {
      append_code(byte);
    } else if (byte == 0xC2 && next >= 0x80 && next < 0xA0) {
      append_code(next);
      ++i;
    } else if (const size_t size = FirstCharacter(text.substr(i)); size > 0) {
      out += text.substr(i, size);
      i += size - 1;
    } else {
      out += "\\ufffd";  // No character's.
    }
  }
}

std::string Printable(std::string_view text, Keep keep) {
  std::string out;
  AppendPrintable(text, keep, out);
  return out;
}

bool PrintableBuffer::Put(std::string_view text) {
  const std::string printable = Printable(text, Keep::kLines);
  const auto size = static_cast<std::streamsize>(printable.size());
  return to_.sputn(printable.data(), size) == size;
}

PrintableBuffer::int_type PrintableBuffer::overflow(int_type c) {
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  const char one = traits_type::to_char_type(c);
  // It may be a part of a character.
  if (static_cast<unsigned char>(one) >= 0x80) return to_.sputc(one);
  return Put({&one, 1}) ? c : traits_type::eof();
}

std::streamsize PrintableBuffer::xsputn(const char* text, std::streamsize size) {
  return Put({text, static_cast<size_t>(size)}) ? size : 0;
}

int PrintableBuffer::sync() { return to_.pubsync(); }

std::ostream& operator<<(std::ostream& out, const TerminalCode& code) {
  auto* const buffer = dynamic_cast<PrintableBuffer*>(out.rdbuf());
  if (buffer == nullptr) return out << code.sequence;
  buffer->to_.sputn(code.sequence.data(), static_cast<std::streamsize>(code.sequence.size()));
  return out;
}

}  // namespace backfire
