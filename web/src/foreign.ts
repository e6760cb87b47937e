// Chats from outside, of a file or of the server: nothing in them is taken for granted.

import { newChat, type Chat, type ChatNode, type Cost, type Role, type StreamPlace } from "./tree.ts";

const kRoles = new Set<string>(["user", "assistant", "tool", "text"]);
const isId = (id: string): boolean => /^[\w.-]{1,64}$/.test(id) && id !== "__proto__";
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const time = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : Date.now());

const kCosts = ["prompt", "cached", "path", "written", "thought", "readSeconds", "writeSeconds"] as const;

function costFrom(value: unknown): Cost | undefined {
  if (!isObject(value)) return undefined;
  const cost: Record<string, number> = {};
  for (const name of kCosts) {
    const number = value[name];
    if (typeof number === "number" && Number.isFinite(number)) cost[name] = number;
    else if (name !== "path") return undefined;
  }
  return cost as unknown as Cost;
}

function streamFrom(value: unknown): StreamPlace | undefined {
  if (!isObject(value) || !isId(text(value.id))) return undefined;
  const { last, begun, first } = value;
  if (!Number.isInteger(last) || typeof begun !== "number" || typeof first !== "number") return undefined;
  return { id: text(value.id), last: last as number, begun, first };
}

// A new chat with what is taken, field by field; null if there is no message in it. `own`: this
// browser wrote it, so that what runs may still run.
export function chatFrom(value: unknown, own = false): Chat | null {
  if (!isObject(value) || !isObject(value.nodes)) return null;
  const chat = newChat(value.kind === "text" ? "text" : "chat", "browser", Date.now());
  chat.title = text(value.title).slice(0, 500);
  if (value.titled === true) chat.titled = true;
  chat.system = text(value.system);
  chat.tools = text(value.tools);
  for (const [id, node] of Object.entries(value.nodes)) {
    if (!isId(id) || !isObject(node) || !kRoles.has(text(node.role))) continue;
    const clean: ChatNode = {
      id, parent: typeof node.parent === "string" ? node.parent : null, role: node.role as Role, text: text(node.text),
      made: time(node.made), changed: time(node.changed), end: node.end === "running" ? "lost" : "done",
    };
    if (["length", "stopped", "lost", "calls"].includes(text(node.end))) clean.end = node.end as ChatNode["end"];
    if (own && node.end === "running") {
      clean.end = "running";
      clean.beat = typeof node.beat === "number" ? node.beat : 0;
    }
    if (own && typeof node.error === "string") clean.error = node.error;
    const stream = own ? streamFrom(node.stream) : undefined;
    if (stream) clean.stream = stream;
    if (typeof node.thought === "string") clean.thought = node.thought;
    const cost = costFrom(node.cost);
    if (cost) clean.cost = cost;
    if (typeof node.model === "string") clean.model = node.model;
    if (typeof node.call === "string") clean.call = node.call;
    if (Array.isArray(node.calls)) {
      clean.calls = node.calls.filter(isObject).map((call) => ({ id: text(call.id), name: text(call.name), arguments: text(call.arguments) }));
    }
    if (Array.isArray(node.files)) {
      clean.files = node.files.filter(isObject).map((file) => ({
        name: text(file.name), text: text(file.text),
        place: file.place === "before" || file.place === "after" ? file.place : "both",
      }));
    }
    chat.nodes[id] = clean;
  }
  // Without parents that are not there, and without circles.
  for (const node of Object.values(chat.nodes)) {
    if (node.parent !== null && !chat.nodes[node.parent]) node.parent = null;
  }
  const rooted = new Set<string>();
  for (const node of Object.values(chat.nodes)) {
    const seen: string[] = [];
    let at: string | null = node.id;
    while (at !== null && !rooted.has(at) && !seen.includes(at)) {
      seen.push(at);
      at = chat.nodes[at].parent;
    }
    if (at !== null && seen.includes(at)) chat.nodes[at].parent = null;
    for (const id of seen) rooted.add(id);
  }
  const leaf = text(value.leaf);
  chat.leaf = chat.nodes[leaf] ? leaf : (Object.keys(chat.nodes).at(-1) ?? null);
  return chat.leaf === null ? null : chat;
}

// A chat as the server keeps it; null if the page did not put it there.
export function keptFrom(id: string, revision: number, value: unknown, own = false): Chat | null {
  const chat = chatFrom(value, own);
  if (chat === null || !isObject(value)) return null;
  const dropped = Array.isArray(value.dropped) ? value.dropped.map(text).filter(isId) : [];
  return { ...chat, id, revision, dropped, made: time(value.made), changed: time(value.changed), place: "server" };
}

// A chat that this browser put aside while its page went away; null if it is damaged.
export function asideFrom(id: string, value: unknown): Chat | null {
  const chat = isId(id) && isObject(value) ? keptFrom(id, 0, value, true) : null;
  return chat && { ...chat, place: (value as Chat).place === "server" ? "server" : "browser" };
}
