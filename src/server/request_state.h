// RequestState: the states that a request starts from and ends in: its fields `state` and
// `return_state`.
#ifndef LINNET_SERVER_REQUEST_STATE_H_
#define LINNET_SERVER_REQUEST_STATE_H_

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/job.h"
#include "engine/signed_state.h"
#include "server/json_fields.h"

namespace linnet {

struct ReadyState;
struct ServedModel;

struct StateFields {
  enum class Return : uint8_t { kNone, kKept, kLossless, kHalf };

  std::string id{}, tuned{};  // of kept states
  std::string data{};         // or a signed state in Base64
  bool update = false;        // the kept state `id` becomes that after the answer
  Return returned = Return::kNone;

  bool starts() const { return !id.empty() || !tuned.empty() || !data.empty(); }
  // Of the kept state that is read; empty if it is brought along.
  std::string start_id() const {
    if (!data.empty()) return update ? id : "";
    return id.empty() ? tuned : id;
  }
  bool ends() const { return update || returned != Return::kNone; }
};

// `state`: an id, or {"id","tuned","data","update"}; and `return_state`. Throws RequestError.
StateFields ParseStateFields(const Fields& body);
// The same of a value that stands where `name` says, such as a part of another request.
StateFields ParseStateValue(const Json& value, const std::string& name);

// 1 to 64 of letters, digits and _ . -, as ids of states that clients choose.
void CheckStateId(const std::string& id, const std::string& field);

// The state after an answer, as the answer tells it.
struct ReplyState {
  std::string id{};    // if it is kept
  std::string data{};  // signed, in Base64, if that was asked for
  std::string model{};
  StateFacts facts{};
  std::string error{};  // why there is none
};
OrderedJson StateAnswer(const ReplyState& state);

// Of one request. Thread-safe.
class RequestState : public std::enable_shared_from_this<RequestState> {
 public:
  // Null if the fields are empty. `adapter`: the request's; states are tied to it. Reads the state
  // to start from, and claims the one that will be written. Throws RequestError: 400 if the answer
  // has several texts, 404, 409, 422.
  static std::shared_ptr<RequestState> Of(const StateFields& fields, const std::string& owner,
                                          std::shared_ptr<const ServedModel> served, size_t texts,
                                          std::shared_ptr<const TurnAdapter> adapter = nullptr);

  // Sets Job::start, start_key and adapter.
  void Begin(Job& job) const;
  bool ends() const { return fields_.ends(); }

  // Runs `rest` after `at` (null: after the start), then keeps and returns the state as the request
  // wants it. `at` counts tokens from the start of this request. Gives up the claim, then calls
  // `done` once, on the scheduler's thread or one of its own. Call it at most once.
  void Finish(std::shared_ptr<const Snapshot> at, std::vector<int32_t> rest,
              std::function<void(const ReplyState&)> done);
  // The same, for what is to be done with the state: `use` gets it with its facts on the thread of
  // the states, and keeps the claim. `failed` is called instead, or if `use` throws.
  using Use = std::function<void(const Snapshot&, const StateFacts&)>;
  void FinishWith(std::shared_ptr<const Snapshot> at, std::vector<int32_t> rest, Use use,
                  std::function<void(const std::exception&)> failed);
  // Instead of Finish, if the answer was not completed.
  void Drop();

 private:
  class Reader;
  RequestState(StateFields fields, std::string owner, std::shared_ptr<const ServedModel> served,
               std::shared_ptr<const TurnAdapter> adapter);
  void Post(std::shared_ptr<const Snapshot> at, Use use,
            std::function<void(const std::exception&)> failed);
  StateFacts FactsAfter(const Snapshot& at) const;
  ReplyState Keep(const Snapshot& at, StateFacts facts) const;

  const StateFields fields_;
  const std::string owner_;
  const std::shared_ptr<const ServedModel> served_;
  const std::shared_ptr<const TurnAdapter> adapter_;
  const std::string identity_;  // with the adapter
  std::shared_ptr<const ReadyState> start_;
  std::shared_ptr<const void> claim_;
};

}  // namespace linnet

#endif  // LINNET_SERVER_REQUEST_STATE_H_
