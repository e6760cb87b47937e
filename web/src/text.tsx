// A raw text that the model writes on, without a template. Its pieces are a tree, too.

import { useEffect, useState } from "preact/hooks";
import { online } from "./api.ts";
import { t } from "./i18n.ts";
import { readOf, textOf } from "./prompt.ts";
import * as session from "./session.ts";
import { Tokens } from "./tokens.tsx";
import { pathTo } from "./tree.ts";
import { tokensOf } from "./utf8.ts";
import { Area, Button, count } from "./view.tsx";
import * as writing from "./writing.ts";

export function RawText() {
  const chat = session.current.value!;
  const path = pathTo(chat, chat.leaf);
  const run = [...session.runs.value.values()].find((one) => one.chat === chat.id);
  const kept = run ? textOf(path.slice(0, -1)) + run.text.value : textOf(path);
  const [text, setText] = useState(kept);
  const [odds, setOdds] = useState(false);
  useEffect(() => setText(kept), [chat.id, chat.leaf, kept]);
  const last = path.at(-1);
  const tokens = odds && last ? tokensOf(last.text, last.tokens) : null;
  const cost = last?.cost;
  const read = cost && readOf(cost);
  return (
    <form class="raw" aria-label={t("rawText")} onSubmit={(event) => {
      event.preventDefault();
      if (!run && text !== "") writing.writeText(text);
    }}>
      <p class="hint" id="raw-hint">{t("rawHint")}</p>
      <Area class="input" aria-label={t("rawText")} aria-describedby="raw-hint" placeholder={t("rawPlaceholder")} value={text}
        readOnly={run !== undefined} onInput={(event) => setText(event.currentTarget.value)}
        onBlur={() => { if (!run && text !== kept && text !== "") writing.editText(text); }}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.form?.requestSubmit();
        }} />
      {last?.end === "lost" && <p class="fault" role="status">{t("lost")} {last.error ?? ""}</p>}
      {tokens && last && <Tokens node={last} tokens={tokens} />}
      {cost && read && !run && (
        <p class="cost"><span>{t("read", { n: count(read.fresh), kept: count(read.kept) })}</span>
          <span>{t("wrote", { n: count(cost.written) })}</span></p>
      )}
      <div class="row">
        {last && !run && last.parent !== null &&
          <Button icon="previous" text label={t("undo")} onClick={() => session.jumpTo(last.parent, true)} />}
        {last?.tokens && !run && <Button icon="chance" label={t("odds")} pressed={odds} onClick={() => setOdds(!odds)} />}
        <span class="spacer" />
        {!online.value && <span class="fault" role="status">{t("offline")}</span>}
        {run ? <Button class="primary" icon="stop" text label={t("stop")} keys="Esc" onClick={() => writing.stop()} />
          : <button type="submit" class="button primary" disabled={text === "" || !online.value}>{t("writeOn")}</button>}
      </div>
    </form>
  );
}
