// The page's texts in English and Chinese.

import { computed, effect } from "@preact/signals";
import { settings } from "./settings.ts";
import { en, type Texts } from "./texts-en.ts";
import { zh } from "./texts-zh.ts";

export const language = computed<"en" | "zh">(() => settings.value.language ||
  (navigator.languages.find((tag) => /^(en|zh)\b/.test(tag))?.startsWith("zh") ? "zh" : "en"));

effect(() => {
  document.documentElement.lang = language.value === "zh" ? "zh-Hans" : "en";
});

// The text of that name; {n} and so on are filled in.
export function t(name: keyof Texts, values: Record<string, string | number> = {}): string {
  const text = (language.value === "zh" ? zh : en)[name];
  return text.replace(/\{(\w+)\}/g, (_, key: string) => String(values[key] ?? ""));
}
