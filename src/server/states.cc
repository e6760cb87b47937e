#include "server/states.h"

#include <fmt/format.h>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "io/tensor_file.h"
#include "io/tensor_view.h"
#include "io/tensor_writer.h"
#include "models/state_layouts.h"
#include "models/state_parts.h"
#include "server/admin.h"
#include "server/completion_request.h"
#include "server/new_id.h"
#include "server/openai_errors.h"
#include "server/request_state.h"

namespace linnet {
namespace {

constexpr const char* kLayouts =
    "signed, reference, rwkv.cpp, web-rwkv, time_state, rwkv-runner or ai00";

RequestError BadLayout() {
  return {400, fmt::format("layout is not known, expected {}", kLayouts), "layout",
          "invalid_value"};
}

int64_t TimeInSeconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// One of those whose files state_layouts.h reads.
StateLayout PeerLayout(const std::string& name) {
  const auto layout = ParseStateLayout(name);
  if (!layout) throw BadLayout();
  return *layout;
}

const char* EndingOf(StateLayout layout) {
  if (layout == StateLayout::kRwkvCpp) return ".bin";
  return layout == StateLayout::kRwkvRunner ? ".pth" : ".safetensors";
}

// Ai00's form: {"data": numbers, "shape": [1, layers, N + 2, C]}, the tensor of web-rwkv.
OrderedJson Ai00Content(const KeptState& state, const Snapshot& at) {
  const auto bytes = ExportedState(at.state, StateLayout::kWebRwkv);
  const TensorFile file = TensorFile::Parse(bytes, "the state");
  const TensorView& tensor = file.tensors().front();
  return {{"name", state.name.empty() ? state.id : state.name},
          {"id", state.id},
          {"data", ReadAll(tensor)},
          {"shape", tensor.shape}};
}

std::vector<float> Numbers(const Json& list) {
  std::vector<float> numbers;
  numbers.reserve(list.size());
  for (const Json& value : list) {
    if (!value.is_number()) {
      throw RequestError(400, "data holds something that is no number", "data", "invalid_type");
    }
    numbers.push_back(value.get<float>());
  }
  return numbers;
}

State FromAi00(const Fields& body, const StateShape& shape) {
  const Json* data = body.List("data", SIZE_MAX);
  if (data == nullptr) {
    throw RequestError(400, "data is missing, expected a list of numbers", "data",
                       "missing_required_parameter");
  }
  const std::vector<float> values = Numbers(*data);
  // Its shape follows from the model's; a tensor of another is refused by the reader.
  std::vector<size_t> dimensions;
  if (const Json* given = body.List("shape", 8)) {
    for (const Json& size : *given) {
      if (!size.is_number_unsigned()) {
        throw RequestError(400, "shape holds something that is no size", "shape", "invalid_type");
      }
      dimensions.push_back(size.get<size_t>());
    }
  }
  size_t count = 0;
  if (!CountElements(dimensions, &count) || count != values.size()) {
    throw RequestError(
        400, fmt::format("data has {} numbers, which is not what shape says", values.size()),
        "shape", "invalid_value");
  }
  std::vector<std::byte> bytes;
  const auto writer =
      TensorWriter::CreateInMemory(bytes, {{"state", SourceType::kF32, dimensions}});
  writer->AppendFloats(SourceType::kF32, values);
  writer->Finish();
  return ImportState(bytes, "the state", StateLayout::kWebRwkv, shape);
}

class StateRoutes : public std::enable_shared_from_this<StateRoutes> {
 public:
  StateRoutes(std::shared_ptr<const ServedModels> models, std::shared_ptr<KeptStates> states)
      : models_(std::move(models)), states_(std::move(states)) {}

  void Create(const RouteCall& call) {
    const Json json = ParseBody(call.request.body);
    const Fields body(json);
    const auto served = Served(body.String("model").value_or(""));
    const std::string id = body.String("id").value_or(NewId("state_"));
    CheckStateId(id, "id");
    if (body.Has("data")) return Import(call, body, served, id);
    if (!body.Has("input")) {
      throw RequestError(400, "input is missing, expected a text or token ids; or data, to import",
                         "input", "missing_required_parameter");
    }
    // As a completion reads its prompt.
    const Json prompt = {{"prompt", *body.Find("input")}};
    const auto texts = ParsePrompts(Fields(prompt));
    if (texts.size() != 1) {
      throw RequestError(400, "input is a list of texts, expected one", "input", "invalid_value");
    }
    StateFields fields;
    if (const Json* start = body.Find("state")) fields = ParseStateValue(*start, "state");
    const std::string name = NameField(body);
    const std::string owner = call.request.owner;
    fields.returned = StateFields::Return::kLossless;
    const std::string parent = fields.start_id();
    // All copies of what follows have the same one.
    const auto claim =
        std::make_shared<std::shared_ptr<const void>>(states_->ClaimWriter(owner, id));
    const std::string lora = body.String("lora").value_or("");
    const auto request = RequestState::Of(fields, owner, served, 1,
                                          lora.empty() ? nullptr : served->adapters->Find(lora));
    std::vector<int32_t> tokens = PromptIds(texts.front(), std::nullopt, *served);
    const size_t count = tokens.size();
    request->FinishWith(
        nullptr, std::move(tokens),
        [self = shared_from_this(), reply = call.reply, served, id, name, owner, count, claim,
         parent](const Snapshot& at, const StateFacts& facts) {
          reply->CountTokens(count);
          const KeptState kept = self->states_->Put(
              owner,
              {.id = id, .name = name, .model = served->name, .parent = parent, .facts = facts},
              at);
          claim->reset();
          reply->Send(200, Dump(StateObject(kept)));
        },
        [reply = call.reply, claim](const std::exception& error) {
          claim->reset();
          SendError(*reply, error);
        });
  }

  void List(const RouteCall& call) {
    OrderedJson data = OrderedJson::array();
    const auto model = call.request.QueryValue("model");
    for (const KeptState& state : states_->List(call.request.owner)) {
      if (!model || *model == state.model) data.push_back(StateObject(state));
    }
    call.reply->Send(200, Dump(OrderedJson{{"object", "list"}, {"data", std::move(data)}}));
  }

  void Get(const RouteCall& call) { call.reply->Send(200, Dump(StateObject(Found(call)))); }

  // The bytes of a file in one of the layouts, or JSON with these in Base64.
  void Put(const RouteCall& call) {
    const std::string& id = call["state_id"];
    CheckStateId(id, "state_id");
    const std::string_view type = call.request.Header("content-type");
    if (type.starts_with("application/octet-stream")) {
      const auto served = Served(call.request.QueryValue("model").value_or(""));
      const std::string layout = call.request.QueryValue("layout").value_or("signed");
      const bool shared = call.request.QueryValue("shared") == "true";
      return ImportBytes(call, BytesOf(call.request.body), layout, served, id,
                         call.request.QueryValue("name").value_or(""), shared);
    }
    const Json json = ParseBody(call.request.body);
    const Fields body(json);
    Import(call, body, Served(body.String("model").value_or("")), id);
  }

  void Delete(const RouteCall& call) {
    const KeptState state = Found(call);
    if (state.shared) RequireAdmin(call.request);
    {
      const auto claim = states_->ClaimWriter(call.request.owner, state.id);
      states_->Erase(call.request.owner, state.id, state.shared);
    }
    call.reply->Send(200,
                     Dump(OrderedJson{{"id", state.id}, {"object", "state"}, {"deleted", true}}));
  }

  void Rename(const RouteCall& call) {
    const Json json = ParseBody(call.request.body);
    const Fields body(json);
    if (!body.Has("name")) {
      throw RequestError(400, "name is missing, expected a text", "name",
                         "missing_required_parameter");
    }
    const std::string name = NameField(body);
    const KeptState state = Found(call);
    if (state.shared) RequireAdmin(call.request);
    states_->Rename(call.request.owner, state.id, state.shared, name);
    call.reply->Send(200, Dump(StateObject(Found(call))));
  }

  void Fork(const RouteCall& call) {
    const Json json = call.request.body.empty() ? Json::object() : ParseBody(call.request.body);
    const Fields body(json);
    const KeptState state = Found(call);
    const auto served = Served(state.model);
    const std::string id = body.String("id").value_or(NewId("state_"));
    CheckStateId(id, "id");
    const auto name = body.Has("name") ? NameField(body) : state.name;
    const std::string owner = call.request.owner;
    Later(call, [self = shared_from_this(), state, served, id, name, owner,
                 claim = states_->ClaimWriter(owner, id)] {
      const auto ready = self->states_->Open(owner, state.id, *served, state.facts.identity);
      StateFacts facts = ready->facts;
      facts.made = TimeInSeconds();
      const KeptState kept = self->states_->Put(
          owner, {.id = id, .name = name, .model = state.model, .parent = state.id, .facts = facts},
          ready->snapshot);
      return Dump(StateObject(kept));
    });
  }

  void Diff(const RouteCall& call) {
    const Json json = ParseBody(call.request.body);
    const Fields body(json);
    const auto served = Served(body.String("model").value_or(""));
    std::vector<StateFields> sides;
    for (const char* side : {"a", "b"}) {
      const Json* value = body.Find(side);
      if (value == nullptr) {
        throw RequestError(400, fmt::format("{} is missing, expected a state", side), side,
                           "missing_required_parameter");
      }
      sides.push_back(ParseStateValue(*value, side));
    }
    Later(call, [self = shared_from_this(), sides, served, owner = call.request.owner] {
      std::vector<std::shared_ptr<RequestState>> read;
      read.reserve(sides.size());
      for (const StateFields& side : sides) {
        read.push_back(RequestState::Of(side, owner, served, 1));
      }
      Job a, b;
      read[0]->Begin(a);
      read[1]->Begin(b);
      return Dump(DifferenceOf(a.start->state, b.start->state));
    });
  }

  void Content(const RouteCall& call) {
    const KeptState state = Found(call);
    const std::string layout = call.request.QueryValue("layout").value_or("signed");
    if (layout != "signed" && layout != "ai00") PeerLayout(layout);
    const std::string owner = call.request.owner;
    if (layout == "signed") {
      states_->Post([self = shared_from_this(), reply = call.reply, owner, id = state.id] {
        Answering(*reply, [&] {
          const auto bytes = self->states_->Read(owner, id);
          if (!bytes) throw RequestError(404, "the state was deleted", "state_id");
          SendBytes(*reply, *bytes, id + ".state");
        });
      });
      return;
    }
    const auto served = Served(state.model);
    states_->Post([self = shared_from_this(), reply = call.reply, owner, state, served, layout] {
      Answering(*reply, [&] {
        const auto ready = self->states_->Open(owner, state.id, *served, state.facts.identity);
        if (layout == "ai00") {
          reply->Send(200, Dump(Ai00Content(state, ready->snapshot)));
          return;
        }
        SendBytes(*reply, ExportedState(ready->snapshot.state, PeerLayout(layout)),
                  state.id + EndingOf(PeerLayout(layout)));
      });
    });
  }

 private:
  static std::vector<std::byte> BytesOf(const std::string& text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
  }

  static std::string NameField(const Fields& body) {
    constexpr size_t kLongestName = 200;
    std::string name = body.String("name").value_or("");
    if (name.size() > kLongestName) {
      throw RequestError(
          400, fmt::format("name has {} bytes, expected at most {}", name.size(), kLongestName),
          "name", "invalid_value");
    }
    return name;
  }

  static void SendBytes(HttpReply& reply, std::span<const std::byte> bytes,
                        const std::string& file) {
    reply.Send(200, {reinterpret_cast<const char*>(bytes.data()), bytes.size()},
               "application/octet-stream",
               {{"content-disposition", "attachment; filename=\"" + file + "\""}});
  }

  template <class F>
  static void Answering(HttpReply& reply, const F& answer) {
    try {
      answer();
    } catch (const std::exception& error) {
      SendError(reply, error);
    }
  }

  // Answers with the text that `make` returns, on the thread of the states, when what `make` holds,
  // as a claim, is gone.
  template <class F>
  void Later(const RouteCall& call, F make) {
    states_->Post([reply = call.reply, make = std::make_optional(std::move(make))]() mutable {
      Answering(*reply, [&] {
        std::string text;
        std::exception_ptr failure;
        try {
          text = (*make)();
        } catch (...) {
          failure = std::current_exception();
        }
        make.reset();
        if (failure) std::rethrow_exception(failure);
        reply->Send(200, std::move(text));
      });
    });
  }

  std::shared_ptr<const ServedModel> Served(const std::string& name) const {
    auto served = models_->Find(name);
    if (served->model == nullptr) {
      throw RequestError(422, fmt::format("model {} has no states", served->name), "model",
                         "unsupported_parameter");
    }
    return served;
  }

  KeptState Found(const RouteCall& call) const {
    auto state = states_->Find(call.request.owner, call["state_id"]);
    if (state) return *std::move(state);
    throw RequestError(404, fmt::format("no state '{}' is kept", call["state_id"]), "state_id",
                       "state_not_found");
  }

  void Import(const RouteCall& call, const Fields& body,
              const std::shared_ptr<const ServedModel>& served, const std::string& id) {
    const std::string layout = body.String("layout").value_or("signed");
    const bool shared = body.Bool("shared", false);
    const std::string name = NameField(body);
    if (layout == "ai00") {
      State state = FromAi00(body, served->model->state_shape());
      return KeepImported(call, std::move(state), false, served, id, name, shared);
    }
    const auto bytes = ParseBase64(body.RequiredString("data"));
    if (!bytes) throw RequestError(400, "data is no Base64", "data", "invalid_value");
    ImportBytes(call, *bytes, layout, served, id, name, shared);
  }

  void ImportBytes(const RouteCall& call, std::vector<std::byte> bytes, const std::string& layout,
                   const std::shared_ptr<const ServedModel>& served, const std::string& id,
                   const std::string& name, bool shared) {
    if (layout == "signed") {
      const auto ready = OpenReadyState(
          bytes, *served, ReadSignedFacts(bytes, states_->key()).identity, states_->key());
      if (shared) RequireAdmin(call.request);
      Later(call,
            [self = shared_from_this(), ready, served, id, name, shared, owner = call.request.owner,
             claim = states_->ClaimWriter(call.request.owner, id)] {
              const KeptState kept = self->states_->Put(owner,
                                                        {.id = id,
                                                         .name = name,
                                                         .model = served->name,
                                                         .facts = ready->facts,
                                                         .shared = shared},
                                                        ready->snapshot);
              return Dump(StateObject(kept));
            });
      return;
    }
    const StateLayout peer = PeerLayout(layout);
    std::optional<State> state;
    try {
      state = ImportState(bytes, "the state", peer, served->model->state_shape());
    } catch (const Error& error) {
      // What TensorFile says of a checkpoint that is none.
      throw RequestError(422, error.what(), "data", "invalid_state");
    }
    KeepImported(call, *std::move(state), IsTuned(peer), served, id, name, shared);
  }

  // Nobody knows what computed it.
  void KeepImported(const RouteCall& call, State state, bool tuned,
                    const std::shared_ptr<const ServedModel>& served, const std::string& id,
                    const std::string& name, bool shared) {
    if (shared) RequireAdmin(call.request);
    const auto at = std::make_shared<const Snapshot>(Snapshot{std::move(state), {}});
    Later(call, [self = shared_from_this(), at, tuned, served, id, name, shared,
                 owner = call.request.owner, claim = states_->ClaimWriter(call.request.owner, id)] {
      StateFacts facts{.identity = served->identity, .made = TimeInSeconds(), .tuned = tuned};
      const KeptState kept = self->states_->Put(
          owner, {.id = id, .name = name, .model = served->name, .facts = facts, .shared = shared},
          *at);
      return Dump(StateObject(kept));
    });
  }

  static OrderedJson DifferenceOf(const State& a, const State& b) {
    const StateDifference found = Compare(a, b, false);
    const auto json = [](const PartDifference& d) {
      return OrderedJson{{"absolute", d.absolute}, {"relative", d.relative}};
    };
    OrderedJson layers = OrderedJson::array();
    for (const auto& parts : found.layers) {
      OrderedJson row = OrderedJson::object();
      for (const auto& [name, d] : parts) row[name] = json(d);
      layers.push_back(std::move(row));
    }
    OrderedJson answer = {{"object", "state.diff"},
                          {"absolute", found.largest.absolute},
                          {"relative", found.largest.relative},
                          {"layers", std::move(layers)}};
    if (a.past() != nullptr) {
      answer["tokens"] = {a.tokens(), b.tokens()};
      answer["same_tokens"] = SameTokens(a, b);
    }
    return answer;
  }

  const std::shared_ptr<const ServedModels> models_;
  const std::shared_ptr<KeptStates> states_;
};

}  // namespace

OrderedJson StateObject(const KeptState& state) {
  OrderedJson object = {
      {"id", state.id},
      {"object", "state"},
      {"created", state.facts.made},
      {"used", state.used},
      {"name", state.name},
      {"parent", state.parent.empty() ? OrderedJson() : OrderedJson(state.parent)},
      {"model", state.model},
      {"tokens", state.facts.tokens},
      {"tuned", state.facts.tuned},
      {"lossless", state.facts.lossless},
      {"identity", state.facts.identity},
      {"bytes", state.bytes},
      {"shared", state.shared}};
  return object;
}

void AddStateRoutes(Router& router, std::shared_ptr<const ServedModels> models,
                    std::shared_ptr<KeptStates> states) {
  const auto routes = std::make_shared<StateRoutes>(std::move(models), std::move(states));
  const auto add = [&](const char* method, const char* pattern,
                       void (StateRoutes::*answer)(const RouteCall&)) {
    router.Add(method, pattern,
               [routes, answer](const RouteCall& call) { ((*routes).*answer)(call); });
  };
  add("POST", "/v1/states", &StateRoutes::Create);
  add("GET", "/v1/states", &StateRoutes::List);
  add("POST", "/v1/states/diff", &StateRoutes::Diff);
  add("GET", "/v1/states/{state_id}", &StateRoutes::Get);
  add("PUT", "/v1/states/{state_id}", &StateRoutes::Put);
  add("POST", "/v1/states/{state_id}", &StateRoutes::Rename);
  add("DELETE", "/v1/states/{state_id}", &StateRoutes::Delete);
  add("POST", "/v1/states/{state_id}/fork", &StateRoutes::Fork);
  add("GET", "/v1/states/{state_id}/content", &StateRoutes::Content);
}

}  // namespace linnet
