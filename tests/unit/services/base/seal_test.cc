#include "services/base/seal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kJson[] = "{\n \"name\": \"models/x/versions/1\",\n \"seed\": \"7\"\n}\n";

TEST(SealTest, GivesBackWhatWasSealed) {
  for (const std::string& content : {std::string(), std::string("a\0b\n", 4), std::string(kJson)}) {
    const std::string sealed = Seal(content, SealForm::kLastLine);
    EXPECT_TRUE(HasSeal(sealed, SealForm::kLastLine));
    EXPECT_EQ(*Unseal(sealed, SealForm::kLastLine, "file"), content);
  }
  const std::string sealed = Seal(kJson, SealForm::kJsonMember);
  EXPECT_THAT(sealed, StartsWith("{\n \"checksum\": \""));
  EXPECT_THAT(sealed, HasSubstr("\",\n \"name\": \"models/x/versions/1\","));
  EXPECT_EQ(*Unseal(sealed, SealForm::kJsonMember, "file"), kJson);
}

TEST(SealTest, AnyBitThatTurnsIsNoticed) {
  for (const SealForm form : {SealForm::kLastLine, SealForm::kJsonMember}) {
    const std::string sealed = Seal(kJson, form);
    for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
      std::string flipped = sealed;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
      ASSERT_TRUE(absl::IsDataLoss(Unseal(flipped, form, "file").status())) << bit;
    }
    for (size_t size = 0; size < sealed.size(); ++size) {
      ASSERT_TRUE(absl::IsDataLoss(Unseal(sealed.substr(0, size), form, "file").status())) << size;
    }
  }
}

TEST(SealTest, SaysWhetherThereIsNoneOrAnother) {
  EXPECT_FALSE(HasSeal(kJson, SealForm::kJsonMember));
  EXPECT_THAT(std::string(Unseal(kJson, SealForm::kJsonMember, "v.json").status().message()),
              HasSubstr("v.json has no checksum"));
  const std::string changed = Seal(kJson, SealForm::kLastLine).replace(5, 1, "?");
  EXPECT_THAT(std::string(Unseal(changed, SealForm::kLastLine, "j.pb").status().message()),
              HasSubstr("j.pb does not match its checksum"));
}

}  // namespace
}  // namespace backfire
