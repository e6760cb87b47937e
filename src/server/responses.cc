#include "server/responses.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/chat_job.h"
#include "server/openai_errors.h"
#include "server/response_items.h"
#include "server/response_request.h"
#include "server/response_run.h"

namespace linnet {
namespace {

// Runs of the background whose events can still be streamed after their end.
constexpr size_t kMaxEndedRuns = 32;
constexpr std::chrono::minutes kEndedRunTime{10};

RequestError NoResponse(const std::string& id, const std::string& param) {
  return {404, fmt::format("no response '{}' is stored", id), param, "response_not_found"};
}

int64_t SecondsNow() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// A number of the query, `otherwise` if it is absent.
int64_t QueryNumber(const HttpRequest& request, const char* name, int64_t least, int64_t most,
                    int64_t otherwise) {
  const auto text = request.QueryValue(name);
  if (!text) return otherwise;
  int64_t number = 0;
  const char* end = text->data() + text->size();
  const auto [parsed, failed] = std::from_chars(text->data(), end, number);
  if (failed != std::errc() || parsed != end || number < least || number > most) {
    throw RequestError(
        400, fmt::format("{} is not allowed, expected an integer from {} to {}", name, least, most),
        name, "invalid_value");
  }
  return number;
}

bool QueryFlag(const HttpRequest& request, const char* name) {
  const auto text = request.QueryValue(name);
  if (!text || *text == "false" || *text == "0") return false;
  if (*text == "true" || *text == "1") return true;
  throw RequestError(400, fmt::format("{} is not allowed, expected true or false", name), name,
                     "invalid_value");
}

// Part of a list of items, as the query asks for it.
Json PageOf(std::vector<Json> items, const HttpRequest& request) {
  const auto limit = static_cast<size_t>(QueryNumber(request, "limit", 1, 100, 20));
  const std::string order = request.QueryValue("order").value_or("desc");
  if (order != "asc" && order != "desc") {
    throw RequestError(400, "order is not allowed, expected asc or desc", "order", "invalid_value");
  }
  if (order == "desc") std::reverse(items.begin(), items.end());
  size_t begin = 0;
  const auto after = request.QueryValue("after");
  if (after && !after->empty()) {
    const auto at = std::find_if(items.begin(), items.end(),
                                 [&](const Json& item) { return item.value("id", "") == *after; });
    if (at == items.end()) {
      throw RequestError(404, fmt::format("after names no item of this response: '{}'", *after),
                         "after", "item_not_found");
    }
    begin = static_cast<size_t>(at - items.begin()) + 1;
  }
  const size_t end = std::min(items.size(), begin + limit);
  Json data = Json::array();
  for (size_t i = begin; i < end; ++i) data.push_back(std::move(items[i]));
  const auto id_of = [](const Json& item) { return item.value("id", ""); };
  return {{"object", "list"},
          {"first_id", data.empty() ? "" : id_of(data.front())},
          {"last_id", data.empty() ? "" : id_of(data.back())},
          {"has_more", end < items.size()},
          {"data", std::move(data)}};
}

class Responses : public std::enable_shared_from_this<Responses> {
 public:
  Responses(std::shared_ptr<const ServedModels> models, std::shared_ptr<ResponseStore> store)
      : models_(std::move(models)), store_(std::move(store)) {}

  void Create(const RouteCall& call) {
    const std::string& owner = call.request.owner;
    ResponseRequest request = ParseResponse(ParseBody(call.request.body));
    const auto served = models_->Find(request.chat.model);
    const Claim claim = ClaimConversation(owner, request.conversation);
    FillMessages(request, owner);
    request.chat.owner = owner;

    StoredResponse node{request.id, request.previous, request.conversation, request.items,
                        NewResponseObject(request, *served, SecondsNow())};
    ResponseRun::Options options{.owner = owner,
                                 .node = node,
                                 .store = request.store ? store_ : std::weak_ptr<ResponseStore>(),
                                 .tokenizer = served->tokenizer,
                                 .reply = call.reply,
                                 .stream = request.chat.stream,
                                 .background = request.background,
                                 .logprobs = request.chat.generation.logprobs};
    const Key key{owner, request.id};
    options.ended = [weak = weak_from_this(), key, claim] {
      if (const auto self = weak.lock()) self->Ended(key);
    };
    const auto run = std::make_shared<ResponseRun>(std::move(options));
    if (request.store) Started(key, run);
    std::shared_ptr<ChatRun> chat;
    try {
      chat = RunChat(served, request.chat, run);
    } catch (...) {
      Forget(key);
      throw;
    }
    run->SetChat(chat);
    if (!request.background) {
      CancelWhenGone(*call.reply, chat);
      run->Answer();
      return;
    }
    // Before its end, which is stored in its place: writes are in order. If the process is killed,
    // it is found as failed.
    store_->Put(owner, node, [run] { run->Answer(); });
  }

  void CountInput(const RouteCall& call) {
    ResponseRequest request = ParseResponse(ParseBody(call.request.body));
    const auto served = models_->Find(request.chat.model);
    FillMessages(request, call.request.owner);
    const size_t tokens = PromptTokens(*served, request.chat);
    call.reply->Send(200,
                     Dump(Json{{"object", "response.input_tokens"}, {"input_tokens", tokens}}));
  }

  void Get(const RouteCall& call) {
    const Key key{call.request.owner, call["response_id"]};
    const auto run = Running(key, true);
    const int64_t after = QueryNumber(call.request, "starting_after", -1, INT64_MAX - 1, -1);
    if (QueryFlag(call.request, "stream")) {
      if (!run) Stored(key, "response_id");
      if (!run || !run->Follow(call.reply, after)) {
        throw RequestError(404,
                           "the events of this response are not kept, get it without stream; those "
                           "of background responses are kept for some minutes",
                           "stream", "events_not_found");
      }
      return;
    }
    call.reply->Send(200, Dump(run ? run->Object() : Stored(key, "response_id").response));
  }

  void Delete(const RouteCall& call) {
    const Key key{call.request.owner, call["response_id"]};
    if (Running(key, false)) {
      throw RequestError(409, "the response is running: cancel it first", "response_id",
                         "response_running");
    }
    if (!store_->Erase(key.owner, key.id)) throw NoResponse(key.id, "response_id");
    Forget(key);
    call.reply->Send(200, Dump(Json{{"id", key.id}, {"object", "response"}, {"deleted", true}}));
  }

  void CancelOne(const RouteCall& call) {
    const Key key{call.request.owner, call["response_id"]};
    if (const auto run = Running(key, false)) {
      run->AnswerAtEnd(call.reply);
      run->Cancel();
      return;
    }
    call.reply->Send(200, Dump(Stored(key, "response_id").response));
  }

  void InputItems(const RouteCall& call) {
    const Key key{call.request.owner, call["response_id"]};
    const StoredResponse node = Stored(key, "response_id");
    std::vector<Json> items;
    if (!node.parent.empty()) items = store_->History(key.owner, node.parent).items;
    for (const Json& item : node.input) items.push_back(item);
    call.reply->Send(200, Dump(PageOf(std::move(items), call.request)));
  }

 private:
  struct Key {
    std::string owner, id;
    auto operator<=>(const Key&) const = default;  // NOLINT(modernize-use-nullptr): its 0
  };
  using Claim = std::shared_ptr<const Key>;

  // Keeps other writers out of the conversation until the last copy is gone.
  Claim ClaimConversation(const std::string& owner, const std::string& id) {
    if (id.empty()) return nullptr;
    const Key key{owner, id};
    const std::lock_guard lock(mutex_);
    if (!conversations_.insert(key).second) {
      throw RequestError(409, "another response of this conversation is running", "conversation",
                         "conversation_locked");
    }
    return {new Key(key), [weak = weak_from_this()](const Key* claimed) {
              if (const auto self = weak.lock()) {
                const std::lock_guard relock(self->mutex_);
                self->conversations_.erase(*claimed);
              }
              delete claimed;
            }};
  }

  // What is stored before the request, and its own items, as messages.
  void FillMessages(ResponseRequest& request, const std::string& owner) {
    const bool named = !request.conversation.empty();
    if (named) request.previous = store_->Latest(owner, request.conversation);
    ResponseHistory history;
    if (!request.previous.empty()) {
      if (Running({owner, request.previous}, false)) {
        throw RequestError(409, "the previous response is still running", "previous_response_id",
                           "response_running");
      }
      history = store_->History(owner, request.previous);
      if (!history.missing.empty()) {
        const char* param = named ? "conversation" : "previous_response_id";
        throw RequestError(404, fmt::format("no response '{}' is stored", history.missing), param,
                           "previous_response_not_found");
      }
    }
    ResolveItems(request.items, history.items,
                 [&](const std::string& id) { return FindItem(owner, id); });
    request.chat.messages = MessagesFor(request, history.items);
  }

  Json FindItem(const std::string& owner, const std::string& id) {
    const auto node = store_->Get(owner, ResponseOfItem(id));
    if (!node) return nullptr;
    const Json output = node->response.value("output", Json::array());
    for (const Json* list : {&node->input, &output}) {
      for (const Json& item : *list) {
        if (item.value("id", "") == id) return item;
      }
    }
    return nullptr;
  }

  StoredResponse Stored(const Key& key, const std::string& param) {
    auto node = store_->Get(key.owner, key.id);
    if (!node) throw NoResponse(key.id, param);
    MarkAbandoned(node->response);
    return std::move(*node);
  }

  // `also_ended`: one that ended a while ago too, if its events are kept.
  std::shared_ptr<ResponseRun> Running(const Key& key, bool also_ended) {
    const std::lock_guard lock(mutex_);
    const auto found = running_.find(key);
    if (found != running_.end()) return found->second;
    DropEnded();
    if (!also_ended) return nullptr;
    for (const EndedRun& run : ended_) {
      if (run.key == key) return run.run;
    }
    return nullptr;
  }

  void Started(const Key& key, std::shared_ptr<ResponseRun> run) {
    const std::lock_guard lock(mutex_);
    running_[key] = std::move(run);
  }
  void Ended(const Key& key) {
    const std::lock_guard lock(mutex_);
    const auto found = running_.find(key);
    if (found == running_.end()) return;
    if (found->second->background()) ended_.push_back({key, found->second, Clock::now()});
    running_.erase(found);
    DropEnded();
  }
  void Forget(const Key& key) {
    const std::lock_guard lock(mutex_);
    running_.erase(key);
    std::erase_if(ended_, [&](const EndedRun& run) { return run.key == key; });
  }
  // Needs mutex_.
  void DropEnded() {
    while (!ended_.empty() &&
           (ended_.size() > kMaxEndedRuns || Clock::now() - ended_.front().at > kEndedRunTime)) {
      ended_.pop_front();
    }
  }

  using Clock = std::chrono::steady_clock;
  struct EndedRun {
    Key key;
    std::shared_ptr<ResponseRun> run;
    Clock::time_point at;
  };

  const std::shared_ptr<const ServedModels> models_;
  const std::shared_ptr<ResponseStore> store_;
  std::mutex mutex_;  // of the following
  std::map<Key, std::shared_ptr<ResponseRun>> running_;
  std::deque<EndedRun> ended_;
  std::set<Key> conversations_;  // with a writer
};

}  // namespace

void AddResponseRoutes(Router& router, std::shared_ptr<const ServedModels> models,
                       std::shared_ptr<ResponseStore> store) {
  const auto responses = std::make_shared<Responses>(std::move(models), std::move(store));
  const auto add = [&](const char* method, const char* pattern,
                       void (Responses::*answer)(const RouteCall&)) {
    router.Add(method, pattern,
               [responses, answer](const RouteCall& call) { ((*responses).*answer)(call); });
  };
  add("POST", "/v1/responses", &Responses::Create);
  add("POST", "/v1/responses/input_tokens", &Responses::CountInput);
  add("GET", "/v1/responses/{response_id}", &Responses::Get);
  add("DELETE", "/v1/responses/{response_id}", &Responses::Delete);
  add("POST", "/v1/responses/{response_id}/cancel", &Responses::CancelOne);
  add("GET", "/v1/responses/{response_id}/input_items", &Responses::InputItems);
}

}  // namespace linnet
