import assert from "node:assert/strict";
import { test } from "node:test";
import { blankLines, cleanTurn, messagesOf, preview, readOf, withFiles } from "../src/prompt.ts";
import type { ChatNode } from "../src/tree.ts";

test("empty lines go as they do in the server", () => {
  assert.equal(cleanTurn("  a\r\n\r\n\n b \n\n\nc\n\n"), "a\n b \nc");
  assert.equal(blankLines("a\n\n\nb\n"), 2);
  assert.equal(blankLines("a\r\n\r\nb"), 1);
  assert.equal(blankLines("\n\na\nb\n\n"), 0);
  assert.equal(blankLines(""), 0);
  assert.equal(preview("world", "a\n\nb"), "User: a\nb\n\nAssistant:");
  assert.equal(preview("unknown", "a"), null);
});

test("a question stands before a text, after it, or both", () => {
  const file = { name: "f", text: "T" };
  assert.equal(withFiles("Q", [{ ...file, place: "before" }]), "Q\nf:\nT");
  assert.equal(withFiles("Q", [{ ...file, place: "after" }]), "f:\nT\nQ");
  assert.equal(withFiles("Q", [{ ...file, place: "both" }]), "Q\nf:\nT\nQ");
  assert.equal(withFiles("", [{ ...file, place: "both" }]), "f:\nT");
  assert.equal(withFiles("Q", []), "Q");
});

test("a request has the path's messages with calls and results", () => {
  const node = (more: Partial<ChatNode>): ChatNode =>
    ({ id: "x", parent: null, role: "user", text: "", made: 1, changed: 1, end: "done", ...more });
  const messages = messagesOf({ system: "S" }, [
    node({ text: "Q" }), node({ role: "assistant", calls: [{ id: "c", name: "f", arguments: "{}" }] }),
    node({ role: "tool", call: "c", text: "R" }), node({ role: "assistant", text: "A", thought: "hidden" })]);
  assert.deepEqual(messages, [
    { role: "system", content: "S" }, { role: "user", content: "Q" },
    { role: "assistant", content: "", tool_calls: [{ id: "c", type: "function", function: { name: "f", arguments: "{}" } }] },
    { role: "tool", content: "R", tool_call_id: "c" }, { role: "assistant", content: "A" }]);
});

test("what was read again is what the branch had more than the cache", () => {
  assert.deepEqual(readOf({ prompt: 63, cached: 55, path: 54 }), { fresh: 8, kept: 55, again: 0 });
  assert.deepEqual(readOf({ prompt: 63, cached: 12, path: 54 }), { fresh: 9, kept: 12, again: 42 });
  assert.deepEqual(readOf({ prompt: 14, cached: 0 }), { fresh: 14, kept: 0, again: null });
});
