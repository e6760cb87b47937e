// The tree of a conversation: runs of messages without a branch are one row, and a click is a jump.

import { t } from "./i18n.ts";
import * as session from "./session.ts";
import { pathTo, segmentsOf, type Segment } from "./tree.ts";
import { TreeList } from "./tree-list.tsx";
import { count } from "./view.tsx";

const label = (segment: Segment): string => {
  const first = segment.nodes[0];
  const text = first.text.trim() || first.thought?.trim() || (first.calls ? first.calls.map((c) => c.name).join() : "…");
  const who = first.role === "assistant" ? "◆ " : first.role === "tool" ? "⚙ " : first.role === "user" ? "▸ " : "";
  return who + text.replace(/\s+/g, " ").slice(0, 60);
};

export function Branches() {
  const chat = session.current.value!;
  const segments = segmentsOf(chat);
  const here = new Set(pathTo(chat, chat.leaf).map((node) => node.id));
  const at = Math.max(0, segments.findLastIndex((segment) => here.has(segment.nodes[0].id)));
  const ends = segments.filter((segment) => segment.below === 0).length;
  if (segments.length === 0) return <p class="hint">{t("noBranches")}</p>;
  return (
    <>
      <p class="hint">{t("branchesHint", { n: count(ends) })}</p>
      <TreeList label={t("branches")} at={at} onPick={(id) => session.jumpTo(id)} rows={segments.map((segment) => ({
        id: segment.nodes[0].id, depth: segment.depth, below: segment.below, rails: segment.rails, label: label(segment),
        note: segment.nodes.length > 1 ? t("more", { n: count(segment.nodes.length - 1) }) : "",
        on: here.has(segment.nodes[0].id),
      }))} />
    </>
  );
}
