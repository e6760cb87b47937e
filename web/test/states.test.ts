import assert from "node:assert/strict";
import { test } from "node:test";
import { stateRows } from "../src/state-rows.ts";

const shown = (states: Parameters<typeof stateRows>[0]): string[] =>
  stateRows(states).map((row) => "-".repeat(row.depth) + row.state.id + (row.below > 0 ? row.below : ""));

test("a state stands below the one that it began with, the oldest first", () => {
  assert.deepEqual(shown([
    { id: "d", parent: "b", created: 4 }, { id: "c", parent: "a", created: 3 }, { id: "b", parent: "a", created: 2 },
    { id: "a", parent: null, created: 1 }, { id: "e", parent: "gone", created: 0 },
  ]), ["e", "a2", "-b1", "--d", "-c"]);
  assert.deepEqual(shown([]), []);
});

test("a circle does not hang the page, and loses no state", () => {
  assert.deepEqual(shown([{ id: "a", parent: "b", created: 1 }, { id: "b", parent: "a", created: 2 }, { id: "c", parent: "c" }]).length, 3);
});
