#include "server/ollama.h"

#include <fmt/format.h>

#include <chrono>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "server/admin.h"
#include "server/chat_job.h"
#include "server/chat_plan.h"
#include "server/completion_job.h"
#include "server/embeddings.h"
#include "server/error_forms.h"
#include "server/ollama_answer.h"
#include "server/ollama_models.h"
#include "server/ollama_request.h"
#include "server/text_run.h"

namespace linnet {
namespace {

using Clock = std::chrono::steady_clock;

// The answer's field `context`: the conversation so far, for the next request.
std::function<std::vector<int32_t>(const ChatMessage&)> ContextOf(
    const OllamaRequest& request, std::shared_ptr<const ServedModel> served,
    const std::vector<int32_t>& prompt) {
  if (request.raw) return {};
  if (!request.text) {
    return [served = std::move(served), chat = request.chat](const ChatMessage& reply) {
      return ConversationTokens(chat, reply, *served);
    };
  }
  return [served = std::move(served), prompt](const ChatMessage& reply) {
    std::vector<int32_t> context = prompt;
    const std::vector<int32_t> more = served->tokenizer->Encode(reply.text);
    context.insert(context.end(), more.begin(), more.end());
    return context;
  };
}

void AnswerOllama(const ServedModels& models, const RouteCall& call, bool is_chat) {
  const Json body = ParseBody(call.request.body);
  OllamaRequest request = is_chat ? ParseOllamaChat(body) : ParseOllamaGenerate(body);
  const auto served = models.Find(request.model);
  CheckAbilities(request, *served);
  OllamaAnswerOptions options;
  options.model = request.model.empty() ? TaggedName(*served) : request.model;
  options.chat = is_chat;
  options.stream = request.chat.stream;
  options.logprobs = request.chat.generation.logprobs;
  if (request.only_loads) {
    AnswerLoaded(*call.reply, options);
    return;
  }
  request.chat.owner = call.request.owner;
  std::vector<int32_t> prompt;  // of a text
  if (request.text) {
    request.text->owner = call.request.owner;
    prompt = request.chat.before;
    const std::vector<int32_t> ids =
        PromptIds(request.text->prompts.front(), request.text->suffix, *served);
    prompt.insert(prompt.end(), ids.begin(), ids.end());
  }
  if (!is_chat) options.context = ContextOf(request, served, prompt);
  auto events = std::make_shared<OllamaAnswer>(call.reply, call.request, served, options);
  CancelWhenGone(*call.reply,
                 request.text ? RunText(served, *request.text, std::move(prompt), std::move(events))
                              : RunChat(served, request.chat, std::move(events)));
}

std::string ListText(std::span<const std::string> vectors) {
  return fmt::format("[{}]", fmt::join(vectors, ","));
}

// /api/embed: one text or several. What is empty has no vectors, as with Ollama.
void AnswerEmbed(const std::shared_ptr<const ServedModels>& models, const RouteCall& call) {
  const Clock::time_point asked = Clock::now();
  const Json body = ParseBody(call.request.body);
  const Fields fields(body);
  CheckKeepAlive(fields);
  fields.Bool("truncate");
  const auto served = models->Find(fields.String("model").value_or(""));
  const std::string name = fields.String("model").value_or(TaggedName(*served));
  const auto answer = [name, asked](std::span<const std::string> vectors, size_t tokens) {
    return fmt::format(
        R"({{"model":{},"embeddings":{},"total_duration":{},"load_duration":1,"prompt_eval_count":{}}})",
        Dump(Json(name)), ListText(vectors), NanosecondsSince(asked), tokens);
  };
  const Json* input = fields.Find("input");
  if (input == nullptr || *input == "" || (input->is_array() && input->empty())) {
    call.reply->Send(200, answer({}, 0));
    return;
  }
  RunEmbeddings(served, ParseEmbedding(body, *models), call, answer);
}

// /api/embeddings, which came before: one text.
void AnswerEmbedding(const std::shared_ptr<const ServedModels>& models, const RouteCall& call) {
  Json body = ParseBody(call.request.body);
  const Fields fields(body);
  CheckKeepAlive(fields);
  const auto served = models->Find(fields.String("model").value_or(""));
  const std::string prompt = fields.String("prompt").value_or("");
  const auto answer = [](std::span<const std::string> vectors, size_t /*tokens*/) {
    return fmt::format(R"({{"embedding":{}}})", vectors.empty() ? "[]" : vectors.front());
  };
  if (prompt.empty()) {
    call.reply->Send(200, answer({}, 0));
    return;
  }
  body["input"] = prompt;
  RunEmbeddings(served, ParseEmbedding(body, *models), call, answer);
}

std::string ModelNamed(const Fields& body) {
  const auto name = body.String("name");
  return name && !body.Has("model") ? *name : body.RequiredString("model");
}

OrderedJson ProgressJson(const PullStatus& progress) {
  OrderedJson line = {{"status", progress.status}};
  if (!progress.digest.empty()) line["digest"] = progress.digest;
  if (progress.total > 0) {
    line["total"] = progress.total;
    line["completed"] = progress.completed;
  }
  return line;
}

constexpr const char* kSuccess = R"({"status":"success"})";

void AnswerPull(const ServedModels& models, const RouteCall& call, const ModelChanges& changes) {
  const Json json = ParseBody(call.request.body);
  const Fields body(json);
  const std::string name = ModelNamed(body);
  const bool stream = body.Bool("stream", true);
  const auto begin = [reply = call.reply] { reply->BeginStream(200, "application/x-ndjson"); };
  if (FindEntry(models.entries(), name) != nullptr) {  // clients pull before they ask
    if (!stream) {
      call.reply->Send(200, kSuccess);
      return;
    }
    begin();
    call.reply->Write(std::string(kSuccess) + "\n");
    call.reply->End();
    return;
  }
  ModelStore& changed = StoreFor(call.request, changes);
  ModelStore::PullEvents events;
  events.cancelled = [reply = call.reply] { return reply->gone(); };
  HttpRequest request;
  request.id = call.request.id;
  request.path = call.request.path;
  if (!stream) {
    events.done = [reply = call.reply, request](const Error* error) {
      if (error == nullptr) {
        reply->Send(200, kSuccess);
      } else {
        SendErrorTo(request, *reply, *error);
      }
    };
    changed.Pull(name, std::move(events));
    return;
  }
  const auto begun = std::make_shared<bool>(false);
  const auto line = [reply = call.reply, begin, begun](const std::string& text) {
    if (!std::exchange(*begun, true)) begin();
    reply->Write(text + "\n");
  };
  events.progress = [line](const PullStatus& progress) { line(Dump(ProgressJson(progress))); };
  events.done = [line, begun, reply = call.reply, request](const Error* error) {
    if (error != nullptr && !*begun) {
      SendErrorTo(request, *reply, *error);
      return;
    }
    line(error == nullptr ? kSuccess : ErrorText(ErrorForm::kOllama, AnswerOf(*error), request.id));
    reply->End();
  };
  changed.Pull(name, std::move(events));
}

void AnswerCopy(const RouteCall& call, const ModelChanges& changes) {
  const Json json = ParseBody(call.request.body);
  const Fields body(json);
  const std::string source = body.RequiredString("source");
  const std::string destination = body.RequiredString("destination");
  StoreFor(call.request, changes).Copy(source, destination);
  call.reply->Send(200, "{}");
}

void AnswerDelete(const RouteCall& call, const ModelChanges& changes) {
  const Json json = ParseBody(call.request.body);
  const std::string name = ModelNamed(Fields(json));
  StoreFor(call.request, changes).Delete(name);
  call.reply->Send(200, "{}");
}

}  // namespace

void AddOllamaRoutes(Router& router, std::shared_ptr<const ServedModels> models,
                     const ModelChanges& changes) {
  AddOllamaModelRoutes(router, models);
  router.Add("POST", "/api/chat",
             [models](const RouteCall& call) { AnswerOllama(*models, call, true); });
  router.Add("POST", "/api/generate",
             [models](const RouteCall& call) { AnswerOllama(*models, call, false); });
  router.Add("POST", "/api/embed", [models](const RouteCall& call) { AnswerEmbed(models, call); });
  router.Add("POST", "/api/embeddings",
             [models](const RouteCall& call) { AnswerEmbedding(models, call); });
  router.Add("POST", "/api/pull", [models = std::move(models), changes](const RouteCall& call) {
    AnswerPull(*models, call, changes);
  });
  router.Add("POST", "/api/copy", [changes](const RouteCall& call) { AnswerCopy(call, changes); });
  router.Add("DELETE", "/api/delete",
             [changes](const RouteCall& call) { AnswerDelete(call, changes); });
}

}  // namespace linnet
