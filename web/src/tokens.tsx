// A text token by token: how likely each was, and what could have stood in its place.

import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "./i18n.ts";
import type { ChatNode, Token } from "./tree.ts";
import * as writing from "./writing.ts";

const percent = (logprob: number): string => {
  const p = 100 * Math.exp(logprob);
  return p >= 99.95 ? "100 %" : p >= 0.1 ? `${p.toFixed(1)} %` : "< 0.1 %";
};
const shown = (text: string): string => text.replaceAll("\n", "↵").replaceAll("\t", "⇥").replace(/^ | $/g, "␣");
// Five shades, from likely to a surprise.
const shade = (logprob: number): number => {
  const p = Math.exp(logprob);
  return p > 0.9 ? 0 : p > 0.5 ? 1 : p > 0.2 ? 2 : p > 0.05 ? 3 : 4;
};

// One token can be reached by Tab; the arrows go to the others.
export function Tokens({ node, tokens }: { node: ChatNode; tokens: Token[] }) {
  const [at, setAt] = useState(0);
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const chosen = tokens[Math.min(at, tokens.length - 1)];
  useEffect(() => {
    if (box.current?.contains(document.activeElement)) {
      box.current.querySelector<HTMLElement>(`[data-at="${at}"]`)?.focus();
    }
  }, [at]);
  const keys = (event: KeyboardEvent): void => {
    const to = event.key === "ArrowRight" ? at + 1 : event.key === "ArrowLeft" ? at - 1
      : event.key === "Home" ? 0 : event.key === "End" ? tokens.length - 1 : -1;
    if (event.key === "Escape" && open) {
      setOpen(false);
      event.preventDefault();
      event.stopPropagation();
    }
    if (event.key === "Enter" || event.key === " ") {
      setOpen(!open);
      event.preventDefault();
    }
    if (to < 0 || to >= tokens.length) return;
    event.preventDefault();
    setAt(to);
    setOpen(true);
  };
  return (
    <div class="odds" ref={box}>
      <div class="tokens plain" dir="auto" role="group" aria-label={t("oddsOf")} onKeyDown={keys}
        onMouseOver={(event) => {
          const index = Number((event.target as HTMLElement).dataset.at ?? NaN);
          if (!Number.isNaN(index)) {
            setAt(index);
            setOpen(true);
          }
        }}>
        {tokens.map((token, i) => (
          // Not a button: these do not break lines.
          <span role="button" key={i} data-at={i} tabIndex={i === at ? 0 : -1}
            class={`token shade-${shade(token.logprob)} ${i === at && open ? "chosen" : ""}`}
            aria-label={`${shown(token.text)}, ${percent(token.logprob)}`}
            onClick={() => {
              setAt(i);
              setOpen(true);
            }}>{token.text}</span>
        ))}
      </div>
      {open && chosen && (
        <div class="alternatives" role="group" aria-label={t("alternatives")}>
          <p>{t("tokenWas", { token: shown(chosen.text), p: percent(chosen.logprob) })}</p>
          <ul>
            {chosen.top.map((other) => (
              <li key={other.text}>
                <button type="button" class="button" disabled={other.text === chosen.text}
                  onClick={() => writing.branchAt(node.id, tokens, at, other)}>
                  <code>{shown(other.text)}</code> <span>{percent(other.logprob)}</span>
                </button>
              </li>
            ))}
          </ul>
          <p class="hint">{t("alternativesHint")}</p>
        </div>
      )}
    </div>
  );
}
