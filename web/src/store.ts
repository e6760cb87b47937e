// Chats in the browser's database, and on the server if the reader wishes; one for all tabs.
//
// Writing reads what is there, merges and writes in one transaction, so that two tabs add to one
// tree. Other tabs are told by a BroadcastChannel.

import { ApiError, ask, askJson } from "./api.ts";
import { asideFrom, keptFrom } from "./foreign.ts";
import { merged, type Chat } from "./tree.ts";

export interface Head {
  id: string;
  kind: Chat["kind"];
  title: string;
  changed: number;
  place: Chat["place"];
  count: number; // of messages; -1: unknown, since the chat was never opened here
}

const headOf = (chat: Chat): Head => ({
  id: chat.id, kind: chat.kind, title: chat.title, changed: chat.changed, place: chat.place,
  count: Object.keys(chat.nodes).length,
});

let opened: Promise<IDBDatabase> | null = null;
function database(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("linnet", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("chats", { keyPath: "id" });
      request.result.createObjectStore("heads", { keyPath: "id" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

const result = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const channel = new BroadcastChannel("linnet");
export function onOtherTabs(call: (id: string) => void): void {
  channel.onmessage = (event) => {
    if (typeof event.data === "string") call(event.data);
  };
}

export async function heads(): Promise<Head[]> {
  const db = await database();
  const all = await result<Head[]>(db.transaction("heads").objectStore("heads").getAll());
  return all.sort((a, b) => b.changed - a.changed);
}

export async function load(id: string): Promise<Chat | undefined> {
  const db = await database();
  return result(db.transaction("chats").objectStore("chats").get(id));
}

// Writes the chat merged with what is kept, and returns that. What a tab deleted stays deleted.
export async function save(chat: Chat): Promise<Chat> {
  const db = await database();
  const write = db.transaction(["chats", "heads"], "readwrite");
  const chats = write.objectStore("chats");
  const kept = await result<Chat | undefined>(chats.get(chat.id));
  const whole = kept ? merged(chat, kept) : chat;
  chats.put(whole);
  write.objectStore("heads").put(headOf(whole));
  await new Promise<void>((resolve, reject) => {
    write.oncomplete = () => resolve();
    write.onerror = write.onabort = () => reject(write.error);
  });
  channel.postMessage(chat.id);
  return whole;
}

// ---- What a page that goes away has not brought into the database: a chat under each key.

const kAside = "linnet.unsaved.";

export function putAside(chat: Chat): void {
  try {
    localStorage.setItem(kAside + chat.id, JSON.stringify(portable(chat)));
  } catch {
    // It is full: these last changes are lost.
  }
}

export const dropAside = (id: string): void => localStorage.removeItem(kAside + id);

// Brings them into the database; to be called before chats are read from it.
export async function rescue(): Promise<void> {
  for (const key of Object.keys(localStorage)) {
    if (!key.startsWith(kAside)) continue;
    const id = key.slice(kAside.length);
    let chat: Chat | null = null;
    try {
      chat = asideFrom(id, JSON.parse(localStorage.getItem(key) ?? ""));
    } catch {
      // Damaged.
    }
    try {
      if (chat) {
        const kept = await load(id);
        await save(kept ? withTokens(chat, kept) : chat);
      }
    } catch {
      continue; // The database cannot be used now, but perhaps next time.
    }
    dropAside(id);
  }
}

async function forget(id: string): Promise<void> {
  const db = await database();
  const write = db.transaction(["chats", "heads"], "readwrite");
  write.objectStore("chats").delete(id);
  write.objectStore("heads").delete(id);
  await new Promise<void>((resolve, reject) => {
    write.oncomplete = () => resolve();
    write.onerror = write.onabort = () => reject(write.error);
  });
  channel.postMessage(id);
}

// Chats in which all words occur, in the order of heads().
export async function search(words: string): Promise<Set<string>> {
  const wanted = words.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const found = new Set<string>();
  const db = await database();
  const cursor = db.transaction("chats").objectStore("chats").openCursor();
  await new Promise<void>((resolve, reject) => {
    cursor.onerror = () => reject(cursor.error);
    cursor.onsuccess = () => {
      const at = cursor.result;
      if (!at) return resolve();
      const chat = at.value as Chat;
      const text = [chat.title, ...Object.values(chat.nodes).map((node) => node.text)].join("\n").toLowerCase();
      if (wanted.every((word) => text.includes(word))) found.add(chat.id);
      at.continue();
    };
  });
  return found;
}

// ---- The server's copies.

interface KeptHead {
  id: string;
  title: string;
  revision: number;
  updated: number; // seconds
}

// What is sent: the tree, without probabilities, which are large and can be had again.
function portable(chat: Chat): Chat {
  const nodes: Chat["nodes"] = {};
  for (const node of Object.values(chat.nodes)) {
    const { tokens: _, ...rest } = node;
    nodes[node.id] = rest;
  }
  const { synced: _, ...rest } = chat;
  return { ...rest, nodes };
}

// Probabilities that this browser has stay.
function withTokens(chat: Chat, mine: Chat): Chat {
  for (const node of Object.values(chat.nodes)) {
    const own = mine.nodes[node.id];
    if (!node.tokens && own?.tokens && own.text === node.text) node.tokens = own.tokens;
  }
  return chat;
}

export async function push(chat: Chat): Promise<Chat> {
  let whole = chat;
  for (let tries = 0; ; ++tries) {
    try {
      const body = { title: whole.title, revision: whole.revision, chat: portable(whole) };
      const answer = await askJson<{ revision: number }>("PUT", `/v1/chats/${whole.id}`, body);
      return save({ ...whole, revision: answer.revision, synced: whole.changed });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409 || tries === 5) throw error;
      // Another device wrote first, or deleted it: on with both.
      const theirs = await fetchKept(whole.id);
      whole = theirs ? withTokens({ ...merged(whole, theirs), revision: theirs.revision }, whole)
                     : { ...whole, revision: 0 };
    }
  }
}

async function fetchKept(id: string): Promise<Chat | undefined> {
  try {
    const kept = await askJson<{ revision: number; chat: unknown }>("GET", `/v1/chats/${id}`);
    return keptFrom(id, kept.revision, kept.chat) ?? undefined;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

// Brings what other devices wrote. Chats that they deleted go here, too. Those of this browser that
// the server does not have in this form are returned.
export async function pull(): Promise<Chat[]> {
  const list = await askJson<{ data: KeptHead[] }>("GET", "/v1/chats");
  const here = await heads();
  const there = new Set(list.data.map((kept) => kept.id));
  for (const kept of list.data) {
    const mine = await load(kept.id);
    if (mine && mine.revision >= kept.revision) continue;
    const theirs = await fetchKept(kept.id);
    if (!theirs) continue;
    const whole = mine ? withTokens(merged(mine, theirs), mine) : theirs;
    const clean = !mine || mine.synced === mine.changed;
    await save(clean ? { ...whole, synced: whole.changed } : whole);
  }
  const unsent: Chat[] = [];
  for (const head of here) {
    if (head.place !== "server") continue;
    const mine = await load(head.id);
    if (!mine) continue;
    if (!there.has(head.id) && mine.revision > 0) await forget(head.id);
    else if (mine.synced !== mine.changed) unsent.push(mine);
  }
  return unsent;
}

export async function remove(chat: Chat): Promise<void> {
  if (chat.revision > 0) {
    try {
      await ask("DELETE", `/v1/chats/${chat.id}`);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
  }
  await forget(chat.id);
}

// Takes the chat from the server, but keeps it here.
export async function withdraw(chat: Chat): Promise<Chat> {
  if (chat.revision > 0) await ask("DELETE", `/v1/chats/${chat.id}`).catch(() => undefined);
  const mine: Chat = { ...chat, place: "browser", revision: 0, changed: Date.now() };
  await forget(chat.id);
  return save(mine);
}
