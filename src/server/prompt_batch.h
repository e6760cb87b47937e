// PromptBatch: a request that continues several prompts, each in a job of its own.
#ifndef LINNET_SERVER_PROMPT_BATCH_H_
#define LINNET_SERVER_PROMPT_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "engine/job.h"
#include "http/http.h"
#include "linnet/error.h"
#include "server/served_model.h"

namespace linnet {

// A prompt may be refused while others are being written. Listeners keep the batch alive.
// Thread-safe; the virtual functions are called by one thread at a time.
class PromptBatch : public std::enable_shared_from_this<PromptBatch> {
 public:
  PromptBatch(std::shared_ptr<const ServedModel> served, size_t prompts);
  virtual ~PromptBatch() = default;
  PromptBatch(const PromptBatch&) = delete;
  PromptBatch& operator=(const PromptBatch&) = delete;

  // Queues `job` with each of the prompts, once; their states are kept. All are cancelled when the
  // client leaves.
  void Start(const Job& job, std::vector<std::vector<int32_t>> prompts, HttpReply& reply);

 protected:
  virtual void OnStart(size_t /*prompt*/) {}
  virtual void OnPromptTokens(size_t /*prompt*/, std::span<const TokenInfo>) {}
  virtual void OnPrompt(size_t /*prompt*/, const PromptRead&) {}
  // The state after the prompt, or after a text: Listener::OnPromptState, OnTextState.
  virtual void OnPromptState(const Snapshot&) {}
  virtual void OnTextState(const Snapshot&, std::span<const int32_t> /*rest*/) {}
  virtual void OnPiece(size_t /*prompt*/, size_t /*choice*/, const Piece&) {}
  virtual void OnEnd(size_t /*prompt*/, size_t /*choice*/, const Ending&) {}
  // Exactly one of these is called, as the last: all prompts are done, or one failed.
  virtual void OnDone() = 0;
  virtual void OnError(const Error& error) = 0;

  const ServedModel& served() const { return *served_; }

 private:
  class One;

  template <class F>
  void Tell(const F& call);
  void Done();
  void Fail(const Error& error);
  void AddJob(uint64_t job);
  void CancelAll();

  const std::shared_ptr<const ServedModel> served_;
  std::mutex mutex_;
  size_t left_;  // prompts that are not done
  bool failed_ = false, cancelled_ = false;
  std::vector<uint64_t> jobs_;
};

}  // namespace linnet

#endif  // LINNET_SERVER_PROMPT_BATCH_H_
