// What the reader has set: in the browser, for all chats.

import { effect, signal } from "@preact/signals";

export interface Sampling {
  temperature: number | null; // null: what the server takes for this model
  top_p: number | null;
  top_k: number | null;
  min_p: number | null;
  typical_p: number | null;
  presence_penalty: number | null;
  frequency_penalty: number | null;
  penalty_decay: number | null;
  mirostat_tau: number | null; // set: Mirostat 2
  mirostat_eta: number | null;
  max_tokens: number | null;
  seed: number | null;
  stop: string; // one a line; \n for a line end
}

export const kNoSampling: Sampling = {
  temperature: null, top_p: null, top_k: null, min_p: null, typical_p: null, presence_penalty: null,
  frequency_penalty: null, penalty_decay: null, mirostat_tau: null, mirostat_eta: null, max_tokens: null,
  seed: null, stop: "",
};

export type Number = Exclude<keyof Sampling, "stop">;
export const kRanges: Record<Number, { least: number; most: number; step: number }> = {
  temperature: { least: 0, most: 5, step: 0.05 },
  top_p: { least: 0, most: 1, step: 0.05 },
  top_k: { least: 0, most: 1000, step: 1 },
  min_p: { least: 0, most: 1, step: 0.01 },
  typical_p: { least: 0, most: 1, step: 0.05 },
  presence_penalty: { least: -2, most: 2, step: 0.1 },
  frequency_penalty: { least: -2, most: 2, step: 0.1 },
  penalty_decay: { least: 0, most: 1, step: 0.001 },
  mirostat_tau: { least: 0, most: 10, step: 0.1 },
  mirostat_eta: { least: 0, most: 1, step: 0.01 },
  max_tokens: { least: 1, most: 100000, step: 1 },
  seed: { least: 0, most: Number.MAX_SAFE_INTEGER, step: 1 },
};

export interface Preset {
  name: string;
  sampling: Sampling;
}

// Names of these are translated.
export const kPresets: Preset[] = [
  { name: "default", sampling: kNoSampling },
  { name: "exact", sampling: { ...kNoSampling, temperature: 0, presence_penalty: 0, frequency_penalty: 0 } },
  { name: "careful", sampling: { ...kNoSampling, temperature: 0.8, top_p: 0.3, presence_penalty: 0.2, frequency_penalty: 0.2 } },
  { name: "balanced", sampling: { ...kNoSampling, temperature: 1, top_p: 0.5, presence_penalty: 0.4, frequency_penalty: 0.4 } },
  { name: "free", sampling: { ...kNoSampling, temperature: 1.2, top_p: 0.8, presence_penalty: 0.4, frequency_penalty: 0.4 } },
];

export interface Settings {
  language: "" | "en" | "zh"; // empty: the browser's
  theme: "" | "light" | "dark"; // empty: the system's
  model: string; // empty: the server's first
  sampling: Sampling;
  presets: Preset[]; // the reader's own
  probabilities: boolean;
  place: "browser" | "server"; // where new chats are kept
  thinking: "" | "none" | "low" | "medium" | "high"; // empty: the model's own
  lora: string;
  state: string;
  panel: boolean; // shown on wide screens
  file: "before" | "after" | "both";
}

const kName = "linnet.settings";
const kDefaults: Settings = {
  language: "", theme: "", model: "", sampling: kNoSampling, presets: [], probabilities: true,
  place: "browser", thinking: "", lora: "", state: "", panel: true, file: "both",
};

function stored(): Settings {
  try {
    const read = JSON.parse(localStorage.getItem(kName) ?? "{}");
    return { ...kDefaults, ...read, sampling: { ...kNoSampling, ...read.sampling } };
  } catch {
    return kDefaults;
  }
}

export const settings = signal<Settings>(stored());
export const set = (change: Partial<Settings>): void => {
  settings.value = { ...settings.value, ...change };
};
effect(() => {
  const text = JSON.stringify(settings.value);
  try {
    localStorage.setItem(kName, text);
  } catch {
    // It is full: they hold until the page is closed.
  }
});
addEventListener("storage", (event) => {
  if (event.key === kName) settings.value = stored();
});

effect(() => {
  const theme = settings.value.theme;
  if (theme === "") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.dataset.theme = theme;
});

export const stopsOf = (text: string): string[] =>
  text.split("\n").filter((line) => line !== "").map((line) => line.replaceAll("\\n", "\n"));

// The fields of a request.
export function fieldsOf(sampling: Sampling): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(sampling)) {
    if (name !== "stop" && value !== null) fields[name] = value;
  }
  if (sampling.mirostat_tau !== null) fields.mirostat = 2;
  const stops = stopsOf(sampling.stop);
  if (stops.length > 0) fields.stop = stops;
  return fields;
}
