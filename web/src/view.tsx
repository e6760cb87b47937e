// Small pieces that the views share.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { t } from "./i18n.ts";

const kIcons: Record<string, string> = {
  menu: "M3 5h14M3 10h14M3 15h14",
  plus: "M10 4v12M4 10h12",
  close: "M5 5l10 10M15 5L5 15",
  send: "M3 10l14-6-5 14-3-6z",
  stop: "M5 5h10v10H5z",
  edit: "M4 16l1-4 8-8 3 3-8 8zM12 5l3 3",
  retry: "M15 6a6 6 0 1 0 1 6M15 2v4h-4",
  next: "M7 4l6 6-6 6",
  previous: "M13 4l-6 6 6 6",
  trash: "M4 6h12M8 6V4h4v2M6 6l1 10h6l1-10",
  copy: "M7 7h9v9H7zM4 13V4h9",
  tree: "M5 4v12M5 8h6a3 3 0 0 1 3 3v5M5 4h.01M14 16h.01",
  sliders: "M4 6h12M4 10h12M4 14h12M7 4v4M13 8v4M9 12v4",
  chance: "M4 16V9M8 16V4M12 16v-5M16 16V7",
  file: "M6 3h6l3 3v11H6zM12 3v3h3",
  more: "M5 10h.01M10 10h.01M15 10h.01",
  down: "M5 8l5 5 5-5",
  chart: "M3 16l4-6 4 3 6-9",
  text: "M4 5h12M4 9h12M4 13h8",
};

export function Icon({ name }: { name: keyof typeof kIcons }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false"><path d={kIcons[name]} /></svg>
  );
}

interface ButtonProps {
  icon?: string;
  label: string; // what it does; shown as text unless there is an icon
  onClick: (event: MouseEvent) => void;
  text?: boolean; // show the label beside the icon
  class?: string;
  disabled?: boolean;
  pressed?: boolean;
  expanded?: boolean;
  keys?: string;
  id?: string;
}

export function Button(props: ButtonProps) {
  const { icon, label, onClick, text, disabled, pressed, expanded, keys, id } = props;
  const named = icon && !text;
  return (
    <button type="button" id={id} class={`button ${named ? "square" : ""} ${props.class ?? ""}`} disabled={disabled}
      aria-label={named ? label : undefined} title={named ? (keys ? `${label} (${keys})` : label) : keys}
      aria-pressed={pressed} aria-expanded={expanded} onClick={onClick}>
      {icon && <Icon name={icon} />}{!named && <span>{label}</span>}
    </button>
  );
}

// A dialog that keeps the focus, closed by Escape, by its button or by a click beside it.
export function Dialog({ title, onClose, children, wide }:
    { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }) {
  const box = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const dialog = box.current!;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog ref={box} class={wide ? "wide" : ""} aria-labelledby="dialog-title"
      onCancel={(event) => { event.preventDefault(); onClose(); }}
      onClick={(event) => { if (event.target === box.current) onClose(); }}>
      <div class="dialog-head">
        <h2 id="dialog-title">{title}</h2>
        <Button icon="close" label={t("close")} onClick={onClose} />
      </div>
      <div class="dialog-body">{children}</div>
    </dialog>
  );
}

// A panel over the page on narrow screens: Escape closes it.
export function useEscape(active: boolean, call: () => void): void {
  useEffect(() => {
    if (!active) return;
    const listen = (event: KeyboardEvent): void => {
      if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open]")) call();
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, [active, call]);
}

export function Field({ label, hint, children, id }:
    { label: string; hint?: string | undefined; children: ComponentChildren; id: string }) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      {hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
    </div>
  );
}

export function Area(props: JSX.IntrinsicElements["textarea"] & { grow?: boolean }) {
  const { grow, ...rest } = props;
  const box = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    if (!grow || !box.current) return;
    box.current.style.height = "auto";
    box.current.style.height = `${box.current.scrollHeight + 2}px`;
  });
  return <textarea ref={box} dir="auto" {...rest} />;
}

export const count = (n: number): string => n.toLocaleString(document.documentElement.lang);

export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; n >= 1000 && at < units.length - 1; ++at) n /= 1000;
  return `${n < 10 && at > 0 ? n.toFixed(1) : Math.round(n)} ${units[at]}`;
}

export const seconds = (s: number): string => (s < 10 ? `${s.toFixed(2)} s` : `${s.toFixed(1)} s`);

export function download(name: string, content: BlobPart, type: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name.replace(/[^\p{L}\p{N} ._-]+/gu, "_").slice(0, 80);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function pick(accept: string, multiple: boolean, call: (files: File[]) => void): void {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = accept;
  input.multiple = multiple;
  input.onchange = () => call([...(input.files ?? [])]);
  input.click();
}
