// Where the reader writes: a message, files beside it, and what the model will see of both.

import { useEffect, useRef, useState } from "preact/hooks";
import { online } from "./api.ts";
import { t } from "./i18n.ts";
import { blankLines, preview, withFiles } from "./prompt.ts";
import * as session from "./session.ts";
import { set, settings } from "./settings.ts";
import type { Attachment } from "./tree.ts";
import { Area, Button, Dialog, pick } from "./view.tsx";
import * as writing from "./writing.ts";

const kLongestFile = 2_000_000; // bytes

// What a file holds, if it is text.
async function read(file: File): Promise<string> {
  if (file.size > kLongestFile) throw new Error(t("fileTooLong", { name: file.name }));
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new Error(t("fileNoText", { name: file.name }));
  }
  if (text.includes("\0")) throw new Error(t("fileNoText", { name: file.name }));
  return text;
}

// A draft survives a reload and is of one chat.
const draftOf = (id: string): string => sessionStorage.getItem(`linnet.draft.${id}`) ?? "";
const keepDraft = (id: string, text: string): void => {
  try {
    if (text === "") sessionStorage.removeItem(`linnet.draft.${id}`);
    else sessionStorage.setItem(`linnet.draft.${id}`, text);
  } catch {
    // It is full: the draft is there until the page is closed.
  }
};

export function Composer() {
  const chat = session.current.value!;
  const [text, setText] = useState(draftOf(chat.id));
  const [files, setFiles] = useState<Attachment[]>([]);
  const [fault, setFault] = useState("");
  const [shown, setShown] = useState(false);
  const [over, setOver] = useState(false);
  const box = useRef<HTMLFormElement>(null);
  useEffect(() => {
    setText(draftOf(chat.id));
    setFiles([]);
    setFault("");
  }, [chat.id]);
  const busy = [...session.runs.value.values()].some((run) => run.chat === chat.id);
  const template = session.modelInfo()?.meta?.chat_template;
  const blanks = blankLines(text);
  const empty = text.trim() === "" && files.length === 0;
  const type = (value: string): void => {
    setText(value);
    keepDraft(chat.id, value);
  };
  const send = (): void => {
    if (empty || busy) return;
    writing.send(text, files);
    type("");
    setFiles([]);
  };
  const take = async (given: Iterable<File>): Promise<void> => {
    setFault("");
    for (const file of given) {
      try {
        const attached: Attachment = { name: file.name, text: await read(file), place: settings.value.file };
        setFiles((old) => [...old, attached]);
      } catch (error) {
        setFault((error as Error).message);
      }
    }
  };
  useEffect(() => {
    const fill = (event: Event): void => {
      type((event as CustomEvent<string>).detail);
      box.current?.querySelector("textarea")?.focus();
    };
    addEventListener("linnet-fill", fill);
    return () => removeEventListener("linnet-fill", fill);
  });
  const form = preview(template, withFiles(text, files));
  return (
    <form ref={box} class={`composer ${over ? "over" : ""}`} aria-label={t("composer")}
      onSubmit={(event) => { event.preventDefault(); send(); }}
      onDragOver={(event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        if (!event.dataTransfer?.files.length) return;
        event.preventDefault();
        setOver(false);
        void take(event.dataTransfer.files);
      }}>
      {files.map((file, i) => (
        <fieldset class="attachment" key={i}>
          <legend>{file.name}</legend>
          {(["before", "after", "both"] as const).map((place) => (
            <label key={place}><input type="radio" name={`place-${i}`} checked={file.place === place}
              onChange={() => {
                setFiles(files.with(i, { ...file, place }));
                set({ file: place });
              }} /> {t(`place_${place}`)}</label>
          ))}
          <Button icon="close" label={t("removeFile", { name: file.name })}
            onClick={() => setFiles(files.toSpliced(i, 1))} />
          <p class="hint">{t("placeHint")}</p>
        </fieldset>
      ))}
      {fault !== "" && <p class="fault" role="alert">{fault}</p>}
      <Area class="input" aria-label={t("message")} placeholder={t("messageHint")} rows={2} grow value={text}
        aria-describedby={blanks > 0 ? "blanks" : undefined} onInput={(event) => type(event.currentTarget.value)}
        onPaste={(event) => {
          const pasted = event.clipboardData?.files;
          if (!pasted?.length) return;
          event.preventDefault();
          void take(pasted);
        }}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }} />
      {blanks > 0 && (
        <p class="hint" id="blanks">{t("blanks", { n: blanks })}{" "}
          {form !== null && <button type="button" class="link" onClick={() => setShown(true)}>{t("showPrompt")}</button>}
        </p>
      )}
      <div class="row">
        <Button icon="file" label={t("attach")} onClick={() => pick("text/*,.md,.json,.py,.c,.cc,.h,.ts,.js,.csv,.tex", true,
          (given) => void take(given))} />
        <span class="spacer" />
        {!online.value && <span class="fault" role="status">{t("offline")}</span>}
        {busy ? <Button class="primary" icon="stop" text label={t("stop")} keys="Esc" onClick={() => writing.stop()} />
          : <button type="submit" class="button primary" disabled={empty || !online.value}><span>{t("send")}</span></button>}
      </div>
      {shown && form !== null && (
        <Dialog title={t("showPrompt")} onClose={() => setShown(false)}>
          <p>{t("promptHint")}</p>
          <pre class="prompt" tabIndex={0}>{form.split("\n").map((line, i, all) =>
            <>{line}{i + 1 < all.length && <span class="mark">↵{"\n"}</span>}</>)}</pre>
        </Dialog>
      )}
    </form>
  );
}
