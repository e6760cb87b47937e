// The panel beside a conversation: its branches, the settings, and what the server has to offer.

import { useState } from "preact/hooks";
import { abilities, key, models, setKey } from "./api.ts";
import { Branches } from "./branches.tsx";
import { t } from "./i18n.ts";
import { blankLines } from "./prompt.ts";
import * as session from "./session.ts";
import { kNoSampling, kPresets, kRanges, set, settings, type Number as NumberName, type Preset } from "./settings.ts";
import { Server } from "./server.tsx";
import { Area, Button, count, Field } from "./view.tsx";
import * as writing from "./writing.ts";

const same = (a: object, b: object): boolean => JSON.stringify(a) === JSON.stringify(b);

function SamplerPanel() {
  const { sampling, presets } = settings.value;
  const all: Preset[] = [...kPresets, ...presets];
  const chosen = all.find((preset) => same(preset.sampling, sampling));
  const name = (preset: Preset): string => (kPresets.includes(preset) ? t(`preset_${preset.name}` as "preset_default") : preset.name);
  return (
    <fieldset>
      <legend>{t("sampler")}</legend>
      <Field id="preset" label={t("preset")}>
        <select id="preset" value={chosen?.name ?? ""} onChange={(event) => {
          const preset = all.find((one) => one.name === event.currentTarget.value);
          if (preset) set({ sampling: preset.sampling });
        }}>
          {!chosen && <option value="">{t("preset_own")}</option>}
          {all.map((preset) => <option key={preset.name} value={preset.name}>{name(preset)}</option>)}
        </select>
      </Field>
      <div class="row">
        <Button class="small" label={t("savePreset")} disabled={chosen !== undefined} onClick={() => {
          const given = prompt(t("presetName"))?.trim();
          if (given && !kPresets.some((preset) => preset.name === given)) {
            set({ presets: [...presets.filter((preset) => preset.name !== given), { name: given, sampling }] });
          }
        }} />
        {chosen && presets.includes(chosen) && <Button class="small" label={t("deletePreset")}
          onClick={() => set({ presets: presets.filter((preset) => preset !== chosen) })} />}
      </div>
      <div class="grid">
        {(Object.keys(kRanges) as NumberName[]).map((field) => {
          const range = kRanges[field];
          return (
            <Field key={field} id={`s-${field}`} label={t(`s_${field}`)}>
              <input id={`s-${field}`} type="number" min={range.least} max={range.most} step={range.step}
                placeholder={t("auto")} value={sampling[field] ?? ""} onChange={(event) => {
                  const typed = event.currentTarget.value;
                  const number = Math.min(range.most, Math.max(range.least, Number(typed)));
                  set({ sampling: { ...sampling, [field]: typed === "" || Number.isNaN(number) ? null : number } });
                }} />
            </Field>
          );
        })}
      </div>
      <Field id="s-stop" label={t("s_stop")} hint={t("stopHint")}>
        <Area id="s-stop" rows={2} grow value={sampling.stop} aria-describedby="s-stop-hint"
          onChange={(event) => set({ sampling: { ...sampling, stop: event.currentTarget.value } })} />
      </Field>
      <Button class="small" label={t("resetSampler")} onClick={() => set({ sampling: kNoSampling })} />
    </fieldset>
  );
}

function ChatPanel() {
  const chat = session.current.value!;
  const broken = writing.toolsOf(chat.tools) === null;
  const begun = Object.keys(chat.nodes).length > 0;
  if (chat.kind === "text") return null;
  return (
    <fieldset>
      <legend>{t("thisChat")}</legend>
      <Field id="system" label={t("system")} hint={begun ? t("systemHint")
        : blankLines(chat.system) > 0 ? t("blanks", { n: blankLines(chat.system) }) : undefined}>
        <Area id="system" rows={3} grow value={chat.system}
          onChange={(event) => session.setSystem(chat.id, event.currentTarget.value)} />
      </Field>
      <Field id="tools" label={t("tools")} hint={broken ? t("toolsBroken") : t("toolsHint")}>
        <Area id="tools" class="code" rows={3} grow value={chat.tools} aria-invalid={broken} spellcheck={false}
          onChange={(event) => session.setTools(chat.id, event.currentTarget.value)} />
      </Field>
    </fieldset>
  );
}

function PagePanel() {
  const { language, theme, probabilities, place, thinking } = settings.value;
  return (
    <fieldset>
      <legend>{t("page")}</legend>
      <label class="check"><input type="checkbox" checked={probabilities}
        onChange={(event) => set({ probabilities: event.currentTarget.checked })} /> {t("askOdds")}</label>
      {abilities.value.chats && (
        <label class="check"><input type="checkbox" checked={place === "server"}
          onChange={(event) => set({ place: event.currentTarget.checked ? "server" : "browser" })} /> {t("keepNew")}</label>
      )}
      <Field id="thinking" label={t("thinkingLevel")}>
        <select id="thinking" value={thinking}
          onChange={(event) => set({ thinking: event.currentTarget.value as typeof thinking })}>
          {(["", "none", "low", "medium", "high"] as const).map((level) =>
            <option key={level} value={level}>{t(`think_${level || "auto"}`)}</option>)}
        </select>
      </Field>
      <Field id="language" label={t("language")}>
        <select id="language" value={language}
          onChange={(event) => set({ language: event.currentTarget.value as typeof language })}>
          <option value="">{t("browsers")}</option>
          <option value="en" lang="en">English</option>
          <option value="zh" lang="zh">中文</option>
        </select>
      </Field>
      <Field id="theme" label={t("theme")}>
        <select id="theme" value={theme} onChange={(event) => set({ theme: event.currentTarget.value as typeof theme })}>
          <option value="">{t("systems")}</option>
          <option value="light">{t("light")}</option>
          <option value="dark">{t("dark")}</option>
        </select>
      </Field>
      <Field id="key" label={t("key")} hint={t("keyHint")}>
        <input id="key" type="password" autocomplete="off" value={key.value}
          onChange={(event) => {
            setKey(event.currentTarget.value);
            dispatchEvent(new Event("linnet-connect"));
          }} />
      </Field>
    </fieldset>
  );
}

function ModelPanel() {
  const info = session.modelInfo();
  const meta = info?.meta;
  return (
    <fieldset>
      <legend>{t("model")}</legend>
      <Field id="model" label={t("model")}>
        <select id="model" value={session.model()} onChange={(event) => set({ model: event.currentTarget.value })}>
          {models.value.map((one) => <option key={one.id} value={one.id}>{one.id}</option>)}
        </select>
      </Field>
      {meta && (
        <dl class="facts">
          {meta.architecture && <><dt>{t("architecture")}</dt><dd>{meta.architecture.toUpperCase()}</dd></>}
          {meta.n_layer && meta.n_embd && <><dt>{t("size")}</dt><dd>L{meta.n_layer} C{meta.n_embd}</dd></>}
          {meta.n_vocab && <><dt>{t("vocabulary")}</dt><dd>{count(meta.n_vocab)}</dd></>}
          {meta.n_ctx_train ? <><dt>{t("trainedLength")}</dt><dd>{count(meta.n_ctx_train)}</dd></> : null}
          {meta.chat_template && <><dt>{t("template")}</dt><dd>{meta.chat_template}</dd></>}
        </dl>
      )}
    </fieldset>
  );
}

const kTabs = ["branches", "settings", "server"] as const;
type Tab = (typeof kTabs)[number];

export function Panel() {
  const [tab, setTab] = useState<Tab>("branches");
  const keys = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    const to = kTabs[(kTabs.indexOf(tab) + step + kTabs.length) % kTabs.length];
    setTab(to);
    document.getElementById(`tab-${to}`)?.focus();
    event.preventDefault();
  };
  return (
    <>
      <div class="tabs" role="tablist" aria-label={t("panel")} onKeyDown={keys}>
        {kTabs.map((one) => (
          <button type="button" key={one} role="tab" id={`tab-${one}`} aria-selected={tab === one} aria-controls="tab-panel"
            tabIndex={tab === one ? 0 : -1} onClick={() => setTab(one)}>{t(`tab_${one}`)}</button>
        ))}
      </div>
      <div class="tab-panel" role="tabpanel" id="tab-panel" aria-labelledby={`tab-${tab}`} tabIndex={0}>
        {tab === "branches" && <Branches />}
        {tab === "settings" && <><ModelPanel /><ChatPanel /><SamplerPanel /><PagePanel /></>}
        {tab === "server" && <Server />}
      </div>
    </>
  );
}
