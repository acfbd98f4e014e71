#include "services/runtime/outputs/example_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/excerpt.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/runtime/checked_tensor.h"

namespace backfire::runtime {
namespace {

constexpr std::string_view kMagic = "backfire-examples-1\n";
constexpr int64_t kDigestBytes = 64;
constexpr int64_t kTrailerBytes = 8 + kDigestBytes + static_cast<int64_t>(kMagic.size());

void PutNumber(int64_t number, std::string& out) {
  out.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

void PutBytes(std::string_view bytes, std::string& out) {
  PutNumber(static_cast<int64_t>(bytes.size()), out);
  out.append(bytes);
}

absl::Status ReadAt(int descriptor, int64_t offset, char* out, int64_t count,
                    const std::filesystem::path& path) {
  while (count > 0) {
    const ssize_t read = ::pread(descriptor, out, static_cast<size_t>(count), offset);
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) return ErrnoToStatus(errno, absl::StrCat("read ", path.string()));
    if (read == 0) {
      return absl::DataLossError(absl::StrCat(path.string(), " is truncated"));
    }
    out += read;
    offset += read;
    count -= read;
  }
  return absl::OkStatus();
}

// A type's name by its number in the file; a number that no type has is no type's name.
std::string_view DatatypeNameOf(int64_t number) {
  const bool known = number >= 0 && number <= static_cast<int64_t>(Datatype::kFp64);
  return known ? DatatypeName(static_cast<Datatype>(number)) : "of an unknown number";
}

// Takes numbers and texts off the front of a record; ok() is false once it was too short.
class RecordReader {
 public:
  explicit RecordReader(std::string_view record) : rest_(record) {}
  int64_t Number() {
    int64_t number = 0;
    const std::string_view bytes = Take(sizeof(number));
    if (ok_) std::memcpy(&number, bytes.data(), sizeof(number));
    return number;
  }
  std::string_view Bytes() { return Take(Number()); }
  bool ok() const { return ok_; }

 private:
  std::string_view Take(int64_t count) {
    if (count < 0 || count > static_cast<int64_t>(rest_.size())) ok_ = false;
    if (!ok_) return {};
    const std::string_view taken = rest_.substr(0, static_cast<size_t>(count));
    rest_.remove_prefix(static_cast<size_t>(count));
    return taken;
  }
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

ExampleFileWriter::ExampleFileWriter(std::filesystem::path path, std::filesystem::path temporary,
                                     int descriptor)
    : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}

ExampleFileWriter::~ExampleFileWriter() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

absl::StatusOr<std::unique_ptr<ExampleFileWriter>> ExampleFileWriter::Create(
    const std::filesystem::path& path) {
  BACKFIRE_RETURN_IF_ERROR(MakeDirectories(path.parent_path()));
  const std::filesystem::path temporary = absl::StrCat(path.string(), ".tmp");
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return ErrnoToStatus(errno, absl::StrCat("create ", temporary.string()));
  return std::unique_ptr<ExampleFileWriter>(new ExampleFileWriter(path, temporary, descriptor));
}

absl::Status ExampleFileWriter::Write(std::string_view bytes) {
  size_ += static_cast<int64_t>(bytes.size());
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return ErrnoToStatus(errno, absl::StrCat("write ", temporary_.string()));
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status ExampleFileWriter::Append(const TensorMap& tensors) {
  std::string record;
  PutNumber(static_cast<int64_t>(tensors.size()), record);
  for (const auto& [name, tensor] : tensors) {
    PutBytes(name, record);
    PutNumber(static_cast<int64_t>(tensor.datatype), record);
    PutNumber(static_cast<int64_t>(tensor.shape.size()), record);
    for (const int64_t size : tensor.shape) PutNumber(size, record);
    PutBytes(tensor.data, record);
  }
  offsets_.push_back(size_);
  digest_.Update(record);
  return Write(record);
}

absl::Status ExampleFileWriter::Finish() {
  std::string trailer;
  for (const int64_t offset : offsets_) PutNumber(offset, trailer);
  PutNumber(size_, trailer);
  PutNumber(static_cast<int64_t>(offsets_.size()), trailer);
  digest_.Update(trailer);
  trailer += digest_.Finish();
  trailer += kMagic;
  BACKFIRE_RETURN_IF_ERROR(Write(trailer));
  if (::fsync(descriptor_) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("fsync ", temporary_.string()));
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("rename ", temporary_.string()));
  }
  ::close(descriptor_);
  descriptor_ = -1;
  return SyncDirectory(path_.parent_path());
}

ExampleFile::ExampleFile(std::filesystem::path path, int descriptor, std::vector<int64_t> offsets)
    : path_(std::move(path)), descriptor_(descriptor), offsets_(std::move(offsets)) {}

ExampleFile::~ExampleFile() { ::close(descriptor_); }

absl::StatusOr<std::shared_ptr<const ExampleFile>> ExampleFile::Open(
    const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return ErrnoToStatus(errno, absl::StrCat("open ", path.string()));
  // Owns the descriptor from here on; replaced once the offsets are known.
  std::shared_ptr<ExampleFile> guard(new ExampleFile(path, descriptor, {0}));
  const absl::Status damaged =
      absl::DataLossError(absl::StrCat(path.string(), " is truncated or changed"));
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) {
    return ErrnoToStatus(errno, absl::StrCat("stat ", path.string()));
  }
  const int64_t size = status.st_size;
  if (size < kTrailerBytes + 8) return damaged;
  std::string trailer(kTrailerBytes, '\0');
  BACKFIRE_RETURN_IF_ERROR(
      ReadAt(descriptor, size - kTrailerBytes, trailer.data(), kTrailerBytes, path));
  int64_t count = 0;
  std::memcpy(&count, trailer.data(), sizeof(count));
  if (std::string_view(trailer).substr(kDigestBytes + 8) != kMagic || count < 0 ||
      count >= (size - kTrailerBytes) / 8) {
    return damaged;
  }
  const int64_t digested = size - kTrailerBytes + 8;
  Sha256 digest;
  std::string buffer(static_cast<size_t>(std::min<int64_t>(digested, 1 << 20)), '\0');
  for (int64_t offset = 0; offset < digested;) {
    const int64_t piece = std::min<int64_t>(static_cast<int64_t>(buffer.size()), digested - offset);
    BACKFIRE_RETURN_IF_ERROR(ReadAt(descriptor, offset, buffer.data(), piece, path));
    digest.Update(std::string_view(buffer.data(), static_cast<size_t>(piece)));
    offset += piece;
  }
  if (digest.Finish() != trailer.substr(8, kDigestBytes)) return damaged;
  std::vector<int64_t> offsets(static_cast<size_t>(count) + 1);
  const int64_t index_bytes = 8 * (count + 1);
  BACKFIRE_RETURN_IF_ERROR(ReadAt(descriptor, size - kTrailerBytes - index_bytes,
                                  reinterpret_cast<char*>(offsets.data()), index_bytes, path));
  // A record is read whole, so what says where it ends must not say more than there is.
  if (offsets.front() < 0 || offsets.back() > size - kTrailerBytes - index_bytes ||
      !std::is_sorted(offsets.begin(), offsets.end())) {
    return damaged;
  }
  const int duplicate = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) return ErrnoToStatus(errno, absl::StrCat("open ", path.string()));
  return std::shared_ptr<const ExampleFile>(new ExampleFile(path, duplicate, std::move(offsets)));
}

absl::StatusOr<TensorMap> ExampleFile::Get(int64_t example) const {
  if (example < 0 || example >= size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("example must be in [0, ", size(), "): got ", example));
  }
  const int64_t begin = offsets_[static_cast<size_t>(example)];
  const int64_t end = offsets_[static_cast<size_t>(example) + 1];
  std::string record(static_cast<size_t>(end - begin), '\0');
  BACKFIRE_RETURN_IF_ERROR(ReadAt(descriptor_, begin, record.data(), end - begin, path_));
  RecordReader reader(record);
  TensorMap tensors;
  const int64_t count = reader.Number();
  for (int64_t i = 0; i < count && reader.ok(); ++i) {
    const std::string name(reader.Bytes());
    const int64_t datatype = reader.Number();
    const int64_t rank = reader.Number();
    std::vector<int64_t> shape;
    for (int64_t d = 0; d < rank && reader.ok(); ++d) shape.push_back(reader.Number());
    std::string data(reader.Bytes());
    if (!reader.ok()) break;
    const auto take = [&]() -> absl::StatusOr<Tensor> {
      BACKFIRE_ASSIGN_OR_RETURN(TensorHeader header,
                                CheckHeader(DatatypeNameOf(datatype), std::move(shape)));
      return MakeChecked(std::move(header), std::move(data));
    };
    absl::StatusOr<Tensor> tensor = take();
    if (!tensor.ok()) {
      return absl::DataLossError(absl::StrCat(path_.string(), ": example ", example, ", \"",
                                              Excerpt(name), "\": ", tensor.status().message()));
    }
    tensors.emplace(name, *std::move(tensor));
  }
  if (!reader.ok()) {
    return absl::DataLossError(absl::StrCat(path_.string(), ": example ", example, " is damaged"));
  }
  return tensors;
}

}  // namespace backfire::runtime
