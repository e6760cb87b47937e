// Tokens are bytes; a character may need several of them.

import type { Token } from "./tree.ts";

const strict = new TextDecoder("utf-8", { fatal: true });

function decoded(bytes: number[]): string | null {
  try {
    return strict.decode(new Uint8Array(bytes));
  } catch {
    return null;
  }
}

// The form in which a chat's stream gives a token.
export interface WireToken {
  token: string;
  bytes: number[] | null;
  logprob: number;
  top_logprobs: { token: string; bytes: number[] | null; logprob: number }[];
}

// Puts tokens together until they are whole characters. Others than the one that was written are
// offered only if they are whole characters by themselves.
export class TokenReader {
  readonly tokens: Token[] = [];
  private bytes: number[] = [];
  private logprob = 0;
  private top: Token["top"] = [];

  push(token: WireToken): void {
    const bytes = token.bytes ?? Array.from(new TextEncoder().encode(token.token));
    if (this.bytes.length === 0) {
      for (const other of token.top_logprobs) {
        const text = other.bytes ? decoded(other.bytes) : other.token;
        if (text !== null && text !== "") this.top.push({ text, logprob: other.logprob });
      }
    }
    this.bytes.push(...bytes);
    this.logprob += token.logprob;
    const text = decoded(this.bytes);
    // Four bytes are a character, or the text is none.
    if (text === null && this.bytes.length < 4) return;
    this.tokens.push({
      text: text ?? new TextDecoder().decode(new Uint8Array(this.bytes)), logprob: this.logprob, top: this.top,
    });
    this.bytes = [];
    this.logprob = 0;
    this.top = [];
  }
}

// The tokens of a text that begins at its first word: replies are shown without the blank that the
// first token brings. Null if they are not those of the text.
export function tokensOf(text: string, tokens: Token[] | undefined): Token[] | null {
  if (!tokens || tokens.length === 0) return null;
  const whole = tokens.map((token) => token.text).join("");
  const skipped = whole.length - whole.trimStart().length;
  const from = text.startsWith(whole.slice(0, skipped + 1)) ? 0 : skipped;
  // The last tokens may be those of a stop, which is not part of the text.
  if (!whole.slice(from).startsWith(text)) return null;
  const fitting: Token[] = [];
  let at = 0;
  for (const token of tokens) {
    const begin = Math.max(at, from);
    const end = Math.min(at + token.text.length, from + text.length);
    if (end > begin) fitting.push({ ...token, text: whole.slice(begin, end) });
    else if (at >= from + text.length) break;
    at += token.text.length;
  }
  return fitting;
}
