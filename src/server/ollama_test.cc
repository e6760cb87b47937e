#include "server/ollama.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/api.h"
#include "server/json_fields.h"
#include "server/ollama_template.h"
#include "server/openai_errors.h"
#include "server/page_files.h"
#include "server/scripted_model.h"
#include "server/test_server.h"
#include "server/test_service.h"

namespace linnet {
namespace {

using test::RecordedReply;
using test::Service;

struct OllamaBench : test::ScriptedServer {
  explicit OllamaBench(const std::string& chat_template = "world", const ModelChanges& changes = {})
      : ScriptedServer(chat_template) {
    AddOllamaRoutes(router, models, changes);
  }

  std::shared_ptr<RecordedReply> Post(const std::string& path, const std::string& body) const {
    return test::Ask(router, "POST", path, body);
  }
  // The answer to a request with these fields that is not streamed.
  Json Whole(const std::string& path, const std::string& fields) const {
    const auto reply = Post(path, R"({"stream":false,)" + fields + "}");
    EXPECT_EQ(reply->status, 200) << reply->body;
    EXPECT_EQ(reply->content_type, "application/json");
    return Json::parse(reply->body, nullptr, false);
  }
  Json Chat(const std::string& fields) const { return Whole("/api/chat", fields); }
  Json Generate(const std::string& fields) const { return Whole("/api/generate", fields); }
  std::string ErrorOf(const std::string& path, const std::string& body, int status = 400) const {
    const auto reply = Post(path, body);
    EXPECT_EQ(reply->status, status) << reply->body;
    const Json error = Json::parse(reply->body, nullptr, false);
    EXPECT_EQ(error.size(), 1u);
    return error.value("error", "");
  }
};

// The lines of a stream, without their head and the numbers of the last.
std::vector<Json> LinesOf(const RecordedReply& reply) {
  EXPECT_EQ(reply.content_type, "application/x-ndjson");
  std::vector<Json> lines;
  for (const std::string& chunk : reply.chunks) {
    EXPECT_EQ(chunk.find('\n'), chunk.size() - 1);
    Json line = Json::parse(chunk);
    for (const char* name : {"model", "created_at"}) EXPECT_EQ(line.erase(name), 1u) << chunk;
    if (line["done"] == true) {
      for (const char* name : {"total_duration", "load_duration", "prompt_eval_count",
                               "prompt_eval_duration", "eval_count", "eval_duration"}) {
        EXPECT_GT(line[name], 0) << name;
        line.erase(name);
      }
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

constexpr const char* kHi = R"("messages":[{"role":"user","content":"Hi"}])";
constexpr const char* kWeather =
    R"("tools":[{"type":"function","function":{"name":"weather","description":"Tells it.",
       "parameters":{"type":"object","properties":{"city":{"type":"string"}},
       "required":["city"]}}}])";

TEST(OllamaTest, ChatStreamsLines) {
  OllamaBench bench;
  bench.scheduler.texts = {" Hé."};
  bench.scheduler.piece_bytes = 4;
  const auto reply =
      bench.Post("/api/chat", std::string("{\"model\":\"tiny:latest\",") + kHi + "}");
  EXPECT_EQ(LinesOf(*reply),
            (std::vector<Json>{
                Json::parse(R"({"message":{"role":"assistant","content":"Hé"},"done":false})"),
                Json::parse(R"({"message":{"role":"assistant","content":"."},"done":false})"),
                Json::parse(R"({"message":{"role":"assistant","content":""},"done":true,
                                "done_reason":"stop"})")}));
  EXPECT_EQ(Json::parse(reply->chunks[0])["model"], "tiny:latest");
  EXPECT_EQ(bench.Prompt(), "User: Hi\n\nAssistant:");
  EXPECT_EQ(reply->tokens, 22u);
}

TEST(OllamaTest, ChatAnswersWhole) {
  OllamaBench bench;
  bench.scheduler.texts = {" Hello."};
  const Json answer = bench.Chat(kHi);
  EXPECT_EQ(answer["message"], Json({{"role", "assistant"}, {"content", "Hello."}}));
  EXPECT_EQ(answer["model"], "tiny:latest");
  EXPECT_EQ(answer["done_reason"], "stop");
  EXPECT_EQ(answer["prompt_eval_count"], 20);
  EXPECT_EQ(answer["eval_count"], 7);
  EXPECT_GE(answer["total_duration"].get<int64_t>(), answer["eval_duration"].get<int64_t>());
  EXPECT_EQ(bench.Chat(std::string(kHi) + R"(,"options":{"num_predict":2})")["done_reason"],
            "length");
}

TEST(OllamaTest, OptionsReachTheSampler) {
  OllamaBench bench;
  bench.Chat(std::string(kHi) +
             R"(,"keep_alive":"5m","options":{"temperature":0.5,"top_p":0.9,"top_k":20,"min_p":0.1,
                "typical_p":0.7,"seed":7,"presence_penalty":0.2,"frequency_penalty":0.3,
                "repeat_penalty":1.1,"repeat_last_n":64,"num_ctx":2048,"num_keep":4,
                "stop":["x"],"num_predict":-1,"mirostat":0})");
  const Job& job = bench.scheduler.jobs.back();
  EXPECT_EQ(job.sampler.temperature, 0.5f);
  EXPECT_EQ(job.sampler.top_p, 0.9f);
  EXPECT_EQ(job.sampler.top_k, 20);
  EXPECT_EQ(job.sampler.min_p, 0.1f);
  EXPECT_EQ(job.sampler.typical, 0.7f);
  EXPECT_EQ(job.sampler.seed, 7u);
  EXPECT_EQ(job.sampler.presence_penalty, 0.2f);
  EXPECT_EQ(job.sampler.frequency_penalty, 0.3f);
  EXPECT_EQ(job.text.stops.front(), "x");
  EXPECT_EQ(job.text.max_tokens, bench.model->max_tokens);
  EXPECT_NE(
      bench.ErrorOf("/api/chat", std::string("{\"options\":{\"temperature\":-1},") + kHi + "}")
          .find("options.temperature is -1"),
      std::string::npos);
}

TEST(OllamaTest, CallsComeInALineOfTheirOwn) {
  OllamaBench bench;
  bench.scheduler.texts = {
      " Well.\n```json\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n```"};
  bench.scheduler.piece_bytes = 100;
  const auto reply = bench.Post("/api/chat", std::string("{") + kWeather + "," + kHi + "}");
  const std::vector<Json> lines = LinesOf(*reply);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["message"]["content"], "Well.");
  const Json& call = lines[1];
  EXPECT_EQ(call["done"], false);
  EXPECT_EQ(call["message"]["content"], "");
  ASSERT_EQ(call["message"]["tool_calls"].size(), 1u);
  EXPECT_EQ(call["message"]["tool_calls"][0]["function"],
            Json::parse(R"({"index":0,"name":"weather","arguments":{"city":"Oslo"}})"));
  EXPECT_EQ(lines[2], Json::parse(R"({"message":{"role":"assistant","content":""},"done":true,
                                      "done_reason":"stop"})"));
  const Json whole = bench.Chat(std::string(kWeather) + "," + kHi);
  EXPECT_EQ(whole["message"]["content"], "Well.");
  EXPECT_EQ(whole["message"]["tool_calls"][0]["function"]["arguments"]["city"], "Oslo");
  // The result comes back.
  bench.Chat(std::string(kWeather) + R"(,"messages":[{"role":"user","content":"Rain?"},
    {"role":"assistant","content":"","thinking":"hm","tool_calls":[{"function":{"name":"weather",
     "arguments":{"city":"Rome"}}}]},{"role":"tool","tool_name":"weather","content":"dry"}])");
  EXPECT_TRUE(bench.Prompt().ends_with(
      "Assistant: ```json\n{\"name\":\"weather\",\"arguments\":{\"city\":\"Rome\"}}\n```\n\n"
      "User: Function output:\ndry\n\nAssistant:"))
      << bench.Prompt();
}

TEST(OllamaTest, ThinkingHasItsOwnField) {
  OllamaBench bench("g1");
  bench.scheduler.texts = {">\nhm\n</think>\nHello."};
  bench.scheduler.piece_bytes = 30;
  const Json answer = bench.Chat(std::string(kHi) + R"(,"think":true)");
  EXPECT_EQ(answer["message"],
            Json::parse(R"({"role":"assistant","content":"Hello.","thinking":"hm"})"));
  const std::vector<Json> lines =
      LinesOf(*bench.Post("/api/generate", R"({"prompt":"Hi","think":"low"})"));
  EXPECT_EQ(bench.Prompt(), "User: Hi (think a bit)\n\nAssistant: <think");
  EXPECT_EQ(lines[0], Json::parse(R"({"response":"","thinking":"hm","done":false})"));
  EXPECT_EQ(lines[1], Json::parse(R"({"response":"Hello.","done":false})"));
  bench.Chat(std::string(kHi) + R"(,"think":false)");
  EXPECT_EQ(bench.Prompt(), "User: Hi\n\nAssistant: <think>\n</think");
  OllamaBench raven("raven");
  EXPECT_EQ(raven.ErrorOf("/api/chat", std::string("{\"think\":true,") + kHi + "}"),
            R"("tiny" does not support thinking)");
  EXPECT_EQ(raven.ErrorOf("/api/chat", std::string("{") + kWeather + "," + kHi + "}"),
            R"("tiny" does not support tools)");
}

TEST(OllamaTest, FormatsBindTheText) {
  OllamaBench bench;
  bench.scheduler.texts = {"{\"a\": 1}"};
  for (const char* format : {R"("json")", R"({"type":"object"})"}) {
    const Json answer = bench.Chat(std::string(kHi) + R"(,"format":)" + format);
    EXPECT_EQ(answer["message"]["content"], "{\"a\": 1}");
    EXPECT_NE(bench.scheduler.jobs.back().grammar, nullptr);
  }
  bench.Chat(std::string(kHi) + R"(,"format":"")");
  EXPECT_EQ(bench.scheduler.jobs.back().grammar, nullptr);
  bench.ErrorOf("/api/chat", std::string("{\"format\":\"xml\",") + kHi + "}");
}

TEST(OllamaTest, GenerateRawTemplateAndSuffix) {
  OllamaBench bench;
  bench.scheduler.texts = {" yes"};
  EXPECT_EQ(bench.Generate(R"("prompt":"Hi","system":"Be kind.")")["response"], "yes");
  EXPECT_EQ(bench.Prompt(), "System: Be kind.\n\nUser: Hi\n\nAssistant:");
  const Json raw = bench.Generate(R"("prompt":"Once","raw":true)");
  EXPECT_EQ(bench.Prompt(), "Once");
  EXPECT_EQ(raw["response"], " yes");
  EXPECT_FALSE(raw.contains("context"));
  bench.Generate(
      R"("prompt":"Hi","system":"S","template":"{{ if .System }}[{{ .System }}] {{ end }}Q: {{ .Prompt }}\nA: {{ .Response }}\n")");
  EXPECT_EQ(bench.Prompt(), "[S] Q: Hi\nA:");
  bench.Generate(R"("prompt":"a","suffix":"z")");
  EXPECT_EQ(bench.Prompt(), "✿prefix✿✿suffix✿z✿middle✿a");
  bench.ErrorOf("/api/generate", R"({"prompt":"a","raw":true,"system":"S"})");
  EXPECT_NE(bench.ErrorOf("/api/generate", R"({"prompt":"a","images":["aGk="]})")
                .find("models here read only text"),
            std::string::npos);
}

TEST(OllamaTest, ContextGoesOnFromTheLastAnswer) {
  OllamaBench bench;
  bench.scheduler.texts = {" One."};
  const Json first = bench.Generate(R"("prompt":"Hi")");
  const std::string past = "User: Hi\n\nAssistant: One.\n\n";
  EXPECT_EQ(bench.model->tokenizer->Decode(first["context"].get<std::vector<int32_t>>()), past);
  bench.Generate(R"("prompt":"More","context":)" + first["context"].dump());
  EXPECT_EQ(bench.Prompt(), past + "User: More\n\nAssistant:");
  EXPECT_EQ(bench.scheduler.jobs.back().marks, (std::vector<size_t>{past.size() + 12}));
  bench.Generate(R"("prompt":"x","template":"{{ .Prompt }}!","context":[97,98])");
  EXPECT_EQ(bench.Prompt(), "abx!");
  for (const char* bad : {"[256]", "[-1]", "[\"a\"]", "[1.5]", "5"}) {
    bench.ErrorOf("/api/generate", std::string(R"({"prompt":"a","context":)") + bad + "}");
  }
}

TEST(OllamaTest, LogprobsComeWithTheText) {
  OllamaBench bench;
  bench.scheduler.texts = {"ab"};
  const Json whole = bench.Chat(std::string(kHi) + R"(,"logprobs":true,"top_logprobs":1)");
  ASSERT_EQ(whole["logprobs"].size(), 2u);
  EXPECT_EQ(whole["logprobs"][1], Json::parse(R"({"token":"b","logprob":-0.25,"bytes":[98],
              "top_logprobs":[{"token":"a","logprob":-1.0,"bytes":[97]}]})"));
  const std::vector<Json> lines =
      LinesOf(*bench.Post("/api/generate", R"({"prompt":"Hi","logprobs":true})"));
  EXPECT_EQ(lines[0]["logprobs"][0]["token"], "a");
}

TEST(OllamaTest, EmptyRequestsLoad) {
  OllamaBench bench;
  EXPECT_EQ(bench.Chat(R"("messages":[])")["done_reason"], "load");
  EXPECT_EQ(bench.Generate(R"("keep_alive":0)")["response"], "");
  const auto streamed = bench.Post("/api/generate", R"({"model":"tiny"})");
  ASSERT_EQ(streamed->chunks.size(), 1u);
  EXPECT_EQ(Json::parse(streamed->chunks[0])["done"], true);
  EXPECT_TRUE(bench.scheduler.jobs.empty());
}

TEST(OllamaTest, ErrorsAreOneLine) {
  OllamaBench bench;
  EXPECT_EQ(bench.ErrorOf("/api/chat", std::string("{\"model\":\"llama3\",") + kHi + "}", 404),
            "no model 'llama3'; served: tiny");
  bench.ErrorOf("/api/chat", "{");
  EXPECT_EQ(test::Ask(bench.router, "GET", "/api/chat")->body,
            R"({"error":"no route GET /api/chat; allowed: POST"})");
  EXPECT_EQ(test::Ask(bench.router, "POST", "/api/push", "{}")->status, 404);
  bench.scheduler.holds = true;
  const auto late = bench.Post("/api/chat", std::string("{") + kHi + "}");
  bench.scheduler.held[0].listener->OnStart();
  bench.scheduler.held[0].listener->OnError(Error(ErrorKind::kNoMemory, "no room"));
  EXPECT_EQ(late->chunks.back(), "{\"error\":\"no room\"}\n");
  EXPECT_TRUE(late->ended);
  const auto gone = bench.Post("/api/generate", R"({"prompt":"a","raw":true})");
  gone->Leave();
  EXPECT_EQ(bench.scheduler.cancelled, (std::vector<uint64_t>{2}));
}

TEST(OllamaTest, TellsItsModelsAndWhatTheyCanDo) {
  OllamaBench bench("g1");
  const auto get = [&](const std::string& path) {
    const auto reply = test::Ask(bench.router, "GET", path);
    EXPECT_EQ(reply->status, 200);
    return Json::parse(reply->body, nullptr, false);
  };
  EXPECT_TRUE(get("/api/version")["version"].is_string());
  const Json listed = get("/api/tags")["models"][0];
  EXPECT_EQ(listed["name"], "tiny:latest");
  EXPECT_EQ(listed["modified_at"], "1970-01-01T00:00:01.000Z");
  EXPECT_EQ(listed["digest"].get<std::string>().size(), 64u);
  for (const char* name :
       {"parent_model", "format", "family", "families", "parameter_size", "quantization_level"}) {
    EXPECT_TRUE(listed["details"].contains(name)) << name;
  }
  const Json running = get("/api/ps")["models"][0];
  EXPECT_EQ(running["model"], "tiny:latest");
  EXPECT_EQ(running["size_vram"], 0);
  EXPECT_EQ(running["context_length"], 4096);
  const Json shown = Json::parse(bench.Post("/api/show", R"({"model":"tiny"})")->body);
  EXPECT_EQ(shown["capabilities"], Json({"completion", "tools", "thinking"}));
  EXPECT_EQ(shown["template"],
            "{{ if .System }}System: {{ .System }}\n\n{{ end }}User: {{ .Prompt }}\n\n"
            "Assistant: {{ .Response }}\n\n");
  EXPECT_EQ(shown["model_info"]["general.architecture"], "rwkv");
  EXPECT_NE(shown["modelfile"].get<std::string>().find("\nPARAMETER stop \"\\n\\nUser:\""),
            std::string::npos);
  EXPECT_EQ(Json::parse(OllamaBench("raven").Post("/api/show", "{}")->body)["capabilities"],
            Json::array({"completion"}));
  bench.ErrorOf("/api/show", R"({"name":"other"})", 404);
}

// With all routes of the server.
TEST(OllamaTest, TheRootIsALineOrAPage) {
  OllamaBench bench;
  const Metrics metrics;
  const Api api(bench.models, metrics, {});
  const auto ask = [&](const std::string& accept) {
    const auto reply = std::make_shared<RecordedReply>();
    HttpRequest request;
    request.method = "GET";
    request.path = "/";
    if (!accept.empty()) request.headers = {{"accept", accept}};
    api.router().Handle(std::move(request), reply);
    return reply->body;
  };
  EXPECT_EQ(ask(""), "Ollama is running");
  EXPECT_EQ(ask("*/*"), "Ollama is running");
  EXPECT_EQ(ask("application/json"), "Ollama is running");
  if (PageFiles().empty()) GTEST_SKIP() << "web/dist is empty: the page is not built in";
  EXPECT_NE(ask("text/html,application/xhtml+xml,*/*;q=0.8").find("<html"), std::string::npos);
}

TEST(OllamaTest, EmbedsOneTextOrSeveral) {
  test::ScriptedEngine engine;
  const auto models = std::make_shared<const ServedModels>(
      std::vector<std::shared_ptr<const ServedModel>>{test::ScriptedModel(engine)});
  Router router;
  AddOllamaRoutes(router, models, {});
  const auto ask = [&](const std::string& path, const std::string& body, int status = 200) {
    return test::AnswerTo(router, "POST", path, body, "", status);
  };
  const Json two =
      ask("/api/embed", R"({"model":"tiny:latest","input":["ab","c"],"truncate":true})");
  EXPECT_EQ(two["model"], "tiny:latest");
  EXPECT_EQ(two["embeddings"], Json::parse("[[0.6,0,-0.8],[0.6,0,-0.8]]"));
  EXPECT_EQ(two["prompt_eval_count"], 3);
  EXPECT_GT(two["total_duration"], 0);
  EXPECT_EQ(ask("/api/embed", R"({"input":"ab"})")["embeddings"].size(), 1u);
  for (const char* none : {R"({"input":[]})", R"({"input":""})", "{}"}) {
    EXPECT_EQ(ask("/api/embed", none)["embeddings"], Json::array());
  }
  EXPECT_EQ(ask("/api/embeddings", R"({"prompt":"ab"})")["embedding"], Json::parse("[0.6,0,-0.8]"));
  EXPECT_EQ(ask("/api/embeddings", R"({"prompt":""})")["embedding"], Json::array());
  EXPECT_TRUE(ask("/api/embed", R"({"input":[""]})", 400)["error"].is_string());
  engine.before = [](const Job&) { throw Error(ErrorKind::kBusy, "the queue is full"); };
  EXPECT_EQ(ask("/api/embed", R"({"input":"ab"})", 429)["error"], "the queue is full");
}

class ScriptedStore : public ModelStore {
 public:
  std::vector<std::string> calls{};
  std::optional<Error> failure{};

  void Pull(const std::string& name, PullEvents events) override {
    calls.push_back("pull " + name);
    if (failure && failure->kind() == ErrorKind::kBadInput) throw *failure;
    if (events.progress) {
      events.progress({.status = "pulling manifest"});
      events.progress({.status = "pulling", .digest = "sha256:0", .total = 10, .completed = 4});
    }
    events.done(failure ? &*failure : nullptr);
  }
  void Copy(const std::string& source, const std::string& destination) override {
    calls.push_back("copy " + source + " " + destination);
  }
  void Delete(const std::string& name) override { calls.push_back("delete " + name); }
};

std::shared_ptr<RecordedReply> AskFrom(const Router& router, const std::string& method,
                                       const std::string& path, const std::string& body,
                                       const std::string& peer, const std::string& owner = "",
                                       bool admin = false) {
  auto reply = std::make_shared<RecordedReply>();
  HttpRequest request;
  request.method = method;
  request.path = path;
  request.body = body;
  request.peer = peer;
  request.owner = owner;
  request.admin = admin;
  router.Handle(std::move(request), reply);
  return reply;
}

TEST(OllamaTest, ModelsAreChangedByAdminsOnly) {
  ScriptedStore store;
  const OllamaBench closed("world", {.store = &store});
  const OllamaBench open("world", {.store = &store, .from_here = true});
  const auto copy = [&](const OllamaBench& bench, const std::string& peer,
                        const std::string& owner = "", bool admin = false) {
    return AskFrom(bench.router, "POST", "/api/copy", R"({"source":"a","destination":"b"})", peer,
                   owner, admin)
        ->status;
  };
  for (const OllamaBench* bench : {&closed, &open}) {
    EXPECT_EQ(copy(*bench, "192.0.2.1:5"), 403);
    EXPECT_EQ(copy(*bench, "192.0.2.1:5", "anna"), 403);
    EXPECT_EQ(copy(*bench, "127.0.0.1:5", "anna"), 403);
    EXPECT_EQ(copy(*bench, "[2001:db8::1]:5"), 403);
    EXPECT_EQ(copy(*bench, ""), 403);
  }
  // Who is on this machine is no administrator unless the operator says so.
  for (const char* here : {"127.0.0.1:5", "[::1]:5", "unix"}) EXPECT_EQ(copy(closed, here), 403);
  EXPECT_TRUE(store.calls.empty());
  EXPECT_EQ(copy(closed, "192.0.2.1:5", "root", true), 200);
  for (const char* here : {"127.0.0.1:5", "[::1]:5", "unix"}) EXPECT_EQ(copy(open, here), 200);
  EXPECT_EQ(store.calls.size(), 4u);
}

TEST(OllamaTest, PullTellsItsProgress) {
  ScriptedStore store;
  OllamaBench bench("world", {.store = &store, .from_here = true});
  const auto pull = [&](const std::string& fields) {
    return AskFrom(bench.router, "POST", "/api/pull", R"({"model":"new")" + fields + "}", "unix");
  };
  EXPECT_EQ(pull("")->body,
            "{\"status\":\"pulling manifest\"}\n"
            "{\"status\":\"pulling\",\"digest\":\"sha256:0\",\"total\":10,\"completed\":4}\n"
            "{\"status\":\"success\"}\n");
  EXPECT_EQ(pull(R"(,"stream":false)")->body, R"({"status":"success"})");
  store.failure = Error(ErrorKind::kNoMemory, "no room");
  EXPECT_TRUE(pull("")->body.ends_with("{\"error\":\"no room\"}\n"));
  EXPECT_EQ(pull(R"(,"stream":false)")->status, 503);
  store.failure = Error(ErrorKind::kBadInput, "no such model");
  EXPECT_EQ(pull("")->status, 400);
  EXPECT_EQ(AskFrom(bench.router, "DELETE", "/api/delete", R"({"name":"old"})", "unix")->status,
            200);
  EXPECT_EQ(store.calls.back(), "delete old");
  // What is served is there for everyone.
  EXPECT_EQ(AskFrom(bench.router, "POST", "/api/pull", R"({"model":"tiny"})", "192.0.2.1:5")->body,
            "{\"status\":\"success\"}\n");
}

TEST(OllamaTest, AServerWithoutAStoreSaysSo) {
  OllamaBench bench("world", {.from_here = true, .way_out = "give it a folder"});
  const auto reply = AskFrom(bench.router, "POST", "/api/pull", R"({"model":"new"})", "unix");
  EXPECT_EQ(reply->status, 403);
  const std::string error = Json::parse(reply->body)["error"];
  EXPECT_NE(error.find("give it a folder"), std::string::npos) << error;
}

TEST(OllamaTemplateTest, Expands) {
  const TemplateValues values{.system = "S", .prompt = "P", .suffix = ""};
  const struct {
    const char* text;
    const char* expanded;
  } kCases[] = {{"{{ .System }}: {{.Prompt}}", "S: P"},
                {"{{ if .Suffix }}x{{ else }}y{{ end }}", "y"},
                {"{{ if .System }}a{{ if .Suffix }}b{{ end }}c{{ else }}d{{ end }}", "ac"},
                {"a {{- .Prompt -}} \n b", "aPb"},
                {"{{/* nothing */}}{{ .Prompt }} {{ .Response }} more {{ range .X }}", "P"},
                {"{{ if .Response }}x{{ end }}{{ .Prompt }}", "P"},
                {"no action", "no action"},
                {"", ""}};
  for (const auto& c : kCases) EXPECT_EQ(ExpandTemplate(c.text, values), c.expanded) << c.text;
  for (const char* bad : {"{{ .Prompt", "{{ range .Messages }}{{ end }}", "{{ end }}", "{{ else }}",
                          "{{ if .System }}", "{{ if .System }}{{ else }}{{ else }}{{ end }}",
                          "{{ .Tools }}", "{{}}"}) {
    EXPECT_THROW(ExpandTemplate(bad, values), RequestError) << bad;
  }
}

// The shown template is the chat template.
TEST(OllamaTemplateTest, IsWhatAModelIsAsked) {
  for (const std::string& name : ChatTemplate::Names()) {
    const ChatTemplate& chat = ChatTemplate::Named(name);
    if (chat.form().json) continue;  // escapes the user's text
    const ChatMessage messages[] = {{.role = ChatRole::kSystem, .text = "Be kind."},
                                    {.role = ChatRole::kUser, .text = "Hi"}};
    const std::string asked = chat.Render(messages, {}, {}).text;
    TemplateValues values;
    values.system = "Be kind.";
    values.prompt = "Hi";
    const std::string expanded = ExpandTemplate(TemplateText(chat.form()), values);
    EXPECT_EQ(expanded, asked) << name;
  }
}

TEST(OllamaThreadTest, ContextIsFoundInTheCache) {
  Service service(true), plain(false);
  Json body = {
      {"prompt", "Tell me."}, {"stream", false}, {"options", {{"num_predict", 20}, {"seed", 1}}}};
  body["context"] = service.Post("/api/generate", body)["context"];
  service.Settle();
  body["prompt"] = "More.";
  // Without a reply there is nothing else to look up.
  Json silent = body;
  for (const char* letter = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ \n"; *letter != 0;
       ++letter) {
    silent["options"]["stop"].push_back(std::string(1, *letter));
  }
  const uint64_t before = service.cached().tokens_saved;
  EXPECT_EQ(service.Post("/api/generate", silent)["response"], "");
  service.Settle();
  EXPECT_EQ(service.cached().tokens_saved - before, body["context"].size());
  const Json answer = service.Post("/api/generate", body);
  const Json same = plain.Post("/api/generate", body);
  for (const char* name : {"response", "context", "prompt_eval_count", "eval_count"}) {
    EXPECT_EQ(answer[name], same[name]) << name;
  }
  EXPECT_EQ(answer["prompt_eval_count"],
            body["context"].size() + std::string("User: More.\n\nAssistant:").size());
}

}  // namespace
}  // namespace linnet
