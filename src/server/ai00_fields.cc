#include "server/ai00_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "models/state_layouts.h"
#include "server/openai_errors.h"

namespace linnet {
namespace {

constexpr size_t kMostTexts = 65536;
constexpr const char* kNoState = "00000000-0000-0000-0000-000000000000";

void Copy(const Fields& from, const char* name, Json& to, const char* as = nullptr) {
  if (const Json* value = from.Find(name)) to[as == nullptr ? name : as] = *value;
}

// The fields of a sampler in the words of ParseGeneration, over Ai00's defaults.
Json SamplerFields(const Fields& sampler) {
  Json fields = {{"temperature", 1.0},
                 {"top_p", 0.5},
                 {"top_k", 128},
                 {"presence_penalty", 0.3},
                 {"frequency_penalty", 0.3},
                 {"penalty_decay", 0.99654026},
                 {"penalty", "ai00"},
                 {"order", "rwkv"},
                 {"min_p", 0},
                 {"typical_p", 1}};
  const auto type = sampler.Word("type", {"Nucleus", "Typical", "Mirostat"}).value_or("Nucleus");
  if (type == "Mirostat") {
    fields["mirostat"] = 2;
    fields["mirostat_tau"] = 3.0;
    fields["mirostat_eta"] = 0.1;
    Copy(sampler, "tau", fields, "mirostat_tau");
    Copy(sampler, "learning_rate", fields, "mirostat_eta");
    Copy(sampler, "rate", fields, "mirostat_eta");
    return fields;
  }
  for (const char* name :
       {"temperature", "presence_penalty", "frequency_penalty", "penalty_decay"}) {
    Copy(sampler, name, fields);
  }
  if (type == "Typical") {
    fields["top_p"] = 1;
    fields["top_k"] = 0;
    fields["typical_p"] = 0.5;
    Copy(sampler, "tau", fields, "typical_p");
    return fields;
  }
  Copy(sampler, "top_p", fields);
  Copy(sampler, "top_k", fields);
  return fields;
}

// Runs of empty lines, also of blanks, become one line end; nothing is left around the text.
std::string Ai00Clean(const std::string& text) {
  const auto is_blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  std::string clean;
  for (size_t i = 0; i < text.size(); ++i) {
    clean += text[i];
    if (text[i] != '\n') continue;
    size_t end = i + 1, last = i;
    for (; end < text.size() && is_blank(text[end]); ++end) {
      if (text[end] == '\n') last = end;
    }
    i = last;
  }
  const auto begin = std::find_if_not(clean.begin(), clean.end(), is_blank);
  const auto end = std::find_if_not(clean.rbegin(), std::make_reverse_iterator(begin), is_blank);
  return {begin, end.base()};
}

std::string RoleOf(const Fields& message) {
  message.RequiredString("role");
  const auto role = message.Word("role", {"System", "User", "Assistant", "Observation", "system",
                                          "user", "assistant", "observation", "tool", "Tool"});
  if (*role == "tool" || *role == "Tool") return "Observation";
  std::string name = *role;
  name[0] = static_cast<char>(name[0] & ~0x20);
  return name;
}

void Replace(std::string& text, std::string_view what, const std::string& by) {
  for (size_t at = 0; (at = text.find(what, at)) != text.npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
}

// "{role}: {content}" with both; only the template's own braces count.
std::string RecordText(const std::string& form, const std::string& role,
                       const std::string& content) {
  const size_t at = std::min(form.find("{content}"), form.size());
  std::string before = form.substr(0, at);
  Replace(before, "{role}", role);
  if (at == form.size()) return before;
  std::string after = form.substr(at + std::string_view("{content}").size());
  Replace(after, "{role}", role);
  return before + content + after;
}

}  // namespace

std::string Ai00Text(const Fields& body, const char* name) {
  std::string text;
  for (const std::string& part : body.Strings(name, kMostTexts)) text += part;
  return text;
}

CompletionRequest ParseAi00Generation(const Fields& body) {
  const Json none = Json::object();
  const char* name = body.Has("sampler_override") ? "sampler_override" : "sampler";
  const auto sampler = body.Object(name);
  Json fields = SamplerFields(sampler ? *sampler : Fields(none));
  for (const char* over : {"top_p", "top_k", "temperature"}) Copy(body, over, fields);
  fields["max_tokens"] = 256;
  Copy(body, "max_tokens", fields);
  fields["stop"] = "\n\n";
  Copy(body, "stop", fields);
  Copy(body, "logit_bias", fields);
  Copy(body, "bias", fields, "logit_bias");
  CompletionRequest request;
  request.generation = ParseGeneration(Fields(fields));
  if (auto schema = body.String("bnf_schema")) {
    request.generation.format = {OutputFormat::Kind::kAi00Bnf, *std::move(schema), "bnf_schema"};
  }
  request.stream = body.Bool("stream", false);
  return request;
}

std::string Ai00ChatPrompt(const Fields& body) {
  std::string record = "{role}: {content}", prefix = "{assistant}:", separator = "\n\n";
  if (const auto form = body.Object("template")) {
    record = form->String("record").value_or(record);
    prefix = form->String("prefix").value_or(prefix);
    separator = form->String("sep").value_or(separator);
  }
  std::map<std::string, std::string> names;
  if (const auto given = body.Object("names")) {
    for (const auto& [role, value] : given->json().items()) {
      const Json message = {{"role", role}};
      names[RoleOf(Fields(message, "names"))] = given->RequiredString(role.c_str());
    }
  }
  const auto name_of = [&](const std::string& role) {
    const auto name = names.find(role);
    return name == names.end() ? role : name->second;
  };
  const Json* messages = body.List("messages", kMostTexts);
  if (messages == nullptr || messages->empty()) {
    throw RequestError(400, "messages is empty or missing, expected a list of messages", "messages",
                       "missing_required_parameter");
  }
  std::string prompt;
  for (size_t i = 0; i < messages->size(); ++i) {
    const Fields message((*messages)[i], body.NameOf("messages", i));
    prompt +=
        RecordText(record, name_of(RoleOf(message)), Ai00Clean(message.RequiredString("content")));
    prompt += separator;
  }
  Replace(prefix, "{assistant}", name_of("Assistant"));
  return prompt + prefix;
}

std::shared_ptr<const Snapshot> ParseAi00State(const Fields& body, const ServedModel& served) {
  const Json* state = body.Find("state");
  if (state == nullptr || *state == kNoState) return nullptr;
  const auto refuse = [](const std::string& what, const char* param) {
    throw RequestError(422, what, param, "unsupported_value");
  };
  if (!state->is_object()) {
    refuse("state is the id of a state, and none is kept here: send its data and shape", "state");
  }
  const Fields fields(*state, "state");
  if (fields.Has("path")) refuse("state.path names a file, expected data and shape", "state.path");
  const Json* data = fields.Find("data");
  const Json* shape = fields.Find("shape");
  const auto numbers = [](const Json* list) {
    return list != nullptr && list->is_array() &&
           std::all_of(list->begin(), list->end(), [](const Json& x) { return x.is_number(); });
  };
  if (!numbers(data) || !numbers(shape) || shape->size() != 4) {
    throw RequestError(400, "state has no data and shape, expected numbers and four sizes", "state",
                       "invalid_value");
  }
  if (served.model == nullptr) refuse("this model has no states", "state");
  WebRwkvTensor tensor;
  tensor.values.reserve(data->size());
  for (const Json& x : *data) tensor.values.push_back(x.get<float>());
  for (size_t i = 0; i < 4; ++i) {
    const double size = (*shape)[i].get<double>();
    if (size >= 0 && size < 1e9) tensor.shape[i] = static_cast<size_t>(size);
  }
  return std::make_shared<const Snapshot>(
      Snapshot{FromWebRwkv(tensor, served.model->state_shape()), {}});
}

}  // namespace linnet
