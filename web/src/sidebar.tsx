// The list of chats: search, export, import.

import { useEffect, useState } from "preact/hooks";
import { abilities } from "./api.ts";
import { fromFile, toJson, toMarkdown } from "./exports.ts";
import { t } from "./i18n.ts";
import * as session from "./session.ts";
import * as store from "./store.ts";
import { Button, Dialog, download, Icon, pick } from "./view.tsx";

function ChatMenu({ head, onClose }: { head: store.Head; onClose: () => void }) {
  const [title, setTitle] = useState(head.title);
  const act = async (what: () => Promise<void>): Promise<void> => {
    await session.openChat(head.id);
    await what();
    onClose();
  };
  return (
    <Dialog title={head.title || t("untitled")} onClose={onClose}>
      <form class="row" onSubmit={(event) => {
        event.preventDefault();
        void act(async () => session.rename(head.id, title.trim()));
      }}>
        <label for="chat-title">{t("title")}</label>
        <input id="chat-title" dir="auto" value={title} onInput={(event) => setTitle(event.currentTarget.value)} />
        <button type="submit" class="button">{t("rename")}</button>
      </form>
      <div class="column">
        <Button label={t("exportJson")} onClick={() => void store.load(head.id).then((chat) => {
          if (chat) download(`${head.title || "chat"}.json`, toJson([chat]), "application/json");
        })} />
        <Button label={t("exportMarkdown")} onClick={() => void store.load(head.id).then((chat) => {
          if (chat) download(`${head.title || "chat"}.md`, toMarkdown(chat), "text/markdown");
        })} />
        {abilities.value.chats && (head.place === "browser"
          ? <Button label={t("keepOnServer")} onClick={() => void act(() => session.move(head.id, "server"))} />
          : <Button label={t("keepHere")} onClick={() => void act(() => session.move(head.id, "browser"))} />)}
        <Button class="danger" label={t("deleteChat")} onClick={() => {
          if (confirm(t("deleteSure"))) void session.removeChat(head.id).then(onClose);
        }} />
      </div>
    </Dialog>
  );
}

export function Sidebar({ onPick }: { onPick: () => void }) {
  const [words, setWords] = useState("");
  const [found, setFound] = useState<Set<string> | null>(null);
  const [menu, setMenu] = useState<store.Head | null>(null);
  const list = session.list.value;
  useEffect(() => {
    if (words.trim() === "") {
      setFound(null);
      return;
    }
    let over = false; // a later search has begun
    const timer = setTimeout(() => void store.search(words).then((ids) => { if (!over) setFound(ids); }), 150);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [words, list]);
  const shown = found ? list.filter((head) => found.has(head.id)) : list;
  return (
    <>
      <div class="column">
        <Button class="primary" icon="plus" text label={t("newChat")} keys="Alt+Shift+N" onClick={() => {
          session.startChat();
          onPick();
        }} />
        <Button icon="text" text label={t("newText")} onClick={() => {
          session.startChat("text");
          onPick();
        }} />
        <input type="search" aria-label={t("search")} placeholder={t("search")} dir="auto" value={words}
          onInput={(event) => setWords(event.currentTarget.value)} />
      </div>
      <ul class="chats" aria-label={t("chats")}>
        {shown.map((head) => (
          <li key={head.id}>
            <a href={`#/c/${head.id}`} aria-current={session.current.value?.id === head.id ? "page" : undefined}
              onClick={onPick}>
              {head.kind === "text" && <Icon name="text" />}
              <bdi>{head.title || t("untitled")}</bdi>
              {head.place === "server" && <small>{t("onServer")}</small>}
            </a>
            <Button icon="more" label={t("chatMenu", { title: head.title || t("untitled") })} onClick={() => setMenu(head)} />
          </li>
        ))}
      </ul>
      {shown.length === 0 && <p class="hint">{found ? t("nothingFound") : t("noChats")}</p>}
      <div class="row">
        <Button class="small" label={t("import")} onClick={() => pick(".json,.md", true, (files) => void (async () => {
          for (const file of files) {
            try {
              const chats = fromFile(file.name, await file.text());
              for (const chat of chats) await session.add(chat);
              location.hash = `#/c/${chats[0].id}`;
            } catch (error) {
              session.notice.value = { text: `${file.name}: ${(error as Error).message}`, bad: true };
            }
          }
        })())} />
        <Button class="small" label={t("exportAll")} disabled={list.length === 0} onClick={() => void (async () => {
          const chats = await Promise.all(list.map((head) => store.load(head.id)));
          download("linnet-chats.json", toJson(chats.filter((chat) => chat !== undefined)), "application/json");
        })()} />
      </div>
      {menu && <ChatMenu head={menu} onClose={() => setMenu(null)} />}
    </>
  );
}
