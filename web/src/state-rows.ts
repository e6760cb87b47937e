// The server's states as rows of a tree: a state stands below the one that it began with.

import { railsOf } from "./tree.ts";

export interface KeptState {
  id: string;
  name?: string;
  parent?: string | null;
  model?: string;
  created?: number;
  tokens?: number;
  bytes?: number;
}

export interface StateRow {
  state: KeptState;
  depth: number;
  below: number;
  rails: number[];
}

// In reading order, the oldest first. A parent that is not there makes a root; in a circle, which a
// server does not make, any of it is one.
export function stateRows(states: KeptState[]): StateRow[] {
  const byId = new Map(states.map((state) => [state.id, state]));
  const sorted = [...states].sort((a, b) => (a.created ?? 0) - (b.created ?? 0) || (a.id < b.id ? -1 : 1));
  const below = new Map<string, KeptState[]>();
  const roots: KeptState[] = [];
  for (const state of sorted) {
    if (state.parent && state.parent !== state.id && byId.has(state.parent)) {
      below.set(state.parent, [...(below.get(state.parent) ?? []), state]);
    } else {
      roots.push(state);
    }
  }
  const rows: StateRow[] = [];
  const seen = new Set<string>();
  for (const root of [...roots, ...sorted]) {
    const stack = [{ state: root, depth: 0 }];
    while (stack.length > 0) {
      const { state, depth } = stack.pop()!;
      if (seen.has(state.id)) continue;
      seen.add(state.id);
      const children = below.get(state.id) ?? [];
      rows.push({ state, depth, below: children.length, rails: [] });
      for (const child of [...children].reverse()) stack.push({ state: child, depth: depth + 1 });
    }
  }
  const rails = railsOf(rows.map((row) => row.depth));
  rows.forEach((row, i) => { row.rails = rails[i]; });
  return rows;
}
