// ChatRequest: a conversation to be continued, in no API's words. Each dialect parses its own
// requests into it.
#ifndef LINNET_SERVER_CHAT_REQUEST_H_
#define LINNET_SERVER_CHAT_REQUEST_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "linnet/sampler.h"
#include "server/json_fields.h"
#include "server/request_state.h"
#include "text/chat_messages.h"

namespace linnet {

struct ToolChoice {
  enum class Kind : uint8_t { kNone, kAuto, kRequired, kNamed };
  Kind kind = Kind::kAuto;
  std::string name{};  // kNamed
};

// What the answer must look like.
struct OutputFormat {
  enum class Kind : uint8_t { kText, kJson, kJsonSchema, kGbnf, kRegex, kAi00Bnf };
  Kind kind = Kind::kText;
  std::string text{};   // the schema as JSON, the grammar, the regular expression
  std::string param{};  // the field of the request it came from, for errors
};

// How a text is to be continued, for chat and for raw prompts. What is not set is the model's
// default.
struct GenerationFields {
  std::optional<float> temperature, top_p, min_p, typical, presence_penalty, frequency_penalty,
      penalty_decay;
  std::optional<int> top_k;
  std::optional<Mirostat> mirostat;
  std::optional<PenaltyKind> penalty;
  std::optional<SamplingOrder> order;
  std::map<int32_t, float> logit_bias{};
  std::optional<uint64_t> seed;
  std::optional<size_t> max_tokens;
  std::vector<std::string> stops{};
  bool ignore_end = false;  // writes on past the end of a text
  size_t choices = 1;
  bool logprobs = false;
  size_t top_logprobs = 0;
  bool use_cache = true;
  std::optional<std::chrono::milliseconds> timeout;
  OutputFormat format{};
  std::string prediction{};  // what the text may turn out to be
  StateFields state{};
  std::string lora{};  // the name of a loaded adapter; empty: none
};

// How much the model should think first. Templates that cannot think ignore it.
enum class Thinking : uint8_t { kDefault, kOff, kOn, kBit, kMedium, kLot };

struct ChatRequest {
  std::string model{};
  std::vector<int32_t> before{};  // tokens of an earlier text, which the messages go on from
  std::vector<ChatMessage> messages{};
  std::vector<ChatTool> tools{};
  ToolChoice tool_choice{};
  bool parallel_calls = true;
  Thinking thinking = Thinking::kDefault;
  GenerationFields generation{};
  bool stream = false;
  bool stream_usage = false;  // a last chunk with usage
  std::string owner{};        // HttpRequest::owner
};

// The fields that chat, completions and responses have in common: OpenAI's, and those of
// `linnet generate` and llama-server (top_k, min_p, typical_p, mirostat, mirostat_tau,
// mirostat_eta, penalty_decay, penalty, order, n_predict, grammar, json_schema, regex, no_cache,
// cache_prompt, ignore_eos, t_max_predict_ms …), and `state`, `return_state` and
// `lora`. Does not read n, logprobs or response_format.
// Throws RequestError naming the field. Unknown fields are ignored.
GenerationFields ParseGeneration(const Fields& body);

// The strings that end a text: one, or a list.
std::vector<std::string> ParseStops(const Fields& body, const char* name);

// {"type":"text"|"json_object"|"json_schema",…}: response_format of chat, whose schema is in an
// object `json_schema`, and text.format of responses, whose schema is at the same level.
OutputFormat ParseFormat(const Fields& format);

// The field `response_format`. Throws if there is another constraint already.
void ParseResponseFormat(const Fields& body, OutputFormat& format);

// "none", "minimal", "low", "medium", "high", "xhigh" or "max", the field `name`.
Thinking ParseEffort(const Fields& fields, const char* name);

// `tools`, as chat nests them ({"type":"function","function":{…}}) or flat as responses do, and the
// old `functions`. Tools of other types are left out.
std::vector<ChatTool> ParseTools(const Fields& body);
// `tool_choice`, nested or flat, and the old `function_call`.
ToolChoice ParseToolChoice(const Fields& body, const std::vector<ChatTool>& tools);

// For APIs with other names: a tool whose schema is in the field `schema`, with the checks of
// ParseTools; the choice of one by its name; and "none", "auto", "required" or "any". `where` is
// the field's name in errors.
void AddTool(std::vector<ChatTool>& tools, const Fields& function,
             const char* schema = "parameters");
ToolChoice NamedTool(const std::string& name, const std::vector<ChatTool>& tools,
                     const std::string& where);
ToolChoice WordChoice(const std::string& word, const std::vector<ChatTool>& tools,
                      const std::string& where);

// An element of `messages` in OpenAI's form.
ChatMessage ParseMessage(const Fields& message);

// A string, or a list of parts of the types text, input_text, output_text and refusal, joined.
std::string ParseContent(const Json& content, const std::string& where);

// A request of /v1/chat/completions. Throws RequestError.
ChatRequest ParseChat(const Json& body);

}  // namespace linnet

#endif  // LINNET_SERVER_CHAT_REQUEST_H_
