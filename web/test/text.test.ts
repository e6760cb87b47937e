import assert from "node:assert/strict";
import { test } from "node:test";
import MarkdownIt from "markdown-it";
import { mathRules } from "../src/math-rules.ts";
import { mean, parse, rate, sum } from "../src/metrics.ts";
import { TokenReader, tokensOf } from "../src/utf8.ts";

const bytes = (text: string): number[] => [...new TextEncoder().encode(text)];
const wire = (part: number[], logprob: number, others: number[][] = []) => ({
  token: "?", bytes: part, logprob, top_logprobs: others.map((one) => ({ token: "?", bytes: one, logprob: -1 })),
});

test("tokens are put together to whole characters", () => {
  const reader = new TokenReader();
  const fox = bytes("狐");
  reader.push(wire(bytes(" a"), -0.1, [bytes(" b"), fox.slice(0, 2)]));
  reader.push(wire(fox.slice(0, 1), -0.2));
  reader.push(wire(fox.slice(1), -0.3));
  assert.deepEqual(reader.tokens.map((token) => token.text), [" a", "狐"]);
  assert.deepEqual(reader.tokens[0].top.map((other) => other.text), [" b"]);
  assert.ok(Math.abs(reader.tokens[1].logprob + 0.5) < 1e-9);
  assert.equal(tokensOf("a狐", reader.tokens)!.map((token) => token.text).join("|"), "a|狐");
  assert.equal(tokensOf("b狐", reader.tokens), null);
});

test("bytes that are no text do not stop the reading", () => {
  const reader = new TokenReader();
  for (let i = 0; i < 5; ++i) reader.push(wire([0xff], -1));
  reader.push(wire(bytes("end"), -1));
  assert.ok(reader.tokens.length >= 1);
});

test("the tokens of a stop are left out", () => {
  const tokens = [" Yes", ".", "\n\nUser:"].map((text) => ({ text, logprob: 0, top: [] }));
  assert.deepEqual(tokensOf("Yes.", tokens)!.map((token) => token.text), ["Yes", "."]);
});

test("Prometheus's text becomes numbers and rates", () => {
  const at = (time: number, value: number) => ({ time, samples: parse(
    `# HELP a b\n# TYPE a counter\na{model_name="x \\"y\\"",kind="p"} ${value}\na{kind="q"} 1\nh_sum 3\nh_count ${value}\n`) });
  const one = at(0, 10);
  const two = at(2000, 30);
  assert.equal(one.samples[0].labels.model_name, 'x "y"');
  assert.equal(sum(one.samples, "a"), 11);
  assert.equal(sum(one.samples, "a", { kind: "q" }), 1);
  assert.ok(Number.isNaN(sum(one.samples, "b")));
  assert.equal(rate(one, two, "a"), 10);
  assert.ok(Number.isNaN(rate(two, { ...one, time: 3000 }, "a"))); // restarted
  assert.equal(mean(one, two, "h"), 0);
  assert.ok(Number.isNaN(mean(two, two, "h")));
});

test("formulas are found, and prices are not", () => {
  const markdown = new MarkdownIt();
  const seen: string[] = [];
  markdown.use(mathRules, (source: string, display: boolean) => {
    seen.push(`${display ? "D" : "I"}:${source}`);
    return "";
  });
  const of = (text: string): string[] => {
    seen.length = 0;
    markdown.render(text);
    return [...seen];
  };
  assert.deepEqual(of("a $x^2$ b \\(y_1\\) c"), ["I:x^2", "I:y_1"]);
  assert.deepEqual(of("$$\na\n\nb\n$$\nthen"), ["D:a\n\nb"]);
  assert.deepEqual(of("\\[\nz\n\\]"), ["D:z"]);
  assert.deepEqual(of("It costs $5 or $6, not 7."), []);
  assert.deepEqual(of("`$x$`\n\n```\n$y$\n```"), []);
  assert.deepEqual(of("text $$ without end"), []);
});

test("many openings without an end take linear time", () => {
  const markdown = new MarkdownIt();
  markdown.use(mathRules, () => "");
  markdown.render("\\(".repeat(100_000));
  markdown.render("$x ".repeat(100_000));
});
