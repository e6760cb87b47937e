// A running `linnet serve`, and a browser that looks at it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { chromium } = require("playwright-core");
export const axePath = require.resolve("axe-core/axe.min.js");

const program = process.env.LINNET_PROGRAM ?? "build/linnet";

const running = new Set();
// What a failed test left running must not keep the tests from ending.
process.on("exit", () => { for (const child of running) child.kill("SIGKILL"); });

export class Server {
  constructor(process, url, folder, args) {
    Object.assign(this, { process, url, folder, args });
  }

  static async start(args = [], port = 0, folder = mkdtempSync(join(tmpdir(), "linnet-page-"))) {
    const child = spawn(program, ["serve", "--port", String(port), "--state-dir", folder, ...args],
      { stdio: ["ignore", "ignore", "pipe"] });
    running.add(child);
    child.on("exit", () => running.delete(child));
    const url = await new Promise((resolve, reject) => {
      let log = "";
      child.stderr.on("data", (data) => {
        log += data;
        const found = /listening on (\S+)/.exec(log);
        if (found) resolve(found[1]);
      });
      child.on("exit", (code) => reject(new Error(`${program} serve ended with ${code}: ${log}`)));
    });
    return new Server(child, url, folder, args);
  }

  // Ends it; `signal` SIGKILL as when the machine fails.
  async end(signal = "SIGTERM") {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill(signal);
    await ended;
  }

  // The same server once more, at the same address, with the states that it kept.
  again() {
    return Server.start(this.args, new URL(this.url).port, this.folder);
  }

  async close() {
    await this.end();
    rmSync(this.folder, { recursive: true });
  }
}

// The way to a server, which can be cut.
export class Wire {
  sockets = new Set();
  down = false;
  held = false; // of streams of events only the beginning passes, so that they cannot end

  static async to(server) {
    const wire = new Wire();
    const { hostname, port } = new URL(server.url);
    wire.listener = createServer((socket) => {
      if (wire.down) {
        socket.destroy();
        return;
      }
      const far = connect(Number(port), hostname);
      for (const [one, other] of [[socket, far], [far, socket]]) {
        wire.sockets.add(one);
        one.on("error", () => one.destroy());
        one.on("close", () => {
          wire.sockets.delete(one);
          other.destroy();
        });
      }
      socket.pipe(far);
      let stream = 0; // bytes
      far.on("data", (data) => {
        const held = wire.held && (stream > 0 || data.includes("text/event-stream"));
        socket.write(held ? data.subarray(0, Math.max(0, 40_000 - stream)) : data);
        if (held) stream += data.length;
      });
    });
    await new Promise((resolve) => wire.listener.listen(0, "127.0.0.1", resolve));
    wire.url = `http://127.0.0.1:${wire.listener.address().port}`;
    return wire;
  }

  cut() {
    for (const socket of this.sockets) socket.destroy();
  }

  async close() {
    this.cut();
    await new Promise((resolve) => this.listener.close(resolve));
  }
}

export const browser = await chromium.launch({
  executablePath: process.env.LINNET_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--force-prefers-reduced-motion"],
});

// A page of a new visitor. What the browser complains of (errors, things that the policy refused)
// is collected in `page.faults`, and other hosts that were asked in `page.strangers`.
export async function visit(server, { path = "/", context, ...options } = {}) {
  // Beside a service worker that begins, page.route may miss a request.
  const own = context ?? await browser.newContext({ locale: "en-US", viewport: { width: 1280, height: 800 },
    serviceWorkers: "block", ...options });
  const page = await own.newPage();
  page.faults = [];
  page.strangers = [];
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("console", (message) => {
    // Connections that break are meant to, in some tests.
    if (message.type() === "error" && !/net::ERR|status of (4|5)\d\d/.test(message.text())) page.faults.push(message.text());
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.origin !== server.url) page.strangers.push(request.url());
  });
  page.setDefaultTimeout(30_000); // of a machine that has much else to do
  await page.goto(server.url + path);
  await page.getByRole("heading", { name: "Linnet", exact: true }).waitFor();
  return page;
}

export const message = (page) => page.locator(".composer textarea");
export const replies = (page) => page.locator("article.assistant");
export const ended = (page, index = -1) => {
  const reply = index < 0 ? replies(page).last() : replies(page).nth(index);
  return reply.and(page.locator("[data-end]:not([data-end=running])")).waitFor();
};

export async function send(page, text) {
  await message(page).fill(text);
  await message(page).press("Enter");
}

export async function say(page, text) {
  const before = await replies(page).count();
  await send(page, text);
  await ended(page, before);
}

// Sampling that gives short replies, the same each time.
export async function calm(page, tokens = 24, more = {}) {
  await page.evaluate(([max_tokens, rest]) => {
    const settings = JSON.parse(localStorage.getItem("linnet.settings") ?? "{}");
    settings.sampling = { ...settings.sampling, max_tokens, seed: 7, ...rest };
    localStorage.setItem("linnet.settings", JSON.stringify(settings));
  }, [tokens, more]);
  await page.reload();
  await page.getByRole("heading", { name: "Linnet", exact: true }).waitFor();
}

// A stream of a chat's events, as a server would send it.
export function streamOf(pieces, usage = { prompt_tokens: 5, completion_tokens: pieces.length, total_tokens: 5 + pieces.length }) {
  const event = (value) => `data: ${JSON.stringify(value)}\n\n`;
  const chunk = (delta, reason = null) => event({ choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }] });
  return chunk({ role: "assistant", content: "" }) + pieces.map((piece) =>
    chunk(typeof piece === "string" ? { content: piece } : piece)).join("") + chunk({}, "stop") +
    event({ choices: [], usage }) + "data: [DONE]\n\n";
}

// Replies come from the test instead of the model.
export const answerWith = (page, pieces) => page.route("**/v1/chat/completions", (route) =>
  route.fulfill({ status: 200, contentType: "text/event-stream", body: streamOf(pieces) }));

export function isClean(page) {
  assert.deepEqual(page.faults, []);
  assert.deepEqual(page.strangers, []);
}
