#include "services/base/dns_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire {
namespace {

TEST(DnsTarget, HasANameAndAPort) {
  for (const char* text : {"dns:car.mesh:7000", "dns:///car.mesh:7000"}) {
    ASSERT_TRUE(IsDnsTarget(text));
    const auto target = ParseDnsTarget(text);
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->name, "car.mesh");
    EXPECT_EQ(target->port, "7000");
  }
  EXPECT_FALSE(IsDnsTarget("car.mesh:7000"));
  EXPECT_FALSE(IsDnsTarget("unix:/run/dns:7000"));
}

TEST(DnsTarget, IsRefusedWithWhatItMustBe) {
  for (const char* bad :
       {"car:7000", "dns:", "dns:car", "dns:car:", "dns:car:0", "dns:car:65536", "dns::7000",
        "dns:car:grpc", "dns://server/car:7000", "dns:car:7000/x", "dns:car:7000:1"}) {
    EXPECT_THAT(std::string(ParseDnsTarget(bad).status().message()),
                ::testing::HasSubstr("dns:NAME:PORT"))
        << bad;
  }
}

TEST(NamedAddress, IsANameBeforeATarget) {
  EXPECT_EQ(ParseNamedAddress("car@10.0.0.7:7000").name, "car");
  EXPECT_EQ(ParseNamedAddress("car@10.0.0.7:7000").address, "10.0.0.7:7000");
  EXPECT_EQ(ParseNamedAddress("car.mesh@[fd00::7]:7000").address, "[fd00::7]:7000");
  for (const char* whole :
       {"car:7000", "10.0.0.7:7000", "[fd00::7]:7000", "unix:/run/a@b", "@10.0.0.7:7000", ""}) {
    EXPECT_EQ(ParseNamedAddress(whole).name, "") << whole;
    EXPECT_EQ(ParseNamedAddress(whole).address, whole);
  }
}

}  // namespace
}  // namespace backfire
