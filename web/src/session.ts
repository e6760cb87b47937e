// The open chats, and what is being written in them.

import { batch, signal, type Signal } from "@preact/signals";
import { abilities, ApiError, askJson, models, online, waitForServer } from "./api.ts";
import { messagesOf } from "./prompt.ts";
import { settings } from "./settings.ts";
import * as store from "./store.ts";
import { dropBranch, isAlive, merged, newChat, newestLeaf, pathTo, type Chat, type ChatNode } from "./tree.ts";

export interface Run {
  chat: string;
  node: string;
  abort: AbortController;
  text: Signal<string>;
  thought: Signal<string>;
  speed: Signal<number>; // tokens a second
  reading: Signal<boolean>; // no token has come yet
  keep: () => void; // changes the chat to what has come so far
}

export const current = signal<Chat | null>(null);
export const list = signal<store.Head[]>([]);
export const runs = signal<ReadonlyMap<string, Run>>(new Map());
export const announcement = signal(""); // for screen readers
export const notice = signal<{ text: string; bad: boolean } | null>(null);
export const storageFault = signal("");

// The last jump: what it cost.
export interface Jump {
  chat: string;
  leaf: string | null;
  tokens: number | null; // of the branch; null while they are being counted, or if they cannot be
  missing: number | null; // of these, those whose state the server has dropped; null: not known
}
export const jump = signal<Jump | null>(null);

// Chats in memory: the current one, and those in which something is written.
export const open = new Map<string, Chat>();

export const model = (): string => {
  const wanted = settings.value.model;
  return models.value.some((one) => one.id === wanted) ? wanted : (models.value[0]?.id ?? "");
};
export const modelInfo = () => models.value.find((one) => one.id === model());

export async function refreshList(): Promise<void> {
  try {
    list.value = await store.heads();
  } catch (error) {
    storageFault.value = String((error as Error).message);
  }
}

function show(chat: Chat): void {
  open.set(chat.id, chat);
  if (current.value?.id === chat.id) current.value = chat;
}

// ---- Keeping.

const timers = new Map<string, ReturnType<typeof setTimeout>>();

// Chats with changes that the database does not have yet; the number counts changes.
const unsaved = new Map<string, number>();
const touch = (id: string): void => void unsaved.set(id, (unsaved.get(id) ?? 0) + 1);

// A page that goes away has no time to write to the database.
addEventListener("pagehide", () => {
  for (const run of runs.value.values()) run.keep();
  for (const id of unsaved.keys()) {
    const chat = open.get(id);
    if (chat && Object.keys(chat.nodes).length > 0) store.putAside(chat);
  }
});
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const id of unsaved.keys()) store.dropAside(id);
});

const isWritten = (id: string): boolean => [...runs.value.values()].some((run) => run.chat === id);

// What nobody looks at, writes or has to save goes from memory.
function release(id: string): void {
  if (current.value?.id !== id && !isWritten(id) && !unsaved.has(id)) open.delete(id);
}

async function keep(id: string): Promise<void> {
  const chat = open.get(id);
  if (!chat || Object.keys(chat.nodes).length === 0) {
    unsaved.delete(id);
    return;
  }
  const changes = unsaved.get(id);
  try {
    const whole = await store.save(chat);
    // While it was written the chat may have changed again.
    if (unsaved.get(id) === changes) unsaved.delete(id);
    const now = open.get(id);
    if (now) show(merged(now, whole));
    release(id);
    storageFault.value = "";
  } catch (error) {
    storageFault.value = String((error as Error).message);
  }
  await refreshList();
}

async function share(id: string): Promise<void> {
  const chat = open.get(id) ?? (await store.load(id));
  if (!chat || chat.place !== "server" || !abilities.value.chats) return;
  try {
    const whole = await store.push(chat);
    const now = open.get(id);
    if (now) show(merged(now, whole));
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 0) {
      notice.value = { text: (error as Error).message, bad: true };
    }
    // Without a connection it is sent when the server is back.
  }
}

// Changes a chat: a copy is shown at once and kept soon.
export function change(id: string, how: (chat: Chat) => void, content = true): void {
  const old = open.get(id);
  if (!old) return;
  const chat: Chat = { ...old, nodes: { ...old.nodes }, dropped: [...old.dropped] };
  how(chat);
  if (content) chat.changed = Date.now();
  show(chat);
  touch(id);
  clearTimeout(timers.get(id));
  timers.set(id, setTimeout(() => {
    timers.delete(id);
    void keep(id).then(() => {
      if (content && !isWritten(id)) void share(id);
    });
  }, 50));
}

// ---- Opening.

export async function openChat(id: string): Promise<boolean> {
  const chat = open.get(id) ?? (await store.load(id));
  if (!chat) return false;
  const old = current.value;
  batch(() => {
    open.set(id, chat);
    current.value = chat;
    jump.value = null;
  });
  if (old && old.id !== id) release(old.id);
  return true;
}

export function startChat(kind: Chat["kind"] = "chat", system = ""): Chat {
  const place = abilities.value.chats ? settings.value.place : "browser";
  const chat = { ...newChat(kind, place, Date.now()), system };
  open.set(chat.id, chat);
  current.value = chat;
  jump.value = null;
  return chat;
}

export async function removeChat(id: string): Promise<void> {
  for (const run of runs.value.values()) if (run.chat === id) run.abort.abort();
  const chat = open.get(id) ?? (await store.load(id));
  open.delete(id);
  clearTimeout(timers.get(id));
  timers.delete(id);
  unsaved.delete(id);
  if (chat) {
    try {
      await store.remove(chat);
    } catch (error) {
      notice.value = { text: (error as Error).message, bad: true };
    }
  }
  if (current.value?.id === id) startChat();
  await refreshList();
}

export function rename(id: string, title: string): void {
  change(id, (chat) => {
    chat.title = title;
    chat.titled = title !== "";
  });
}

export async function move(id: string, place: Chat["place"]): Promise<void> {
  const chat = open.get(id);
  if (!chat || chat.place === place) return;
  if (place === "server") {
    change(id, (changed) => { changed.place = "server"; });
  } else {
    show(await store.withdraw(chat));
    await refreshList();
  }
}

export async function add(chat: Chat): Promise<void> {
  open.set(chat.id, chat);
  touch(chat.id);
  await keep(chat.id);
}

export const setSystem = (id: string, system: string): void =>
  change(id, (chat) => { chat.system = system; });
export const setTools = (id: string, tools: string): void =>
  change(id, (chat) => { chat.tools = tools; });

// ---- Moving in the tree. Nothing is sent: the states of all ends are kept by the server.

export function jumpTo(id: string | null, exact = false): void {
  const chat = current.value;
  if (!chat) return;
  const leaf = exact ? id : newestLeaf(chat, id);
  if (leaf === chat.leaf) return;
  change(chat.id, (changed) => { changed.leaf = leaf; }, false);
  const made: Jump = { chat: chat.id, leaf, tokens: null, missing: null };
  jump.value = made;
  const path = pathTo(chat, leaf);
  void Promise.all([countPath(chat, path), countKept(chat, path)]).then(([tokens, kept]) => {
    const missing = tokens === null || kept === null ? null : Math.max(0, tokens - kept);
    if (jump.value === made) jump.value = { ...made, tokens, missing };
  });
}

// Tokens that a message at the end of this branch would find in the server's memory; null if the
// server cannot say. Nothing is run for it.
async function countKept(chat: Chat, path: ChatNode[]): Promise<number | null> {
  if (!abilities.value.explain || chat.kind === "text" || path.at(-1)?.role !== "assistant") return null;
  try {
    const messages = [...messagesOf(chat, path), { role: "user", content: "?" }];
    const answer = await askJson<{ cached_tokens: number }>("POST", "/v1/cache/explain", { model: model(), messages });
    return answer.cached_tokens;
  } catch {
    return null;
  }
}

// Tokens of a branch, without running them; null if it cannot be said.
export async function countPath(chat: Chat, path: ChatNode[]): Promise<number | null> {
  if (chat.kind === "text" || path.some((node) => node.role === "tool" || node.calls)) return null;
  if (path.length === 0) return 0;
  try {
    const input = messagesOf(chat, path).map(({ role, content }) => ({ role, content }));
    const answer = await askJson<{ input_tokens: number }>(
      "POST", "/v1/responses/input_tokens", { model: model(), input });
    return answer.input_tokens;
  } catch {
    return null;
  }
}

export function drop(id: string): void {
  const chat = current.value;
  if (!chat) return;
  const below = new Set(Object.keys(chat.nodes));
  change(chat.id, (changed) => dropBranch(changed, id, Date.now()));
  for (const left of Object.keys(current.value!.nodes)) below.delete(left);
  for (const run of runs.value.values()) if (below.has(run.node)) run.abort.abort();
}

export function addNode(id: string, node: ChatNode): void {
  change(id, (chat) => {
    chat.nodes[node.id] = node;
    chat.leaf = node.id;
    if (!chat.titled && chat.title === "" && node.role !== "assistant") {
      chat.title = node.text.trim().replace(/\s+/g, " ").slice(0, 60) || (node.files?.[0]?.name ?? "");
    }
  });
  jump.value = null;
}

// ---- Other tabs, other devices, lost servers.

// Nodes that this tab writes, and their chats: after a reload nobody does.
const kRunning = "linnet.running";
const own = new Map<string, string>(storedRuns());
function storedRuns(): [string, string][] {
  try {
    const read: unknown = JSON.parse(sessionStorage.getItem(kRunning) ?? "[]");
    return (Array.isArray(read) ? read : []).filter((one) => Array.isArray(one) && one.length === 2).map((one) => [String(one[0]), String(one[1])]);
  } catch {
    return [];
  }
}
function remember(): void {
  try {
    sessionStorage.setItem(kRunning, JSON.stringify([...own]));
  } catch {
    // Without it the reply counts as broken off a bit later.
  }
}

export function begins(run: Run): void {
  runs.value = new Map(runs.value).set(run.node, run);
  own.set(run.node, run.chat);
  remember();
}

// `broken`: it may be taken up again.
export function ends(run: Run, broken: boolean): void {
  const left = new Map(runs.value);
  left.delete(run.node);
  runs.value = left;
  if (!broken) own.delete(run.node);
  remember();
}

// Calls it unless another tab writes this node, and keeps others from doing so until it is done.
// Browsers have locks on secure origins only.
export async function alone(node: string, call: () => Promise<void>): Promise<void> {
  if (!navigator.locks) return call();
  await navigator.locks.request(`linnet.node.${node}`, { ifAvailable: true }, async (lock) => {
    if (lock) await call();
  });
}

// Two tabs that take up one reply would take it from each other.
const mayTakeUp = (node: ChatNode): boolean =>
  node.stream !== undefined && (own.has(node.id) || navigator.locks !== undefined);

// Replies that nobody writes any more, and of which the server may have more.
export function deserted(): { chat: Chat; node: ChatNode }[] {
  const now = Date.now();
  return [...open.values()].flatMap((chat) => Object.values(chat.nodes).filter((node) =>
    mayTakeUp(node) && !runs.value.has(node.id) &&
    (node.end === "lost" || (node.end === "running" && (own.has(node.id) || !isAlive(node, now)))))
    .map((node) => ({ chat, node })));
}

// Those that nobody writes and that cannot be taken up.
export function markLost(): void {
  const now = Date.now();
  const chat = current.value;
  if (!chat) return;
  const lost = Object.values(chat.nodes).filter((node) => node.end === "running" && !runs.value.has(node.id) &&
    (!mayTakeUp(node) || !online.value) && (own.has(node.id) || !isAlive(node, now)));
  if (lost.length === 0) return;
  change(chat.id, (changed) => {
    for (const node of lost) changed.nodes[node.id] = { ...node, end: "lost", changed: now };
  });
}

// Before anything is shown: what the page did not bring into the database, and the chats in which
// this tab was writing.
export async function prepareKept(): Promise<void> {
  await store.rescue();
  for (const id of new Set(own.values())) {
    const chat = await store.load(id).catch(() => undefined);
    if (chat) open.set(id, chat);
  }
}

let waiting = false;
export async function back(): Promise<void> {
  if (waiting) return;
  waiting = true;
  await waitForServer();
  waiting = false;
  await synchronize();
}
addEventListener("offline", () => {
  online.value = false;
  void back();
});

// Sends what could not be sent, and fetches what others wrote.
export async function synchronize(): Promise<void> {
  if (!abilities.value.chats) return;
  try {
    for (const chat of await store.pull()) await store.push(chat);
    const id = current.value?.id;
    if (id) await reload(id);
  } catch (error) {
    if (error instanceof ApiError && error.status === 0) void back();
  }
  await refreshList();
}

async function reload(id: string): Promise<void> {
  const kept = await store.load(id);
  const mine = open.get(id);
  if (kept && mine) show(merged(mine, kept));
  else if (!kept && mine && Object.keys(mine.nodes).length > 0 && !timers.has(id)) {
    open.delete(id); // deleted in another tab
    if (current.value?.id === id) startChat();
  }
}

store.onOtherTabs((id) => {
  void refreshList();
  if (open.has(id)) void reload(id);
});
