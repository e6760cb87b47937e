// The states that the server keeps: a conversation's whole past in a few megabytes, as a tree of what
// began with what.

import { useEffect, useState } from "preact/hooks";
import { abilities, ask, askJson } from "./api.ts";
import { t } from "./i18n.ts";
import { messagesOf, type WireMessage } from "./prompt.ts";
import * as session from "./session.ts";
import { set, settings } from "./settings.ts";
import { stateRows, type KeptState } from "./state-rows.ts";
import { newId, pathTo } from "./tree.ts";
import { TreeList } from "./tree-list.tsx";
import { bytes, Button, count, download, Field, pick } from "./view.tsx";

const say = (error: unknown): void => {
  session.notice.value = { text: (error as Error).message, bad: true };
};
const nameOf = (state: KeptState): string => state.name || state.id;
const address = (id: string): string => `/v1/states/${encodeURIComponent(id)}`;

// Keeps the state after these messages, without writing a word, under a name.
async function keepState(messages: WireMessage[], name: string): Promise<void> {
  const { state, lora } = settings.value;
  const answer = await askJson<{ state: { id?: string; error?: { message: string } } }>("POST", "/v1/chat/completions", {
    model: session.model(), messages, max_tokens: 0, return_state: "kept",
    ...(state !== "" && { state }), ...(lora !== "" && abilities.value.lora && { lora }),
  });
  const id = answer.state.id;
  if (id === undefined) throw new Error(answer.state.error?.message ?? "no state");
  await askJson("POST", address(id), { name });
}

// How a file says what it is.
const layoutOf = (file: string): string =>
  file.endsWith(".safetensors") ? "reference" : file.endsWith(".pth") ? "time_state" : file.endsWith(".json") ? "ai00" : "signed";

interface Part {
  absolute: number;
  relative: number;
}
interface Difference {
  a: KeptState;
  b: KeptState;
  relative: number;
  layers: Record<string, Part>[];
}

const kBar = 10;
const kHigh = 60;
const share = (value: number): string => `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`;

// For each part of a layer's state bars, one a layer: the largest difference of an entry, relative to
// the part's largest entry.
function DifferenceView({ found }: { found: Difference }) {
  const names = Object.keys(found.layers[0] ?? {});
  const most = Math.max(found.relative, 1e-9);
  return (
    <section class="difference" aria-label={t("difference")}>
      <p><bdi>{nameOf(found.a)}</bdi> – <bdi>{nameOf(found.b)}</bdi></p>
      {found.relative === 0 ? <p role="status">{t("diffSame")}</p> : names.map((name) => {
        const values = found.layers.map((layer) => layer[name]?.relative ?? 0);
        const top = values.indexOf(Math.max(...values));
        const told = t("diffMost", { part: name, layer: count(top), value: share(values[top]) });
        return (
          <figure class="chart" key={name}>
            <figcaption>{told}</figcaption>
            <svg viewBox={`0 0 ${values.length * kBar} ${kHigh}`} role="img" aria-label={`${told} ${values.map(share).join(", ")}`}>
              {values.map((value, layer) => {
                const height = Math.max(value > 0 ? 1 : 0, (value / most) * kHigh);
                return (
                  <rect key={layer} class="bar" x={layer * kBar + 1} width={kBar - 2} y={kHigh - height} height={height}>
                    <title>{t("diffBar", { layer: count(layer), value: share(value) })}</title>
                  </rect>
                );
              })}
              <path class="axis" d={`M0 ${kHigh}H${values.length * kBar}`} />
            </svg>
          </figure>
        );
      })}
      {found.relative > 0 && <p class="hint">{t("diffHint")}</p>}
    </section>
  );
}

export function States() {
  const [list, setList] = useState<KeptState[]>([]);
  const [name, setName] = useState("");
  const [picked, setPicked] = useState("");
  const [found, setFound] = useState<Difference | null>(null);
  const load = (): Promise<void> => askJson<{ data: KeptState[] }>("GET", "/v1/states").then((answer) => setList(answer.data), say);
  useEffect(() => void load(), []);
  const chat = session.current.value!;
  const path = pathTo(chat, chat.leaf);
  const act = (what: Promise<unknown>): void => void what.then(load, say);
  const one = list.find((state) => state.id === picked);
  const rows = stateRows(list);
  const others = list.filter((state) => one && state.id !== one.id && state.model === one.model);
  const fetchState = (state: KeptState, layout: string, ending: string): void =>
    void ask("GET", `${address(state.id)}/content?layout=${layout}`).then(async (answer) =>
      download(`${nameOf(state)}.${ending}`, await answer.arrayBuffer(), "application/octet-stream"), say);
  const named = (question: string, old: string, send: (name: string) => Promise<unknown>): void => {
    const given = prompt(question, old)?.trim();
    if (given) act(send(given));
  };
  const compare = (a: KeptState, id: string): void => {
    const b = list.find((state) => state.id === id);
    setFound(null);
    if (b) {
      void askJson<Difference>("POST", "/v1/states/diff", { model: a.model, a: a.id, b: b.id })
        .then((answer) => setFound({ ...answer, a, b }), say);
    }
  };
  return (
    <fieldset class="states">
      <legend>{t("states")}</legend>
      <p class="hint">{t("statesHint")}</p>
      <Field id="state" label={t("startState")}>
        <select id="state" value={settings.value.state} onChange={(event) => set({ state: event.currentTarget.value })}>
          <option value="">{t("none")}</option>
          {list.map((state) => <option key={state.id} value={state.id}>{nameOf(state)}</option>)}
        </select>
      </Field>
      <form class="row" onSubmit={(event) => {
        event.preventDefault();
        act(keepState(messagesOf(chat, path), name).then(() => setName("")));
      }}>
        <input aria-label={t("stateName")} placeholder={t("stateName")} dir="auto" value={name} onInput={(event) => setName(event.currentTarget.value)} />
        <button type="submit" class="button" disabled={name.trim() === "" || path.length === 0 || chat.kind === "text"}>{t("saveState")}</button>
      </form>
      {rows.length > 0 && (
        <TreeList label={t("states")} at={Math.max(0, rows.findIndex((row) => row.state.id === picked))}
          onPick={(id) => {
            setPicked(id === picked ? "" : id);
            setFound(null);
          }}
          rows={rows.map(({ state, depth, below, rails }) => ({
            id: state.id, depth, below, rails, label: nameOf(state), on: state.id === picked,
            note: [state.tokens !== undefined && t("tokens", { n: count(state.tokens) }), state.bytes !== undefined && bytes(state.bytes)]
              .filter(Boolean).join(" · "),
          }))} />
      )}
      {one && (
        <div class="picked" role="group" aria-label={nameOf(one)}>
          <div class="row">
            <Button class="small" icon="tree" text label={t("forkState")} onClick={() =>
              named(t("forkName"), nameOf(one), (given) => askJson("POST", `${address(one.id)}/fork`, { name: given }))} />
            <Button class="small" icon="edit" text label={t("renameState")} onClick={() =>
              named(t("stateName"), nameOf(one), (given) => askJson("POST", address(one.id), { name: given }))} />
            <Button icon="down" label={t("share")} onClick={() => fetchState(one, "signed", "state")} />
            <Button icon="file" label={t("asTensors")} onClick={() => fetchState(one, "reference", "safetensors")} />
            <Button icon="trash" label={t("deleteState", { name: nameOf(one) })}
              onClick={() => act(ask("DELETE", address(one.id)).then(() => {
                setPicked("");
                setFound(null);
                if (settings.value.state === one.id) set({ state: "" });
              }))} />
          </div>
          {others.length > 0 && (
            <Field id="compare" label={t("compareWith")}>
              <select id="compare" value={found?.b.id ?? ""} onChange={(event) => compare(one, event.currentTarget.value)}>
                <option value="">{t("none")}</option>
                {others.map((state) => <option key={state.id} value={state.id}>{nameOf(state)}</option>)}
              </select>
            </Field>
          )}
          {found && found.a.id === one.id && <DifferenceView found={found} />}
        </div>
      )}
      <Button class="small" label={t("uploadState")} onClick={() => pick("", false, (files) => void (async () => {
        const file = files[0];
        const query = new URLSearchParams({ layout: layoutOf(file.name), model: session.model(), name: file.name });
        act(ask("PUT", `${address(newId())}?${query}`, await file.arrayBuffer(), undefined, true));
      })())} />
    </fieldset>
  );
}
