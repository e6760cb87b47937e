// What the server has: memory in use, states, adapters, models.

import { useEffect, useState } from "preact/hooks";
import { abilities, ApiError, ask, askJson, connect, jsonLines } from "./api.ts";
import { t } from "./i18n.ts";
import { parse, sum, type Sample } from "./metrics.ts";
import * as session from "./session.ts";
import { set, settings } from "./settings.ts";
import { States } from "./states.tsx";
import { bytes, Button, count, Field } from "./view.tsx";

interface Entry {
  id: string;
  name?: string;
  bytes?: number;
  loaded?: boolean;
  default?: boolean;
}

const say = (error: unknown): void => {
  session.notice.value = { text: (error as Error).message, bad: true };
};

function Facts() {
  const [samples, setSamples] = useState<Sample[]>([]);
  useEffect(() => {
    const load = (): void => void ask("GET", "/metrics").then(async (answer) => setSamples(parse(await answer.text())), () => undefined);
    load();
    const timer = setInterval(load, 5000);
    return () => clearInterval(timer);
  }, []);
  const of = (name: string, labels?: Record<string, string>): number => sum(samples, name, labels);
  const queries = of("linnet_prefix_cache_queries");
  const saved = of("linnet_prefix_cache_tokens_saved");
  const token = of("linnet_inter_token_latency_seconds_sum") / of("linnet_inter_token_latency_seconds_count");
  const pass = of("linnet_engine_seconds_total", { part: "pass" });
  const rows = of("linnet_rows_total");
  return (
    <fieldset>
      <legend>{t("machine")}</legend>
      <dl class="facts">
        <dt>{t("m_process")}</dt><dd>{bytes(of("process_resident_memory_bytes") || 0)}</dd>
        <dt>{t("m_states")}</dt><dd>{count(of("linnet_cache_entries") || 0)} · {bytes(of("linnet_cache_bytes", { tier: "memory" }) || 0)}</dd>
        <dt>{t("m_disk")}</dt><dd>{bytes(of("linnet_cache_bytes", { tier: "disk" }) || 0)}</dd>
        <dt>{t("cacheHits")}</dt><dd>{count(of("linnet_prefix_cache_hits") || 0)} / {count(queries || 0)}</dd>
        <dt>{t("tokensSaved")}</dt><dd>{count(saved || 0)}</dd>
        {token > 0 && <><dt>{t("perReply")}</dt><dd>{t("speed", { n: (1 / token).toFixed(1) })}</dd></>}
        {pass > 0 && <><dt>{t("allTogether")}</dt><dd>{t("speed", { n: (rows / pass).toFixed(0) })}</dd></>}
      </dl>
      <p><a href="#/operator">{t("operator")}</a></p>
    </fieldset>
  );
}

function Adapters() {
  const [list, setList] = useState<Entry[]>([]);
  const load = (): void => void askJson<{ data: Entry[] }>("GET", "/v1/lora").then((answer) => setList(answer.data), say);
  useEffect(load, []);
  return (
    <fieldset>
      <legend>LoRA</legend>
      <Field id="lora" label={t("adapter")}>
        <select id="lora" value={settings.value.lora} onChange={(event) => set({ lora: event.currentTarget.value })}>
          <option value="">{t("none")}</option>
          {list.filter((one) => one.loaded !== false).map((one) =>
            <option key={one.id} value={one.id}>{one.name || one.id}</option>)}
        </select>
      </Field>
      {list.filter((one) => one.loaded === false).map((one) => (
        <div class="row" key={one.id}><bdi>{one.id}</bdi>
          <Button class="small" label={t("load")} onClick={() =>
            void askJson("POST", "/v1/lora", { name: one.id, model: session.model() }).then(load, say)} /></div>
      ))}
    </fieldset>
  );
}

// Models that can be loaded and unloaded, for administrators; others do not see this.
function Models() {
  const [{ data: list, changes }, setAnswer] = useState<{ data: Entry[]; changes?: boolean }>({ data: [] });
  const load = (): void => void askJson<{ data: Entry[]; changes?: boolean }>("GET", "/v1/admin/models").then(setAnswer, () => setAnswer({ data: [] }));
  useEffect(load, []);
  const act = (what: string, id: string): void =>
    void askJson("POST", `/v1/admin/models/${what}`, { model: id }).then(connect).then(load, say);
  if (list.length === 0) return null;
  return (
    <>
    <fieldset>
      <legend>{t("models")}</legend>
      <ul class="entries">
        {list.map((one) => (
          <li key={one.id}>
            <span><bdi>{one.id}</bdi> <small>{one.bytes !== undefined && bytes(one.bytes)} {one.default ? t("isDefault") : one.loaded ? t("isLoaded") : ""}</small></span>
            {one.loaded ? <Button class="small" label={t("unload")} onClick={() => act("unload", one.id)} />
              : <Button class="small" label={t("load")} onClick={() => act("load", one.id)} />}
            {!one.default && <Button class="small" label={t("makeDefault")} onClick={() => act("switch", one.id)} />}
          </li>
        ))}
      </ul>
    </fieldset>
    {changes && <Pull onDone={load} />}
    </>
  );
}

// For those who may put models on the server.
function Pull({ onDone }: { onDone: () => void }) {
  const [name, setName] = useState("");
  const [line, setLine] = useState("");
  const [abort, setAbort] = useState<AbortController | null>(null);
  const start = async (): Promise<void> => {
    const stop = new AbortController();
    setAbort(stop);
    try {
      for await (const step of jsonLines("/api/pull", { model: name.trim(), stream: true }, stop.signal)) {
        if (step.error) throw new ApiError(500, String(step.error));
        const part = step.total > 0 ? ` ${bytes(step.completed ?? 0)} / ${bytes(step.total)}` : "";
        setLine(`${step.status ?? ""}${part}`);
      }
      await connect();
      onDone();
    } catch (error) {
      if (!stop.signal.aborted) setLine((error as Error).message);
    }
    setAbort(null);
  };
  return (
    <fieldset>
      <legend>{t("pull")}</legend>
      <form class="row" onSubmit={(event) => { event.preventDefault(); void start(); }}>
        <input aria-label={t("pullName")} placeholder={t("pullName")} value={name} onInput={(event) => setName(event.currentTarget.value)} />
        {abort ? <Button label={t("stop")} onClick={() => abort.abort()} />
          : <button type="submit" class="button" disabled={name.trim() === ""}>{t("pullStart")}</button>}
      </form>
      <p role="status">{line}</p>
    </fieldset>
  );
}

export function Server() {
  const can = abilities.value;
  return (
    <>
      <Facts />
      {can.states && <States />}
      {can.lora && <Adapters />}
      {can.admin && <Models />}
    </>
  );
}
