// A tree as rows with rails beside them, moved in by the arrow keys.

import { useRef } from "preact/hooks";

const kDeepest = 12; // columns that are drawn

export interface TreeRow {
  id: string;
  depth: number; // branches above it
  below: number; // rows that begin at its end
  rails: number[]; // as Segment.rails
  label: string;
  note: string; // behind the label, quieter; empty: nothing
  on: boolean;
}

// `at` is the row that Tab reaches; Enter, a blank and a click pick.
export function TreeList({ rows, at, label, onPick }:
    { rows: TreeRow[]; at: number; label: string; onPick: (id: string) => void }) {
  const box = useRef<HTMLUListElement>(null);
  const focus = (index: number): void => {
    const items = box.current!.querySelectorAll<HTMLElement>("[role=treeitem]");
    items[Math.max(0, Math.min(items.length - 1, index))]?.focus();
  };
  const keys = (event: KeyboardEvent, index: number): void => {
    const row = rows[index];
    if (event.key === "ArrowDown") focus(index + 1);
    else if (event.key === "ArrowUp") focus(index - 1);
    else if (event.key === "Home") focus(0);
    else if (event.key === "End") focus(rows.length - 1);
    else if (event.key === "ArrowRight" && row.below > 0) focus(index + 1);
    else if (event.key === "ArrowLeft") focus(rows.findLastIndex((one, i) => i < index && one.depth < row.depth));
    else if (event.key === "Enter" || event.key === " ") onPick(row.id);
    else return;
    event.preventDefault();
  };
  return (
    <ul class="branches" role="tree" aria-label={label} ref={box}>
      {rows.map((row, i) => {
        const depth = Math.min(row.depth, kDeepest);
        return (
          <li key={row.id} role="treeitem" aria-level={row.depth + 1} aria-selected={row.on}
            aria-current={i === at ? "true" : undefined} tabIndex={i === at ? 0 : -1}
            class={`branch ${row.on ? "on" : ""}`} onClick={() => onPick(row.id)} onKeyDown={(event) => keys(event, i)}>
            <svg class="rail" viewBox={`0 0 ${depth * 12 + 16} 36`} width={depth * 12 + 16} height="36" aria-hidden="true">
              {row.rails.filter((rail) => rail > 0 && rail <= kDeepest).map((rail) =>
                <path key={rail} class="past" d={`M${rail * 12 - 4} 0V36`} />)}
              {depth > 0 && <path d={`M${depth * 12 - 4} 0V10Q${depth * 12 - 4} 18 ${depth * 12 + 4} 18`} />}
              {row.below > 0 && <path d={`M${depth * 12 + 8} 22V36`} />}
              <circle cx={depth * 12 + 8} cy="18" r={row.on ? 5 : 4} />
            </svg>
            <span class="what"><bdi>{row.label}</bdi>{row.note !== "" && <small>{row.note}</small>}</span>
          </li>
        );
      })}
    </ul>
  );
}
