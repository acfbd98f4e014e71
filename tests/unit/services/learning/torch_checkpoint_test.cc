#include "services/learning/torch_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "services/base/random.h"

namespace backfire::learning {
namespace {

using runtime::Datatype;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::string_literals;

// torch.save({'epoch': 3, 'state_dict': {'module.a.weight': [[1, 2, 3], [4, 5, 6]] transposed,
// 'module.b': [7]}, 'lr': 0.1}) by torch 1.13, in the format before 1.6.
std::string LegacyFile() {
  return absl::HexStringToBytes(
      "80028a0a6cfc9c46f9206aa850192e80024de9032e80027d710028581000000070726f746f636f6c5f76657273"
      "696f6e71014de903580d0000006c6974746c655f656e6469616e710288580a000000747970655f73697a657371"
      "037d710428580500000073686f727471054b025803000000696e7471064b0458040000006c6f6e6771074b0475"
      "752e80027d710028580500000065706f636871014b03580a00000073746174655f64696374710263636f6c6c65"
      "6374696f6e730a4f726465726564446963740a71032952710428580f0000006d6f64756c652e612e7765696768"
      "74710563746f7263682e5f7574696c730a5f72656275696c645f74656e736f725f76320a710628285807000000"
      "73746f72616765710763746f7263680a466c6f617453746f726167650a71085809000000393938323138323430"
      "71095803000000637075710a4b064e74710b514b004b034b0286710c4b014b0386710d8968032952710e74710f"
      "52711058080000006d6f64756c652e62711168062828680763746f7263680a4c6f6e6753746f726167650a7112"
      "580a000000313036303030373438387113680a4b014e747114514b004b018571154b0185711689680329527117"
      "7471185271197558020000006c72711a473fb999999999999a752e80025d710028580a00000031303630303037"
      "343838710158090000003939383231383234307102652e01000000000000000700000000000000060000000000"
      "00000000803f0000004000004040000080400000a0400000c040");
}

// A file in the format before 1.6 of that object, and of storages of four floats; every element of
// a storage is its key.
std::string LegacyFileOf(const std::string& object, const std::vector<int>& keys = {0}) {
  const std::string file = LegacyFile();
  std::string result = file.substr(0, file.find("\x80\x02}q\0(X\x05\0\0\0epoch"s)) + "\x80\x02"s +
                       object + ".\x80\x02]("s;
  std::string storages;
  for (const int key : keys) {
    result += "U\x01"s + std::to_string(key);
    const std::vector<float> values(4, static_cast<float>(key));
    storages +=
        "\x04\0\0\0\0\0\0\0"s + std::string(reinterpret_cast<const char*>(values.data()), 16);
  }
  return result + "e."s + storages;
}

// A tensor in storage `storage`; `shape` and `strides` are pickled already.
std::string TensorOf(const std::string& storage, const std::string& shape,
                     const std::string& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\n"s + storage +
         "U\x03"s + "cpuK\x04tQK\0"s + shape + strides + "\x89NtR"s;
}

WeightTensors SomeWeights() {
  WeightTensors weights;
  runtime::Tensor& matrix = weights["a.weight"];
  matrix = runtime::MakeTensor(Datatype::kFp32, {2, 3});
  for (int64_t i = 0; i < 6; ++i) matrix.MutableAs<float>()[i] = static_cast<float>(i) / 4;
  weights["counter"] = runtime::MakeTensor(Datatype::kInt64, {});
  weights["counter"].MutableAs<int64_t>()[0] = 1'000'000'000'000;
  weights["empty"] = runtime::MakeTensor(Datatype::kFp32, {0, 4});
  return weights;
}

TEST(TorchCheckpointTest, ReadsTheFormatBefore16) {
  const auto checkpoint = TorchCheckpoint::Parse(LegacyFile());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  ASSERT_EQ(checkpoint->tensors().size(), 2U);
  const auto weight = checkpoint->Read("module.a.weight");
  ASSERT_TRUE(weight.ok()) << weight.status();
  EXPECT_THAT(weight->shape, ElementsAre(3, 2));
  const float* values = weight->As<float>();
  EXPECT_THAT(std::vector<float>(values, values + 6), ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_EQ(checkpoint->Read("module.b")->As<int64_t>()[0], 7);
}

TEST(TorchCheckpointTest, ReadsWhatItWrites) {
  const auto file = WriteTorchCheckpoint(SomeWeights());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*WriteTorchCheckpoint(SomeWeights()), *file) << "equal weights, equal bytes";
  const auto checkpoint = TorchCheckpoint::Parse(*file);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  for (const auto& [name, tensor] : SomeWeights()) {
    const auto read = checkpoint->Read(name);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->datatype, tensor.datatype);
    EXPECT_EQ(read->shape, tensor.shape);
    EXPECT_EQ(read->data, tensor.data);
  }
}

// As torch writes a file after torch.serialization.set_crc32_options(False): without checksums.
TEST(TorchCheckpointTest, ReadsFilesWithoutChecksumsAndRefusesWrongOnes) {
  const std::string file = *WriteTorchCheckpoint(SomeWeights());
  const auto with_checksums = [&](const std::string& checksum) {
    std::string changed = file;
    for (const auto& [header, offset] :
         {std::pair("PK\x03\x04", 14), std::pair("PK\x01\x02", 16)}) {
      for (size_t at = changed.find(header); at != std::string::npos;
           at = changed.find(header, at + 1)) {
        changed.replace(at + static_cast<size_t>(offset), 4, checksum);
      }
    }
    return TorchCheckpoint::Parse(changed);
  };
  const auto checkpoint = with_checksums("\0\0\0\0"s);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  for (const auto& [name, tensor] : SomeWeights()) {
    const auto read = checkpoint->Read(name);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->data, tensor.data) << name;
  }
  const absl::Status wrong = with_checksums("\x01\x02\x03\x04"s).status();
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("CRC"));
}

TEST(TorchCheckpointTest, ATensorWithoutElementsIsOne) {
  WeightTensors tensors;
  tensors["a"] = runtime::MakeTensor(Datatype::kFp32, {2, 0});
  tensors["b"] = runtime::MakeTensor(Datatype::kFp32, {3, 0, 4});
  const auto checkpoint = TorchCheckpoint::Parse(*WriteTorchCheckpoint(tensors));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  ASSERT_EQ(checkpoint->tensors().size(), 2U);
  EXPECT_THAT(checkpoint->Read("b")->shape, ElementsAre(3, 0, 4));
}

// By a stride of 0, four floats are a tensor of terabytes.
TEST(TorchCheckpointTest, ATensorOfMoreThanMemoryIsNone) {
  const std::string storage =
      "((U\x07storagectorch\nFloatStorage\nU\x01"s + "0U\x03" + "cpuK\x04tQ";
  const std::string file = LegacyFileOf(
      "}(U\x01"
      "actorch._utils\n_rebuild_tensor_v2\n"s +
      storage + "K\0(\x8a\x06\0\0\0\0\0\x01t(K\0t\x89NtRu"s);
  EXPECT_TRUE(absl::IsInvalidArgument(TorchCheckpoint::Parse(file).status()));
}

TEST(TorchCheckpointTest, WhatIsNoneSaysWhatItIs) {
  const auto message = [](const std::string& file) {
    const auto status = TorchCheckpoint::Parse(file).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(message(""), HasSubstr("neither a zip archive nor a pickle"));
  EXPECT_THAT(message("2.5"), HasSubstr("not one of torch.save"));
  EXPECT_THAT(message(std::string("\x80\x02K\x01.\x80\x02K\x01.\x80\x02K\x01.\x80\x02K\x01.\x80\x02"
                                  "K\x01.")),
              HasSubstr("a pickle, but not of torch.save"));
  EXPECT_THAT(message("PK\x03\x04 and nothing"), HasSubstr("zip archive can't be read"));
  EXPECT_THAT(message(LegacyFile().substr(0, 500)), HasSubstr("truncated"));
  EXPECT_THAT(message(LegacyFileOf(TensorOf("U\x01"s + "0"s, "K\x04\x85"s, "K\x01\x85"s))),
              HasSubstr("the file holds one tensor, where a state_dict is needed"));
}

TEST(TorchCheckpointTest, SizesThatHoldThemselvesAreNone) {
  // a = [], size = torch.Size(a), a.append(size)
  const std::string size = "]q\x05"s + "0ctorch\nSize\nh\x05Rq\x06"s + "0h\x05h\x06"s + "a0h\x06"s;
  const std::string plain = "ctorch\nSize\nK\x04\x85\x85R"s;
  const auto parse = [&](const std::string& shape) {
    return TorchCheckpoint::Parse(
        LegacyFileOf("}U\x01"s + "a"s + TensorOf("U\x01"s + "0"s, shape, "K\x01\x85"s) + "s"s));
  };
  ASSERT_TRUE(parse(plain).ok()) << parse(plain).status();
  EXPECT_THAT(parse(plain)->tensors().at("a").shape, ElementsAre(4));
  EXPECT_THAT(std::string(parse(size).status().message()), HasSubstr("no dict of tensors"));
}

TEST(TorchCheckpointTest, TensorsOfOneStorageAndOfOthersInAnyOrder) {
  std::string entries;
  const std::vector<std::pair<std::string, std::string>> storages = {
      {"a", "1"}, {"b", "2"}, {"c", "1"}, {"d", "1"}, {"e", "2"}};
  for (const auto& [name, key] : storages) {
    entries += "U\x01"s + name + TensorOf("U\x01"s + key, "K\x04\x85"s, "K\x01\x85"s) + "s"s;
  }
  // More elements than the storage has, where it was read before and where not.
  std::string broken = TensorOf("U\x01"s + "2"s, "K\x05\x85"s, "K\x01\x85"s);
  broken.replace(broken.find("K\x04tQ"s), 2, "K\x05"s);
  entries += "U\x01"s + "f"s + broken + "s"s;
  const auto checkpoint = TorchCheckpoint::Parse(LegacyFileOf("}"s + entries, {1, 2}));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  for (const auto& [name, key] : storages) {
    const auto tensor = checkpoint->Read(name);
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(std::to_string(static_cast<int>(tensor->As<float>()[3])), key) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(checkpoint->Read("f").status())) << name;
  }
}

// A name that costs two bytes a mention must not cost its length a mention.
TEST(TorchCheckpointTest, NamesOfStoragesAreNotCopiedWithoutEnd) {
  const std::string name(100'000, 's');
  const std::string tensor = TensorOf("X\xa0\x86\x01\0"s + name, "K\x04\x85"s, "K\x01\x85"s);
  EXPECT_FALSE(TorchCheckpoint::Parse(LegacyFileOf("}U\x01"s + "a"s + tensor + "s"s)).ok());
  std::string keys = "\x80\x02X\xa0\x86\x01\0"s + name + "q\x01("s;
  for (int i = 0; i < 1'000'000; ++i) keys += "h\x01"s;
  const std::string file = LegacyFileOf("N");
  EXPECT_FALSE(
      TorchCheckpoint::Parse(file.substr(0, file.find("\x80\x02](U"s)) + keys + "l."s).ok());
}

TEST(TorchCheckpointTest, OnlySoManyEntriesAreRead) {
  std::string entries =
      "}U\x01"s + "a"s + TensorOf("U\x01"s + "0"s, "K\x04\x85"s, "K\x01\x85"s) + "s("s;
  for (int i = 0; i < 100'000; ++i) {
    entries += "J"s + std::string(reinterpret_cast<const char*>(&i), 4) + "N"s;
  }
  EXPECT_THAT(std::string(TorchCheckpoint::Parse(LegacyFileOf(entries + "u"s)).status().message()),
              HasSubstr("100001 entries: at most 100000 are read"));
}

// Every truncation is refused; a changed byte is noticed (the zip's checksums), or harmless.
TEST(TorchCheckpointTest, TruncatedAndChangedFilesDoNoHarm) {
  const auto read_all = [](const std::string& file) -> absl::Status {
    auto checkpoint = TorchCheckpoint::Parse(file);
    if (!checkpoint.ok()) return checkpoint.status();
    for (const auto& [name, place] : checkpoint->tensors()) {
      // Bounded by who asks: a caller looks at the shape before it reads.
      int64_t count = 1;
      for (const int64_t size : place.shape) count = count > 1000 ? count : count * size;
      if (count > 1000) continue;
      if (const auto tensor = checkpoint->Read(name); !tensor.ok()) return tensor.status();
    }
    return absl::OkStatus();
  };
  for (const std::string& file : {*WriteTorchCheckpoint(SomeWeights()), LegacyFile()}) {
    ASSERT_TRUE(read_all(file).ok()) << read_all(file);
    for (size_t size = 0; size < file.size(); ++size) {
      EXPECT_FALSE(read_all(file.substr(0, size)).ok()) << size;
    }
    for (size_t at = 0; at < file.size(); ++at) {
      Random random(at, 3);
      for (int repeat = 0; repeat < 4; ++repeat) {
        std::string changed = file;
        changed[at] = static_cast<char>(random.Below(256));
        static_cast<void>(read_all(changed));
      }
    }
  }
}

}  // namespace
}  // namespace backfire::learning
