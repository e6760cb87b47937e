#include "server/openapi_parts.h"

namespace linnet {

const char kOpenApiLlama[] = R"json({
"paths": {
  "/completion": {"post": {
    "operationId": "llamaCompletion", "summary": "Continues a prompt, in llama-server's form", "x-streams": true,
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/LlamaRequest"},
      "example": {"prompt": "Once upon a time", "n_predict": 16}}}},
    "responses": {"200": "LlamaAnswer"}}},
  "/tokenize": {"post": {
    "operationId": "tokenize", "summary": "The tokens of a text, or of the prompt of a conversation",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/TokenizeRequest"}, "example": {"content": "A text"}}}},
    "responses": {"200": "Tokens"}}},
  "/detokenize": {"post": {
    "operationId": "detokenize", "summary": "The text of tokens",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/DetokenizeRequest"}, "example": {"tokens": [33, 34]}}}},
    "responses": {"200": "Detokenized"}}},
  "/apply-template": {"post": {
    "operationId": "applyTemplate", "summary": "The prompt of a conversation",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/ChatRequest"},
      "example": {"messages": [{"role": "user", "content": "Say hello."}]}}}},
    "responses": {"200": "Prompt"}}},
  "/tokenizer_info": {"get": {
    "operationId": "tokenizerInfo", "summary": "Special tokens, sizes and the chat template",
    "parameters": [{"name": "model", "in": "query", "schema": {"$ref": "#/components/schemas/ModelName"}}],
    "responses": {"200": "TokenizerInfo"}}},
  "/props": {"get": {
    "operationId": "props", "summary": "llama-server's properties of a model",
    "parameters": [{"name": "model", "in": "query", "schema": {"$ref": "#/components/schemas/ModelName"}}],
    "responses": {"200": "Props"}}},
  "/slots": {"get": {
    "operationId": "slots", "summary": "Places for texts, and how many are taken",
    "parameters": [{"name": "model", "in": "query", "schema": {"$ref": "#/components/schemas/ModelName"}},
      {"name": "fail_on_no_slot", "in": "query", "schema": {"enum": [0, 1]}}],
    "responses": {"200": "Slots"}}},
  "/infill": {"post": {
    "operationId": "infill", "summary": "Not supported: use /v1/completions with a suffix",
    "responses": {"501": {"description": "Always.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}}}},
  "/api/oai/chat/completions": {"post": {
    "operationId": "ai00Chat", "summary": "Continues a conversation, in Ai00's form", "x-streams": true,
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/Ai00ChatRequest"},
      "example": {"messages": [{"role": "User", "content": "Hi!"}], "max_tokens": 16}}}},
    "responses": {"200": "Ai00Answer"}}},
  "/api/oai/completions": {"post": {
    "operationId": "ai00Completions", "summary": "Continues a text, in Ai00's form", "x-streams": true,
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/Ai00CompletionRequest"},
      "example": {"prompt": "Once upon a time", "max_tokens": 16}}}},
    "responses": {"200": "Ai00Answer"}}},
  "/api/oai/chooses": {"post": {
    "operationId": "ai00Chooses", "summary": "Which of several texts is the likeliest, in Ai00's form",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/Ai00ChooseRequest"},
      "example": {"input": "The sky is", "choices": [" blue", " red"]}}}},
    "responses": {"200": "Ai00List"}}},
  "/api/oai/states": {"post": {
    "operationId": "ai00States", "summary": "The state after a text, in web-rwkv's layout",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/Ai00StateRequest"}}}},
    "responses": {"200": "Ai00List"}}},
  "/api/oai/embeds": {"post": {
    "operationId": "ai00Embeds", "summary": "A text as vectors of its parts, in Ai00's form",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/Ai00EmbedRequest"},
      "example": {"input": "A text"}}}},
    "responses": {"200": "Ai00List"}}},
  "/api/oai/models": {"get": {
    "operationId": "ai00Models", "summary": "The served models, in Ai00's form",
    "responses": {"200": "Ai00Models"}}},
  "/api/models/info": {"get": {
    "operationId": "ai00Info", "summary": "What Ai00 tells of its model",
    "responses": {"200": "Ai00Info"}}},
  "/api/models/state": {"get": {
    "operationId": "ai00InfoStream", "summary": "The same as an event",
    "responses": {"200": {"description": "The answer.", "content": {"text/event-stream": {}}}}}},
  "/api/adapters": {"get": {
    "operationId": "ai00Adapters", "summary": "What models run on",
    "responses": {"200": "Adapters"}}}
},
"schemas": {
  "MixedPrompt": {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"anyOf": [
    {"type": "string"}, {"$ref": "#/components/schemas/TokenId"}]}}]},
  "LlamaRequest": {"type": "object", "required": ["prompt"], "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "prompt": {"description": "A text, token ids, or a list of both; a list of texts or of lists is several prompts.",
      "anyOf": [{"$ref": "#/components/schemas/MixedPrompt"},
        {"type": "array", "minItems": 1, "maxItems": 256, "items": {"type": "array", "items": {"$ref": "#/components/schemas/TokenId"}}}]},
    "n_probs": {"type": ["integer", "null"], "minimum": 0, "maximum": 100},
    "n_cmpl": {"type": ["integer", "null"], "minimum": 1, "maximum": 128},
    "stream": {"type": ["boolean", "null"]}, "return_tokens": {"type": ["boolean", "null"]},
    "timings_per_token": {"type": ["boolean", "null"]},
    "post_sampling_probs": {"enum": [false, null]},
    "response_fields": {"type": ["array", "null"], "maxItems": 256, "items": {"type": "string", "pattern": "^[a-z_/]*$"}}}},
  "LlamaAnswer": {"description": "A list if there are several prompts or completions.", "type": ["object", "array"]},
  "TokenizeRequest": {"type": "object", "anyOf": [{"required": ["content"]}, {"required": ["prompt"]}, {"required": ["messages"]}], "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "content": {"type": "string"}, "prompt": {"type": "string"},
    "messages": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/ChatMessage"}},
    "add_special": {"type": ["boolean", "null"]}, "add_special_tokens": {"type": ["boolean", "null"]},
    "parse_special": {"type": ["boolean", "null"]}, "with_pieces": {"type": ["boolean", "null"]},
    "return_token_strs": {"type": ["boolean", "null"]}}},
  "Tokens": {"type": "object", "required": ["tokens", "count", "max_model_len"], "properties": {
    "tokens": {"type": "array"}, "count": {"type": "integer"}, "max_model_len": {"type": "integer"}}},
  "DetokenizeRequest": {"type": "object", "required": ["tokens"], "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "tokens": {"type": "array", "items": {"$ref": "#/components/schemas/TokenId"}}}},
  "Detokenized": {"type": "object", "required": ["content", "prompt"], "properties": {
    "content": {"type": "string"}, "prompt": {"type": "string"}}},
  "Prompt": {"type": "object", "required": ["prompt"], "properties": {"prompt": {"type": "string"}}},
  "TokenizerInfo": {"type": "object", "required": ["tokenizer_class", "vocab_size", "eos_token", "chat_template"], "properties": {
    "vocab_size": {"type": "integer"}, "eos_token": {"type": ["string", "null"]}, "chat_template": {"type": "string"}}},
  "Props": {"type": "object", "required": ["default_generation_settings", "total_slots", "chat_template"]},
  "Slots": {"type": "array", "items": {"type": "object", "required": ["id", "is_processing"]}},
  "Texts": {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": {"type": "string"}}]},
  "Ai00Sampler": {"type": ["object", "null"], "properties": {
    "type": {"enum": ["Nucleus", "Typical", "Mirostat", null]},
    "tau": {"type": ["number", "null"], "minimum": 0.000001, "maximum": 1},
    "rate": {"type": ["number", "null"], "minimum": 0, "maximum": 1000},
    "learning_rate": {"type": ["number", "null"], "minimum": 0, "maximum": 1000},
    "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "top_k": {"type": ["integer", "null"], "minimum": -1, "maximum": 2147483647},
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 100},
    "presence_penalty": {"type": ["number", "null"], "minimum": -100, "maximum": 100},
    "frequency_penalty": {"type": ["number", "null"], "minimum": -100, "maximum": 100},
    "penalty_decay": {"type": ["number", "null"], "minimum": 0, "maximum": 1}}},
  "Ai00State": {"description": "The zero id, or {data, shape} in web-rwkv's layout."},
  "Ai00ChatRequest": {"type": "object", "required": ["messages"], "properties": {
    "messages": {"type": "array", "minItems": 1, "maxItems": 65536, "items": {"type": "object", "required": ["role", "content"], "properties": {
      "role": {"enum": ["System", "User", "Assistant", "Observation", "system", "user", "assistant", "observation", "tool", "Tool"]},
      "content": {"type": "string"}}}},
    "sampler": {"$ref": "#/components/schemas/Ai00Sampler"}, "sampler_override": {"$ref": "#/components/schemas/Ai00Sampler"},
    "stream": {"type": ["boolean", "null"]}, "state": {"$ref": "#/components/schemas/Ai00State"},
    "max_tokens": {"type": ["integer", "null"], "minimum": -1, "maximum": 1073741824},
    "bnf_schema": {"type": ["string", "null"], "description": "Ai00's BNF that the text must match."}}},
  "Ai00CompletionRequest": {"type": "object", "properties": {
    "prompt": {"$ref": "#/components/schemas/Texts"},
    "sampler": {"$ref": "#/components/schemas/Ai00Sampler"}, "sampler_override": {"$ref": "#/components/schemas/Ai00Sampler"},
    "stream": {"type": ["boolean", "null"]}, "state": {"$ref": "#/components/schemas/Ai00State"},
    "max_tokens": {"type": ["integer", "null"], "minimum": -1, "maximum": 1073741824},
    "bnf_schema": {"type": ["string", "null"]}}},
  "Ai00Answer": {"type": "object", "required": ["object", "model", "choices", "usage"]},
  "Ai00ChooseRequest": {"type": "object", "required": ["choices"], "properties": {
    "input": {"$ref": "#/components/schemas/Texts"}, "state": {"$ref": "#/components/schemas/Ai00State"},
    "choices": {"$ref": "#/components/schemas/Continuations"}, "calibrate": {"type": ["boolean", "null"]}}},
  "Ai00StateRequest": {"type": "object", "properties": {
    "input": {"$ref": "#/components/schemas/Texts"}, "state": {"$ref": "#/components/schemas/Ai00State"}}},
  "Ai00EmbedRequest": {"type": "object", "required": ["input"], "properties": {
    "input": {"type": "string", "minLength": 1}, "prefix": {"type": ["string", "null"]},
    "max_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 1048576}}},
  "Ai00List": {"type": "object", "required": ["object", "model", "data"], "properties": {"data": {"type": "array"}}},
  "Ai00Info": {"type": "object", "required": ["reload", "model", "states"]},
  "Ai00Models": {"type": "object", "required": ["data"], "properties": {"data": {"type": "array"}}},
  "Adapters": {"type": "array", "items": {"type": "string"}}
}})json";

}  // namespace linnet
