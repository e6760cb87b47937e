// The branch that the reader is on, from the root to its end.

import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { t } from "./i18n.ts";
import { Message } from "./message.tsx";
import * as session from "./session.ts";
import { tasks } from "./tasks.ts";
import { childrenOf, pathTo } from "./tree.ts";
import { count } from "./view.tsx";

function Welcome() {
  return (
    <section class="welcome" aria-labelledby="welcome">
      <h2 id="welcome">{t("welcome")}</h2>
      <p>{t("welcomeText")}</p>
      <h3>{t("tasks")}</h3>
      <ul class="tasks">
        {tasks().map((task) => (
          <li key={task.name}>
            <button type="button" class="button" onClick={() =>
              dispatchEvent(new CustomEvent("linnet-fill", { detail: task.prompt }))}>
              <strong>{task.name}</strong><span>{task.prompt.replace(/\s+/g, " ").slice(0, 80)}…</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function JumpLine() {
  const jump = session.jump.value;
  if (!jump || jump.chat !== session.current.value?.id) return null;
  return (
    <p class="jump" role="status">
      <strong>{t("jumped")}</strong>{" "}
      {jump.tokens !== null && t("jumpTokens", { n: count(jump.tokens) })}{" "}
      {jump.missing === null || jump.missing === 0 ? t("jumpHint") : t("jumpMissing", { n: count(jump.missing) })}
    </p>
  );
}

export function Transcript() {
  const chat = session.current.value!;
  const box = useRef<HTMLDivElement>(null);
  const end = useRef(true); // the reader is at the end, which is then followed
  const path = pathTo(chat, chat.leaf);
  const children = useMemo(() => childrenOf(chat), [chat.nodes]);
  const runs = [...session.runs.value.values()].filter((run) => run.chat === chat.id);
  const growing = runs.map((run) => run.text.value.length + run.thought.value.length).join();
  useEffect(() => {
    end.current = true;
  }, [chat.id, path.length]);
  const begun = useRef(false);
  begun.current = path.length > 0;
  useLayoutEffect(() => {
    const element = box.current!;
    if (end.current && begun.current) element.scrollTop = element.scrollHeight;
  }, [chat.id, path.length, growing]);
  // Messages near the end get their height only when they are drawn.
  useEffect(() => {
    const element = box.current!;
    const follow = new ResizeObserver(() => {
      if (end.current && begun.current) element.scrollTop = element.scrollHeight;
    });
    follow.observe(element.firstElementChild!);
    return () => follow.disconnect();
  }, []);
  return (
    <div class="transcript" ref={box} tabIndex={0} role="region" aria-label={t("conversation")}
      onScroll={(event) => {
        const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
        end.current = scrollHeight - scrollTop - clientHeight < 60;
      }}>
      <div class="messages">
        {path.length === 0 && <Welcome />}
        {path.map((node, i) => (
          <Message key={node.id} node={node} last={i === path.length - 1} answered={children.has(node.id)}
            siblings={(children.get(node.parent) ?? []).map((one) => one.id)} />
        ))}
        <JumpLine />
      </div>
    </div>
  );
}
