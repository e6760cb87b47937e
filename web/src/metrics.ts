// Prometheus's text format, as numbers over time.

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

export function parse(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!found) continue;
    const labels: Record<string, string> = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value.replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c));
    }
    samples.push({ name: found[1], labels, value: Number(found[3]) });
  }
  return samples;
}

// The sum over all samples of that name with these labels; NaN if there is none.
export function sum(samples: Sample[], name: string, labels: Record<string, string> = {}): number {
  const fitting = samples.filter((sample) => sample.name === name &&
    Object.entries(labels).every(([label, value]) => sample.labels[label] === value));
  return fitting.length === 0 ? NaN : fitting.reduce((total, sample) => total + sample.value, 0);
}

export interface Snapshot {
  time: number; // ms
  samples: Sample[];
}

// How much a counter grew a second between two snapshots; a restart of the server gives NaN.
export function rate(from: Snapshot, to: Snapshot, name: string, labels: Record<string, string> = {}): number {
  const grown = sum(to.samples, name, labels) - sum(from.samples, name, labels);
  return grown < 0 ? NaN : (1000 * grown) / (to.time - from.time);
}

// The mean of what a histogram took in between two snapshots, NaN if that was nothing.
export function mean(from: Snapshot, to: Snapshot, name: string): number {
  const grown = (what: string): number => sum(to.samples, name + what) - sum(from.samples, name + what);
  return grown("_count") > 0 ? grown("_sum") / grown("_count") : NaN;
}
