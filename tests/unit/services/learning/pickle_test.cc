#include "services/learning/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/base/random.h"

namespace backfire::learning {
namespace {

using ::testing::HasSubstr;
using Kind = PickleValue::Kind;

// A literal with zero bytes in it.
template <size_t N>
std::string Bytes(const char (&literal)[N]) {
  return std::string(literal, N - 1);
}

TEST(PickleTest, ReadsWhatPythonWrites) {
  // pickle.dumps({'a': [1, -2, 300], 'b': (True, None), 'c': 0.1}, 2), Python 3.11.
  const std::string bytes = Bytes(
      "\x80\x02}q\x00(X\x01\x00\x00\x00"
      "aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM\x2c\x01"
      "eX\x01\x00\x00\x00"
      "bq\x03\x88N\x86q\x04X\x01\x00\x00\x00"
      "cq\x05G?\xb9\x99\x99\x99\x99\x99\x9au.");
  const auto pickle = Pickle::Parse(bytes + "and more");
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  EXPECT_EQ(pickle->size(), bytes.size());
  const PickleValue* list = pickle->root().Find("a");
  ASSERT_NE(list, nullptr);
  ASSERT_EQ(list->items.size(), 3U);
  EXPECT_EQ(list->items[0]->integer, 1);
  EXPECT_EQ(list->items[1]->integer, -2);
  EXPECT_EQ(list->items[2]->integer, 300);
  EXPECT_EQ(pickle->root().Find("b")->items[1]->kind, Kind::kNone);
  EXPECT_DOUBLE_EQ(pickle->root().Find("c")->number, 0.1);
  EXPECT_EQ(pickle->root().Find("d"), nullptr);
}

TEST(PickleTest, ReadsTheNumbersOfProtocol1) {
  // pickle.dumps([True, False, -70000000000, 5], 1) and one by hand.
  const auto pickle = Pickle::Parse(Bytes("]q\x00(I01\nI00\nL-70000000000L\nK\x05I-12\ne."));
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  const auto& items = pickle->root().items;
  ASSERT_EQ(items.size(), 5U);
  EXPECT_EQ(items[0]->kind, Kind::kBool);
  EXPECT_EQ(items[0]->integer, 1);
  EXPECT_EQ(items[1]->kind, Kind::kBool);
  EXPECT_EQ(items[2]->integer, -70000000000);
  EXPECT_EQ(items[4]->integer, -12);
  for (const std::string bytes : {"Ix\n.", "I\n.", "L99999999999999999999L\n.", "I1"}) {
    EXPECT_FALSE(Pickle::Parse(bytes).ok()) << bytes;
  }
}

TEST(PickleTest, ACallIsKeptAndNotMade) {
  // What a pickle does that wants to do harm: os.system('exit 7').
  const auto pickle =
      Pickle::Parse(Bytes("\x80\x02"
                          "cos\nsystem\n(X\x06\x00\x00\x00"
                          "exit 7tR."));
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  EXPECT_TRUE(pickle->root().IsCallOf("os.system"));
  EXPECT_EQ(pickle->root().items[1]->items[0]->text, "exit 7");
  EXPECT_THAT(pickle->root().Describe(), HasSubstr("os.system"));
}

TEST(PickleTest, LongNumbersKeepTheirBytes) {
  EXPECT_EQ(Pickle::Parse(Bytes("\x80\x02\x8a\x02\xe9\x03."))->root().integer, 1001);
  EXPECT_EQ(Pickle::Parse(Bytes("\x80\x02\x8a\x01\xff."))->root().integer, -1);
  EXPECT_EQ(Pickle::Parse(Bytes("\x80\x02\x8a\x00."))->root().integer, 0);
  EXPECT_EQ(Pickle::Parse(Bytes("\x80\x02\x8a\x09"
                                "123456789."))
                ->root()
                .text,
            "123456789");
}

TEST(PickleTest, AValueMayHoldItself) {
  // a = []; a.append(a)
  const auto pickle =
      Pickle::Parse(Bytes("\x80\x02]q\x00h\x00"
                          "a."));
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  EXPECT_EQ(pickle->root().items[0], &pickle->root());
}

TEST(PickleTest, FaultsSayWhatAndWhere) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "truncated"},
      {Bytes("\x80\x02"), "truncated"},
      {Bytes("\x80\x09."), "protocol beyond 5"},
      {Bytes("\x80\x02."), "more values than there are"},
      {Bytes("\x80\x02R."), "more values than there are"},
      {Bytes("\x80\x02(R."), "more values than there are"},
      {Bytes("\x80\x02t."), "no mark"},
      {Bytes("\x80\x02h\x07."), "never kept"},
      {Bytes("\x80\x02}(Nu."), "a key without a value"},
      {Bytes("\x80\x02X\xff\xff\xff\xffshort."), "truncated"},
      {Bytes("\x80\x02"
             "cos."),
       "truncated"},
      {Bytes("\x80\x02\x82\x01."), "0x82 is not one that torch.save writes at byte 2"}};
  for (const auto& [bytes, expected] : cases) {
    const auto pickle = Pickle::Parse(bytes);
    EXPECT_EQ(pickle.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(pickle.status().message()), HasSubstr(expected));
  }
}

TEST(PickleTest, TooManyValuesAreRefused) {
  EXPECT_THAT(std::string(Pickle::Parse(std::string(2'000'000, 'N')).status().message()),
              HasSubstr("too many values"));
}

// Two bytes a mention: a pair, a list of it many times, and an OrderedDict of that list many times.
TEST(PickleTest, CallsThatRepeatAListWithoutEndAreRefused) {
  std::string dicts;
  for (int i = 0; i < 1000; ++i) dicts += Bytes("h\x04h\x03R0");
  for (const std::string& element : {Bytes("K\x01K\x02\x86q\x01"), Bytes("Nq\x01")}) {
    std::string list = "(";
    for (int i = 0; i < 10'000; ++i) list += Bytes("h\x01");
    const auto pickle = Pickle::Parse(Bytes("\x80\x02") + element + list +
                                      Bytes("lq\x02\x85q\x03"
                                            "ccollections\nOrderedDict\nq\x04") +
                                      dicts + "N.");
    EXPECT_EQ(pickle.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(pickle.status().message()), HasSubstr("repeats too many items"));
  }
}

// An instruction of one byte makes a place on the stack, a mark or a name for later: sixteen
// megabytes of them, which a zip file has in sixteen kilobytes, would take gigabytes.
TEST(PickleTest, PlacesWithoutEndAreRefused) {
  for (const std::string& instruction : {std::string("2"), std::string("("), std::string("\x94")}) {
    std::string bytes = "\x80\x04N";
    for (size_t i = 0; i < size_t{1} << 20; ++i) bytes += instruction;
    const auto pickle = Pickle::Parse(bytes + ".");
    ASSERT_FALSE(pickle.ok()) << instruction;
    EXPECT_THAT(std::string(pickle.status().message()), HasSubstr("keeps too much at once"));
  }
}

TEST(PickleTest, ArbitraryBytesDoNoHarm) {
  const std::string opcodes =
      "(.01GJKMNQRTUXabcdehjlqrstu}])BC\x80\x81\x85\x86\x87\x88\x89\x8a"
      "\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x01\x02\n";
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    Random random(seed, 1);
    std::string bytes;
    const int64_t size = random.Below(60);
    for (int64_t i = 0; i < size; ++i) {
      bytes +=
          random.Below(4) == 0
              ? static_cast<char>(random.Below(256))
              : opcodes[static_cast<size_t>(random.Below(static_cast<int64_t>(opcodes.size())))];
    }
    const auto pickle = Pickle::Parse(bytes);
    if (pickle.ok()) {
      EXPECT_LE(pickle->size(), bytes.size());
    }
  }
}

}  // namespace
}  // namespace backfire::learning
