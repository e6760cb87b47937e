// Replies: requests to the model, and the nodes that their streams fill.

import { batch, signal } from "@preact/signals";
import { abilities, ApiError, events, giveUp, online } from "./api.ts";
import { messagesOf, textOf } from "./prompt.ts";
import {
  addNode, alone, announcement, back, begins, change, countPath, current, deserted, ends, model, open, runs, type Run,
} from "./session.ts";
import { fieldsOf, settings } from "./settings.ts";
import {
  childrenOf, newId, pathTo, siblingsOf, type Attachment, type Call, type Chat, type ChatNode, type Cost, type Ending,
  type StreamPlace, type Token,
} from "./tree.ts";
import { TokenReader } from "./utf8.ts";

const blankNode = (parent: string | null, role: ChatNode["role"], text: string): ChatNode => ({
  id: newId(), parent, role, text, made: Date.now(), changed: Date.now(), end: "done",
});

export function send(text: string, files: Attachment[]): void {
  const chat = current.value!;
  const node = blankNode(chat.leaf, "user", text);
  if (files.length > 0) node.files = files;
  addNode(chat.id, node);
  void answer(chat.id, node.id);
}

// Another version of a message of the reader's: a branch beside it.
export function resend(id: string, text: string): void {
  const chat = current.value!;
  const old = chat.nodes[id];
  const node = blankNode(old.parent, old.role, text);
  if (old.files) node.files = old.files;
  if (old.call) node.call = old.call;
  addNode(chat.id, node);
  if (old.role !== "assistant") void answer(chat.id, node.id);
}

export function sendResults(parent: string, results: { call: Call; text: string }[]): void {
  const chat = current.value!;
  let last = parent;
  for (const { call, text } of results) {
    const node = { ...blankNode(last, "tool", text), call: call.id };
    addNode(chat.id, node);
    last = node.id;
  }
  void answer(chat.id, last);
}

export const retry = (id: string): void => {
  const chat = current.value!;
  const parent = chat.nodes[id].parent;
  if (parent !== null) void answer(chat.id, parent);
};

// A branch that has `text` where the reply `id` was, and goes on from there.
export function branchAt(id: string, tokens: Token[], at: number, other: { text: string; logprob: number }): void {
  const chat = current.value!;
  const old = chat.nodes[id];
  const kept = [...tokens.slice(0, at), { ...tokens[at], text: other.text, logprob: other.logprob }];
  let text = kept.map((token) => token.text).join("");
  if (old.role === "assistant") text = text.trimStart();
  const node: ChatNode = { ...blankNode(old.parent, old.role, text), tokens: kept, end: "stopped" };
  if (old.thought) node.thought = old.thought;
  addNode(chat.id, node);
  void (chat.kind === "text" ? writeOn(chat.id, node.id) : goOn(node.id));
}

// Writes on at the end of a reply that stopped early. A reply that was answered already stays, and
// a copy of it goes on.
export function goOn(id: string): void {
  const chat = current.value!;
  let node = chat.nodes[id];
  if (childrenOf(chat).has(id)) {
    node = { ...node, id: newId(), made: Date.now(), changed: Date.now() };
    addNode(chat.id, node);
  }
  void (chat.kind === "text" ? writeOn(chat.id, node.id) : answer(chat.id, node.parent!, node.id));
}

export function stop(): void {
  const chat = current.value;
  for (const run of runs.value.values()) if (run.chat === chat?.id) run.abort.abort();
}

export function toolsOf(text: string): unknown[] | null {
  if (text.trim() === "") return [];
  try {
    const read = JSON.parse(text);
    return Array.isArray(read) ? read : [read];
  } catch {
    return null;
  }
}

function commonFields(): Record<string, unknown> {
  const { sampling, lora, state } = settings.value;
  const fields: Record<string, unknown> = { model: model(), ...fieldsOf(sampling) };
  if (lora !== "" && abilities.value.lora) fields.lora = lora;
  if (state !== "" && abilities.value.states) fields.state = state;
  return fields;
}

// What a stream has brought so far.
interface Draft {
  text: string;
  thought: string;
  calls: Call[];
  reader: TokenReader;
  usage: any;
  end: Ending;
}

const endOf = (reason: string): Ending =>
  reason === "length" ? "length" : reason === "tool_calls" ? "calls" : "done";

function takeChat(event: any, draft: Draft): void {
  if (event.usage) draft.usage = event.usage;
  const choice = event.choices?.[0];
  if (!choice) return;
  draft.text += choice.delta?.content ?? "";
  draft.thought += choice.delta?.reasoning_content ?? "";
  for (const piece of choice.delta?.tool_calls ?? []) {
    const call = (draft.calls[piece.index] ??= { id: "", name: "", arguments: "" });
    if (piece.id) call.id = piece.id;
    if (piece.function?.name) call.name = piece.function.name;
    call.arguments += piece.function?.arguments ?? "";
  }
  for (const token of choice.logprobs?.content ?? []) draft.reader.push(token);
  if (choice.finish_reason) draft.end = endOf(choice.finish_reason);
}

function takeText(event: any, draft: Draft): void {
  if (event.usage) draft.usage = event.usage;
  const choice = event.choices?.[0];
  if (!choice) return;
  draft.text += choice.text ?? "";
  const found = choice.logprobs;
  for (let i = 0; i < (found?.tokens?.length ?? 0); ++i) {
    const top = Object.entries((found.top_logprobs?.[i] ?? {}) as Record<string, number>)
      .map(([token, logprob]) => ({ token, bytes: null, logprob })).sort((a, b) => b.logprob - a.logprob);
    draft.reader.push({ token: found.tokens[i], bytes: null, logprob: found.token_logprobs[i] ?? 0, top_logprobs: top });
  }
  if (choice.finish_reason) draft.end = endOf(choice.finish_reason);
}

// Streams into a node that is there already. Without a body the stream is taken up where it broke.
async function stream(chatId: string, node: ChatNode, path: string, body: unknown,
                      take: (event: any, draft: Draft) => void, count: Promise<number | null>): Promise<void> {
  const place: StreamPlace = body === undefined ? { ...node.stream! } : { id: newId(), last: -1, begun: Date.now(), first: 0 };
  const draft: Draft = { text: "", thought: "", calls: [...(node.calls ?? [])], reader: new TokenReader(), usage: null, end: "lost" };
  const before = { text: node.text, thought: node.thought ?? "", tokens: node.tokens };
  const run: Run = {
    chat: chatId, node: node.id, abort: new AbortController(), text: signal(node.text),
    thought: signal(node.thought ?? ""), speed: signal(0), reading: signal(place.first === 0),
    keep: () => put("running"),
  };
  begins(run);
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => { finish = resolve; });
  if (body !== undefined) void alone(node.id, () => finished);
  let last = 0;
  let since = 0; // the first piece of this connection
  let pieces = 0;
  let shown = 0;
  let isKept = false; // a broken stream, by the server
  const put = (end: Ending, error?: string): void => {
    const { usage } = draft;
    const cost: Cost | undefined = usage && {
      prompt: usage.prompt_tokens, cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
      written: usage.completion_tokens, thought: usage.completion_tokens_details?.reasoning_tokens ?? 0,
      readSeconds: (place.first - place.begun) / 1000, writeSeconds: (last - place.first) / 1000,
    };
    change(chatId, (chat) => {
      const old = chat.nodes[node.id];
      if (!old) return;
      const now = Date.now();
      const next: ChatNode = { ...old, text: before.text + draft.text, end, changed: now };
      delete next.error;
      if (end === "running") next.beat = now;
      else delete next.beat;
      if (end === "running" || (end === "lost" && isKept)) next.stream = { ...place };
      else delete next.stream;
      const thought = before.thought + draft.thought;
      if (thought !== "") next.thought = thought;
      if (draft.calls.length > 0) next.calls = draft.calls;
      if (draft.reader.tokens.length > 0 && (before.text === "" || before.tokens)) {
        next.tokens = [...(before.tokens ?? []), ...draft.reader.tokens];
      }
      if (cost) next.cost = cost;
      if (error !== undefined) next.error = error;
      chat.nodes[node.id] = next;
    });
  };
  let waiting: ReturnType<typeof setTimeout> | undefined;
  const show = (): void => {
    clearTimeout(waiting);
    waiting = undefined;
    shown = Date.now();
    batch(() => {
      run.text.value = before.text + draft.text;
      run.thought.value = before.thought + draft.thought;
    });
  };
  // Other tabs see it grow, and a reload finds what has come so far.
  const beat = setInterval(() => put("running"), 1000);
  let end: Ending = "lost";
  let error: string | undefined;
  try {
    for await (const event of events(path, body, run.abort.signal, place)) {
      const length = draft.text.length + draft.thought.length + draft.calls.length;
      take(event, draft);
      if (draft.text.length + draft.thought.length + draft.calls.length === length) continue;
      last = Date.now();
      if (place.first === 0) {
        place.first = last;
        run.reading.value = false;
      }
      if (pieces++ === 0) since = last;
      else if (last > since) run.speed.value = (1000 * (pieces - 1)) / (last - since);
      // Long texts take long to draw. What came since is drawn also if the stream stands still.
      const rest = 40 + run.text.value.length / 200 - (last - shown);
      if (rest < 0) show();
      else waiting ??= setTimeout(show, rest);
    }
    end = draft.end === "lost" ? "done" : draft.end;
  } catch (caught) {
    if (run.abort.signal.aborted) {
      end = "stopped";
      giveUp(place);
    } else if (!(caught instanceof ApiError) || caught.status !== 410) {
      error = (caught as Error).message;
      isKept = caught instanceof ApiError && caught.status === 0;
      if (isKept) void back();
    }
  }
  clearInterval(beat);
  clearTimeout(waiting);
  batch(() => {
    put(end, error);
    ends(run, isKept);
  });
  finish();
  if (end !== "lost") announcement.value = `${end} ${Date.now()}`;
  const tokens = await count;
  if (tokens !== null) {
    change(chatId, (chat) => {
      const old = chat.nodes[node.id];
      if (old?.cost) chat.nodes[node.id] = { ...old, cost: { ...old.cost, path: tokens }, changed: Date.now() };
    });
  }
}

// Takes up replies whose stream broke, in this tab or in one that is gone, if the server still has
// them.
export function takeUp(): void {
  if (!online.value) return;
  for (const { chat, node } of deserted()) {
    void alone(node.id, async () => {
      const now = open.get(chat.id);
      const left = now?.nodes[node.id];
      if (!now || !left?.stream || runs.value.has(node.id)) return;
      const path = pathTo(now, node.id);
      const asked = chat.kind === "text" ? Promise.resolve(null) : countBefore(now, path);
      change(chat.id, (changed) => {
        changed.nodes[node.id] = { ...left, end: "running", beat: Date.now() };
      });
      await stream(chat.id, left, "", undefined, chat.kind === "text" ? takeText : takeChat, asked);
    });
  }
}

// Tokens of a branch without its newest message; null if it begins with that.
function countBefore(chat: Chat, path: ChatNode[]): Promise<number | null> {
  const newest = path.findLastIndex((one) => one.role === "user");
  return newest > 0 ? countPath(chat, path.slice(0, newest)) : Promise.resolve(null);
}

// Answers the node `parent`, in a new node or at the end of `into`.
async function answer(chatId: string, parent: string, into?: string): Promise<void> {
  let chat = open.get(chatId)!;
  let node: ChatNode;
  if (into === undefined) {
    node = { ...blankNode(parent, "assistant", ""), end: "running", beat: Date.now(), model: model() };
    addNode(chatId, node);
  } else {
    change(chatId, (changed) => {
      changed.nodes[into] = { ...changed.nodes[into], end: "running", beat: Date.now() };
    });
    node = open.get(chatId)!.nodes[into];
  }
  chat = open.get(chatId)!;
  const path = pathTo(chat, parent);
  const messages = messagesOf(chat, path);
  if (node.text !== "") messages.push({ role: "assistant", content: node.text });
  const body: Record<string, unknown> = {
    ...commonFields(), messages, stream: true, stream_options: { include_usage: true },
  };
  if (settings.value.probabilities) Object.assign(body, { logprobs: true, top_logprobs: 6 });
  if (settings.value.thinking !== "") body.reasoning_effort = settings.value.thinking;
  // With a fixed seed a retry would give the same again.
  if (typeof body.seed === "number") body.seed += siblingsOf(chat, node.id).length - 1;
  const tools = toolsOf(chat.tools);
  if (tools && tools.length > 0) body.tools = tools;
  const count = into === undefined ? countBefore(chat, path) : Promise.resolve(null);
  await stream(chatId, node, "/v1/chat/completions", body, takeChat, count);
}

// ---- Raw texts: a path of pieces, by the reader and the model.

// Makes the text of the current path this one, by a branch where they part, and writes on.
export function editText(text: string): string | null {
  const chat = current.value!;
  let rest = text;
  let parent: string | null = null;
  for (const node of pathTo(chat, chat.leaf)) {
    if (!rest.startsWith(node.text)) break;
    rest = rest.slice(node.text.length);
    parent = node.id;
  }
  if (rest !== "") {
    const node = blankNode(parent, "text", rest);
    addNode(chat.id, node);
    return node.id;
  }
  if (parent !== chat.leaf) change(chat.id, (changed) => { changed.leaf = parent; }, false);
  return parent;
}

export function writeText(text: string): void {
  const parent = editText(text);
  if (parent === null) return;
  const node: ChatNode = { ...blankNode(parent, "text", ""), end: "running", beat: Date.now(), model: model() };
  addNode(current.value!.id, node);
  void writeOn(current.value!.id, node.id);
}

async function writeOn(chatId: string, id: string): Promise<void> {
  change(chatId, (changed) => {
    changed.nodes[id] = { ...changed.nodes[id], end: "running", beat: Date.now() };
  });
  const chat = open.get(chatId)!;
  const body: Record<string, unknown> = {
    max_tokens: 256, ...commonFields(), prompt: textOf(pathTo(chat, id)), stream: true,
    stream_options: { include_usage: true },
  };
  if (settings.value.probabilities) body.logprobs = 6;
  await stream(chatId, chat.nodes[id], "/v1/completions", body, takeText, Promise.resolve(null));
}
