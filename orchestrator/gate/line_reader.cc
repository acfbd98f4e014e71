#include "orchestrator/gate/line_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::gate {
namespace {

constexpr size_t kLeastPiece = 1 << 12, kPiece = 1 << 18;
constexpr size_t kLongestLine = size_t{256} << 20;
constexpr int kGzipOnly = 16 + MAX_WBITS;  // As zlib's inflateInit2 has it.

}  // namespace

// A file, and what inflates it.
struct LineReader::Source {
  std::string path;
  int descriptor = -1;
  size_t piece = kPiece;  // Bytes that are read at once.
  bool is_gzip = false;
  z_stream inflater = {};
  std::vector<unsigned char> compressed;
  bool between_members = true;  // A gzip file is one member or several, each with a checksum.
  bool any_member = false;

  ~Source() {
    if (is_gzip) inflateEnd(&inflater);
    if (descriptor >= 0) ::close(descriptor);
  }

  // Up to `room` bytes; 0 at the end.
  absl::StatusOr<size_t> Read(void* to, size_t room) {
    while (true) {
      const ssize_t got = ::read(descriptor, to, room);
      if (got >= 0) return static_cast<size_t>(got);
      if (errno != EINTR) return ErrnoToStatus(errno, path);
    }
  }
};

LineReader::LineReader(std::unique_ptr<Source> source) : source_(std::move(source)) {}
LineReader::~LineReader() = default;
LineReader::LineReader(LineReader&&) noexcept = default;

absl::StatusOr<LineReader> LineReader::Open(const std::string& path) {
  auto source = std::make_unique<Source>();
  source->path = path;
  source->descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (source->descriptor < 0) return ErrnoToStatus(errno, path);
  struct stat status {};
  if (::fstat(source->descriptor, &status) == 0 && S_ISREG(status.st_mode)) {
    // Room for a large file's pieces would take longer to clear than a small file to read.
    source->piece = std::clamp(static_cast<size_t>(status.st_size) + 1, kLeastPiece, kPiece);
  }
  source->compressed.resize(source->piece);
  LineReader reader(std::move(source));
  Source& from = *reader.source_;
  // The first bytes say what it is; a short read is no end.
  size_t got = 0;
  while (got < 2) {
    BACKFIRE_ASSIGN_OR_RETURN(const size_t more,
                              from.Read(from.compressed.data() + got, from.piece - got));
    if (more == 0) break;
    got += more;
  }
  const bool gzip = got >= 2 && from.compressed[0] == 0x1f && from.compressed[1] == 0x8b;
  if (!gzip) {
    reader.buffer_.assign(reinterpret_cast<const char*>(from.compressed.data()), got);
    reader.end_ = got;
    return reader;
  }
  if (inflateInit2(&from.inflater, kGzipOnly) != Z_OK) {
    return absl::ResourceExhaustedError(absl::StrCat(path, ": no memory to inflate it"));
  }
  from.is_gzip = true;
  from.inflater.next_in = from.compressed.data();
  from.inflater.avail_in = static_cast<uInt>(got);
  return reader;
}

absl::Status LineReader::Fault(const std::string& what) const {
  return absl::InvalidArgumentError(absl::StrCat(source_->path, ":", line_number_ + 1, ": ", what));
}

absl::Status LineReader::FillInflated(size_t room) {
  Source& from = *source_;
  z_stream& inflater = from.inflater;
  const size_t before = end_;
  while (end_ == before && !at_end_) {
    if (inflater.avail_in == 0) {
      BACKFIRE_ASSIGN_OR_RETURN(const size_t got, from.Read(from.compressed.data(), from.piece));
      if (got == 0) {
        if (!from.between_members)
          return Fault("the gzip stream is cut off: the file ends before it does");
        at_end_ = true;
        return absl::OkStatus();
      }
      inflater.next_in = from.compressed.data();
      inflater.avail_in = static_cast<uInt>(got);
    }
    if (from.between_members && from.any_member) inflateReset(&inflater);
    from.between_members = false;
    from.any_member = true;
    inflater.next_out = reinterpret_cast<unsigned char*>(buffer_.data()) + end_;
    inflater.avail_out = static_cast<uInt>(room);
    const int result = inflate(&inflater, Z_NO_FLUSH);
    end_ += room - inflater.avail_out;
    room = inflater.avail_out;
    if (result == Z_STREAM_END) {
      from.between_members = true;
    } else if (result == Z_MEM_ERROR) {
      return absl::ResourceExhaustedError(absl::StrCat(from.path, ": no memory to inflate it"));
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return Fault(absl::StrCat("the gzip stream is damaged: ",
                                inflater.msg == nullptr ? "not gzip" : inflater.msg));
    }
  }
  return absl::OkStatus();
}

// Reads more text behind what is there; sets `at_end_` if there is none.
absl::Status LineReader::Fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    scanned_ -= begin_;
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ > kLongestLine) return Fault("the line is longer than 256 MiB");
  const size_t piece = source_->piece;
  if (buffer_.size() < end_ + piece) buffer_.resize(2 * end_ + piece);
  const size_t room = buffer_.size() - end_;
  if (source_->is_gzip) return FillInflated(room);
  BACKFIRE_ASSIGN_OR_RETURN(const size_t got, source_->Read(buffer_.data() + end_, room));
  at_end_ = got == 0;
  end_ += got;
  return absl::OkStatus();
}

absl::StatusOr<bool> LineReader::Next(absl::string_view& line) {
  while (true) {
    const char* from = buffer_.data() + scanned_;
    const void* found = end_ > scanned_ ? std::memchr(from, '\n', end_ - scanned_) : nullptr;
    size_t length = 0, next = 0;
    if (found != nullptr) {
      const size_t at = static_cast<size_t>(static_cast<const char*>(found) - buffer_.data());
      length = at - begin_;
      next = at + 1;
    } else if (at_end_) {
      if (begin_ == end_) return false;
      length = end_ - begin_;
      next = end_;
    } else {
      scanned_ = end_;
      BACKFIRE_RETURN_IF_ERROR(Fill());
      continue;
    }
    line = absl::string_view(buffer_.data() + begin_, length);
    if (line_number_ == 0 && absl::StartsWith(line, "\xEF\xBB\xBF")) {
      return Fault("begins with a byte order mark: write UTF-8 without one");
    }
    if (!line.empty() && line.back() == '\r') {
      return Fault("ends in CR LF: lines must end in LF alone (as `dos2unix` makes them)");
    }
    begin_ = scanned_ = next;
    ++line_number_;
    return true;
  }
}

}  // namespace backfire::gate
