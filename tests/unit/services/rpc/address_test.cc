#include "services/rpc/address.h"

#include <gtest/gtest.h>

namespace backfire::runtime {
namespace {

TEST(AddressTest, HostsAndPorts) {
  const auto name = ParseHostPort("localhost:7001");
  ASSERT_TRUE(name.ok()) << name.status();
  EXPECT_EQ(name->host, "localhost");
  EXPECT_EQ(name->port, 7001);
  const auto six = ParseHostPort("[::1]:0");
  ASSERT_TRUE(six.ok()) << six.status();
  EXPECT_EQ(six->host, "::1");
  EXPECT_EQ(six->port, 0);
  for (const char* text : {"", "localhost", ":7001", "localhost:", "localhost:70000",
                           "localhost:-1", "localhost:7x"}) {
    EXPECT_EQ(ParseHostPort(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(AddressTest, WhatStaysOnTheMachine) {
  for (const char* text :
       {"unix:/run/car.sock", "localhost:7001", "127.0.0.1:7001", "127.0.0.2:7001", "[::1]:7001",
        "dns:///localhost:7001", "dns:localhost:7001"}) {
    EXPECT_TRUE(IsLocal(text)) << text;
  }
  // A name that merely begins like an address of loopback may be anybody's.
  for (const char* text : {"0.0.0.0:7001", "[::]:7001", "car:7001", "10.0.0.1:7001", "",
                           "127.0.0.1.example.com:7001", "localhost.example.com:7001"}) {
    EXPECT_FALSE(IsLocal(text)) << text;
  }
}

TEST(AddressTest, ASocketsPathHasAsMuchAsTheKernelTakes) {
  EXPECT_TRUE(CheckUnixPath("unix:" + std::string(107, 'p')).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(CheckUnixPath("unix:" + std::string(108, 'p'))));
  EXPECT_TRUE(absl::IsInvalidArgument(CheckUnixPath("unix:")));
}

TEST(AddressTest, APathIsAUriToChannels) {
  EXPECT_EQ(ChannelTarget("localhost:7001"), "localhost:7001");
  EXPECT_EQ(ChannelTarget("dns:pods:7000"), "dns:pods:7000");
  EXPECT_EQ(ChannelTarget("unix:/run/a-b_c.d~1/e@f"), "unix:/run/a-b_c.d~1/e@f");
  // RFC 3986: a question mark or a hash would end the path, and a percent sign begins an escape.
  EXPECT_EQ(ChannelTarget("unix:/its data/50%?#\xc3\xa4"), "unix:/its%20data/50%25%3f%23%c3%a4");
}

}  // namespace
}  // namespace backfire::runtime
