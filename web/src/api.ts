// The server's routes: JSON requests, streams of events, and what this server can do.

import { signal } from "@preact/signals";
import type { StreamPlace } from "./tree.ts";

export interface Model {
  id: string;
  meta?: {
    n_vocab?: number; n_ctx_train?: number; architecture?: string; n_embd?: number; n_layer?: number;
    chat_template?: string;
  };
}

export class ApiError extends Error {
  readonly status: number; // 0: no answer
  readonly retryAfter: number; // seconds; 0: not said
  constructor(status: number, message: string, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const kKey = "linnet.key";
export const key = signal(localStorage.getItem(kKey) ?? "");
export const needsKey = signal(false);
export const online = signal(true);

export function setKey(value: string): void {
  key.value = value.trim();
  if (key.value === "") localStorage.removeItem(kKey);
  else {
    try {
      localStorage.setItem(kKey, key.value);
    } catch {
      // It is full: the key is asked for again next time.
    }
  }
  needsKey.value = false;
}

function headers(type: string): Record<string, string> {
  const all: Record<string, string> = {};
  if (type !== "") all["content-type"] = type;
  if (key.value !== "") all.authorization = `Bearer ${key.value}`;
  return all;
}

async function errorOf(response: Response): Promise<ApiError> {
  let message = `${response.status} ${response.statusText}`;
  try {
    const body = await response.json();
    if (typeof body?.error?.message === "string") message = body.error.message;
    else if (typeof body?.error === "string") message = body.error;
  } catch {
    // Not JSON: the status has to do.
  }
  if (response.status === 401) needsKey.value = true;
  return new ApiError(response.status, message, Number(response.headers.get("retry-after")) || 0);
}

// Any answer of the server. Throws ApiError: status 0 if there is none.
export async function ask(method: string, path: string, body?: unknown, abort?: AbortSignal,
                          binary = false, more: Record<string, string> = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, {
      method, signal: abort ?? null, cache: "no-store",
      headers: { ...headers(body === undefined ? "" : binary ? "application/octet-stream" : "application/json"), ...more },
      body: body === undefined ? null : binary ? (body as BodyInit) : JSON.stringify(body),
    });
  } catch (error) {
    if (abort?.aborted) throw error;
    online.value = false;
    throw new ApiError(0, String((error as Error).message));
  }
  online.value = true;
  if (!response.ok) throw await errorOf(response);
  return response;
}

export async function askJson<T>(method: string, path: string, body?: unknown): Promise<T> {
  return (await (await ask(method, path, body)).json()) as T;
}

// Lines of a body as they come; throws ApiError with status 0 if it breaks off.
async function* linesOf(response: Response, abort?: AbortSignal): AsyncGenerator<string> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    let part: ReadableStreamReadResult<Uint8Array>;
    try {
      part = await reader.read();
    } catch (error) {
      if (abort?.aborted) throw error;
      online.value = false;
      throw new ApiError(0, String((error as Error).message));
    }
    if (part.done) break;
    rest += decoder.decode(part.value, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}

// The data of a stream of events, until [DONE]. A stream that ends before throws status 0.
// `place` is that of the event that was given last.
async function* eventsOf(response: Response, abort: AbortSignal, place: StreamPlace): AsyncGenerator<any> {
  let number = -1;
  for await (const line of linesOf(response, abort)) {
    if (line.startsWith("id:")) number = Number(line.slice(3));
    if (!line.startsWith("data:")) continue;
    const data = line.slice(5).trim();
    if (data === "[DONE]") return;
    let event: any;
    try {
      event = JSON.parse(data);
    } catch {
      throw new ApiError(0, "the stream is damaged");
    }
    if (event.error) throw new ApiError(500, event.error.message ?? String(event.error));
    if (Number.isInteger(number)) place.last = Math.max(place.last, number);
    yield event;
  }
  throw new ApiError(0, "the stream broke off");
}

// The events of an answer that the server keeps for a while under the id of `place`. If the
// connection breaks, the rest is asked for once; if that fails, too, it throws ApiError. Without a
// body the answer was asked for before: only the rest comes.
export async function* events(path: string, body: unknown, abort: AbortSignal, place: StreamPlace): AsyncGenerator<any> {
  let more = body === undefined;
  for (;;) {
    const before = place.last;
    try {
      const response = more ? await ask("GET", `/v1/streams/${place.id}?after=${place.last}`, undefined, abort)
        : await ask("POST", path, body, abort, false, { "x-stream-id": place.id });
      return yield* eventsOf(response, abort, place);
    } catch (error) {
      // One that brought nothing new is the last.
      if (!(error instanceof ApiError)) throw error;
      // However the server says that it has it no more, or never had.
      if (more && [400, 404, 410].includes(error.status)) throw new ApiError(410, "");
      if (error.status !== 0 || (more && place.last === before)) throw error;
      more = true;
    }
  }
}

// The server need not go on with it.
export const giveUp = (place: StreamPlace): void =>
  void ask("DELETE", `/v1/streams/${place.id}`).catch(() => undefined);

// Objects of a body of lines of JSON.
export async function* jsonLines(path: string, body: unknown, abort: AbortSignal): AsyncGenerator<any> {
  const response = await ask("POST", path, body, abort);
  for await (const line of linesOf(response, abort)) {
    if (line.trim() !== "") yield JSON.parse(line);
  }
}

export const models = signal<Model[]>([]);

export interface Abilities {
  chats: boolean; // /v1/chats: the server keeps chats
  states: boolean; // /v1/states
  lora: boolean; // /v1/lora
  admin: boolean; // loading of models
  explain: boolean; // /v1/cache/explain
}
export const abilities = signal<Abilities>({ chats: false, states: false, lora: false, admin: false, explain: false });

export async function connect(): Promise<void> {
  const list = await askJson<{ data: Model[] }>("GET", "/v1/models");
  models.value = list.data;
  let paths: Record<string, unknown> = {};
  try {
    paths = (await askJson<{ paths: Record<string, unknown> }>("GET", "/openapi.json")).paths;
  } catch {
    // An older server: nothing but the basics.
  }
  abilities.value = {
    chats: "/v1/chats" in paths, states: "/v1/states" in paths, lora: "/v1/lora" in paths,
    admin: "/v1/admin/models" in paths, explain: "/v1/cache/explain" in paths,
  };
}

// Resolves when the server answers again. Asks more and more rarely, at once when the browser says
// that the network is back.
export async function waitForServer(): Promise<void> {
  for (let wait = 500; ; wait = Math.min(wait * 1.5, 10_000)) {
    try {
      const response = await fetch("/health", { cache: "no-store" });
      if (response.ok) break;
    } catch {
      // Not yet.
    }
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        removeEventListener("online", done);
        resolve();
      };
      const timer = setTimeout(done, wait);
      addEventListener("online", done);
    });
  }
  online.value = true;
}
