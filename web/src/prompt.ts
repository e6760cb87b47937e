// What a message becomes before a model reads it.

import type { Attachment, Chat, ChatNode } from "./tree.ts";

// The templates in which an empty line ends the model's reply, too.
const kOneParagraph = new Set(["world-classic", "raven", "qa"]);
export const endsReplyAtBlank = (template: string | undefined): boolean =>
  kOneParagraph.has(template ?? "");

// As the server cleans text of the user and of the system: no empty lines, no blanks around it.
export function cleanTurn(text: string): string {
  return text.replace(/\r\n/g, "\n").replace(/\n+/g, "\n").trim();
}

export const blankLines = (text: string): number =>
  text.trim() === "" ? 0 : text.trim().split(/\r?\n/).filter((line) => line === "").length;

// RWKV reads in order and keeps only what its state can hold: before a text it knows what to look
// for only if the question came first, after it the question is fresh. "both" is usually best.
export function withFiles(question: string, files: Attachment[] | undefined): string {
  if (!files || files.length === 0) return question;
  const named = (file: Attachment): string => `${file.name}:\n${file.text}`;
  const first = files.some((file) => file.place !== "after");
  const last = files.some((file) => file.place !== "before");
  const texts = files.map(named).join("\n");
  if (question.trim() === "") return texts;
  return [first ? question : "", texts, last ? question : ""].filter((part) => part !== "").join("\n");
}

export interface WireMessage {
  role: string;
  content: string;
  reasoning_content?: string;
  tool_calls?: unknown[];
  tool_call_id?: string;
}

// The messages of a request that answers the last node of the path, or goes on with it.
export function messagesOf(chat: Pick<Chat, "system">, path: ChatNode[]): WireMessage[] {
  const messages: WireMessage[] = [];
  if (chat.system.trim() !== "") messages.push({ role: "system", content: chat.system });
  for (const node of path) {
    if (node.role === "tool") {
      messages.push({ role: "tool", content: node.text, tool_call_id: node.call ?? "" });
    } else if (node.role === "assistant") {
      const message: WireMessage = { role: "assistant", content: node.text };
      if (node.calls && node.calls.length > 0) {
        message.tool_calls = node.calls.map((call) => ({
          id: call.id, type: "function", function: { name: call.name, arguments: call.arguments },
        }));
      }
      messages.push(message);
    } else {
      messages.push({ role: "user", content: withFiles(node.text, node.files) });
    }
  }
  return messages;
}

// The whole of a raw text.
export const textOf = (path: ChatNode[]): string => path.map((node) => node.text).join("");

// How the end of a prompt looks to the model, for the templates whose form is known here.
export function preview(template: string | undefined, text: string): string | null {
  const clean = cleanTurn(text);
  switch (template) {
    case "world": case "world-classic": case "g1": return `User: ${clean}\n\nAssistant:`;
    case "g1-headings": return `### User\n${clean}\n### Assistant\n`;
    case "raven": return `Bob: ${clean}\n\nAlice:`;
    case "qa": return `Q: ${clean}\n\nA:`;
    default: return null;
  }
}

// What was read for a reply, in tokens: `again` is what had been read before on this branch but was
// not kept any more; null if the branch's length was not counted.
export function readOf(cost: { prompt: number; cached: number; path?: number }):
    { fresh: number; kept: number; again: number | null } {
  const again = cost.path === undefined ? null : Math.max(0, cost.path - cost.cached);
  return { fresh: cost.prompt - cost.cached - (again ?? 0), kept: cost.cached, again };
}
