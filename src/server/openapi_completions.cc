#include "server/openapi_parts.h"

namespace linnet {

const char kOpenApiCompletions[] = R"json({
"paths": {
  "/v1/completions": {"post": {
    "operationId": "completions", "summary": "Continues a text", "x-streams": true,
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/CompletionRequest"},
      "example": {"prompt": "Once upon a time", "max_tokens": 16}}}},
    "responses": {"200": "CompletionAnswer"}}}
},
"schemas": {
  "CompletionRequest": {"type": "object", "required": ["prompt"], "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "prompt": {"anyOf": [{"type": "string"},
      {"type": "array", "minItems": 1, "maxItems": 256, "items": {"type": "string"}},
      {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/TokenId"}},
      {"type": "array", "minItems": 1, "maxItems": 256, "items": {"type": "array", "items": {"$ref": "#/components/schemas/TokenId"}}}]},
    "suffix": {"type": ["string", "null"], "description": "The text after what is to be written. Only with a text."},
    "response_format": {"$ref": "#/components/schemas/Format"},
    "echo": {"type": ["boolean", "null"]},
    "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 128},
    "best_of": {"type": ["integer", "null"], "minimum": 1, "maximum": 128, "description": "At least n; more only without stream."},
    "logprobs": {"description": "How many of the likeliest tokens to tell at each place.", "type": ["integer", "boolean", "null"], "minimum": 0, "maximum": 20},
    "stream": {"type": ["boolean", "null"]},
    "stream_options": {"type": ["object", "null"], "properties": {"include_usage": {"type": ["boolean", "null"]}}}}},
  "CompletionAnswer": {"type": "object", "required": ["id", "object", "created", "model", "choices", "usage"], "properties": {
    "id": {"type": "string"}, "object": {"const": "text_completion"}, "created": {"type": "integer"},
    "model": {"type": "string"}, "usage": {"$ref": "#/components/schemas/Usage"},
    "choices": {"type": "array", "items": {"type": "object", "required": ["index", "text", "finish_reason"], "properties": {
      "index": {"type": "integer"}, "text": {"type": "string"},
      "finish_reason": {"enum": ["stop", "length"]},
      "logprobs": {"type": ["object", "null"]}}}}}}
}})json";

}  // namespace linnet
