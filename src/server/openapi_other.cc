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
  "/v1/chats": {"get": {
    "operationId": "listChats", "summary": "The chats that the web page keeps here, the latest first",
    "responses": {"200": "KeptChatList"}}},
  "/v1/chats/{chat_id}": {
    "get": {"operationId": "getChat", "summary": "One of them", "parameters": [{"name": "chat_id", "in": "path", "required": true, "schema": {"$ref": "#/components/schemas/ChatId"}}],
      "responses": {"200": "KeptChat"}},
    "put": {"operationId": "putChat", "summary": "Keeps it in place of a known revision", "parameters": [{"name": "chat_id", "in": "path", "required": true, "schema": {"$ref": "#/components/schemas/ChatId"}}],
      "requestBody": {"required": true, "content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/ChatToKeep"},
        "example": {"title": "A fox", "revision": 0, "chat": {"nodes": {}}}}}},
      "responses": {"200": "KeptChatHead"}},
    "delete": {"operationId": "deleteChat", "summary": "Deletes it", "parameters": [{"name": "chat_id", "in": "path", "required": true, "schema": {"$ref": "#/components/schemas/ChatId"}}],
      "responses": {"200": "DeletedChat"}}},
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
    "use": {"enum": ["retrieval", "similarity", "classification", null], "description": "Which of EmbeddingRWKV's heads; other models have one vector for all uses."},
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
  "ChatId": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
  "ChatToKeep": {"type": "object", "required": ["chat"], "properties": {
    "title": {"type": ["string", "null"], "maxLength": 500},
    "revision": {"type": ["integer", "null"], "minimum": 0, "maximum": 9223372036854775807, "description": "The one that it replaces; 0: it is new."},
    "chat": {"type": "object"}}},
  "KeptChatHead": {"type": "object", "required": ["id", "object", "revision", "updated"], "properties": {
    "id": {"$ref": "#/components/schemas/ChatId"}, "object": {"const": "chat"}, "title": {"type": "string"},
    "revision": {"type": "integer"}, "updated": {"type": "integer"}, "bytes": {"type": "integer"}}},
  "KeptChat": {"type": "object", "required": ["id", "object", "title", "revision", "updated", "chat"], "properties": {
    "id": {"$ref": "#/components/schemas/ChatId"}, "object": {"const": "chat"}, "title": {"type": "string"},
    "revision": {"type": "integer"}, "updated": {"type": "integer"}, "chat": {"type": "object"}}},
  "KeptChatList": {"type": "object", "required": ["object", "data"], "properties": {
    "object": {"const": "list"}, "data": {"type": "array", "items": {"$ref": "#/components/schemas/KeptChatHead"}}}},
  "DeletedChat": {"type": "object", "required": ["id", "object", "deleted"], "properties": {
    "id": {"$ref": "#/components/schemas/ChatId"}, "object": {"const": "chat"}, "deleted": {"const": true}}},
  "Status": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}},
  "Document": {"type": "object", "required": ["openapi", "info", "paths"]}
}})json";

}  // namespace linnet
