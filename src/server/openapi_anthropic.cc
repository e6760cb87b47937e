#include "server/openapi_parts.h"

namespace linnet {

const char kOpenApiAnthropic[] = R"json({
"paths": {
  "/v1/messages": {"post": {
    "operationId": "messages", "summary": "Continues a conversation, in Anthropic's form",
    "x-streams": true, "x-errors": "AnthropicError",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/MessagesRequest"},
      "example": {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}}}},
    "responses": {"200": "MessagesAnswer"}}},
  "/v1/messages/count_tokens": {"post": {
    "operationId": "countMessageTokens", "summary": "How many tokens the model would read",
    "x-errors": "AnthropicError",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/MessagesRequest"},
      "example": {"messages": [{"role": "user", "content": "Hello"}]}}}},
    "responses": {"200": "MessageTokens"}}}
},
"schemas": {
  "AnthropicError": {"type": "object", "required": ["type", "error", "request_id"], "properties": {
    "type": {"const": "error"}, "request_id": {"type": "string"},
    "error": {"type": "object", "required": ["type", "message"], "properties": {
      "type": {"type": "string"}, "message": {"type": "string"}}}}},
  "TextBlock": {"type": "object", "required": ["type", "text"], "properties": {
    "type": {"const": "text"}, "text": {"type": "string"}}},
  "TextBlocks": {"anyOf": [{"type": "string"}, {"type": "array", "maxItems": 4096,
    "items": {"$ref": "#/components/schemas/TextBlock"}}]},
  "UserBlock": {"anyOf": [{"$ref": "#/components/schemas/TextBlock"},
    {"type": "object", "required": ["type", "tool_use_id"], "properties": {
      "type": {"const": "tool_result"}, "tool_use_id": {"type": "string"},
      "content": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/TextBlocks"}]},
      "is_error": {"type": ["boolean", "null"]}}}]},
  "AssistantBlock": {"anyOf": [{"$ref": "#/components/schemas/TextBlock"},
    {"type": "object", "required": ["type", "thinking"], "properties": {
      "type": {"const": "thinking"}, "thinking": {"type": "string"}}},
    {"type": "object", "required": ["type", "id", "name", "input"], "properties": {
      "type": {"const": "tool_use"}, "id": {"type": "string"}, "name": {"type": "string"},
      "input": {"type": "object"}}}]},
  "Turn": {"anyOf": [
    {"type": "object", "required": ["role", "content"], "properties": {
      "role": {"const": "user"}, "content": {"anyOf": [{"type": "string"}, {"type": "array",
        "items": {"$ref": "#/components/schemas/UserBlock"}}]}}},
    {"type": "object", "required": ["role", "content"], "properties": {
      "role": {"const": "assistant"}, "content": {"anyOf": [{"type": "string"}, {"type": "array",
        "items": {"$ref": "#/components/schemas/AssistantBlock"}}]}}},
    {"type": "object", "required": ["role", "content"], "description": "Stays where it stands.",
      "properties": {"role": {"const": "system"}, "content": {"$ref": "#/components/schemas/TextBlocks"}}}]},
  "OfferedTool": {"anyOf": [
    {"type": "object", "required": ["name", "input_schema"], "properties": {
      "type": {"enum": ["custom", null]},
      "name": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,128}$"},
      "description": {"type": ["string", "null"]}, "strict": {"type": ["boolean", "null"]},
      "input_schema": {"type": "object"}}},
    {"type": "object", "required": ["type"], "description": "Hosted by Anthropic: left out.", "properties": {
      "type": {"type": "string", "not": {"const": "custom"}}}}]},
  "MessagesRequest": {"type": "object", "required": ["messages"], "properties": {
    "model": {"description": "One of the served models, or a name that begins with `claude`: the first.",
      "$ref": "#/components/schemas/ModelName"},
    "messages": {"type": "array", "minItems": 1, "maxItems": 65536, "items": {"$ref": "#/components/schemas/Turn"}},
    "system": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/TextBlocks"}]},
    "stop_sequences": {"anyOf": [{"type": "null"},
      {"type": "array", "maxItems": 64, "items": {"type": "string", "minLength": 1}}]},
    "stream": {"type": ["boolean", "null"]},
    "tools": {"type": ["array", "null"], "maxItems": 512, "items": {"$ref": "#/components/schemas/OfferedTool"}},
    "tool_choice": {"anyOf": [{"type": "null"}, {"type": "object", "required": ["type"], "properties": {
      "type": {"enum": ["auto", "any", "tool", "none"]}, "name": {"type": "string"},
      "disable_parallel_tool_use": {"type": ["boolean", "null"]}}}]},
    "thinking": {"anyOf": [{"type": "null"}, {"type": "object", "required": ["type"], "properties": {
      "type": {"enum": ["enabled", "disabled", "adaptive", "between_tools"]},
      "budget_tokens": {"type": ["integer", "null"], "minimum": 0, "maximum": 1073741824},
      "display": {"enum": ["summarized", "omitted", null]}}}]},
    "output_config": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {
      "effort": {"$ref": "#/components/schemas/Effort"}, "format": {"$ref": "#/components/schemas/Format"}}}]}}},
  "MessageUsage": {"type": "object",
    "required": ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"],
    "properties": {"input_tokens": {"type": "integer", "minimum": 0}, "output_tokens": {"type": "integer", "minimum": 0},
      "cache_read_input_tokens": {"type": "integer", "minimum": 0},
      "cache_creation_input_tokens": {"type": "integer", "minimum": 0}}},
  "MessagesAnswer": {"type": "object",
    "required": ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"], "properties": {
      "id": {"type": "string"}, "type": {"const": "message"}, "role": {"const": "assistant"},
      "model": {"type": "string"}, "usage": {"$ref": "#/components/schemas/MessageUsage"},
      "content": {"type": "array", "items": {"$ref": "#/components/schemas/AssistantBlock"}},
      "stop_reason": {"enum": ["end_turn", "max_tokens", "stop_sequence", "tool_use"]},
      "stop_sequence": {"type": ["string", "null"]}}},
  "MessageTokens": {"type": "object", "required": ["input_tokens"], "properties": {
    "input_tokens": {"type": "integer", "minimum": 0}}}
}})json";

}  // namespace linnet
