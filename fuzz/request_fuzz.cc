// Bodies of requests: parsed, made a job with its prompt, grammar and stops, and answered from a
// text that is also of the input.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "fuzz_target.h"
#include "server/anthropic_messages.h"
#include "server/ollama.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/test_server.h"
#include "text/utf8.h"

// The first line is the text that the model writes, the rest the body.
LINNET_FUZZ_TARGET(request) {
  using namespace linnet;  // NOLINT
  struct Server {
    test::ScriptedScheduler scheduler;
    Router router;
    Server() {
      const auto models = std::make_shared<const ServedModels>(
          std::vector<std::shared_ptr<const ServedModel>>{test::ScriptedModel(scheduler, "g1")});
      AddChat(router, models);
      AddCompletions(router, models);
      AddAnthropicRoutes(router, models);
      AddOllamaRoutes(router, models, {});
    }
  };
  static Server server;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(input.find('\n'), input.size());
  const std::string body(input.substr(std::min(line + 1, input.size())));
  server.scheduler.texts = {ValidUtf8(input.substr(0, line))};
  server.scheduler.piece_bytes = 1 + size % 40;
  server.scheduler.jobs.clear();
  for (const char* path :
       {"/v1/chat/completions", "/v1/completions", "/v1/messages", "/api/chat", "/api/generate"}) {
    const auto reply = test::Ask(server.router, "POST", path, body);
    LINNET_CHECK(reply->ended);
    LINNET_CHECK(reply->status == 200 || (reply->status >= 400 && reply->status < 500));
  }
}
