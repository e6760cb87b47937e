import assert from "node:assert/strict";
import { test } from "node:test";
import {
  childrenOf, dropBranch, merged, newChat, newestLeaf, pathTo, segmentsOf, type Chat, type ChatNode,
} from "../src/tree.ts";

let made = 0;
function add(chat: Chat, id: string, parent: string | null, text = id): void {
  ++made;
  chat.nodes[id] = { id, parent, role: "user", text, made, changed: made, end: "done" };
  chat.leaf = id;
}
const copy = (chat: Chat): Chat => structuredClone(chat);
const ids = (nodes: ChatNode[]): string[] => nodes.map((node) => node.id);

// a - b - c
//      \ d - e
function sample(): Chat {
  const chat = newChat("chat", "browser", 1);
  for (const [id, parent] of [["a", null], ["b", "a"], ["c", "b"], ["d", "b"], ["e", "d"]] as const) add(chat, id, parent);
  return chat;
}

test("a path leads from the root, a jump to the newest end of a branch", () => {
  const chat = sample();
  assert.deepEqual(ids(pathTo(chat, "e")), ["a", "b", "d", "e"]);
  assert.equal(newestLeaf(chat, "a"), "e");
  assert.equal(newestLeaf(chat, "c"), "c");
  add(chat, "f", "c");
  assert.equal(newestLeaf(chat, null), "f");
  assert.deepEqual(pathTo(chat, "none"), []);
});

test("runs without a branch are one segment, in reading order", () => {
  const segments = segmentsOf(sample());
  assert.deepEqual(segments.map((one) => [ids(one.nodes).join(""), one.depth, one.below, one.rails]),
    [["ab", 0, 2, []], ["c", 1, 0, [1]], ["de", 1, 0, []]]);
  const chat = sample();
  add(chat, "f", null);
  add(chat, "g", "c");
  add(chat, "h", "c");
  assert.deepEqual(segmentsOf(chat).map((one) => [ids(one.nodes).join(""), one.rails.join("")]),
    [["ab", "0"], ["c", "01"], ["g", "012"], ["h", "01"], ["de", "0"], ["f", ""]]);
});

test("a deep chat needs no deep stack", () => {
  const chat = newChat("chat", "browser", 1);
  for (let i = 0; i < 20_000; ++i) add(chat, `n${i}`, i === 0 ? null : `n${i - 1}`);
  assert.equal(segmentsOf(chat)[0].nodes.length, 20_000);
  assert.equal(newestLeaf(chat, "n0"), "n19999");
  dropBranch(chat, "n1", 2);
  assert.deepEqual(Object.keys(chat.nodes), ["n0"]);
  assert.equal(chat.leaf, "n0");
});

test("a deleted branch takes the reader to what is left", () => {
  const chat = sample();
  dropBranch(chat, "d", 99);
  assert.equal(chat.leaf, "c");
  assert.deepEqual(Object.keys(chat.nodes), ["a", "b", "c"]);
  assert.deepEqual(chat.dropped.sort(), ["d", "e"]);
});

test("merging is the same in any order, loses nothing that was added and keeps deletions", () => {
  const base = sample();
  const one = copy(base);
  const two = copy(base);
  add(one, "x", "c");
  add(two, "y", "e");
  add(two, "z", "c");
  two.nodes.a = { ...two.nodes.a, text: "later", changed: 1e9 };
  dropBranch(one, "d", 50); // and y with it, whose branch is gone
  const forth = merged(one, two);
  const back = merged(two, one);
  assert.deepEqual(Object.keys(forth.nodes).sort(), ["a", "b", "c", "x", "z"]);
  assert.deepEqual(Object.keys(back.nodes).sort(), Object.keys(forth.nodes).sort());
  assert.deepEqual(forth.dropped, back.dropped);
  assert.equal(forth.nodes.a.text, "later");
  assert.equal(back.nodes.a.text, "later");
  assert.deepEqual(merged(forth, two).nodes, forth.nodes); // once more changes nothing
  assert.equal(forth.leaf, one.leaf); // each reader stays
});

test("random edits in three copies end in one tree", () => {
  let seed = 1;
  const random = (below: number): number => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % below;
  for (let round = 0; round < 50; ++round) {
    const base = sample();
    const copies = [copy(base), copy(base), copy(base)];
    for (let step = 0; step < 20; ++step) {
      const chat = copies[random(3)];
      const all = Object.keys(chat.nodes);
      if (random(4) === 0 && all.length > 2) dropBranch(chat, all[random(all.length)], step + 100);
      else add(chat, `r${round}-${step}`, all.length === 0 ? null : all[random(all.length)]);
      if (random(5) === 0) copies[random(3)] = merged(copies[random(3)], copies[random(3)]);
    }
    const [a, b, c] = copies;
    const left = merged(merged(a, b), c);
    const right = merged(c, merged(b, a));
    assert.deepEqual(Object.keys(left.nodes).sort(), Object.keys(right.nodes).sort());
    for (const node of Object.values(left.nodes)) assert.ok(node.parent === null || left.nodes[node.parent]);
    assert.ok(left.leaf === null ? Object.keys(left.nodes).length === 0 : left.nodes[left.leaf]);
    assert.equal([...childrenOf(left).values()].flat().length, Object.keys(left.nodes).length);
  }
});
