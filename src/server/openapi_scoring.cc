#include "server/openapi_parts.h"

namespace linnet {

const char kOpenApiScoring[] = R"json({
"paths": {
  "/v1/score": {"post": {
    "operationId": "score", "summary": "How likely given continuations of a context are",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/ScoreRequest"},
      "example": {"context": "The sky is", "continuations": [" blue", " red"]}}}},
    "responses": {"200": "ScoreList"}}},
  "/v1/choose": {"post": {
    "operationId": "choose", "summary": "Which of several texts is the likeliest after a prompt",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/ChooseRequest"},
      "example": {"input": "The sky is", "choices": [" blue", " red"], "calibrate": true}}}},
    "responses": {"200": "ChoiceList"}}},
  "/v1/rerank": {"post": {
    "operationId": "rerank", "summary": "Documents by how likely they make a query",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/RerankRequest"},
      "example": {"query": "Who barks?", "documents": ["Dogs bark.", "Cats purr."], "top_n": 1}}}},
    "responses": {"200": "RerankList"}}},
  "/v1/systemone": {"post": {
    "operationId": "systemOne", "summary": "Typed questions, answered with probabilities that are not calibrated",
    "requestBody": {"required": true, "content": {"application/json": {
      "schema": {"$ref": "#/components/schemas/SystemOneRequest"},
      "example": {"state": "It rains.", "questions": {"wet": {"type": "noul", "instructions": "Is the street wet?"}}}}}},
    "responses": {"200": "SystemOneAnswer"}}}
},
"schemas": {
  "TextOrTokens": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/components/schemas/TokenId"}},
    {"type": "array", "items": {"type": "string"}}]},
  "Continuations": {"type": "array", "minItems": 1, "maxItems": 1024, "items": {"anyOf": [
    {"type": "string", "minLength": 1},
    {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/TokenId"}}]}},
  "ScoreRequest": {"type": "object", "required": ["context", "continuations"], "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "context": {"$ref": "#/components/schemas/TextOrTokens"},
    "continuations": {"$ref": "#/components/schemas/Continuations"},
    "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
    "no_cache": {"type": ["boolean", "null"]}}},
  "ScoreList": {"type": "object", "required": ["object", "model", "data", "usage"], "properties": {
    "object": {"const": "list"}, "model": {"type": "string"}, "usage": {"$ref": "#/components/schemas/Usage"},
    "data": {"type": "array", "items": {"type": "object", "required": ["object", "index", "logprob", "is_greedy", "bytes", "tokens", "token_logprobs"], "properties": {
      "object": {"const": "score"}, "index": {"type": "integer"},
      "logprob": {"type": "number", "description": "The sum, natural."},
      "is_greedy": {"type": "boolean", "description": "Each token is the likeliest at its place."},
      "bytes": {"type": "integer"}, "tokens": {"type": "array", "items": {"type": "integer"}},
      "token_logprobs": {"type": "array", "items": {"type": "number"}}}}}}},
  "ChooseRequest": {"type": "object", "required": ["input", "choices"], "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "input": {"$ref": "#/components/schemas/TextOrTokens"},
    "choices": {"$ref": "#/components/schemas/Continuations"},
    "calibrate": {"type": ["boolean", "null"], "description": "Subtract what the choices score after the neutral prompt."},
    "neutral_prompt": {"description": "By default empty.", "anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/TextOrTokens"}]},
    "normalize": {"enum": ["tokens", "none", null]}}},
  "ChoiceList": {"type": "object", "required": ["object", "model", "calibrated", "data", "usage"], "properties": {
    "object": {"const": "list"}, "model": {"type": "string"}, "calibrated": {"type": "boolean"},
    "usage": {"$ref": "#/components/schemas/Usage"},
    "data": {"type": "array", "description": "The best first.", "items": {"type": "object", "required": ["index", "rank", "choice", "score", "probability", "logprob", "tokens"], "properties": {
      "index": {"type": "integer"}, "rank": {"type": "integer"}, "score": {"type": "number"},
      "probability": {"type": "number", "minimum": 0, "maximum": 1}, "logprob": {"type": "number"},
      "neutral_logprob": {"type": "number"}, "tokens": {"type": "integer"}}}}}},
  "RerankRequest": {"type": "object", "required": ["query", "documents"], "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "query": {"type": "string", "minLength": 1},
    "documents": {"type": "array", "minItems": 1, "maxItems": 2048, "items": {"anyOf": [{"type": "string"},
      {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}]}},
    "top_n": {"type": ["integer", "null"], "minimum": 1, "maximum": 2147483647},
    "return_documents": {"type": ["boolean", "null"]}}},
  "RerankList": {"type": "object", "required": ["id", "object", "model", "scoring", "results", "usage"], "properties": {
    "id": {"type": "string"}, "object": {"const": "list"}, "model": {"type": "string"},
    "scoring": {"type": "string", "description": "What relevance_score is."},
    "results": {"type": "array", "description": "The best first.", "items": {"type": "object", "required": ["index", "relevance_score"], "properties": {
      "index": {"type": "integer"}, "relevance_score": {"type": "number", "minimum": 0, "maximum": 1},
      "document": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}}}},
    "usage": {"type": "object", "required": ["total_tokens"]}}},
  "Question": {"anyOf": [
    {"type": "object", "required": ["type"], "properties": {
      "type": {"const": "noul"}, "instructions": {"type": ["string", "null"]},
      "criteria": {"type": ["object", "null"], "properties": {"true": {"type": ["string", "null"]}, "false": {"type": ["string", "null"]}}}}},
    {"type": "object", "required": ["type", "criteria"], "properties": {
      "type": {"const": "choice"}, "instructions": {"type": ["string", "null"]},
      "criteria": {"type": "object", "minProperties": 1, "maxProperties": 255, "propertyNames": {"minLength": 1}}}},
    {"type": "object", "required": ["type", "criteria"], "properties": {
      "type": {"const": "score"}, "instructions": {"type": ["string", "null"]},
      "criteria": {"type": "array", "minItems": 1, "maxItems": 10}}}]},
  "SystemOneRequest": {"type": "object", "required": ["state", "questions"], "properties": {
    "model": {"$ref": "#/components/schemas/ModelName"},
    "state": {"type": ["string", "object", "array"]},
    "questions": {"type": "object", "minProperties": 1, "maxProperties": 1024,
      "additionalProperties": {"$ref": "#/components/schemas/Question"}}}},
  "SystemOneAnswer": {"type": "object", "required": ["model", "calibrated", "answers", "usage"], "properties": {
    "model": {"type": "string"}, "calibrated": {"const": false},
    "answers": {"type": "object", "additionalProperties": {"type": "object", "required": ["type"], "properties": {
      "type": {"enum": ["noul", "choice", "score"]}}}},
    "usage": {"type": "object", "required": ["input_tokens", "output_tokens"]}}}
}})json";

}  // namespace linnet
