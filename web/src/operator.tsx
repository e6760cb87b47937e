// For operators: the server's metrics as curves.

import { useEffect, useState } from "preact/hooks";
import { ask } from "./api.ts";
import { t } from "./i18n.ts";
import { mean, parse, rate, sum, type Snapshot } from "./metrics.ts";
import { bytes, seconds } from "./view.tsx";

const kEvery = 2000; // ms between two questions
const kKept = 300; // snapshots: ten minutes

interface Line {
  name: string;
  of: (from: Snapshot, to: Snapshot) => number;
}
interface Chart {
  title: string;
  lines: Line[];
  show: (value: number) => string;
}

const plain = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
const now = (name: string, labels?: Record<string, string>) => (_: Snapshot, to: Snapshot): number => sum(to.samples, name, labels);
const growth = (name: string, labels?: Record<string, string>) => (from: Snapshot, to: Snapshot): number => rate(from, to, name, labels);

const charts = (): Chart[] => [
  { title: t("m_tokens"), show: plain, lines: [
    { name: t("m_written"), of: growth("linnet_generation_tokens_total") },
    { name: t("m_read"), of: growth("linnet_rows_total", { kind: "prompt" }) },
    { name: t("m_cached"), of: growth("linnet_prompt_tokens_cached") } ] },
  { title: t("m_requests"), show: plain, lines: [
    { name: t("m_running"), of: now("linnet_num_requests_running") },
    { name: t("m_waiting"), of: now("linnet_num_requests_waiting") } ] },
  { title: t("m_first"), show: seconds, lines: [
    { name: t("m_first"), of: (a, b) => mean(a, b, "linnet_time_to_first_token_seconds") },
    { name: t("m_queue"), of: (a, b) => mean(a, b, "linnet_request_queue_time_seconds") } ] },
  { title: t("m_between"), show: (value) => `${(1000 * value).toFixed(1)} ms`, lines: [
    { name: t("m_between"), of: (a, b) => mean(a, b, "linnet_inter_token_latency_seconds") } ] },
  { title: t("m_memory"), show: bytes, lines: [
    { name: t("m_process"), of: now("process_resident_memory_bytes") },
    { name: t("m_states"), of: now("linnet_cache_bytes", { tier: "memory" }) },
    { name: t("m_disk"), of: now("linnet_cache_bytes", { tier: "disk" }) } ] },
  { title: t("m_hits"), show: (value) => `${(100 * value).toFixed(0)} %`, lines: [
    { name: t("m_hits"), of: (a, b) => {
      const asked = rate(a, b, "linnet_prefix_cache_queries");
      return asked > 0 ? rate(a, b, "linnet_prefix_cache_hits") / asked : NaN;
    } } ] },
  { title: t("m_cpu"), show: plain, lines: [
    { name: t("m_cpu"), of: growth("process_cpu_seconds_total") } ] },
  { title: t("m_http"), show: plain, lines: [
    { name: t("m_connections"), of: now("linnet_http_connections") },
    { name: t("m_errors"), of: (a, b) => {
      const of = (one: Snapshot): number => one.samples.filter((sample) => sample.name === "linnet_http_replies_total" &&
        /^[45]/.test(sample.labels.status ?? "")).reduce((total, sample) => total + sample.value, 0);
      return Math.max(0, (1000 * (of(b) - of(a))) / (b.time - a.time));
    } } ] },
];

const kWidth = 320;
const kHeight = 90;

// Parts of a line between gaps, as a path.
function pathOf(values: number[], most: number): string {
  let path = "";
  let on = false;
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) {
      on = false;
      return;
    }
    const x = kWidth - ((values.length - 1 - i) * kWidth) / (kKept - 1);
    const y = kHeight - 4 - ((kHeight - 10) * value) / (most || 1);
    path += `${on ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    on = true;
  });
  return path;
}

function Curve({ chart, history }: { chart: Chart; history: Snapshot[] }) {
  const rows = chart.lines.map((line) => ({
    name: line.name, values: history.slice(1).map((to, i) => line.of(history[i], to)),
  }));
  const most = Math.max(0, ...rows.flatMap((row) => row.values.filter(Number.isFinite)));
  const last = (values: number[]): number => values.findLast(Number.isFinite) ?? NaN;
  return (
    <figure class="chart">
      <figcaption>{chart.title}</figcaption>
      <svg viewBox={`0 0 ${kWidth} ${kHeight}`} role="img" aria-label={`${chart.title}: ${rows.map((row) =>
        `${row.name} ${Number.isFinite(last(row.values)) ? chart.show(last(row.values)) : "–"}`).join(", ")}`}>
        <path class="axis" d={`M0 ${kHeight - 4}H${kWidth}M0 6H${kWidth}`} />
        {rows.map((row, i) => <path key={row.name} class={`line line-${i}`} d={pathOf(row.values, most)} />)}
      </svg>
      <dl>
        {rows.map((row, i) => (
          <div key={row.name}><dt><span class={`key line-${i}`} />{row.name}</dt>
            <dd>{Number.isFinite(last(row.values)) ? chart.show(last(row.values)) : "–"}</dd></div>
        ))}
        <div><dt>{t("m_most")}</dt><dd>{most > 0 ? chart.show(most) : "–"}</dd></div>
      </dl>
    </figure>
  );
}

export function Operator() {
  const [history, setHistory] = useState<Snapshot[]>([]);
  const [fault, setFault] = useState("");
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    let gone = false;
    const tick = async (): Promise<void> => {
      try {
        if (!document.hidden) {
          const samples = parse(await (await ask("GET", "/metrics")).text());
          setHistory((old) => [...old, { time: performance.now(), samples }].slice(-kKept));
          setFault("");
        }
      } catch (error) {
        setFault((error as Error).message);
      }
      if (!gone) timer = setTimeout(() => void tick(), kEvery);
    };
    void tick();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, []);
  return (
    <section class="operator" aria-labelledby="operator">
      <h2 id="operator">{t("operator")}</h2>
      <p class="hint">{t("operatorHint")} <a href="/metrics" target="_blank" rel="noopener">/metrics</a></p>
      {fault !== "" && <p class="fault" role="alert">{fault}</p>}
      <div class="charts">
        {charts().map((chart) => <Curve key={chart.title} chart={chart} history={history} />)}
      </div>
    </section>
  );
}
