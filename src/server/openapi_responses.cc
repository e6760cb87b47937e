#include "server/openapi_parts.h"

namespace linnet {

const char kOpenApiResponses[] = R"json({
"paths": {
  "/v1/responses": {"post": {
    "operationId": "createResponse", "summary": "Answers items, after those of a stored response", "x-streams": true,
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/ResponseRequest"},
      "example": {"input": "Say hello.", "max_output_tokens": 16}}}},
    "responses": {"200": "Response"}}},
  "/v1/responses/input_tokens": {"post": {
    "operationId": "countInputTokens", "summary": "How many tokens the model would read",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/ResponseRequest"}}}},
    "responses": {"200": "InputTokens"}}},
  "/v1/responses/{response_id}": {
    "get": {
      "operationId": "getResponse", "summary": "A stored or running response", "x-streams": true,
      "parameters": [{"$ref": "#/components/parameters/ResponseId"},
        {"name": "stream", "in": "query", "description": "The events of a response of the background.", "schema": {"type": "boolean"}},
        {"name": "starting_after", "in": "query", "description": "Only events with larger numbers.", "schema": {"type": "integer", "minimum": -1, "maximum": 9223372036854775806}}],
      "responses": {"200": "Response"}},
    "delete": {
      "operationId": "deleteResponse", "summary": "Forgets a response",
      "parameters": [{"$ref": "#/components/parameters/ResponseId"}],
      "responses": {"200": "DeletedResponse"}}},
  "/v1/responses/{response_id}/cancel": {"post": {
    "operationId": "cancelResponse", "summary": "Ends a running response",
    "parameters": [{"$ref": "#/components/parameters/ResponseId"}],
    "responses": {"200": "Response"}}},
  "/v1/responses/{response_id}/input_items": {"get": {
    "operationId": "listInputItems", "summary": "The items that a response answered",
    "parameters": [{"$ref": "#/components/parameters/ResponseId"},
      {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}},
      {"name": "order", "in": "query", "schema": {"enum": ["asc", "desc"], "default": "desc"}},
      {"name": "after", "in": "query", "description": "The id of the item before the first one.", "schema": {"type": "string"}}],
    "responses": {"200": "ItemList"}}}
},
"parameters": {
  "ResponseId": {"name": "response_id", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}
},
"schemas": {
  "Item": {"anyOf": [
    {"type": "object", "required": ["role", "content"], "properties": {
      "type": {"enum": ["message", null]}, "role": {"enum": ["user", "assistant", "system", "developer"]},
      "content": {"$ref": "#/components/schemas/ContentParts"}}},
    {"type": "object", "required": ["type", "call_id", "name", "arguments"], "properties": {
      "type": {"const": "function_call"}, "call_id": {"type": "string"}, "name": {"type": "string"},
      "arguments": {"type": ["string", "object"]}}},
    {"type": "object", "required": ["type", "output"], "properties": {
      "type": {"const": "function_call_output"}, "call_id": {"type": ["string", "null"]}, "output": {"type": "string"}}},
    {"type": "object", "required": ["type"], "properties": {
      "type": {"const": "reasoning"},
      "summary": {"type": ["array", "null"], "items": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}},
      "content": {"type": ["array", "null"], "items": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}}}}]},
  "ResponseTool": {"anyOf": [
    {"type": "object", "required": ["name"], "properties": {
      "type": {"enum": ["function", null]}, "name": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,128}$"},
      "description": {"type": ["string", "null"]}, "strict": {"type": ["boolean", "null"]},
      "parameters": {"type": ["object", "null"]}}},
    {"$ref": "#/components/schemas/OtherTool"}]},
  "ResponseRequest": {"type": "object", "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "input": {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "maxItems": 65536, "items": {"$ref": "#/components/schemas/Item"}}]},
    "instructions": {"type": ["string", "null"]},
    "previous_response_id": {"type": ["string", "null"], "description": "The response to continue."},
    "conversation": {"description": "A name; the request continues the conversation's latest response. Not with previous_response_id.",
      "anyOf": [{"type": "null"}, {"type": "string", "minLength": 1, "maxLength": 256},
        {"type": "object", "required": ["id"], "properties": {"id": {"type": "string", "minLength": 1, "maxLength": 256}}}]},
    "store": {"type": ["boolean", "null"], "default": true},
    "background": {"type": ["boolean", "null"], "description": "Needs store."},
    "stream": {"type": ["boolean", "null"]},
    "stream_options": {"type": ["object", "null"], "properties": {"include_obfuscation": {"type": ["boolean", "null"]}}},
    "max_output_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 1073741824},
    "max_tool_calls": {"type": ["integer", "null"], "minimum": 1, "maximum": 1073741824},
    "metadata": {"type": ["object", "null"], "maxProperties": 16, "additionalProperties": {"type": "string", "maxLength": 512}, "propertyNames": {"maxLength": 64}},
    "parallel_tool_calls": {"type": ["boolean", "null"]},
    "tools": {"type": ["array", "null"], "maxItems": 512, "items": {"$ref": "#/components/schemas/ResponseTool"}},
    "tool_choice": {"$ref": "#/components/schemas/ToolChoice"},
    "reasoning": {"type": ["object", "null"], "properties": {
      "effort": {"$ref": "#/components/schemas/Effort"}, "summary": {"enum": ["auto", "concise", "detailed", null]}}},
    "text": {"type": ["object", "null"], "properties": {
      "format": {"$ref": "#/components/schemas/Format"}, "verbosity": {"enum": ["low", "medium", "high", null]}}},
    "include": {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "maxItems": 64, "items": {"type": "string"}}]},
    "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
    "truncation": {"enum": ["auto", "disabled", null]},
    "prompt_cache_key": {"type": ["string", "null"]}, "safety_identifier": {"type": ["string", "null"]},
    "user": {"type": ["string", "null"]}}},
  "InputTokens": {"type": "object", "required": ["object", "input_tokens"], "properties": {
    "object": {"const": "response.input_tokens"}, "input_tokens": {"type": "integer", "minimum": 0}}},
  "DeletedResponse": {"type": "object", "required": ["id", "object", "deleted"], "properties": {
    "id": {"type": "string"}, "object": {"const": "response"}, "deleted": {"const": true}}},
  "ItemList": {"type": "object", "required": ["object", "data", "first_id", "last_id", "has_more"], "properties": {
    "object": {"const": "list"}, "data": {"type": "array", "items": {"type": "object", "required": ["id", "type"]}},
    "first_id": {"type": "string"}, "last_id": {"type": "string"}, "has_more": {"type": "boolean"}}},
  "Response": {"type": "object",
    "required": ["id", "object", "created_at", "status", "error", "incomplete_details", "instructions", "metadata", "model",
      "output", "parallel_tool_calls", "temperature", "tool_choice", "tools", "top_p", "usage"],
    "properties": {
      "id": {"type": "string"}, "object": {"const": "response"}, "created_at": {"type": "integer"},
      "completed_at": {"type": ["integer", "null"]},
      "status": {"enum": ["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]},
      "error": {"anyOf": [{"type": "null"}, {"type": "object", "required": ["code", "message"]}]},
      "incomplete_details": {"anyOf": [{"type": "null"}, {"type": "object", "required": ["reason"]}]},
      "model": {"type": "string"}, "previous_response_id": {"type": ["string", "null"]},
      "output": {"type": "array", "items": {"type": "object", "required": ["id", "type"], "properties": {
        "type": {"enum": ["reasoning", "message", "function_call"]}}}},
      "usage": {"anyOf": [{"type": "null"}, {"type": "object",
        "required": ["input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details", "total_tokens"]}]}}}
}})json";

}  // namespace linnet
