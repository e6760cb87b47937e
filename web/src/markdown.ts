// Replies as HTML. What a model writes is not trusted: its HTML is shown as text, what Markdown makes
// of it is sanitized again, nothing is loaded from other hosts, and only web and mail links remain.

import DOMPurify from "dompurify";
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import MarkdownIt from "markdown-it";
import { mathRules, type RenderMath } from "./math-rules.ts";

for (const [name, language] of Object.entries({
  bash, cpp, css, diff, go, java, javascript, json, python, rust, sql, typescript, xml, yaml,
})) {
  hljs.registerLanguage(name, language);
}
hljs.registerAliases(["sh", "shell", "zsh", "console"], { languageName: "bash" });

// KaTeX is fetched when the first formula is seen; until then formulas are shown as they were written.
let math: RenderMath | null = null;
let fetching: Promise<void> | null = null;
let sawMath = false;
const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);

const markdown = new MarkdownIt({
  html: false,
  linkify: true,
  breaks: true,
  highlight: (code, name) => {
    if (name === "" || !hljs.getLanguage(name) || code.length > 100_000) return "";
    return hljs.highlight(code, { language: name, ignoreIllegals: true }).value;
  },
});
markdown.use(mathRules, (source, display) => {
  sawMath = true;
  return math ? math(source, display) : `<code>${escape(source)}</code>`;
});

// An image would tell its host that somebody reads this: it becomes a link.
markdown.renderer.rules.image = (tokens, at) => {
  const address = String(tokens[at].attrGet("src") ?? "");
  const text = tokens[at].content || address;
  return `<a href="${escape(address)}">${escape(text)}</a>`;
};
// Inline styles are refused by the page's policy.
for (const rule of ["th_open", "td_open"] as const) {
  markdown.renderer.rules[rule] = (tokens, at, options, _, self) => {
    const style = String(tokens[at].attrGet("style") ?? "");
    if (style !== "") {
      tokens[at].attrs = tokens[at].attrs!.filter(([name]) => name !== "style");
      tokens[at].attrSet("class", style.replace("text-align:", "align-"));
    }
    return self.renderToken(tokens, at, options);
  };
}

const kMathTags = ["math", "semantics", "annotation", "mrow", "mi", "mo", "mn", "ms", "mtext", "mspace", "mfrac",
  "msqrt", "mroot", "msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mtable", "mtr", "mtd",
  "mpadded", "mphantom", "menclose", "mstyle", "merror"];
const kPlainAttributes = ["class", "start", "display", "mathvariant", "stretchy", "fence", "separator", "lspace", "rspace",
  "accent", "accentunder", "columnalign", "rowspacing", "columnspacing", "displaystyle", "scriptlevel", "linethickness",
  "minsize", "maxsize", "width", "height", "depth", "voffset", "notation", "encoding", "form", "movablelimits"];
const kOptions = {
  ALLOWED_TAGS: ["a", "p", "br", "hr", "em", "strong", "s", "del", "code", "pre", "span", "blockquote", "ul", "ol", "li",
    "table", "thead", "tbody", "tr", "th", "td", "h1", "h2", "h3", "h4", "h5", "h6", ...kMathTags],
  ALLOWED_ATTR: ["href", ...kPlainAttributes],
  ADD_URI_SAFE_ATTR: kPlainAttributes, // the others must be addresses of the web
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
  RETURN_DOM_FRAGMENT: true as const,
};

function finish(fragment: DocumentFragment): void {
  for (const link of fragment.querySelectorAll("a")) {
    const address = link.getAttribute("href");
    if (address === null) {
      link.replaceWith(...link.childNodes);
      continue;
    }
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    link.title = address; // where it leads, whatever its text says
  }
  // Headings of a reply are below those of the page.
  for (const heading of fragment.querySelectorAll("h1,h2,h3,h4,h5,h6")) {
    const level = Math.min(6, Number(heading.tagName[1]) + 2);
    const lower = document.createElement(`h${level}`);
    lower.append(...heading.childNodes);
    heading.replaceWith(lower);
  }
  for (const block of fragment.querySelectorAll("pre, table")) {
    if (block instanceof HTMLElement) block.tabIndex = 0; // so that it can be scrolled by keys
    if (block.tagName === "TABLE") {
      const box = document.createElement("div");
      box.className = "scroll";
      box.tabIndex = 0;
      block.removeAttribute("tabindex");
      block.replaceWith(box);
      box.append(block);
    }
  }
  for (const block of fragment.querySelectorAll("p,li,h3,h4,h5,h6,blockquote,td,th")) block.setAttribute("dir", "auto");
}

// `again` is called if the text should be rendered once more, since formulas can be drawn now.
export function render(text: string, again: () => void): DocumentFragment {
  sawMath = false;
  const html = markdown.render(text);
  if (sawMath && !math) {
    fetching ??= import("./math.ts").then((module) => { math = module.renderMath; });
    void fetching.then(again, () => undefined);
  }
  const fragment = DOMPurify.sanitize(html, kOptions) as unknown as DocumentFragment;
  finish(fragment);
  return fragment;
}
