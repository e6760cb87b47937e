// The fields of a request that say how its text is sampled and when it ends.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "server/chat_request.h"
#include "server/openai_errors.h"

namespace linnet {
namespace {

constexpr size_t kMostStops = 64, kLongestStop = 1024;
constexpr size_t kMostBiases = 65536;
constexpr int64_t kMostTokens = int64_t{1} << 30;
constexpr double kMostPenalty = 100;

void Set(std::optional<float>& field, const std::optional<double>& value) {
  if (value) field = static_cast<float>(*value);
}

int32_t ParseId(const Json& id, const std::string& where) {
  int32_t number = -1;
  if (id.is_number_integer()) {
    const auto wide = id.get<int64_t>();
    if (wide >= 0 && wide <= std::numeric_limits<int32_t>::max()) {
      number = static_cast<int32_t>(wide);
    }
  } else if (id.is_string()) {
    const auto& text = id.get_ref<const std::string&>();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) number = -1;
  }
  if (number < 0) {
    throw RequestError(400, fmt::format("{} has a key that is no token id", where), where,
                       "invalid_value");
  }
  return number;
}

float ParseBias(const Json& bias, const std::string& where) {
  if (bias.is_boolean() && !bias.get<bool>()) return -std::numeric_limits<float>::infinity();
  const double value = bias.is_number() ? bias.get<double>() : NAN;
  if (!(std::abs(value) <= 1000)) {
    throw RequestError(400,
                       fmt::format("{} has a bias that is no number from -1000 to 1000", where),
                       where, "invalid_value");
  }
  return static_cast<float>(value);
}

// {"id": bias}, or llama-server's [[id, bias]], where false bans a token.
void ParseLogitBias(const Fields& body, GenerationFields& fields) {
  const Json* biases = body.Find("logit_bias");
  if (biases == nullptr) return;
  const std::string where = body.NameOf("logit_bias");
  if (biases->size() > kMostBiases) {
    throw RequestError(400, fmt::format("{} has more than {} entries", where, kMostBiases), where);
  }
  if (biases->is_object()) {
    for (const auto& [id, bias] : biases->items()) {
      fields.logit_bias[ParseId(id, where)] = ParseBias(bias, where);
    }
    return;
  }
  const auto refuse = [&] {
    throw RequestError(400, fmt::format("{} is neither an object nor a list of pairs", where),
                       where, "invalid_type");
  };
  if (!biases->is_array()) refuse();
  for (const Json& pair : *biases) {
    if (!pair.is_array() || pair.size() != 2) refuse();
    fields.logit_bias[ParseId(pair[0], where)] = ParseBias(pair[1], where);
  }
}

// llama-server's: 0 is off, 2 the version that there is.
void ParseMirostat(const Fields& body, GenerationFields& fields) {
  const auto version = body.Integer("mirostat", 0, 2);
  if (!version || *version == 0) return;
  if (*version == 1) {
    throw RequestError(400, "mirostat is 1, expected 0 or 2", "mirostat", "invalid_value");
  }
  Mirostat mirostat;
  if (const auto tau = body.Number("mirostat_tau", 1e-6, 1000)) {
    mirostat.tau = static_cast<float>(*tau);
  }
  if (const auto rate = body.Number("mirostat_eta", 0, 1000)) {
    mirostat.rate = static_cast<float>(*rate);
  }
  fields.mirostat = mirostat;
}

// llama-server's constraints, which stand beside response_format.
void ParseConstraint(const Fields& body, OutputFormat& format) {
  const auto set = [&](OutputFormat::Kind kind, std::string text, const char* param) {
    if (format.kind != OutputFormat::Kind::kText) {
      throw RequestError(400, fmt::format("{} and {} are both given", format.param, param), param,
                         "invalid_value");
    }
    format = {kind, std::move(text), body.NameOf(param)};
  };
  if (auto grammar = body.String("grammar"); grammar && !grammar->empty()) {
    set(OutputFormat::Kind::kGbnf, *std::move(grammar), "grammar");
  }
  if (const Json* schema = body.Find("json_schema")) {
    // Ollama's clients send an empty object for none.
    if (!schema->is_object() && !schema->is_boolean()) {
      throw RequestError(400, "json_schema is no schema", body.NameOf("json_schema"),
                         "invalid_type");
    }
    set(OutputFormat::Kind::kJsonSchema, Dump(*schema), "json_schema");
  }
  if (auto regex = body.String("regex"); regex && !regex->empty()) {
    set(OutputFormat::Kind::kRegex, *std::move(regex), "regex");
  }
}

std::string ParsePrediction(const Fields& body) {
  const auto prediction = body.Object("prediction");
  if (!prediction) return {};
  prediction->RequiredString("type");
  prediction->Word("type", {"content"});
  const Json* content = prediction->Find("content");
  if (content == nullptr) prediction->RequiredString("content");
  return ParseContent(*content, prediction->NameOf("content"));
}

}  // namespace

std::vector<std::string> ParseStops(const Fields& body, const char* name) {
  std::vector<std::string> stops = body.Strings(name, kMostStops);
  for (const std::string& stop : stops) {
    if (stop.empty() || stop.size() > kLongestStop) {
      throw RequestError(400,
                         fmt::format("{} has a string of {} bytes, expected 1 to {}",
                                     body.NameOf(name), stop.size(), kLongestStop),
                         body.NameOf(name), "invalid_value");
    }
  }
  return stops;
}

GenerationFields ParseGeneration(const Fields& body) {
  GenerationFields fields;
  Set(fields.temperature, body.Number("temperature", 0, 100));
  Set(fields.top_p, body.Number("top_p", 0, 1));
  Set(fields.min_p, body.Number("min_p", 0, 1));
  Set(fields.typical, body.Number("typical_p", 0, 1));
  Set(fields.typical, body.Number("typical", 0, 1));
  Set(fields.presence_penalty, body.Number("presence_penalty", -kMostPenalty, kMostPenalty));
  Set(fields.frequency_penalty, body.Number("frequency_penalty", -kMostPenalty, kMostPenalty));
  Set(fields.penalty_decay, body.Number("penalty_decay", 0, 1));
  if (const auto top_k = body.Integer("top_k", -1, std::numeric_limits<int>::max())) {
    fields.top_k = static_cast<int>(std::max<int64_t>(*top_k, 0));
  }
  ParseMirostat(body, fields);
  if (const auto penalty = body.Word("penalty", {"rwkv", "ai00"})) {
    fields.penalty = *penalty == "rwkv" ? PenaltyKind::kRwkv : PenaltyKind::kAi00;
  }
  if (const auto order = body.Word("order", {"rwkv", "openai"})) {
    fields.order = *order == "rwkv" ? SamplingOrder::kRwkv : SamplingOrder::kOpenAI;
  }
  ParseLogitBias(body, fields);
  const auto seed = body.Integer("seed", std::numeric_limits<int64_t>::min(),
                                 std::numeric_limits<int64_t>::max());
  if (seed && *seed != -1) fields.seed = static_cast<uint64_t>(*seed);  // -1: any
  for (const char* name : {"n_predict", "max_tokens", "max_completion_tokens"}) {
    const auto most = body.Integer(name, -1, kMostTokens);
    if (most && *most >= 0) fields.max_tokens = static_cast<size_t>(*most);
  }
  fields.stops = ParseStops(body, "stop");
  fields.ignore_end = body.Bool("ignore_eos", false);
  fields.use_cache = !body.Bool("no_cache", false) && body.Bool("cache_prompt", true);
  if (const auto time = body.Integer("t_max_predict_ms", -1, kMostTokens); time && *time > 0) {
    fields.timeout = std::chrono::milliseconds(*time);
  }
  ParseConstraint(body, fields.format);
  fields.prediction = ParsePrediction(body);
  fields.state = ParseStateFields(body);
  fields.lora = body.String("lora").value_or("");
  return fields;
}

OutputFormat ParseFormat(const Fields& format) {
  const auto type = format.Word("type", {"text", "json_object", "json_schema"});
  if (!type) format.RequiredString("type");
  OutputFormat parsed;
  parsed.param = format.NameOf("type");
  if (*type == "text") return parsed;
  const auto nested = format.Object("json_schema");
  const Fields& holder = nested ? *nested : format;
  const Json* schema = holder.Find("schema");
  parsed.param = holder.NameOf("schema");
  if (schema == nullptr) {
    if (*type == "json_schema") {
      throw RequestError(400, fmt::format("{} is missing, expected a JSON schema", parsed.param),
                         parsed.param, "missing_required_parameter");
    }
    parsed.kind = OutputFormat::Kind::kJson;
    return parsed;
  }
  parsed.kind = OutputFormat::Kind::kJsonSchema;
  if (!schema->is_object() && !schema->is_boolean()) {
    throw RequestError(400, fmt::format("{} is no JSON schema", parsed.param), parsed.param,
                       "invalid_type");
  }
  parsed.text = Dump(*schema);
  return parsed;
}

Thinking ParseEffort(const Fields& fields, const char* name) {
  const auto word = fields.Word(name, {"none", "minimal", "low", "medium", "high", "xhigh", "max"});
  if (!word) return Thinking::kDefault;
  if (*word == "none") return Thinking::kOff;
  if (*word == "minimal" || *word == "low") return Thinking::kBit;
  return *word == "medium" ? Thinking::kMedium : Thinking::kLot;
}

}  // namespace linnet
