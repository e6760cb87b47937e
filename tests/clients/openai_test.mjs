// What OpenAI's own JavaScript package makes of the answers: node openai_test.mjs URL
import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.LINNET_URL + "/v1", apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "Tell me a story about a linnet." }];
const base = { model: "builtin", messages, max_tokens: 24, seed: 1 };

test("a stream is the answer", async () => {
  const answer = await client.chat.completions.create(base);
  const stream = await client.chat.completions.create({ ...base, stream: true, stream_options: { include_usage: true } });
  let text = "", usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, answer.choices[0].message.content);
  assert.equal(usage.completion_tokens, answer.usage.completion_tokens);
});

test("the stream helper assembles a tool call", async () => {
  const parameters = { type: "object", properties: { days: { type: "integer", minimum: 1, maximum: 9 } }, required: ["days"], additionalProperties: false };
  const runner = client.chat.completions.stream({
    ...base, max_tokens: 200, tool_choice: "required",
    tools: [{ type: "function", function: { name: "weather", parameters } }],
  });
  const answer = await runner.finalChatCompletion();
  const call = answer.choices[0].message.tool_calls[0];
  assert.equal(call.function.name, "weather");
  assert.ok(JSON.parse(call.function.arguments).days >= 1);
});

test("a response goes on from another", async () => {
  const first = await client.responses.create({ model: "builtin", input: "Tell me a story about a fox.", max_output_tokens: 20 });
  assert.ok(first.output_text);
  const kinds = [];
  const stream = await client.responses.create({ model: "builtin", input: "Go on.", previous_response_id: first.id, max_output_tokens: 20, stream: true });
  for await (const event of stream) kinds.push(event.type);
  assert.equal(kinds[0], "response.created");
  assert.ok(["response.completed", "response.incomplete"].includes(kinds.at(-1)));
});

test("an aborted stream ends", async () => {
  const stream = await client.chat.completions.create({ ...base, max_tokens: 2000, stream: true });
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    stream.controller.abort();
    break;
  }
  assert.ok((await client.chat.completions.create(base)).choices.length);
});

test("embeddings are numbers", async () => {
  const answer = await client.embeddings.create({ model: "builtin", input: ["a fox", "a hen"] });
  assert.equal(answer.data.length, 2);
  assert.ok(Math.abs(answer.data[0].embedding.reduce((sum, x) => sum + x * x, 0) - 1) < 1e-3);
});

test("errors have their kind", async () => {
  await assert.rejects(client.chat.completions.create({ ...base, temperature: -1 }), (error) => error.status === 400 || error.status === 422);
  await assert.rejects(client.chat.completions.create({ ...base, model: "gpt-4" }), OpenAI.NotFoundError);
});
