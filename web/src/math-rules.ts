// Formulas in Markdown: $…$ and \(…\) in a line, $$…$$ and \[…\] by themselves.

import type MarkdownIt from "markdown-it";

type Parser = InstanceType<typeof MarkdownIt>;

const kLongest = 5000;

export type RenderMath = (source: string, display: boolean) => string;

// Up to where a text has no such end.
const searched = new WeakMap<object, Record<string, number>>();

export function mathRules(markdown: Parser, render: RenderMath): void {
  // As in Pandoc: no blank inside the dollars, no digit after them, so that prices are none.
  markdown.inline.ruler.before("escape", "math", (state, silent) => {
    const source = state.src;
    const at = state.pos;
    let open: string;
    let close: string;
    if (source.startsWith("\\(", at)) [open, close] = ["\\(", "\\)"];
    else if (source.startsWith("\\[", at)) [open, close] = ["\\[", "\\]"];
    else if (source.startsWith("$$", at)) open = close = "$$";
    else if (source[at] === "$") open = close = "$";
    else return false;
    const begin = at + open.length;
    // Bounded, and no place is searched twice, so that many openings without an end take no time.
    const near = source.slice(0, begin + kLongest);
    const none = searched.get(state) ?? {};
    let end = near.indexOf(close, Math.max(begin, (none[close] ?? 0) - 1));
    if (end < 0) {
      none[close] = near.length;
      searched.set(state, none);
    }
    while (end > 0 && near[end - 1] === "\\" && close === "$") end = near.indexOf(close, end + 1);
    if (end <= begin || end > state.posMax) return false;
    const formula = source.slice(begin, end);
    if (open === "$" && (/^\s|\s$/.test(formula) || /\d/.test(source[end + 1] ?? "") || formula.includes("\n"))) return false;
    if (!silent) {
      const token = state.push("math", "", 0);
      token.content = formula.trim();
      token.meta = { display: open === "$$" || open === "\\[" };
    }
    state.pos = end + close.length;
    return true;
  });
  // A block of its own may contain empty lines and what is Markdown elsewhere.
  markdown.block.ruler.before("fence", "math_block", (state, first, last, silent) => {
    const begin = state.bMarks[first] + state.tShift[first];
    const line = state.src.slice(begin, state.eMarks[first]);
    const open = line.startsWith("$$") ? "$$" : line.startsWith("\\[") ? "\\[" : "";
    if (open === "") return false;
    const close = open === "$$" ? "$$" : "\\]";
    const end = state.src.slice(0, begin + kLongest).indexOf(close, begin + 2);
    if (end < 0 || end > state.eMarks[last - 1]) return false;
    let row = first;
    while (state.eMarks[row] < end) ++row;
    if (state.src.slice(end + 2, state.eMarks[row]).trim() !== "") return false;
    if (silent) return true;
    const token = state.push("math_block", "", 0);
    token.block = true;
    token.content = state.src.slice(begin + 2, end).trim();
    token.map = [first, row + 1];
    state.line = row + 1;
    return true;
  }, { alt: ["paragraph", "blockquote", "list"] });
  markdown.renderer.rules.math = (tokens, at) => render(tokens[at].content, tokens[at].meta?.display === true);
  markdown.renderer.rules.math_block = (tokens, at) => `<p>${render(tokens[at].content, true)}</p>`;
}
