import assert from "node:assert/strict";
import { test } from "node:test";
import { chatFrom, keptFrom } from "../src/foreign.ts";
import { pathTo } from "../src/tree.ts";

const node = (id: string, parent: unknown, more = {}) => ({ id, parent, role: "user", text: id, made: 1, changed: 1, end: "done", ...more });

test("a chat keeps its tree", () => {
  const chat = chatFrom({ title: "T", nodes: { a: node("a", null), b: node("b", "a", { role: "assistant", end: "running",
    cost: { prompt: 1, cached: 0, written: 2, thought: 0, readSeconds: 0.1, writeSeconds: 0.2 } }) }, leaf: "b" })!;
  assert.deepEqual(pathTo(chat, chat.leaf).map((one) => one.text), ["a", "b"]);
  assert.equal(chat.nodes.b.end, "lost");
  assert.equal(chat.nodes.b.cost!.written, 2);
  assert.equal(chat.revision, 0);
});

test("what does not fit is left out, circles are broken", () => {
  for (const bad of [null, 5, "x", [], {}, { nodes: [] }, { nodes: {} }, { nodes: { a: 1 } }, { nodes: { a: { role: "root" } } }]) {
    assert.equal(chatFrom(bad), null, JSON.stringify(bad));
  }
  const text = `{"nodes":{"__proto__":{"role":"user","text":"p","parent":null},"a/b":{"role":"user"},
    "a":{"role":"user","text":5,"parent":"b","made":"x"},"b":{"role":"user","text":"b","parent":"a"},
    "c":{"role":"tool","text":"c","parent":"gone","calls":[1,{"name":2}],"files":[{}],"cost":{"prompt":"x"}}}}`;
  const chat = chatFrom(JSON.parse(text))!;
  assert.deepEqual(Object.keys(chat.nodes).sort(), ["a", "b", "c"]);
  assert.equal(Object.getPrototypeOf(chat.nodes), Object.prototype);
  assert.equal(chat.nodes.a.text, "");
  assert.equal(chat.nodes.c.cost, undefined);
  assert.deepEqual(chat.nodes.c.calls, [{ id: "", name: "", arguments: "" }]);
  assert.equal(Object.values(chat.nodes).filter((one) => one.parent === null).length, 2);
});

test("a chat of the server has its id and revision, whatever it says itself", () => {
  const chat = keptFrom("one", 7, { id: "two", revision: 1, place: "browser", nodes: { a: node("a", null) }, dropped: ["x", 5, "__proto__"] })!;
  assert.deepEqual([chat.id, chat.revision, chat.place, chat.dropped], ["one", 7, "server", ["x"]]);
  assert.equal(keptFrom("one", 7, { nodes: {} }), null);
});
