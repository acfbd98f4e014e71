#include "services/learning/torch_archive.h"

#include <zip.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "services/base/status.h"

namespace backfire::learning {
namespace {

// A pickle holds names and shapes; a network of a thousand tensors has some 200 kB.
constexpr uint64_t kMaxPickleBytes = uint64_t{16} << 20;
constexpr uint64_t kMaxStorageBytes = uint64_t{1} << 30;
// The first bytes of torch's format before 1.6: the number 0x1950a86a20f9469cfc6c.
constexpr std::string_view kLegacyMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);

absl::Status Damaged(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("the file is damaged: ", what));
}

class ZipArchive final : public TorchArchive {
 public:
  static absl::StatusOr<std::unique_ptr<TorchArchive>> Open(std::string file) {
    std::unique_ptr<ZipArchive> archive(new ZipArchive(std::move(file)));
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* source =
        zip_source_buffer_create(archive->file_.data(), archive->file_.size(), 0, &error);
    if (source != nullptr) {
      archive->zip_.reset(zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error));
      if (archive->zip_ == nullptr) zip_source_free(source);
    }
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    if (archive->zip_ == nullptr) {
      return Damaged(
          absl::StrCat("its zip archive can't be read (", reason, "); it may be truncated"));
    }
    BACKFIRE_RETURN_IF_ERROR(archive->FindPrefix());
    BACKFIRE_ASSIGN_OR_RETURN(const std::string pickle,
                              archive->ReadEntry("data.pkl", kMaxPickleBytes));
    BACKFIRE_ASSIGN_OR_RETURN(archive->pickle_, Pickle::Parse(pickle));
    const absl::StatusOr<std::string> byte_order = archive->ReadEntry("byteorder", 16);
    if (byte_order.ok() && *byte_order != "little") {
      return absl::InvalidArgumentError("the file was written on a big-endian machine");
    }
    return archive;
  }

  const Pickle& pickle() const override { return pickle_; }

  absl::StatusOr<std::string> ReadStorage(const std::string& key, int64_t count,
                                          int64_t width) const override {
    BACKFIRE_ASSIGN_OR_RETURN(std::string data,
                              ReadEntry(absl::StrCat("data/", key), kMaxStorageBytes));
    if (data.size() / static_cast<size_t>(width) < static_cast<size_t>(count)) {
      return Damaged(absl::StrCat("storage ", absl::Utf8SafeCHexEscape(key), " has ", data.size(),
                                  " bytes, too few for ", count, " elements"));
    }
    return data;
  }

 private:
  struct Discard {
    void operator()(zip_t* zip) const { zip_discard(zip); }
    void operator()(zip_file_t* file) const { zip_fclose(file); }
  };

  explicit ZipArchive(std::string file) : file_(std::move(file)) {}

  // All entries are in one folder, which is called as the file was when it was written.
  absl::Status FindPrefix() {
    const zip_int64_t count = zip_get_num_entries(zip_.get(), 0);
    for (zip_int64_t i = 0; i < count; ++i) {
      const char* name = zip_get_name(zip_.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
      if (name == nullptr) continue;
      const absl::string_view path = name;
      if (absl::EndsWith(path, "constants.pkl")) {
        return absl::InvalidArgumentError(
            "the file is a TorchScript program, which holds code; save a state_dict instead: "
            "torch.save(m.state_dict(), f)");
      }
      if (path == "data.pkl" || absl::EndsWith(path, "/data.pkl")) {
        prefix_ = std::string(absl::StripSuffix(path, "data.pkl"));
        found_ = true;
      }
    }
    return found_ ? absl::OkStatus()
                  : absl::InvalidArgumentError(
                        "the file is a zip archive, but not of torch.save: "
                        "it has no data.pkl");
  }

  absl::StatusOr<std::string> ReadEntry(const std::string& name, uint64_t max_bytes) const {
    const std::string path = prefix_ + name;
    const std::string shown = absl::Utf8SafeCHexEscape(path);
    zip_stat_t stat;
    zip_stat_init(&stat);
    if (zip_stat(zip_.get(), path.c_str(), ZIP_FL_ENC_RAW, &stat) != 0 ||
        (stat.valid & ZIP_STAT_SIZE) == 0) {
      return Damaged(absl::StrCat("it has no entry ", shown));
    }
    if (stat.size > max_bytes) {
      return absl::InvalidArgumentError(absl::StrCat("entry ", shown, " of the file has ",
                                                     stat.size, " bytes: at most ", max_bytes,
                                                     " are read"));
    }
    const std::unique_ptr<zip_file_t, Discard> entry(
        zip_fopen_index(zip_.get(), stat.index, ZIP_FL_ENC_RAW));
    if (entry == nullptr) return Damaged(absl::StrCat("entry ", shown, " can't be opened"));
    std::string data;
    // What an entry says of its size is not believed before the bytes have come.
    std::string piece(std::min<uint64_t>(stat.size + 1, uint64_t{1} << 20), '\0');
    while (true) {
      const zip_int64_t got = zip_fread(entry.get(), piece.data(), piece.size());
      zip_error_t* const error = zip_file_get_error(entry.get());
      // Files of torch.serialization.set_crc32_options(False) have 0 for every checksum, which is
      // then none; torch itself never looks at them. They are compared once all bytes have come.
      const bool has_checksum = (stat.valid & ZIP_STAT_CRC) != 0 && stat.crc != 0;
      const bool is_whole = data.size() == stat.size;
      if (got < 0 && is_whole && !has_checksum && zip_error_code_zip(error) == ZIP_ER_CRC) break;
      if (got < 0) {
        return Damaged(absl::StrCat("entry ", shown, ": ", zip_error_strerror(error)));
      }
      if (got == 0) break;
      data.append(piece, 0, static_cast<size_t>(got));
      if (data.size() > stat.size) break;
    }
    if (data.size() != stat.size) {
      return Damaged(
          absl::StrCat("entry ", shown, " has ", data.size(), " bytes: ", stat.size, " expected"));
    }
    return data;
  }

  const std::string file_;
  std::unique_ptr<zip_t, Discard> zip_;
  std::string prefix_;
  bool found_ = false;
  Pickle pickle_;
};

// Five pickles (magic number, protocol, system, the object, keys of its storages), then each
// storage: its number of elements in 8 bytes, its elements.
class LegacyArchive final : public TorchArchive {
 public:
  static absl::StatusOr<std::unique_ptr<TorchArchive>> Open(std::string file) {
    std::unique_ptr<LegacyArchive> archive(new LegacyArchive(std::move(file)));
    std::string_view rest = archive->file_;
    Pickle parts[5];
    for (Pickle& part : parts) {
      BACKFIRE_ASSIGN_OR_RETURN(part, Pickle::Parse(rest.substr(0, kMaxPickleBytes)));
      rest.remove_prefix(part.size());
    }
    if (parts[0].root().text != kLegacyMagic) {
      return absl::InvalidArgumentError("the file is a pickle, but not of torch.save");
    }
    if (parts[1].root().integer != 1001) {
      return absl::InvalidArgumentError(absl::StrCat("the file has torch's protocol ",
                                                     parts[1].root().integer, ": 1001 is known"));
    }
    if (const PickleValue* little = parts[2].root().Find("little_endian");
        little != nullptr && little->integer != 1) {
      return absl::InvalidArgumentError("the file was written on a big-endian machine");
    }
    archive->pickle_ = std::move(parts[3]);
    archive->data_start_ = archive->file_.size() - rest.size();
    archive->CollectWidths();
    BACKFIRE_RETURN_IF_ERROR(archive->FindStorages(parts[4].root()));
    return archive;
  }

  const Pickle& pickle() const override { return pickle_; }

  absl::StatusOr<std::string> ReadStorage(const std::string& key, int64_t count,
                                          int64_t width) const override {
    const auto found = storages_.find(key);
    if (found == storages_.end() ||
        found->second.size() / static_cast<size_t>(width) < static_cast<size_t>(count)) {
      return Damaged(absl::StrCat("it has no storage ", absl::Utf8SafeCHexEscape(key), " of ",
                                  count, " elements"));
    }
    return std::string(found->second);
  }

 private:
  explicit LegacyArchive(std::string file) : file_(std::move(file)) {}

  // Bytes of an element, by key: only the pickle says.
  void CollectWidths() {
    pickle_.ForEach([&](const PickleValue& value) {
      if (value.kind != PickleValue::Kind::kPersistent) return;
      const auto& id = value.items[0]->items;
      if (value.items[0]->kind != PickleValue::Kind::kTuple || id.size() < 5) return;
      const absl::string_view type = id[1]->text;
      uint64_t width = 0;
      if (absl::EndsWith(type, "FloatStorage") || absl::EndsWith(type, "IntStorage")) width = 4;
      if (absl::EndsWith(type, "DoubleStorage") || absl::EndsWith(type, "LongStorage") ||
          absl::EndsWith(type, "ComplexFloatStorage")) {
        width = 8;
      }
      if (absl::EndsWith(type, "HalfStorage") || absl::EndsWith(type, "BFloat16Storage") ||
          absl::EndsWith(type, "ShortStorage")) {
        width = 2;
      }
      if (absl::EndsWith(type, "CharStorage") || absl::EndsWith(type, "ByteStorage") ||
          absl::EndsWith(type, "BoolStorage")) {
        width = 1;
      }
      if (absl::EndsWith(type, "ComplexDoubleStorage")) width = 16;
      widths_[id[2]->text] = width;
    });
  }

  absl::Status FindStorages(const PickleValue& keys) {
    std::string_view rest = std::string_view(file_).substr(data_start_);
    for (const PickleValue* item : keys.items) {
      const std::string& key = item->text;
      uint64_t count = 0;
      const uint64_t width = widths_[key];
      if (width == 0) {
        return Damaged(
            absl::StrCat("nothing says what storage ", absl::Utf8SafeCHexEscape(key), " holds"));
      }
      if (rest.size() < sizeof(count)) return Damaged("it is truncated");
      std::memcpy(&count, rest.data(), sizeof(count));
      rest.remove_prefix(sizeof(count));
      if (count > rest.size() / width) return Damaged("it is truncated");
      storages_[key] = rest.substr(0, count * width);
      rest.remove_prefix(count * width);
    }
    return absl::OkStatus();
  }

  const std::string file_;
  Pickle pickle_;
  size_t data_start_ = 0;
  std::map<std::string, uint64_t> widths_;
  std::map<std::string, std::string_view> storages_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TorchArchive>> TorchArchive::Open(std::string file) {
  if (absl::StartsWith(file, "PK\x03\x04")) return ZipArchive::Open(std::move(file));
  if (absl::StartsWith(file, "\x80")) return LegacyArchive::Open(std::move(file));
  return absl::InvalidArgumentError(
      "the file is not one of torch.save: neither a zip archive nor a pickle");
}

}  // namespace backfire::learning
