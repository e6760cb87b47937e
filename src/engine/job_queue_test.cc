#include "engine/job_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace linnet {
namespace {

WaitingJob JobOf(uint64_t id, const std::string& owner) {
  WaitingJob job;
  job.id = id;
  job.job.owner = owner;
  return job;
}

// The owners in the order in which their jobs are taken, while none is running.
std::string Order(JobQueue& queue, const std::map<std::string, size_t>& running = {}) {
  std::string order;
  const auto count = [&](const std::string& owner) {
    const auto at = running.find(owner);
    return at == running.end() ? 0 : at->second;
  };
  while (const WaitingJob* next = queue.Next(count, 100, true)) {
    order += queue.Take(next).job.owner;
  }
  return order;
}

TEST(JobQueueTest, OwnersAreServedByTurns) {
  JobQueue queue({});
  for (uint64_t i = 0; i < 4; ++i) queue.Push(JobOf(i, "a"));
  for (uint64_t i = 10; i < 12; ++i) queue.Push(JobOf(i, "b"));
  EXPECT_EQ(Order(queue), "ababaa");
  EXPECT_EQ(queue.size(), 0u);
}

TEST(JobQueueTest, WhoRunsLessIsFirst) {
  JobQueue queue({});
  for (uint64_t i = 0; i < 2; ++i) queue.Push(JobOf(i, "a"));
  for (uint64_t i = 10; i < 12; ++i) queue.Push(JobOf(i, "b"));
  EXPECT_EQ(Order(queue, {{"a", 3}, {"b", 1}}), "bbaa");
}

// Who comes back each time it was served gets no more than who has jobs waiting all the time.
TEST(JobQueueTest, ComingBackGivesNoAdvantage) {
  JobQueue queue({});
  for (uint64_t i = 0; i < 20; ++i) queue.Push(JobOf(i, "a"));
  uint64_t id = 100;
  queue.Push(JobOf(id, "b"));
  int a = 0, b = 0;
  for (int i = 0; i < 20; ++i) {
    const WaitingJob* next = queue.Next([](const std::string&) { return 0; }, 100, true);
    const std::string owner = queue.Take(next).job.owner;
    ++(owner == "a" ? a : b);
    if (owner == "b") queue.Push(JobOf(++id, "b"));
  }
  EXPECT_NEAR(a, b, 2);
}

TEST(JobQueueTest, BackgroundJobsAreLast) {
  JobQueue queue({});
  WaitingJob job = JobOf(1, "z");
  job.job.background = true;
  queue.Push(std::move(job));
  queue.Push(JobOf(2, "a"));
  queue.Push(JobOf(3, "a"));
  EXPECT_EQ(Order(queue), "aaz");
}

TEST(JobQueueTest, AJobThatIsNotReadyIsPassedBy) {
  JobQueue queue({});
  WaitingJob job = JobOf(1, "a");
  job.ready = false;
  queue.Push(std::move(job));
  EXPECT_FALSE(queue.has_ready());
  queue.Push(JobOf(2, "a"));
  const auto none = [](const std::string&) { return 0; };
  EXPECT_EQ(queue.Take(queue.Next(none, 1, true)).id, 2u);
  EXPECT_EQ(queue.Next(none, 1, true), nullptr);
  queue.SetReady(1);
  EXPECT_TRUE(queue.has_ready());
  EXPECT_EQ(queue.Take(queue.Next(none, 1, true)).id, 1u);
  EXPECT_FALSE(queue.has_ready());
}

TEST(JobQueueTest, ExpiredJobsAreTakenOut) {
  JobQueue queue({});
  const auto now = std::chrono::steady_clock::now();
  for (uint64_t i = 0; i < 6; ++i) {
    WaitingJob job = JobOf(i, i % 2 == 0 ? "a" : "b");
    if (i < 4) job.job.deadline = now + std::chrono::seconds(i);
    queue.Push(std::move(job));
  }
  EXPECT_EQ(queue.first_deadline(), now);
  EXPECT_EQ(queue.RemoveExpired(now + std::chrono::seconds(1)).size(), 2u);
  EXPECT_EQ(queue.first_deadline(), now + std::chrono::seconds(2));
  EXPECT_EQ(queue.RemoveExpired(now + std::chrono::seconds(9)).size(), 2u);
  EXPECT_FALSE(queue.first_deadline());
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(queue.RemoveAll().size(), 2u);
  EXPECT_FALSE(queue.has_ready());
}

}  // namespace
}  // namespace linnet
