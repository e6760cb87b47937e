// The page as a whole: the bar, the chats, the conversation, the panel.

import { useEffect, useState } from "preact/hooks";
import { connect, key, models, needsKey, online, setKey, waitForServer } from "./api.ts";
import { Composer } from "./composer.tsx";
import { t } from "./i18n.ts";
import { Operator } from "./operator.tsx";
import { Panel } from "./panel.tsx";
import * as session from "./session.ts";
import { set, settings } from "./settings.ts";
import { Sidebar } from "./sidebar.tsx";
import { RawText } from "./text.tsx";
import { Transcript } from "./transcript.tsx";
import { Button, Dialog, Field, useEscape } from "./view.tsx";
import * as writing from "./writing.ts";

const wide = matchMedia("(min-width: 70rem)");

function KeyDialog() {
  const [typed, setTyped] = useState("");
  const [fault, setFault] = useState(key.value !== "");
  return (
    <Dialog title={t("needKey")} onClose={() => { needsKey.value = false; }}>
      <form onSubmit={(event) => {
        event.preventDefault();
        setFault(false);
        setKey(typed);
        dispatchEvent(new Event("linnet-connect"));
      }}>
        <Field id="ask-key" label={t("key")} hint={t("keyHint")}>
          <input id="ask-key" type="password" autocomplete="current-password" value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)} />
        </Field>
        {fault && <p class="fault" role="alert">{t("wrongKey")}</p>}
        <button type="submit" class="button primary" disabled={typed.trim() === ""}>{t("connect")}</button>
      </form>
    </Dialog>
  );
}

function Announcer() {
  const said = session.announcement.value;
  const text = said === "" ? "" : said.startsWith("stopped") ? t("replyStopped") : t("replyDone");
  return <div class="sr" role="status" aria-live="polite">{text}</div>;
}

function Notices() {
  const notice = session.notice.value;
  return (
    <>
      {session.storageFault.value !== "" &&
        <p class="notice fault" role="alert">{t("storageFault", { what: session.storageFault.value })}</p>}
      {notice && (
        <p class={`notice ${notice.bad ? "fault" : ""}`} role="alert">{notice.text}
          <Button class="small" label={t("dismiss")} onClick={() => { session.notice.value = null; }} /></p>
      )}
    </>
  );
}

// #/c/ID is a chat, #/operator the metrics; anything else a new chat.
async function route(): Promise<boolean> {
  const found = /^#\/c\/([\w-]+)$/.exec(location.hash);
  if (location.hash === "#/operator") return true;
  if (found && found[1] !== session.current.value?.id && !(await session.openChat(found[1]))) session.startChat();
  return false;
}

export function App() {
  const [operator, setOperator] = useState(location.hash === "#/operator");
  const [menu, setMenu] = useState(false);
  const [panel, setPanel] = useState(wide.matches && settings.value.panel);
  const [broad, setBroad] = useState(wide.matches);
  const chat = session.current.value;
  const closeMenu = (): void => setMenu(false);
  const showPanel = (on: boolean): void => {
    setPanel(on);
    if (broad) set({ panel: on });
  };
  useEscape(menu, closeMenu);
  useEscape(panel && !broad, () => setPanel(false));

  useEffect(() => {
    const changed = (): void => void route().then(setOperator);
    const resized = (): void => setBroad(wide.matches);
    const reconnect = (): void => void start();
    const seen = (): void => { if (!document.hidden) void session.synchronize(); };
    addEventListener("hashchange", changed);
    addEventListener("linnet-connect", reconnect);
    document.addEventListener("visibilitychange", seen);
    wide.addEventListener("change", resized);
    void start();
    return () => {
      removeEventListener("hashchange", changed);
      removeEventListener("linnet-connect", reconnect);
      document.removeEventListener("visibilitychange", seen);
      wide.removeEventListener("change", resized);
    };
    async function start(): Promise<void> {
      try {
        await connect();
        await session.synchronize();
      } catch {
        // Without a server the chats of this browser can be read.
        if (!needsKey.value) void waitForServer().then(reconnect);
      }
    }
  }, []);
  // The address names the chat once it has something to be found again.
  useEffect(() => {
    if (!chat || operator) return;
    const hash = Object.keys(chat.nodes).length > 0 ? `#/c/${chat.id}` : "#/";
    if (location.hash !== hash) history.replaceState(null, "", hash);
    document.title = chat.title !== "" ? `${chat.title} – Linnet` : "Linnet";
  }, [chat, operator]);
  useEffect(() => {
    const look = (): void => {
      session.markLost();
      writing.takeUp();
    };
    const timer = setInterval(look, 2000);
    look();
    return () => clearInterval(timer);
  }, [chat?.id, online.value]);
  useEffect(() => {
    const keys = (event: KeyboardEvent): void => {
      if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open]") && !menu) writing.stop();
      if (!event.altKey || !event.shiftKey) return;
      if (event.code === "KeyN") session.startChat();
      else if (event.code === "KeyM") document.querySelector<HTMLElement>(".composer textarea, .raw textarea")?.focus();
      else if (event.code === "KeyB") {
        showPanel(true);
        requestAnimationFrame(() => document.querySelector<HTMLElement>("[role=treeitem][tabindex='0']")?.focus());
      } else return;
      event.preventDefault();
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  });

  const model = session.model();
  return (
    <div class={`app ${panel ? "with-panel" : ""}`}>
      <a class="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        document.querySelector<HTMLElement>(".composer textarea, .raw textarea")?.focus();
      }}>{t("skip")}</a>
      <header class="bar">
        <Button icon="menu" class="menu-button" label={t("menu")} expanded={menu} onClick={() => setMenu(!menu)} />
        <h1>Linnet</h1>
        {models.value.length > 1 ? (
          <select aria-label={t("model")} value={model} onChange={(event) => set({ model: event.currentTarget.value })}>
            {models.value.map((one) => <option key={one.id} value={one.id}>{one.id}</option>)}
          </select>
        ) : <span class="model">{model}</span>}
        <span class={`dot ${online.value ? "good" : "bad"}`} role="img" aria-label={online.value ? "online" : t("offline")} />
        <span class="spacer" />
        <Button icon="tree" label={t("panel")} expanded={panel} onClick={() => showPanel(!panel)} keys="Alt+Shift+B" />
      </header>
      <nav class={`sidebar ${menu ? "open" : ""}`} aria-label={t("chats")}>
        <div class="panel-head"><Button icon="close" label={t("close")} onClick={closeMenu} /></div>
        <Sidebar onPick={() => {
          closeMenu();
          if (operator) location.hash = "#/";
        }} />
        <p class="row"><a href="#/operator" onClick={closeMenu}>{t("operator")}</a>
          <a href="/licences.txt" target="_blank" rel="noopener">{t("licences")}</a></p>
        <details class="keys"><summary>{t("keys")}</summary><p>{t("keysText")}</p></details>
      </nav>
      {menu && <div class="shade" onClick={closeMenu} />}
      <main id="main">
        <Notices />
        {operator ? <><Operator /><p class="row"><a href={chat ? `#/c/${chat.id}` : "#/"}>{t("back")}</a></p></>
          : chat && (
            <>
              <h2 class="chat-title"><bdi>{chat.title || t(chat.kind === "text" ? "untitledText" : "untitled")}</bdi></h2>
              {chat.kind === "text" ? <RawText /> : <><Transcript /><Composer /></>}
            </>
          )}
      </main>
      {panel && !operator && chat && (
        <aside class="panel" aria-label={t("panel")}>
          <div class="panel-head"><Button icon="close" label={t("close")} onClick={() => showPanel(false)} /></div>
          <Panel />
        </aside>
      )}
      {panel && !broad && <div class="shade panel-shade" onClick={() => setPanel(false)} />}
      <Announcer />
      {needsKey.value && <KeyDialog />}
    </div>
  );
}

export async function prepare(): Promise<void> {
  session.startChat();
  await session.prepareKept();
  await session.refreshList();
  await route();
}
