// JobBatch: the jobs of one request that is answered when all of them are done.
#ifndef LINNET_SERVER_JOB_BATCH_H_
#define LINNET_SERVER_JOB_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "engine/job.h"
#include "http/http.h"
#include "linnet/error.h"
#include "server/served_model.h"

namespace linnet {

// Some jobs run at a time, so that a long list does not fill the queue. A client that leaves
// cancels them, and so does the failure of one, which is the answer then. Listeners and the
// scheduler's thread keep the batch alive. Thread-safe.
class JobBatch : public std::enable_shared_from_this<JobBatch> {
 public:
  JobBatch(std::shared_ptr<const ServedModel> served, std::shared_ptr<HttpReply> reply,
           size_t jobs);
  virtual ~JobBatch() = default;
  JobBatch(const JobBatch&) = delete;
  JobBatch& operator=(const JobBatch&) = delete;

  // Once. Throws what the scheduler throws for the first job. With `first_alone` the others start
  // when the first one is done, to go on from a state that it keeps.
  void Start(bool first_alone = false);

 protected:
  struct Usage {
    size_t tokens = 0, cached = 0;  // of prompts
  };

  // Any thread, in ascending order and once for each: what it takes may be moved away.
  virtual Job JobOf(size_t index) = 0;
  // On the scheduler's thread.
  virtual void OnVector(size_t /*index*/, std::span<const float>) {}
  virtual void OnScore(size_t /*index*/, size_t /*continuation*/, const ContinuationScore&) {}
  virtual void OnPromptState(size_t /*index*/, const Snapshot&) {}
  // All jobs are done: sends the reply.
  virtual void Answer(const Usage& usage) = 0;
  // Sends an error as the reply; by default in OpenAI's form.
  virtual void SendFailure(const Error& error);

  // Ends the request with this answer, unless it has ended.
  void Fail(const Error& error);
  const ServedModel& served() const { return *served_; }
  HttpReply& reply() { return *reply_; }

 private:
  class One;

  void SubmitNext();
  void Continue(size_t jobs);
  void OnDone();
  bool Stop();

  const std::shared_ptr<const ServedModel> served_;
  const std::shared_ptr<HttpReply> reply_;
  bool first_alone_ = false;

  std::mutex mutex_;  // of the following
  std::vector<std::optional<uint64_t>> jobs_;
  size_t next_ = 0, done_ = 0;
  Usage usage_;
  size_t wanted_ = 0;  // jobs to be submitted yet, by the call that is submitting_
  bool submitting_ = false, ended_ = false;
};

}  // namespace linnet

#endif  // LINNET_SERVER_JOB_BATCH_H_
