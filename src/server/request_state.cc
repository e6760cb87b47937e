#include "server/request_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/base64.h"
#include "server/kept_states.h"
#include "server/new_id.h"
#include "server/openai_errors.h"
#include "server/served_model.h"

namespace linnet {
namespace {

constexpr size_t kLongestStateId = 64;

int64_t UnixSeconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string IdField(const Fields& fields, const char* name) {
  const auto id = fields.String(name);
  if (id) CheckStateId(*id, fields.NameOf(name));
  return id.value_or("");
}

StateFields::Return ParseReturn(const Fields& body) {
  using Return = StateFields::Return;
  const Json* value = body.Find("return_state");
  if (value == nullptr) return Return::kNone;
  if (value->is_boolean()) return value->get<bool>() ? Return::kLossless : Return::kNone;
  const auto word = body.Word("return_state", {"no", "kept", "lossless", "base64", "half"});
  if (*word == "no") return Return::kNone;
  if (*word == "kept") return Return::kKept;
  return *word == "half" ? Return::kHalf : Return::kLossless;
}

std::shared_ptr<const ReadyState> StartFor(const StateFields& fields, const std::string& owner,
                                           const ServedModel& served, const std::string& identity) {
  KeptStates& states = *served.states;
  if (!fields.data.empty()) {
    const auto bytes = ParseBase64(fields.data);
    if (!bytes) {
      throw RequestError(400, "state.data is no Base64", "state.data", "invalid_value");
    }
    return OpenReadyState(*bytes, served, identity, states.key());
  }
  // A state that is to be written need not be there yet; one to read instead may be given.
  const bool optional = fields.update || !fields.tuned.empty();
  if (!fields.id.empty() && (!optional || states.Find(owner, fields.id))) {
    return states.Open(owner, fields.id, served, identity);
  }
  return fields.tuned.empty() ? nullptr : states.Open(owner, fields.tuned, served, identity);
}

}  // namespace

void CheckStateId(const std::string& id, const std::string& field) {
  const bool good =
      !id.empty() && id.size() <= kLongestStateId && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '.';
      });
  if (good) return;
  throw RequestError(400,
                     fmt::format("{} is no id of a state, expected 1 to {} of letters, digits, _, "
                                 "- and .",
                                 field, kLongestStateId),
                     field, "invalid_value");
}

StateFields ParseStateValue(const Json& value, const std::string& name) {
  StateFields parsed;
  if (value.is_string()) {
    parsed.id = value.get<std::string>();
    CheckStateId(parsed.id, name);
    return parsed;
  }
  if (!value.is_object()) {
    throw RequestError(400, fmt::format("{} is neither the id of a state nor an object", name),
                       name, "invalid_type");
  }
  const Fields state(value, name);
  parsed.id = IdField(state, "id");
  parsed.tuned = IdField(state, "tuned");
  parsed.data = state.String("data").value_or("");
  parsed.update = state.Bool("update", false);
  if (!parsed.starts()) {
    throw RequestError(400, fmt::format("{} names nothing: expected id, tuned or data", name), name,
                       "invalid_value");
  }
  if (!parsed.data.empty() && (!parsed.id.empty() || !parsed.tuned.empty())) {
    throw RequestError(400, fmt::format("{} has data and an id: expected one of them", name), name,
                       "invalid_value");
  }
  if (parsed.update && parsed.id.empty()) {
    throw RequestError(400, fmt::format("{}.update is set, but there is no id to update", name),
                       name + ".update", "invalid_value");
  }
  return parsed;
}

StateFields ParseStateFields(const Fields& body) {
  const Json* value = body.Find("state");
  StateFields fields;
  if (value != nullptr) fields = ParseStateValue(*value, body.NameOf("state"));
  fields.returned = ParseReturn(body);
  return fields;
}

OrderedJson StateAnswer(const ReplyState& state) {
  if (!state.error.empty()) return {{"object", "state"}, {"error", state.error}};
  OrderedJson answer = {{"object", "state"},
                        {"model", state.model},
                        {"created", state.facts.made},
                        {"tokens", state.facts.tokens},
                        {"lossless", state.facts.lossless},
                        {"identity", state.facts.identity}};
  if (!state.id.empty()) answer["id"] = state.id;
  if (!state.data.empty()) answer["data"] = state.data;
  return answer;
}

// Reads the rest of the text, and takes the state after it.
class RequestState::Reader : public Listener {
 public:
  Reader(std::shared_ptr<RequestState> request, size_t before, Use use,
         std::function<void(const std::exception&)> failed)
      : request_(std::move(request)),
        before_(before),
        use_(std::move(use)),
        failed_(std::move(failed)) {}

  void OnPromptState(const Snapshot& at) override {
    after_ = std::make_shared<Snapshot>(at.Clone());
    after_->tokens += before_;
  }
  void OnDone() override {
    if (after_ == nullptr) {
      failed_(Error(ErrorKind::kBusy, "the state was not read to its end"));
    } else {
      request_->Post(after_, use_, failed_);
    }
  }
  void OnError(const Error& error) override { failed_(error); }

 private:
  const std::shared_ptr<RequestState> request_;
  const size_t before_;
  const Use use_;
  const std::function<void(const std::exception&)> failed_;
  std::shared_ptr<Snapshot> after_;
};

std::shared_ptr<RequestState> RequestState::Of(const StateFields& fields, const std::string& owner,
                                               std::shared_ptr<const ServedModel> served,
                                               size_t texts,
                                               std::shared_ptr<const TurnAdapter> adapter) {
  if (!fields.starts() && !fields.ends()) return nullptr;
  if (served->states == nullptr || served->model == nullptr) {
    throw RequestError(422, fmt::format("model {} keeps no states", served->name), "state",
                       "unsupported_parameter");
  }
  if (fields.ends() && texts != 1) {
    throw RequestError(400,
                       fmt::format("a state after the answer is wanted, but the answer has {} "
                                   "texts, expected one",
                                   texts),
                       fields.update ? "state.update" : "return_state", "invalid_value");
  }
  const std::shared_ptr<RequestState> state(
      new RequestState(fields, owner, std::move(served), std::move(adapter)));
  // Before it is read, so that nobody writes it in between.
  if (fields.update) state->claim_ = state->served_->states->ClaimWriter(owner, fields.id);
  state->start_ = StartFor(fields, owner, *state->served_, state->identity_);
  return state;
}

RequestState::RequestState(StateFields fields, std::string owner,
                           std::shared_ptr<const ServedModel> served,
                           std::shared_ptr<const TurnAdapter> adapter)
    : fields_(std::move(fields)),
      owner_(std::move(owner)),
      served_(std::move(served)),
      adapter_(std::move(adapter)),
      identity_(IdentityWith(served_->identity, adapter_.get())) {}

void RequestState::Begin(Job& job) const {
  job.adapter = adapter_;
  if (start_ == nullptr) return;
  job.start = {start_, &start_->snapshot};
  job.start_key = start_->mark;
}

void RequestState::Drop() { claim_.reset(); }

void RequestState::Finish(std::shared_ptr<const Snapshot> at, std::vector<int32_t> rest,
                          std::function<void(const ReplyState&)> done) {
  const auto failed = [self = shared_from_this(), done](const std::exception& error) {
    self->Drop();
    ReplyState none;
    none.error = error.what();
    done(none);
  };
  const auto use = [self = shared_from_this(), done](const Snapshot& after,
                                                     const StateFacts& facts) {
    const ReplyState reply = self->Keep(after, facts);
    self->Drop();
    done(reply);
  };
  FinishWith(std::move(at), std::move(rest), use, failed);
}

void RequestState::FinishWith(std::shared_ptr<const Snapshot> at, std::vector<int32_t> rest,
                              Use use, std::function<void(const std::exception&)> failed) {
  const size_t before = at == nullptr ? 0 : at->tokens;
  if (rest.empty() && at != nullptr) return Post(std::move(at), std::move(use), std::move(failed));
  if (rest.empty() && start_ != nullptr) {
    auto same = std::make_shared<Snapshot>(start_->snapshot.Clone());
    same->tokens = 0;
    return Post(std::move(same), std::move(use), std::move(failed));
  }
  Job job;
  job.start = std::move(at);
  job.adapter = adapter_;
  if (job.start == nullptr) Begin(job);
  job.prompt = std::move(rest);
  if (job.prompt.empty()) job.prompt.push_back(0);  // the start of a text
  job.state_at = job.prompt.size();
  job.text.max_tokens = 0;
  job.owner = owner_;
  const auto reader = std::make_shared<Reader>(shared_from_this(), before, std::move(use), failed);
  try {
    served_->submit(std::move(job), reader);
  } catch (const Error& error) {
    failed(error);
  }
}

void RequestState::Post(std::shared_ptr<const Snapshot> at, Use use,
                        std::function<void(const std::exception&)> failed) {
  served_->states->Post([self = shared_from_this(), at = std::move(at), use = std::move(use),
                         failed = std::move(failed)] {
    try {
      use(*at, self->FactsAfter(*at));
    } catch (const std::exception& error) {
      failed(error);
    }
  });
}

StateFacts RequestState::FactsAfter(const Snapshot& at) const {
  StateFacts facts{.identity = identity_, .tokens = at.tokens, .made = UnixSeconds()};
  if (start_ != nullptr) {
    facts.tokens += start_->facts.tokens;
    facts.lossless = start_->facts.lossless;
  }
  return facts;
}

ReplyState RequestState::Keep(const Snapshot& at, StateFacts facts) const {
  using Return = StateFields::Return;
  ReplyState reply{.model = served_->name, .facts = std::move(facts)};
  KeptStates& states = *served_->states;
  if (fields_.update || fields_.returned == Return::kKept) {
    reply.id = fields_.update ? fields_.id : NewId("state_");
    states.Put(owner_,
               {.id = reply.id,
                .model = served_->name,
                .parent = fields_.start_id(),
                .facts = reply.facts},
               at);
  }
  if (fields_.returned == Return::kLossless || fields_.returned == Return::kHalf) {
    const bool half = fields_.returned == Return::kHalf;
    const auto bytes = SignState(at, reply.facts,
                                 half ? StateCoding::kHalf : StateCoding::kLossless, states.key());
    reply.facts = ReadSignedFacts(bytes, states.key());
    reply.data = Base64(bytes);
  }
  return reply;
}

}  // namespace linnet
