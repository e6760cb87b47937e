// Chats as files: JSON with the whole tree, Markdown with one branch; and back.

import { chatFrom } from "./foreign.ts";
import { t } from "./i18n.ts";
import { withFiles } from "./prompt.ts";
import { newChat, newId, pathTo, type Chat, type ChatNode, type Role } from "./tree.ts";

export function toJson(chats: Chat[]): string {
  return JSON.stringify({ format: "linnet-chats", version: 1, chats }, null, 1);
}

export function toMarkdown(chat: Chat): string {
  const path = pathTo(chat, chat.leaf);
  if (chat.kind === "text") return path.map((node) => node.text).join("");
  const parts = [`# ${chat.title || t("untitled")}`];
  if (chat.system.trim() !== "") parts.push(`## system\n\n${chat.system}`);
  for (const node of path) {
    const text = node.role === "user" ? withFiles(node.text, node.files) : node.text;
    const calls = (node.calls ?? []).map((call) => `\`\`\`json\n${JSON.stringify({ name: call.name, arguments: call.arguments })}\n\`\`\``);
    // A line of the text that looks like a heading of ours gets a backslash.
    parts.push(`## ${node.role}\n\n${[text.replace(/^(\\*## (?:user|assistant|tool|system))$/gm, "\\$1"), ...calls].filter((part) => part !== "").join("\n\n")}`);
  }
  return `${parts.join("\n\n")}\n`;
}

const kLongestImport = 50_000_000;

function fromMarkdown(text: string): Chat {
  const chat = newChat("chat", "browser", Date.now());
  const parts = text.split(/^## (user|assistant|tool|system)$/m);
  chat.title = /^# (.+)$/m.exec(parts[0])?.[1].trim() ?? "";
  let now = Date.now();
  for (let i = 1; i + 1 < parts.length; i += 2) {
    const said = parts[i + 1].trim().replace(/^\\(\\*## (?:user|assistant|tool|system))$/gm, "$1");
    if (parts[i] === "system") {
      chat.system = said;
      continue;
    }
    const node: ChatNode = {
      id: newId(), parent: chat.leaf, role: parts[i] as Role, text: said, made: ++now, changed: now, end: "done",
    };
    chat.nodes[node.id] = node;
    chat.leaf = node.id;
  }
  if (chat.leaf === null) throw new Error(t("importNothing"));
  return chat;
}

const cleanChat = (value: unknown): Chat => {
  const chat = chatFrom(value);
  if (chat === null) throw new Error(t("importNothing"));
  return chat;
};

export function fromFile(name: string, content: string): Chat[] {
  if (content.length > kLongestImport) throw new Error(t("fileTooLong", { name }));
  if (/\.(md|markdown|txt)$/i.test(name)) return [fromMarkdown(content)];
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    throw new Error(t("importNothing"));
  }
  const chats = (value as { chats?: unknown } | null)?.chats;
  return Array.isArray(chats) ? chats.map(cleanChat) : [cleanChat(value)];
}
