#include "server/openapi_parts.h"

namespace linnet {

const char kOpenApiOther[] = R"json({
"paths": {
  "/v1/embeddings": {"post": {
    "operationId": "embeddings", "summary": "Texts as vectors of length 1",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/EmbeddingRequest"},
      "example": {"input": ["A text", "Another"]}}}},
    "responses": {"200": "EmbeddingList"}}},
  "/v1/models": {"get": {
    "operationId": "listModels", "summary": "The served models",
    "responses": {"200": "ModelList"}}},
  "/v1/models/{model}": {"get": {
    "operationId": "getModel", "summary": "One of them",
    "parameters": [{"name": "model", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}],
    "responses": {"200": "Model"}}},
  "/v1/models/{folder}/{model}": {"get": {
    "operationId": "getModelInFolder", "summary": "One whose name has a slash",
    "parameters": [{"name": "folder", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}},
      {"name": "model", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}],
    "responses": {"200": "Model"}}},
  "/health": {"get": {
    "operationId": "health", "summary": "Whether the process answers", "security": [],
    "responses": {"200": "Status"}}},
  "/ready": {"get": {
    "operationId": "ready", "summary": "Whether a request would be taken now", "security": [],
    "responses": {"200": "Status"}}},
  "/metrics": {"get": {
    "operationId": "metrics", "summary": "Counters in Prometheus's text format",
    "responses": {"200": {"description": "The answer.", "content": {"text/plain": {"schema": {"type": "string"}}}}}}},
  "/openapi.json": {"get": {
    "operationId": "openapi", "summary": "This description",
    "responses": {"200": "Document"}}}
},
"schemas": {
  "EmbeddingRequest": {"type": "object", "required": ["input"], "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "input": {"anyOf": [{"type": "string", "minLength": 1},
      {"type": "array", "minItems": 1, "maxItems": 2048, "items": {"type": "string", "minLength": 1}},
      {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/TokenId"}},
      {"type": "array", "minItems": 1, "maxItems": 2048, "items": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/TokenId"}}}]},
    "encoding_format": {"enum": ["float", "base64", null]},
    "dimensions": {"$ref": "#/components/schemas/Dimensions"},
    "user": {"type": ["string", "null"]}}},
  "EmbeddingList": {"type": "object", "required": ["object", "data", "model", "usage"], "properties": {
    "object": {"const": "list"}, "model": {"type": "string"},
    "data": {"type": "array", "items": {"type": "object", "required": ["object", "index", "embedding"], "properties": {
      "object": {"const": "embedding"}, "index": {"type": "integer"},
      "embedding": {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "string"}]}}}},
    "usage": {"type": "object", "required": ["prompt_tokens", "total_tokens"]}}},
  "Model": {"type": "object", "required": ["id", "object", "created", "owned_by"], "properties": {
    "id": {"type": "string"}, "object": {"const": "model"}, "created": {"type": "integer"}, "owned_by": {"type": "string"}}},
  "ModelList": {"type": "object", "required": ["object", "data", "models"], "properties": {
    "object": {"const": "list"}, "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
    "models": {"type": "array", "description": "The same for Codex.", "items": {"type": "object", "required": ["slug"]}}}},
  "Status": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}},
  "Document": {"type": "object", "required": ["openapi", "info", "paths"]}
}})json";

}  // namespace linnet
