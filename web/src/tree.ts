// A conversation as a tree: each node is a message (or a piece of a raw text), its children are what
// came after it. Nodes do not change once they are complete, so trees of two tabs or devices merge.

export type Role = "user" | "assistant" | "tool" | "text";

// How the text of a node came to its end. "running": someone is writing it; see Node.beat.
export type Ending = "done" | "length" | "stopped" | "lost" | "running" | "calls";

export interface Call {
  id: string;
  name: string;
  arguments: string;
}

// A token as the model gave it: its bytes as text, its log-probability, and the likeliest others.
export interface Token {
  text: string;
  logprob: number;
  top: { text: string; logprob: number }[];
}

// What the server said about a reply; tokens unless stated otherwise.
export interface Cost {
  prompt: number; // of the prompt
  cached: number; // of these, not read, since the state after them was kept
  path?: number; // of the prompt without the newest message; absent if it was not counted
  written: number;
  thought: number;
  readSeconds: number; // until the first token
  writeSeconds: number; // from the first token to the last
}

// Where the stream of a reply was: the server keeps it for a while, so that it can be taken up.
export interface StreamPlace {
  id: string;
  last: number; // number of the last event that the node has; -1: none
  begun: number; // ms since 1970: when it was asked for
  first: number; // the same: when the first token came; 0: none has
}

export interface Attachment {
  name: string;
  text: string;
  place: "before" | "after" | "both"; // of the question
}

export interface ChatNode {
  id: string;
  parent: string | null;
  role: Role;
  text: string;
  made: number; // ms since 1970
  changed: number; // the same; of two versions of a node the later counts
  end: Ending;
  beat?: number; // ms since 1970: when a running node was last seen to run
  thought?: string;
  calls?: Call[];
  call?: string; // of a tool's answer: the id of the call
  files?: Attachment[];
  tokens?: Token[];
  cost?: Cost;
  model?: string;
  error?: string;
  stream?: StreamPlace; // of a reply that is not complete
}

export interface Chat {
  id: string;
  kind: "chat" | "text";
  title: string;
  titled?: boolean; // the title was given by hand
  system: string;
  tools: string; // JSON, as in a request; empty: none
  made: number;
  changed: number;
  place: "browser" | "server";
  revision: number; // of the server's copy; 0: there is none
  synced?: number; // `changed` when the server had it last
  leaf: string | null; // where the reader is
  nodes: Record<string, ChatNode>;
  dropped: string[]; // ids of nodes that were deleted
}

export const newId = (): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
};

export function newChat(kind: Chat["kind"], place: Chat["place"], now: number): Chat {
  return {
    id: newId(), kind, title: "", system: "", tools: "", made: now, changed: now, place, revision: 0,
    leaf: null, nodes: {}, dropped: [],
  };
}

const byAge = (a: ChatNode, b: ChatNode): number => a.made - b.made || (a.id < b.id ? -1 : 1);

// Children of each node, the eldest first; those of the root under null.
export function childrenOf(chat: Chat): Map<string | null, ChatNode[]> {
  const children = new Map<string | null, ChatNode[]>();
  for (const node of Object.values(chat.nodes)) {
    const parent = node.parent !== null && chat.nodes[node.parent] ? node.parent : null;
    const list = children.get(parent);
    if (list) list.push(node);
    else children.set(parent, [node]);
  }
  for (const list of children.values()) list.sort(byAge);
  return children;
}

// The nodes from the root to this one.
export function pathTo(chat: Chat, id: string | null): ChatNode[] {
  const path: ChatNode[] = [];
  const seen = new Set<string>();
  for (let at = id; at !== null && chat.nodes[at] && !seen.has(at); at = chat.nodes[at].parent) {
    seen.add(at);
    path.push(chat.nodes[at]);
  }
  return path.reverse();
}

// The end of the branch through this node that was written last.
export function newestLeaf(chat: Chat, id: string | null): string | null {
  const children = childrenOf(chat);
  // Latest change below each node, without recursion: chats can be thousands of messages deep.
  const order: string[] = [];
  const stack: (string | null)[] = [id];
  while (stack.length > 0) {
    const at = stack.pop()!;
    if (at !== null) order.push(at);
    for (const child of children.get(at) ?? []) stack.push(child.id);
  }
  let best: string | null = id;
  let time = -1;
  for (const at of order) {
    if (children.has(at)) continue;
    if (chat.nodes[at] && chat.nodes[at].made > time) {
      time = chat.nodes[at].made;
      best = at;
    }
  }
  return best;
}

export function siblingsOf(chat: Chat, id: string): ChatNode[] {
  const parent = chat.nodes[id].parent;
  return Object.values(chat.nodes).filter((node) => node.parent === parent).sort(byAge);
}

// Removes a node and all below it; `leaf` moves to what is left.
export function dropBranch(chat: Chat, id: string, now: number): void {
  const node = chat.nodes[id];
  if (!node) return;
  const children = childrenOf(chat);
  const stack = [id];
  let holdsLeaf = false;
  while (stack.length > 0) {
    const at = stack.pop()!;
    for (const child of children.get(at) ?? []) stack.push(child.id);
    holdsLeaf ||= chat.leaf === at;
    delete chat.nodes[at];
    chat.dropped.push(at);
  }
  if (holdsLeaf) chat.leaf = newestLeaf(chat, node.parent);
  chat.changed = now;
}

// One chat from two copies of it. Where they differ, the later change counts; nodes that one of them
// deleted are gone. `leaf` is that of `mine`, as long as it is there.
export function merged(mine: Chat, theirs: Chat): Chat {
  const later = theirs.changed > mine.changed ? theirs : mine;
  const dropped = new Set([...mine.dropped, ...theirs.dropped]);
  const nodes: Record<string, ChatNode> = {};
  for (const node of [...Object.values(theirs.nodes), ...Object.values(mine.nodes)]) {
    if (dropped.has(node.id)) continue;
    const other = nodes[node.id];
    if (!other || node.changed >= other.changed) nodes[node.id] = node;
  }
  // A node whose parent is gone went with it.
  for (let again = true; again;) {
    again = false;
    for (const node of Object.values(nodes)) {
      if (node.parent !== null && !nodes[node.parent]) {
        delete nodes[node.id];
        dropped.add(node.id);
        again = true;
      }
    }
  }
  const chat: Chat = {
    ...later, nodes, dropped: [...dropped].sort(), leaf: mine.leaf,
    revision: Math.max(mine.revision, theirs.revision), changed: Math.max(mine.changed, theirs.changed),
    synced: Math.max(mine.synced ?? 0, theirs.synced ?? 0),
  };
  if (chat.leaf !== null && !nodes[chat.leaf]) chat.leaf = newestLeaf(chat, null);
  if (chat.leaf === null) chat.leaf = newestLeaf(chat, null);
  return chat;
}

// A run of messages without a branch in it, as the drawing of the tree shows it.
export interface Segment {
  nodes: ChatNode[]; // at least one
  depth: number; // branches above it
  below: number; // segments that begin at its end
  rails: number[]; // depths, up to its own, of which a segment follows further down
}

// The tree as rows in reading order. With `current`, the branch that holds it comes like all others,
// by age: rows do not move when the reader jumps.
export function segmentsOf(chat: Chat): Segment[] {
  const children = childrenOf(chat);
  const segments: Segment[] = [];
  const stack = [...(children.get(null) ?? [])].reverse().map((node) => ({ node, depth: 0 }));
  while (stack.length > 0) {
    const { node, depth } = stack.pop()!;
    const nodes = [node];
    let next = children.get(node.id) ?? [];
    while (next.length === 1) {
      nodes.push(next[0]);
      next = children.get(next[0].id) ?? [];
    }
    segments.push({ nodes, depth, below: next.length, rails: [] });
    for (const child of [...next].reverse()) stack.push({ node: child, depth: depth + 1 });
  }
  const rails = railsOf(segments.map((segment) => segment.depth));
  segments.forEach((segment, i) => { segment.rails = rails[i]; });
  return segments;
}

// Segment.rails of rows with these depths.
export function railsOf(depths: number[]): number[][] {
  let open: number[] = [];
  const rails = [...depths].reverse().map((depth) => {
    open = open.filter((other) => other <= depth);
    const mine = open;
    if (!open.includes(depth)) open = [...open, depth];
    return mine;
  });
  return rails.reverse();
}

// A running node whose writer has not been seen for so long has none.
export const kBeatMs = 6000;
export const isAlive = (node: ChatNode, now: number): boolean =>
  node.end === "running" && now - (node.beat ?? 0) < kBeatMs;
