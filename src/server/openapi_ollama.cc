#include "server/openapi_parts.h"

namespace linnet {

const char kOpenApiOllama[] = R"json({
"paths": {
  "/": {"get": {
    "operationId": "root", "summary": "The line by which Ollama's clients know a server",
    "responses": {"200": {"description": "The answer.", "content": {
      "text/plain": {"schema": {"type": "string"}}, "text/html": {"schema": {"type": "string"}}}}}}},
  "/api/version": {"get": {
    "operationId": "ollamaVersion", "summary": "The version of Ollama whose interface this is",
    "x-errors": "OllamaError", "responses": {"200": "OllamaVersion"}}},
  "/api/tags": {"get": {
    "operationId": "ollamaTags", "summary": "The served models", "x-errors": "OllamaError",
    "responses": {"200": "OllamaModels"}}},
  "/api/ps": {"get": {
    "operationId": "ollamaPs", "summary": "The same, all in memory", "x-errors": "OllamaError",
    "responses": {"200": "OllamaModels"}}},
  "/api/show": {"post": {
    "operationId": "ollamaShow", "summary": "What a model is and can do", "x-errors": "OllamaError",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/OllamaName"}, "example": {}}}},
    "responses": {"200": "OllamaShown"}}},
  "/api/chat": {"post": {
    "operationId": "ollamaChat", "summary": "Continues a conversation, in Ollama's form",
    "x-streams": "application/x-ndjson", "x-errors": "OllamaError",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/OllamaChatRequest"},
      "example": {"messages": [{"role": "user", "content": "Hello"}], "stream": false}}}},
    "responses": {"200": "OllamaChatAnswer"}}},
  "/api/generate": {"post": {
    "operationId": "ollamaGenerate", "summary": "Answers a prompt, in Ollama's form",
    "x-streams": "application/x-ndjson", "x-errors": "OllamaError",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/OllamaGenerateRequest"},
      "example": {"prompt": "Hello", "stream": false}}}},
    "responses": {"200": "OllamaGenerateAnswer"}}},
  "/api/embed": {"post": {
    "operationId": "ollamaEmbed", "summary": "Texts as vectors of length 1", "x-errors": "OllamaError",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/OllamaEmbedRequest"},
      "example": {"input": ["A text", "Another"]}}}},
    "responses": {"200": "OllamaEmbeddings"}}},
  "/api/embeddings": {"post": {
    "operationId": "ollamaEmbeddings", "summary": "One text as a vector, the older route",
    "x-errors": "OllamaError",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/OllamaEmbeddingRequest"}, "example": {"prompt": "A text"}}}},
    "responses": {"200": "OllamaEmbedding"}}},
  "/api/pull": {"post": {
    "operationId": "ollamaPull", "summary": "Fetches a model; for administrators, if the operator permits it",
    "x-streams": "application/x-ndjson", "x-errors": "OllamaError",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/OllamaName"}}}},
    "responses": {"200": "OllamaStatus"}}},
  "/api/copy": {"post": {
    "operationId": "ollamaCopy", "summary": "Gives a pulled model another name; for administrators, if the operator permits it",
    "x-errors": "OllamaError",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"type": "object", "required": ["source", "destination"], "properties": {
        "source": {"type": "string"}, "destination": {"type": "string"}}}}}},
    "responses": {"200": "OllamaStatus"}}},
  "/api/delete": {"delete": {
    "operationId": "ollamaDelete", "summary": "Removes a pulled model, or one of its other names; for administrators, if the operator permits it",
    "x-errors": "OllamaError",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/OllamaName"}}}},
    "responses": {"200": "OllamaStatus"}}}
},
"schemas": {
  "OllamaError": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
  "OllamaVersion": {"type": "object", "required": ["version"], "properties": {"version": {"type": "string"}}},
  "OllamaName": {"type": "object", "properties": {"model": {"$ref": "#/components/schemas/ModelName"}}},
  "OllamaStatus": {"type": "object", "properties": {"status": {"type": "string"}}},
  "OllamaModels": {"type": "object", "required": ["models"], "properties": {"models": {"type": "array", "items": {
    "type": "object", "required": ["name", "model", "size", "digest", "details"], "properties": {
      "name": {"type": "string"}, "model": {"type": "string"}, "size": {"type": "integer"},
      "digest": {"type": "string"}, "details": {"type": "object"}}}}}},
  "OllamaShown": {"type": "object", "required": ["template", "details", "model_info", "capabilities"], "properties": {
    "template": {"type": "string"}, "details": {"type": "object"}, "model_info": {"type": "object"},
    "capabilities": {"type": "array", "items": {"enum": ["completion", "tools", "thinking"]}}}},
  "OllamaOptions": {"type": "object", "properties": {
    "num_predict": {"type": ["integer", "null"], "minimum": -2, "maximum": 1073741824}}},
  "OllamaFormat": {"anyOf": [{"enum": ["", "json", null]}, {"type": "object"}]},
  "OllamaThink": {"enum": [true, false, "low", "medium", "high", null]},
  "KeepAlive": {"type": ["string", "number", "null"], "description": "Without effect: models stay in memory."},
  "OllamaMessage": {"type": "object", "required": ["role", "content"], "properties": {
    "role": {"enum": ["system", "user", "assistant", "tool"]}, "content": {"type": "string"},
    "thinking": {"type": ["string", "null"]}, "tool_name": {"type": ["string", "null"]},
    "tool_calls": {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/OllamaCall"}}}},
  "OllamaCall": {"type": "object", "required": ["function"], "properties": {
    "function": {"type": "object", "required": ["name", "arguments"], "properties": {
      "name": {"type": "string"}, "arguments": {"type": "object"}}}}},
  "OllamaChatRequest": {"type": "object", "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "messages": {"type": ["array", "null"], "maxItems": 65536, "items": {"$ref": "#/components/schemas/OllamaMessage"}},
    "tools": {"type": ["array", "null"], "maxItems": 512, "items": {"$ref": "#/components/schemas/Tool"}},
    "stream": {"type": ["boolean", "null"], "description": "By default true."},
    "format": {"$ref": "#/components/schemas/OllamaFormat"}, "think": {"$ref": "#/components/schemas/OllamaThink"},
    "keep_alive": {"$ref": "#/components/schemas/KeepAlive"},
    "logprobs": {"type": ["boolean", "null"]},
    "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
    "options": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/OllamaOptions"}]}}},
  "OllamaGenerateRequest": {"type": "object", "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "prompt": {"type": ["string", "null"]}, "suffix": {"type": ["string", "null"]},
    "system": {"type": ["string", "null"]}, "template": {"type": ["string", "null"]},
    "raw": {"type": ["boolean", "null"], "description": "Without system, template and context."},
    "context": {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/TokenId"}},
    "stream": {"type": ["boolean", "null"], "description": "By default true."},
    "format": {"$ref": "#/components/schemas/OllamaFormat"}, "think": {"$ref": "#/components/schemas/OllamaThink"},
    "keep_alive": {"$ref": "#/components/schemas/KeepAlive"},
    "logprobs": {"type": ["boolean", "null"]},
    "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
    "options": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/OllamaOptions"}]}}},
  "OllamaChatAnswer": {"type": "object", "required": ["model", "created_at", "message", "done"], "properties": {
    "model": {"type": "string"}, "created_at": {"type": "string"}, "done": {"const": true},
    "done_reason": {"enum": ["stop", "length", "load"]},
    "message": {"type": "object", "required": ["role", "content"], "properties": {
      "role": {"const": "assistant"}, "content": {"type": "string"}, "thinking": {"type": "string"},
      "tool_calls": {"type": "array", "items": {"$ref": "#/components/schemas/OllamaCall"}}}}}},
  "OllamaGenerateAnswer": {"type": "object", "required": ["model", "created_at", "response", "done"], "properties": {
    "model": {"type": "string"}, "created_at": {"type": "string"}, "response": {"type": "string"},
    "thinking": {"type": "string"}, "done": {"const": true}, "done_reason": {"enum": ["stop", "length", "load"]},
    "context": {"type": "array", "items": {"type": "integer"}}}},
  "OllamaEmbedRequest": {"type": "object", "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "input": {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "maxItems": 2048, "items": {"type": "string", "minLength": 1}}]},
    "truncate": {"type": ["boolean", "null"]}, "dimensions": {"$ref": "#/components/schemas/Dimensions"},
    "keep_alive": {"$ref": "#/components/schemas/KeepAlive"}, "options": {"type": ["object", "null"]}}},
  "OllamaEmbeddings": {"type": "object", "required": ["model", "embeddings"], "properties": {
    "model": {"type": "string"}, "embeddings": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}}},
  "OllamaEmbeddingRequest": {"type": "object", "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"}, "prompt": {"type": ["string", "null"]},
    "keep_alive": {"$ref": "#/components/schemas/KeepAlive"}, "options": {"type": ["object", "null"]}}},
  "OllamaEmbedding": {"type": "object", "required": ["embedding"], "properties": {
    "embedding": {"type": "array", "items": {"type": "number"}}}}
}})json";

}  // namespace linnet
