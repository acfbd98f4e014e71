#include "orchestrator/execution/step_threads.h"

#include <gmock/gmock.h>

#include <future>
#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace backfire::execution {
namespace {

// A piece of work that says that it runs, and lasts until it is let go. Outlives its threads.
class Piece {
 public:
  void RunOn(StepThreads& threads) {
    threads.Run([this] {
      runs_.set_value(std::this_thread::get_id());
      go_.get_future().wait();
      ended_.set_value();
    });
  }
  std::thread::id AwaitStart() { return runs_.get_future().get(); }
  void LetGo() { go_.set_value(); }
  void AwaitEnd() { ended_.get_future().wait(); }

 private:
  std::promise<std::thread::id> runs_;
  std::promise<void> go_, ended_;
};

TEST(StepThreadsTest, WhatIsGivenAtOnceRunsAtOnce) {
  std::vector<Piece> pieces(20);
  StepThreads threads;
  for (Piece& piece : pieces) piece.RunOn(threads);
  std::set<std::thread::id> ids;
  for (Piece& piece : pieces) ids.insert(piece.AwaitStart());  // Hangs if one waits for another.
  EXPECT_EQ(ids.size(), pieces.size());
  for (Piece& piece : pieces) piece.LetGo();
}

TEST(StepThreadsTest, OneAfterTheOtherTakesTheSameFewThreads) {
  std::vector<Piece> pieces(1000);
  StepThreads threads;
  std::set<std::thread::id> ids;
  for (Piece& piece : pieces) {
    piece.RunOn(threads);
    ids.insert(piece.AwaitStart());
    piece.LetGo();
    piece.AwaitEnd();
  }
  // The thread of a piece that ended may not be idle yet when the next comes, but it soon is.
  EXPECT_LT(ids.size(), 100u);
}

TEST(StepThreadsTest, EndsWhenWhatRunsHas) {
  Piece piece;
  auto threads = std::make_unique<StepThreads>();
  piece.RunOn(*threads);
  piece.AwaitStart();
  std::promise<void> gone;
  std::thread ending([&] {
    threads.reset();
    gone.set_value();
  });
  std::future<void> is_gone = gone.get_future();
  EXPECT_EQ(is_gone.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  piece.LetGo();
  is_gone.wait();
  ending.join();
}

}  // namespace
}  // namespace backfire::execution
