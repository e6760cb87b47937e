#include "server/openapi_parts.h"

namespace linnet {

// Sampling: fields of chat, completions and responses alike (server/generation_fields.cc).
const char kOpenApiChat[] = R"json({
"paths": {
  "/v1/chat/completions": {"post": {
    "operationId": "chat", "summary": "Continues a conversation", "x-streams": true,
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/ChatRequest"},
      "example": {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 16}}}},
    "responses": {"200": "ChatAnswer"}}}
},
"schemas": {
  "Error": {"type": "object", "required": ["error"], "properties": {"error": {
    "type": "object", "required": ["message", "type", "param", "code"], "properties": {
      "message": {"type": "string"}, "type": {"type": "string"},
      "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]}}}}},
  "Sampling": {"type": "object", "properties": {
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 100},
    "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "min_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "typical_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "typical": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "top_k": {"type": ["integer", "null"], "minimum": -1, "maximum": 2147483647},
    "presence_penalty": {"type": ["number", "null"], "minimum": -100, "maximum": 100},
    "frequency_penalty": {"type": ["number", "null"], "minimum": -100, "maximum": 100},
    "penalty_decay": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "penalty": {"enum": ["rwkv", "ai00", null]},
    "order": {"enum": ["rwkv", "openai", null]},
    "mirostat": {"enum": [0, 2, null]},
    "mirostat_tau": {"description": "Of mirostat 2: 1e-6 to 1000."},
    "mirostat_eta": {"description": "Of mirostat 2: 0 to 1000."},
    "logit_bias": {"description": "From token ids to numbers, or a list of such pairs; false bans a token.", "anyOf": [
      {"type": "null"},
      {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Bias"}},
      {"type": "array", "items": {"type": "array", "minItems": 2, "maxItems": 2,
        "prefixItems": [{"$ref": "#/components/schemas/TokenId"}, {"$ref": "#/components/schemas/Bias"}]}}]},
    "seed": {"type": ["integer", "null"], "minimum": -9223372036854775808, "maximum": 9223372036854775807},
    "stop": {"anyOf": [{"type": "null"}, {"type": "string", "minLength": 1},
      {"type": "array", "maxItems": 64, "items": {"type": "string", "minLength": 1}}]},
    "max_tokens": {"type": ["integer", "null"], "minimum": -1, "maximum": 1073741824},
    "max_completion_tokens": {"type": ["integer", "null"], "minimum": -1, "maximum": 1073741824},
    "n_predict": {"type": ["integer", "null"], "minimum": -1, "maximum": 1073741824},
    "ignore_eos": {"type": ["boolean", "null"]},
    "no_cache": {"type": ["boolean", "null"], "description": "Neither use nor keep states."},
    "cache_prompt": {"type": ["boolean", "null"]},
    "t_max_predict_ms": {"type": ["integer", "null"], "minimum": -1, "maximum": 1073741824},
    "grammar": {"type": ["string", "null"], "description": "GBNF that the text must match."},
    "json_schema": {"type": ["object", "boolean", "null"], "description": "A schema that the text must match."},
    "regex": {"type": ["string", "null"], "description": "An expression that the whole text must match."},
    "lora": {"type": ["string", "null"], "description": "A loaded adapter."},
    "state": {"$ref": "#/components/schemas/StateStart"},
    "return_state": {"enum": [true, false, "no", "kept", "lossless", "base64", "half", null], "description": "The state after the answer."}}},
  "Bias": {"anyOf": [{"type": "number", "minimum": -1000, "maximum": 1000}, {"const": false}]},
  "ContentParts": {"anyOf": [{"type": "string"}, {"type": "array", "items": {
    "type": "object", "required": ["text"],
    "properties": {"type": {"enum": ["text", "input_text", "output_text", null]}, "text": {"type": "string"}}}}]},
  "ChatMessage": {"anyOf": [
    {"type": "object", "required": ["role", "content"], "properties": {
      "role": {"enum": ["system", "developer", "user", "tool", "function"]},
      "content": {"$ref": "#/components/schemas/ContentParts"},
      "name": {"type": ["string", "null"]}, "tool_call_id": {"type": ["string", "null"]}}},
    {"type": "object", "required": ["role"], "properties": {
      "role": {"const": "assistant"},
      "content": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/ContentParts"}]},
      "reasoning_content": {"type": ["string", "null"]}, "reasoning": {"type": ["string", "null"]},
      "refusal": {"type": ["string", "null"]}, "name": {"type": ["string", "null"]},
      "tool_calls": {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/ChatCall"}}}}]},
  "ChatCall": {"type": "object", "required": ["id", "type", "function"], "properties": {
    "id": {"type": "string"}, "type": {"const": "function"},
    "function": {"type": "object", "required": ["name", "arguments"], "properties": {
      "name": {"type": "string"}, "arguments": {"type": "string"}}}}},
  "Tool": {"anyOf": [
    {"type": "object", "required": ["function"], "properties": {
      "type": {"enum": ["function", null]},
      "function": {"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,128}$"},
        "description": {"type": ["string", "null"]}, "strict": {"type": ["boolean", "null"]},
        "parameters": {"type": ["object", "null"]}}}}},
    {"$ref": "#/components/schemas/OtherTool"}]},
  "OtherTool": {"type": "object", "required": ["type"], "description": "Left out.", "properties": {
    "type": {"type": "string", "not": {"const": "function"}}}},
  "ToolChoice": {"anyOf": [{"enum": ["none", "auto", "required", null]}, {"type": "object", "required": ["type"],
    "description": "A function by its name, or allowed_tools with a mode."}]},
  "Effort": {"enum": ["none", "minimal", "low", "medium", "high", "xhigh", "max", null]},
  "Format": {"anyOf": [{"type": "null"}, {"type": "object", "required": ["type"], "properties": {
    "type": {"enum": ["text", "json_object", "json_schema"]}}}]},
  "ChatRequest": {"type": "object", "required": ["messages"], "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "messages": {"type": "array", "minItems": 1, "maxItems": 65536, "items": {"$ref": "#/components/schemas/ChatMessage"}},
    "stream": {"type": ["boolean", "null"]},
    "stream_options": {"type": ["object", "null"], "properties": {"include_usage": {"type": ["boolean", "null"]}}},
    "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 128},
    "logprobs": {"type": ["boolean", "null"]},
    "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20, "description": "Needs logprobs."},
    "tools": {"type": ["array", "null"], "maxItems": 512, "items": {"$ref": "#/components/schemas/Tool"}},
    "tool_choice": {"$ref": "#/components/schemas/ToolChoice"},
    "parallel_tool_calls": {"type": ["boolean", "null"]},
    "response_format": {"$ref": "#/components/schemas/Format"},
    "reasoning_effort": {"$ref": "#/components/schemas/Effort"},
    "chat_template_kwargs": {"type": ["object", "null"], "properties": {"enable_thinking": {"type": ["boolean", "null"]}}},
    "prediction": {"description": "Accepted; does not change the answer.", "anyOf": [{"type": "null"},
      {"type": "object", "required": ["type", "content"], "properties": {
        "type": {"const": "content"}, "content": {"$ref": "#/components/schemas/ContentParts"}}}]},
    "prompt_cache_key": {"type": ["string", "null"]}}},
  "Usage": {"type": "object", "required": ["prompt_tokens", "completion_tokens", "total_tokens"], "properties": {
    "prompt_tokens": {"type": "integer", "minimum": 0}, "completion_tokens": {"type": "integer", "minimum": 0},
    "total_tokens": {"type": "integer", "minimum": 0},
    "prompt_tokens_details": {"type": "object"}, "completion_tokens_details": {"type": "object"}}},
  "ChatAnswer": {"type": "object", "required": ["id", "object", "created", "model", "choices", "usage"], "properties": {
    "id": {"type": "string"}, "object": {"const": "chat.completion"}, "created": {"type": "integer"},
    "model": {"type": "string"}, "usage": {"$ref": "#/components/schemas/Usage"},
    "choices": {"type": "array", "items": {"type": "object", "required": ["index", "message", "finish_reason"], "properties": {
      "index": {"type": "integer"},
      "finish_reason": {"enum": ["stop", "length", "tool_calls", "function_call"]},
      "message": {"type": "object", "required": ["role"], "properties": {
        "role": {"const": "assistant"}, "content": {"type": ["string", "null"]},
        "reasoning_content": {"type": ["string", "null"]}, "reasoning": {"type": ["string", "null"]},
        "tool_calls": {"type": "array", "items": {"$ref": "#/components/schemas/ChatCall"}}}}}}}}}
}})json";

}  // namespace linnet
