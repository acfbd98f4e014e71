#include "services/rpc/attempts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire::runtime {
namespace {

using ::testing::MatchesRegex;

const std::function<bool()> kNever = [] { return false; };

TEST(AttemptsTest, GoesOnUntilPatienceEnds) {
  Attempts attempts({absl::Milliseconds(250), "work"}, kNever);
  int waited = 0;
  while (attempts.Wait()) ++waited;
  // Pauses of 50 to 100 and 100 to 200 ms, and one for what is left.
  EXPECT_GE(waited, 2);
  EXPECT_LE(waited, 4);
  EXPECT_THAT(std::string(attempts.Explain(absl::UnavailableError("refused"), "host:1").message()),
              MatchesRegex("host:1: did not answer for 0\\.[0-9] s, [0-9] attempts; the last "
                           "error: refused"));
}

TEST(AttemptsTest, AnAnswerRenewsPatience) {
  Attempts attempts({absl::Milliseconds(100), "work"}, kNever);
  while (attempts.Wait()) {
  }
  attempts.Renew();
  EXPECT_TRUE(attempts.Wait());
}

TEST(AttemptsTest, WithoutPatienceThereIsOneAttempt) {
  Attempts attempts({absl::ZeroDuration(), "work"}, kNever);
  EXPECT_FALSE(attempts.Wait());
}

TEST(AttemptsTest, EndsAtOnceWhenInterrupted) {
  const std::function<bool()> always = [] { return true; };
  Attempts attempts({absl::Minutes(5), "work"}, always);
  EXPECT_FALSE(attempts.Wait());
}

TEST(AttemptsTest, NothingGoesOnBeyondWhatSomebodyWaits) {
  Patience patience{absl::Minutes(5), "work"};
  patience.until = std::chrono::steady_clock::now() + std::chrono::milliseconds(250);
  Attempts attempts(patience, kNever);
  EXPECT_LE(attempts.WorkTimeout(absl::Minutes(5)), absl::Milliseconds(250));
  EXPECT_LE(attempts.AttemptTimeout(absl::Seconds(5)), absl::Milliseconds(250));
  while (attempts.Wait()) attempts.Renew();  // It answers each time.
  EXPECT_GE(std::chrono::steady_clock::now(), patience.until);
  EXPECT_EQ(attempts.WorkTimeout(absl::Minutes(5)), absl::Milliseconds(100)) << "for a last look";
}

TEST(AttemptsTest, AnAttemptTakesNoLongerThanPatience) {
  EXPECT_EQ(Attempts({absl::Minutes(5), "work"}, kNever).AttemptTimeout(absl::Seconds(5)),
            absl::Seconds(5));
  EXPECT_LE(Attempts({absl::Seconds(1), "work"}, kNever).AttemptTimeout(absl::Seconds(5)),
            absl::Seconds(1));
  EXPECT_EQ(Attempts({absl::Seconds(1), "work"}, kNever).WorkTimeout(absl::Minutes(5)),
            absl::Minutes(5))
      << "what it works on takes as long as it takes";
  EXPECT_EQ(Attempts({absl::ZeroDuration(), "work"}, kNever).AttemptTimeout(absl::Seconds(5)),
            absl::Seconds(5))
      << "the only one";
}

TEST(AttemptsTest, WhatIsNotTransientIsNotExplainedByTime) {
  const Attempts attempts({absl::Minutes(5), "work"}, kNever);
  const absl::Status status = attempts.Explain(absl::NotFoundError("no version 3"), "host:1");
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(status.message(), "host:1: no version 3");
}

}  // namespace
}  // namespace backfire::runtime
