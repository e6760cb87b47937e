#include "server/openapi_parts.h"

namespace linnet {

// What is there for programs and no other interface has: states, and models on demand.
const char kOpenApiStates[] = R"json({
"paths": {
  "/v1/states": {
    "post": {
      "operationId": "createState", "summary": "Keeps the state after a text, or one that is brought along",
      "requestBody": {"required": true, "content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/StateRequest"},
        "example": {"input": "You are a poet.", "name": "poet"}}}},
      "responses": {"200": "State"}},
    "get": {
      "operationId": "listStates", "summary": "The states of this API key, and shared ones",
      "parameters": [{"name": "model", "in": "query", "description": "Only those of this model.", "schema": {"type": "string"}}],
      "responses": {"200": "StateList"}}},
  "/v1/states/diff": {"post": {
    "operationId": "diffStates", "summary": "How two states differ, by layer and part",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/StateDiffRequest"}}}},
    "responses": {"200": "StateDiff"}}},
  "/v1/states/{state_id}": {
    "get": {
      "operationId": "getState", "summary": "What is known of a state",
      "parameters": [{"$ref": "#/components/parameters/StateId"}],
      "responses": {"200": "State"}},
    "put": {
      "operationId": "putState", "summary": "Keeps a state that is brought along under this id",
      "parameters": [{"$ref": "#/components/parameters/StateId"},
        {"name": "layout", "in": "query", "description": "Of a body that is bytes.", "schema": {"$ref": "#/components/schemas/StateLayout"}},
        {"name": "model", "in": "query", "schema": {"type": "string"}},
        {"name": "name", "in": "query", "schema": {"type": "string"}},
        {"name": "shared", "in": "query", "schema": {"enum": ["true", "false"]}}],
      "requestBody": {"required": true, "content": {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "application/json": {"schema": {"$ref": "#/components/schemas/StateImport"}}}},
      "responses": {"200": "State"}},
    "post": {
      "operationId": "renameState", "summary": "Gives a state another name",
      "parameters": [{"$ref": "#/components/parameters/StateId"}],
      "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string", "maxLength": 200}}}}}},
      "responses": {"200": "State"}},
    "delete": {
      "operationId": "deleteState", "summary": "Forgets a state",
      "parameters": [{"$ref": "#/components/parameters/StateId"}],
      "responses": {"200": "DeletedState"}}},
  "/v1/states/{state_id}/fork": {"post": {
    "operationId": "forkState", "summary": "Keeps a copy under another id",
    "parameters": [{"$ref": "#/components/parameters/StateId"}],
    "requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {
      "id": {"$ref": "#/components/schemas/NewStateId"}, "name": {"type": ["string", "null"], "maxLength": 200}}}}}},
    "responses": {"200": "State"}}},
  "/v1/states/{state_id}/content": {"get": {
    "operationId": "getStateContent", "summary": "The state as a file, in the layout of this or another program",
    "parameters": [{"$ref": "#/components/parameters/StateId"},
      {"name": "layout", "in": "query", "schema": {"$ref": "#/components/schemas/StateLayout"}}],
    "responses": {"200": {"description": "The bytes; for ai00 JSON with numbers.", "content": {
      "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
      "application/json": {"schema": {"type": "object", "required": ["data", "shape"]}}}}}}},
  "/v1/lora": {
    "get": {
      "operationId": "listLoras", "summary": "The adapters of a model that are loaded, and those that can be",
      "parameters": [{"name": "model", "in": "query", "schema": {"type": "string"}}],
      "responses": {"200": "LoraList"}},
    "post": {
      "operationId": "loadLora", "summary": "Loads an adapter; for administrators",
      "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LoraRequest"}}}},
      "responses": {"200": "Lora"}}},
  "/v1/lora/{lora}": {"delete": {
    "operationId": "unloadLora", "summary": "Unloads an adapter; requests that have it go on; for administrators",
    "parameters": [{"name": "lora", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}},
      {"name": "model", "in": "query", "schema": {"type": "string"}}],
    "responses": {"200": "DeletedLora"}}},
  "/v1/streams/{stream_id}": {
    "get": {
      "operationId": "resumeStream", "summary": "The rest of an answer to a request with the header x-stream-id",
      "parameters": [{"name": "stream_id", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}},
        {"name": "after", "in": "query", "description": "The number of the last event that came; also as the header last-event-id.", "schema": {"type": "integer", "minimum": -1}}],
      "responses": {"200": {"description": "As the request asked for it.", "content": {"text/event-stream": {}, "application/json": {}}}}},
    "delete": {
      "operationId": "cancelStream", "summary": "Cancels and forgets such an answer",
      "parameters": [{"name": "stream_id", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}],
      "responses": {"200": "DeletedStream"}}},
  "/v1/cache/explain": {"post": {
    "operationId": "explainCache", "summary": "What the cache of states has of a prompt, and at which token they part",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"anyOf": [{"$ref": "#/components/schemas/ChatRequest"}, {"$ref": "#/components/schemas/CompletionRequest"}]},
      "example": {"messages": [{"role": "user", "content": "Say hello."}]}}}},
    "responses": {"200": "CacheExplanation"}}},
  "/v1/admin/models": {"get": {
    "operationId": "adminModels", "summary": "All models, with what is in memory; for administrators",
    "responses": {"200": "AdminModelList"}}},
  "/v1/admin/models/load": {"post": {
    "operationId": "loadModel", "summary": "Loads a model and answers when it is there; for administrators",
    "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/AdminModelRequest"}}}},
    "responses": {"200": "AdminModel"}}},
  "/v1/admin/models/unload": {"post": {
    "operationId": "unloadModel", "summary": "Takes a model that nobody uses out of memory; for administrators",
    "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/AdminModelRequest"}}}},
    "responses": {"200": "AdminModel"}}},
  "/v1/admin/models/switch": {"post": {
    "operationId": "switchModel", "summary": "Makes a model the default and unloads the one that was; for administrators",
    "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/AdminModelRequest"}}}},
    "responses": {"200": "AdminModel"}}}
},
"parameters": {
  "StateId": {"name": "state_id", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}
},
"schemas": {
  "NewStateId": {"type": ["string", "null"], "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
  "StateLayout": {"enum": ["signed", "reference", "rwkv.cpp", "web-rwkv", "time_state", "rwkv-runner", "ai00"], "default": "signed"},
  "StateStart": {"description": "The id of a kept state, or an object.", "anyOf": [{"type": "null"},
    {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
    {"type": "object", "properties": {
      "id": {"$ref": "#/components/schemas/NewStateId"},
      "tuned": {"$ref": "#/components/schemas/NewStateId"},
      "data": {"type": ["string", "null"], "description": "A signed state in Base64."},
      "update": {"type": ["boolean", "null"], "description": "The state `id` becomes that after the answer."}}}]},
  "StateImport": {"type": "object", "required": ["data"], "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "name": {"type": ["string", "null"], "maxLength": 200},
    "layout": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/StateLayout"}]},
    "shared": {"type": ["boolean", "null"], "description": "For all API keys; for administrators."},
    "shape": {"description": "Of ai00's numbers."},
    "data": {"description": "Base64; for ai00 a list of numbers."}}},
  "StateRequest": {"type": "object", "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "id": {"$ref": "#/components/schemas/NewStateId"},
    "name": {"type": ["string", "null"], "maxLength": 200},
    "input": {"description": "A text or token ids.", "anyOf": [{"type": ["string", "null"]},
      {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/TokenId"}}]},
    "state": {"$ref": "#/components/schemas/StateStart"},
    "lora": {"type": ["string", "null"]},
    "layout": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/StateLayout"}]},
    "shared": {"type": ["boolean", "null"]},
    "shape": {"description": "Of ai00's numbers."},
    "data": {"description": "Instead of input: a state to import, as for PUT."}}},
  "State": {"type": "object", "required": ["id", "object", "created", "model", "tokens", "tuned", "lossless", "identity", "bytes"], "properties": {
    "id": {"type": "string"}, "object": {"const": "state"}, "created": {"type": "integer"}, "used": {"type": "integer"},
    "name": {"type": "string"}, "parent": {"type": ["string", "null"], "description": "The state that it began with, or that one's, while it is kept."},
    "model": {"type": "string"}, "tokens": {"type": "integer"},
    "tuned": {"type": "boolean"}, "lossless": {"type": "boolean"}, "shared": {"type": "boolean"},
    "identity": {"type": "string"}, "bytes": {"type": "integer"}}},
  "StateList": {"type": "object", "required": ["object", "data"], "properties": {
    "object": {"const": "list"}, "data": {"type": "array", "items": {"$ref": "#/components/schemas/State"}}}},
  "DeletedState": {"type": "object", "required": ["id", "object", "deleted"]},
  "StateDiffRequest": {"type": "object", "required": ["a", "b"], "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "a": {"$ref": "#/components/schemas/StateStart"}, "b": {"$ref": "#/components/schemas/StateStart"}}},
  "StateDiff": {"type": "object", "required": ["object", "absolute", "relative", "layers"]},
  "CacheExplanation": {"type": "object", "required": ["object", "model", "prompt_tokens", "cached_tokens", "reason", "message"], "properties": {
    "reason": {"enum": ["hit", "hit_earlier", "diverged", "no_state_here", "nothing_kept", "not_used"]}}},
  "DeletedStream": {"type": "object", "required": ["id", "object", "deleted"]},
  "LoraRequest": {"type": "object", "required": ["name"], "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"}, "name": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
    "file": {"type": ["string", "null"], "description": "The name of the file in the folder of adapters without its ending; by default `name`."},
    "scale": {"type": ["number", "null"], "minimum": -1000, "maximum": 1000}}},
  "Lora": {"type": "object", "required": ["id", "object", "model", "loaded"]},
  "LoraList": {"type": "object", "required": ["object", "data"], "properties": {
    "object": {"const": "list"}, "data": {"type": "array", "items": {"$ref": "#/components/schemas/Lora"}}}},
  "DeletedLora": {"type": "object", "required": ["id", "object", "deleted"]},
  "AdminModelRequest": {"type": "object", "required": ["model"], "properties": {
    "model": {"type": "string"},
    "keep": {"type": ["boolean", "null"], "description": "For switch: do not unload what was the default."}}},
  "AdminModel": {"type": "object", "required": ["id", "object", "loaded", "default", "bytes"]},
  "AdminModelList": {"type": "object", "required": ["object", "data"], "properties": {
    "object": {"const": "list"}, "data": {"type": "array", "items": {"$ref": "#/components/schemas/AdminModel"}},
    "changes": {"type": "boolean", "description": "Whether this client may pull, copy and delete models."}}}
}})json";

}  // namespace linnet
