// The tree of a conversation: runs of messages without a branch are one row, and a click is a jump.

import { useRef } from "preact/hooks";
import { t } from "./i18n.ts";
import * as session from "./session.ts";
import { pathTo, segmentsOf, type Segment } from "./tree.ts";
import { count } from "./view.tsx";

const kDeepest = 12; // columns that are drawn

const label = (segment: Segment): string => {
  const first = segment.nodes[0];
  const text = first.text.trim() || first.thought?.trim() || (first.calls ? first.calls.map((c) => c.name).join() : "…");
  const who = first.role === "assistant" ? "◆ " : first.role === "tool" ? "⚙ " : first.role === "user" ? "▸ " : "";
  return who + text.replace(/\s+/g, " ").slice(0, 60);
};

export function Branches() {
  const chat = session.current.value!;
  const box = useRef<HTMLUListElement>(null);
  const segments = segmentsOf(chat);
  const here = new Set(pathTo(chat, chat.leaf).map((node) => node.id));
  const at = Math.max(0, segments.findLastIndex((segment) => here.has(segment.nodes[0].id)));
  const ends = segments.filter((segment) => segment.below === 0).length;
  if (segments.length === 0) return <p class="hint">{t("noBranches")}</p>;
  const focus = (index: number): void => {
    const rows = box.current!.querySelectorAll<HTMLElement>("[role=treeitem]");
    rows[Math.max(0, Math.min(rows.length - 1, index))]?.focus();
  };
  const keys = (event: KeyboardEvent, index: number): void => {
    const segment = segments[index];
    if (event.key === "ArrowDown") focus(index + 1);
    else if (event.key === "ArrowUp") focus(index - 1);
    else if (event.key === "Home") focus(0);
    else if (event.key === "End") focus(segments.length - 1);
    else if (event.key === "ArrowRight" && segment.below > 0) focus(index + 1);
    else if (event.key === "ArrowLeft") {
      focus(segments.findLastIndex((one, i) => i < index && one.depth < segment.depth));
    } else if (event.key === "Enter" || event.key === " ") session.jumpTo(segment.nodes[0].id);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <p class="hint">{t("branchesHint", { n: count(ends) })}</p>
      <ul class="branches" role="tree" aria-label={t("branches")} ref={box}>
        {segments.map((segment, i) => {
          const on = here.has(segment.nodes[0].id);
          const depth = Math.min(segment.depth, kDeepest);
          const rest = segment.nodes.length - 1;
          return (
            <li key={segment.nodes[0].id} role="treeitem" aria-level={segment.depth + 1} aria-selected={on}
              aria-current={i === at ? "true" : undefined} tabIndex={i === at ? 0 : -1}
              class={`branch depth-${depth} ${on ? "on" : ""}`} onClick={() => session.jumpTo(segment.nodes[0].id)}
              onKeyDown={(event) => keys(event, i)}>
              <svg class="rail" viewBox={`0 0 ${depth * 12 + 16} 36`} width={depth * 12 + 16} height="36" aria-hidden="true">
                {segment.rails.filter((rail) => rail > 0 && rail <= kDeepest).map((rail) =>
                  <path key={rail} class="past" d={`M${rail * 12 - 4} 0V36`} />)}
                {depth > 0 && <path d={`M${depth * 12 - 4} 0V10Q${depth * 12 - 4} 18 ${depth * 12 + 4} 18`} />}
                {segment.below > 0 && <path d={`M${depth * 12 + 8} 22V36`} />}
                <circle cx={depth * 12 + 8} cy="18" r={on ? 5 : 4} />
              </svg>
              <span class="what"><bdi>{label(segment)}</bdi>
                {rest > 0 && <small>{t("more", { n: count(rest) })}</small>}</span>
            </li>
          );
        })}
      </ul>
    </>
  );
}
