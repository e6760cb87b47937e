// One message: its text, thoughts, calls and costs, and what can be done with it.

import { Component } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { models } from "./api.ts";
import { t } from "./i18n.ts";
import { endsReplyAtBlank, readOf } from "./prompt.ts";
import * as session from "./session.ts";
import { type ChatNode, isAlive } from "./tree.ts";
import { Tokens } from "./tokens.tsx";
import { tokensOf } from "./utf8.ts";
import { Area, Button, count, Icon, seconds } from "./view.tsx";
import * as writing from "./writing.ts";

type Render = typeof import("./markdown.ts").render;
let renderer: Render | null = null;
const loading = (): Promise<Render> => import("./markdown.ts").then((module) => (renderer = module.render));

// Texts beyond this are shown as they are: drawing them would take too long.
const kLongest = 200_000;

// Markdown is drawn when the text comes near the window; until then it is shown plain.
const watchers = new Map<Element, () => void>();
const nearby = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) watchers.get(entry.target)?.();
}, { rootMargin: "800px 0px" });

export function Markdown({ text }: { text: string }) {
  const box = useRef<HTMLDivElement>(null);
  const [near, setNear] = useState(false);
  const [, redraw] = useState(0);
  useEffect(() => {
    const element = box.current!;
    if (near) return;
    watchers.set(element, () => setNear(true));
    nearby.observe(element);
    return () => {
      nearby.unobserve(element);
      watchers.delete(element);
    };
  }, [near]);
  useLayoutEffect(() => {
    const element = box.current!;
    let gone = false;
    const again = (): void => { if (!gone) redraw((n) => n + 1); };
    if (near && renderer && text.length <= kLongest) element.replaceChildren(renderer(text, again));
    else element.textContent = text;
    if (near && !renderer) void loading().then(again, () => undefined);
    return () => { gone = true; };
  });
  return <div ref={box} class={`markdown ${near && renderer ? "" : "plain"}`} dir="auto" />;
}

function Thought({ text, open }: { text: string; open: boolean }) {
  const words = text.trim() === "" ? 0 : [...text.matchAll(/[\p{Script=Han}]|[^\s\p{Script=Han}]+/gu)].length;
  return (
    <details class="thought">
      <summary>{open ? t("thinking") : t("thought", { n: count(words) })}</summary>
      <p class="plain" dir="auto">{text.trim()}</p>
    </details>
  );
}

// A text of the reader's, with its empty lines as what they do.
function Said({ text }: { text: string }) {
  const parts = text.trim().split(/(\n{2,})/);
  return (
    <div class="plain said" dir="auto">
      {parts.map((part, i) => i % 2 === 0 ? part
        : <span key={i} class="blank" title={t("blankTitle")}><span class="sr">{t("blankRead")}</span></span>)}
    </div>
  );
}

function Calls({ node, answered }: { node: ChatNode; answered: boolean }) {
  const calls = node.calls!;
  const [results, setResults] = useState(calls.map(() => ""));
  const pretty = (text: string): string => {
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return text;
    }
  };
  return (
    <div class="calls">
      {calls.map((call, i) => (
        <div class="call" key={call.id}>
          <h4>{t("calls", { name: call.name })}</h4>
          <pre tabIndex={0}>{pretty(call.arguments)}</pre>
          {!answered && node.end !== "running" && (
            <>
              <label for={`result-${node.id}-${i}`}>{t("result")}</label>
              <Area id={`result-${node.id}-${i}`} rows={2} grow value={results[i]}
                onInput={(event) => setResults(results.with(i, event.currentTarget.value))} />
            </>
          )}
        </div>
      ))}
      {!answered && node.end !== "running" && (
        <Button label={t("sendResults")} onClick={() =>
          writing.sendResults(node.id, calls.map((call, i) => ({ call, text: results[i] })))} />
      )}
    </div>
  );
}

function CostLine({ node }: { node: ChatNode }) {
  const cost = node.cost!;
  const read = readOf(cost);
  const trained = models.value.find((one) => one.id === node.model)?.meta?.n_ctx_train ?? 0;
  const position = cost.prompt + cost.written;
  const speed = cost.writeSeconds > 0 && cost.written > 1 ? (cost.written - 1) / cost.writeSeconds : 0;
  return (
    <p class="cost">
      <span class="read" title={t("readTitle")}>
        {t("read", { n: count(read.fresh), kept: count(read.kept) })}
        {read.again !== null && <> · <strong class={read.again === 0 ? "good" : "bad"}>{t("again", { n: count(read.again) })}</strong></>}
      </span>
      <span>{t("wrote", { n: count(cost.written) })}{speed > 0 && ` · ${t("speed", { n: speed.toFixed(1) })}`}</span>
      <span>{t("first", { time: seconds(Math.max(0, cost.readSeconds)) })}</span>
      {trained > 0 && <span class={position > trained ? "bad" : ""} title={t("positionTitle")}>
        {t("position", { n: count(position), of: count(trained) })}</span>}
    </p>
  );
}

function Editor({ node, onDone }: { node: ChatNode; onDone: () => void }) {
  const [text, setText] = useState(node.text);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => box.current?.querySelector("textarea")?.focus(), []);
  const save = (): void => {
    writing.resend(node.id, text);
    onDone();
  };
  return (
    <div class="editor" ref={box}>
      <Area aria-label={t("edit")} grow value={text} onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") onDone();
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
        }} />
      <p class="hint">{t("editHint")}</p>
      <div class="row">
        <Button class="primary" label={node.role === "user" ? t("sendBranch") : t("saveBranch")} onClick={save}
          disabled={text.trim() === ""} />
        <Button label={t("cancel")} onClick={onDone} />
      </div>
    </div>
  );
}

interface Props {
  node: ChatNode;
  siblings: string[]; // ids, with its own
  answered: boolean; // something comes after it
  last: boolean;
}

function MessageView({ node, siblings, answered, last }: Props) {
  const [editing, setEditing] = useState(false);
  const [odds, setOdds] = useState(false);
  const [copied, setCopied] = useState(false);
  const run = session.runs.value.get(node.id);
  const own = node.role === "user";
  const at = siblings.indexOf(node.id);
  const text = run ? run.text.value : node.text;
  const thought = run ? run.thought.value : (node.thought ?? "");
  const elsewhere = node.end === "running" && !run;
  const tokens = odds && !run ? tokensOf(node.text, node.tokens) : null;
  const template = models.value.find((one) => one.id === node.model)?.meta?.chat_template;
  const who = own ? t("you") : node.role === "tool" ? t("tool") : (node.model ?? "Linnet");
  const busy = run !== undefined || (elsewhere && isAlive(node, Date.now()));
  return (
    <article class={`message ${node.role}`} id={`m-${node.id}`} aria-busy={busy} aria-label={who} data-end={node.end}>
      <header>
        <h3>{who}</h3>
        {siblings.length > 1 && (
          <span class="versions" role="group" aria-label={t("versions")}>
            <Button icon="previous" label={t("previousVersion")} disabled={at === 0}
              onClick={() => session.jumpTo(siblings[at - 1])} />
            <span>{at + 1}/{siblings.length}</span>
            <Button icon="next" label={t("nextVersion")} disabled={at === siblings.length - 1}
              onClick={() => session.jumpTo(siblings[at + 1])} />
          </span>
        )}
      </header>
      {thought !== "" && <Thought text={thought} open={run !== undefined && text === ""} />}
      {node.files?.map((file, i) => (
        <details class="file" key={i}>
          <summary><Icon name="file" /> {file.name} <span class="hint">{t(`place_${file.place}`)}</span></summary>
          <pre tabIndex={0} dir="auto">{file.text}</pre>
        </details>
      ))}
      {editing ? <Editor node={node} onDone={() => setEditing(false)} />
        : own || node.role === "tool" ? <Said text={node.text} />
        : tokens ? <Tokens node={node} tokens={tokens} />
        : text !== "" ? <Markdown text={text} />
        : run ? <p class="waiting">{run.reading.value ? t("reading") : t("writing")}</p>
        : null}
      {node.calls && <Calls node={node} answered={answered} />}
      {node.end === "lost" && <p class="fault" role="status">{t(node.stream ? "cutOff" : "lost")}{node.error ? ` ${node.error}` : ""}</p>}
      {elsewhere && <p class="hint">{t("elsewhere")}</p>}
      {last && node.end === "done" && endsReplyAtBlank(template) && <p class="hint">{t("blankEnds")}</p>}
      {node.cost && !run && <CostLine node={node} />}
      {run && run.speed.value > 0 && <p class="cost"><span>{t("speed", { n: run.speed.value.toFixed(1) })}</span></p>}
      {!busy && !editing && (
        <footer>
          {(node.end === "stopped" || node.end === "lost" || node.end === "length") && text !== "" &&
            <Button class="small" icon="next" text label={t("goOn")} onClick={() => writing.goOn(node.id)} />}
          {node.role === "assistant" &&
            <Button icon="retry" label={t("retry")} onClick={() => writing.retry(node.id)} />}
          <Button icon="edit" label={t("edit")} onClick={() => setEditing(true)} />
          {node.role === "assistant" && node.tokens &&
            <Button icon="chance" label={t("odds")} pressed={odds} onClick={() => setOdds(!odds)} />}
          <Button icon="copy" label={copied ? t("copied") : t("copy")} onClick={() => {
            void navigator.clipboard?.writeText(node.text).then(() => {
              setCopied(true);
              setTimeout(() => setCopied(false), 1500);
            });
          }} />
          <Button icon="trash" label={t("dropBranch")} onClick={() => {
            if (!answered || confirm(t("dropSure"))) session.drop(node.id);
          }} />
        </footer>
      )}
    </article>
  );
}

// Of hundreds of messages only those that changed are drawn again.
export class Message extends Component<Props> {
  override shouldComponentUpdate(next: Props): boolean {
    const old = this.props;
    return old.node !== next.node || old.answered !== next.answered || old.last !== next.last ||
      old.siblings.length !== next.siblings.length || old.siblings.some((id, i) => id !== next.siblings[i]);
  }
  override render() {
    return <MessageView {...this.props} />;
  }
}
