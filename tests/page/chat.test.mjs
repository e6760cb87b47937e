// The page with a real server and the built-in model, in a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, calm, ended, isClean, message, replies, say, send, Server, visit, Wire } from "./server.mjs";

let server;
before(async () => { server = await Server.start(); });
after(async () => {
  await server.close();
  await browser.close();
});

const textsOf = (page) => page.locator("article .said, article .markdown").allInnerTexts();
const costOf = (page) => page.locator("article.assistant .cost").last().innerText();

test("a message is answered in a stream, and the next one reads only itself", async () => {
  const page = await visit(server);
  await calm(page, 40);
  await page.evaluate(() => {
    window.grew = 0;
    new MutationObserver(() => {
      const text = document.querySelector("article.assistant[data-end=running] .markdown")?.textContent ?? "";
      if (text !== "") ++window.grew;
    }).observe(document.body, { childList: true, subtree: true, characterData: true, attributes: true });
  });
  await say(page, "Tell me a story about a fox.");
  assert.ok(await page.evaluate(() => window.grew) > 0);
  assert.match(await replies(page).last().innerText(), /\w+ \w+/);
  await say(page, "Go on.");
  await page.getByText("0 read again").waitFor();
  const [, fresh, kept] = /read (\d+) new tokens, (\d+) from memory/.exec(await costOf(page));
  assert.ok(Number(fresh) < 20 && Number(kept) > 40, `${fresh} ${kept}`);
  isClean(page);
  await page.context().close();
});

test("a reply that was stopped stays, and goes on where it was", async () => {
  const wire = await Wire.to(server);
  wire.held = true;
  const page = await visit(wire);
  await calm(page, 4000, { temperature: 0, presence_penalty: 0, frequency_penalty: 0 });
  await send(page, "Tell me a story about a bear.");
  await page.locator("article.assistant .markdown").filter({ hasText: /\w+ \w+ \w+/ }).waitFor();
  await page.keyboard.press("Escape");
  await ended(page);
  wire.held = false;
  const reply = replies(page).last();
  assert.equal(await reply.getAttribute("data-end"), "stopped");
  const begun = await reply.locator(".markdown").innerText();
  await calm(page, 12);
  assert.equal((await reply.locator(".markdown").innerText()).trim(), begun.trim());
  await reply.getByRole("button", { name: "Continue" }).click();
  await page.locator("article.assistant[data-end=length], article.assistant[data-end=done]").waitFor();
  const whole = await reply.locator(".markdown").innerText();
  assert.ok(whole.trim().startsWith(begun.trim()) && whole.length > begun.length, whole);
  isClean(page);
  await page.context().close();
  await wire.close();
});

test("retry and edit make branches, a jump reads nothing, all survives a reload", async () => {
  const page = await visit(server);
  await calm(page, 20, { seed: null, temperature: 1.5 });
  await say(page, "Tell me a story about an owl.");
  await say(page, "Where did it live?");
  const first = await textsOf(page);
  // Another reply to the first message.
  await replies(page).first().getByRole("button", { name: "Retry" }).click();
  await page.getByText("2/2").waitFor();
  await ended(page);
  assert.equal(await replies(page).count(), 1);
  // Another first message.
  await page.locator("article.user").first().getByRole("button", { name: "Edit" }).click();
  await page.getByRole("textbox", { name: "Edit" }).fill("Tell me a story about a crow.");
  await page.getByRole("button", { name: "Send as a branch" }).click();
  await page.locator("article.user .said", { hasText: "crow" }).waitFor();
  await ended(page);

  const rows = page.getByRole("treeitem");
  assert.equal(await rows.count(), 4); // owl, its two replies, crow
  const requests = [];
  page.on("request", (request) => { if (/completions/.test(request.url())) requests.push(request.url()); });
  await rows.nth(1).click();
  await page.getByText("Jumped: 0 tokens read.").waitFor();
  await page.getByText(/This branch has \d+ tokens\./).waitFor();
  assert.deepEqual(await textsOf(page), first);
  assert.deepEqual(requests, []); // the model was not asked for anything

  await page.reload();
  await page.getByText("1/2").first().waitFor();
  assert.deepEqual(await textsOf(page), first);
  await say(page, "And then?");
  await page.getByText("0 read again").last().waitFor();

  // The keys do the same.
  await page.keyboard.press("Alt+Shift+KeyB");
  await page.locator("[role=treeitem]:focus").waitFor();
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await page.locator("article.user .said", { hasText: "crow" }).waitFor();
  isClean(page);
  await page.context().close();
});

test("another token begins a branch that goes on from it", async () => {
  const page = await visit(server);
  await calm(page, 16, { temperature: 0, presence_penalty: 0, frequency_penalty: 0 });
  await say(page, "Tell me a story about a hen.");
  const whole = await replies(page).last().locator(".markdown").innerText();
  await replies(page).last().getByRole("button", { name: "Probabilities" }).click();
  const tokens = page.locator(".token");
  assert.equal((await tokens.allInnerTexts()).join("").trim(), whole.trim());
  await tokens.nth(3).hover();
  const others = page.getByRole("group", { name: "Alternatives" }).getByRole("button");
  const other = (await others.nth(1).locator("code").innerText()).replaceAll("␣", " ");
  const start = (await tokens.allInnerTexts()).slice(0, 3).join("");
  await others.nth(1).click();
  await page.getByText("2/2").waitFor();
  await ended(page);
  const branch = await replies(page).last().locator(".markdown").innerText();
  assert.ok(branch.startsWith((start + other).trim()), `${branch} should begin with ${start}${other}`);
  assert.notEqual(branch, whole);
  isClean(page);
  await page.context().close();
});

test("two tabs add to one tree, and a second tab sees a reply grow", async () => {
  const one = await visit(server);
  await calm(one, 16);
  await say(one, "Tell me a story about a dog.");
  const two = await visit(server, { context: one.context(), path: `/${new URL(one.url()).hash}` });
  await replies(two).first().waitFor();
  await Promise.all([say(one, "What was its name?"), say(two, "How old was it?")]);
  for (const page of [one, two]) {
    await page.getByText("2/2").or(page.getByText("1/2")).first().waitFor();
    assert.equal(await page.getByRole("treeitem").count(), 3);
    isClean(page);
  }
  await one.context().close();
});

// What the same seed gives when nothing breaks.
async function undisturbed(words, tokens) {
  const page = await visit(server);
  await calm(page, tokens);
  await say(page, words);
  const text = await replies(page).last().locator(".markdown").innerText();
  await page.context().close();
  return text;
}

let marten; // that of the next tests
// The connection breaks, or the page goes away, in the middle of a reply.
for (const [name, breakOff] of [
  ["the connection breaks", async (page, wire) => {
    wire.cut();
    // It goes on at once: nobody is told.
    assert.equal(await page.getByText("The connection broke.").count(), 0);
  }],
  ["the network is away for a while", async (page, wire) => {
    wire.down = true;
    wire.cut();
    await page.getByText("The connection broke. The reply goes on when the server is back").waitFor();
    await page.getByText("No connection; trying again.").first().waitFor();
    wire.down = false;
  }],
  ["the page is loaded again", (page) => page.reload()],
]) {
  test(`a reply is taken up where it was when ${name}`, async () => {
    const words = "Tell me a long story about a marten.";
    const whole = (marten ??= await undisturbed(words, 300));
    const wire = await Wire.to(server);
    const page = await visit(wire);
    await calm(page, 300);
    const asked = [];
    page.on("request", (request) => {
      const { pathname } = new URL(request.url());
      if (/completions|streams/.test(pathname)) asked.push(`${request.method()} ${pathname.replace(/[0-9a-f]{24}$/, "ID")}`);
    });
    wire.held = true;
    await send(page, words);
    await page.locator("article.assistant[data-end=running] .markdown").filter({ hasText: /\w+ \w+ \w+/ }).waitFor();
    wire.held = false;
    await breakOff(page, wire);
    await page.locator("article.assistant[data-end=length], article.assistant[data-end=done]").waitFor();
    assert.equal(await replies(page).last().locator(".markdown").innerText(), whole);
    assert.equal(await replies(page).count(), 1);
    assert.equal(asked.filter((one) => one.startsWith("POST /v1/chat/completions")).length, 1);
    assert.ok(asked.includes("GET /v1/streams/ID"), asked.join());
    // It is complete: nothing is asked for once more, and the next message reads only itself.
    await calm(page, 8);
    await say(page, "Go on.");
    await page.getByText("0 read again").waitFor();
    assert.equal(await page.getByText("broke").count(), 0);
    isClean(page);
    await page.context().close();
    await wire.close();
  });
}

test("a reply that is stopped is stopped on the server, too", async () => {
  const wire = await Wire.to(server);
  wire.held = true;
  const page = await visit(wire);
  await calm(page, 4000);
  const gone = page.waitForRequest((request) => request.method() === "DELETE" && /\/v1\/streams\//.test(request.url()));
  await send(page, "Tell me a long story about a stoat.");
  await page.locator("article.assistant .markdown").filter({ hasText: /\w+ \w+/ }).waitFor();
  await page.keyboard.press("Escape");
  await ended(page);
  const answer = await (await gone).response();
  assert.equal(answer.status(), 200);
  assert.deepEqual(await answer.json().then((body) => body.deleted), true);
  isClean(page);
  await page.context().close();
  await wire.close();
});

test("a server that is restarted in the middle of a reply", async () => {
  const own = await Server.start();
  const wire = await Wire.to(own);
  wire.held = true;
  const page = await visit(wire);
  await calm(page, 4000);
  await send(page, "Tell me a long story about a wolf.");
  await page.locator("article.assistant .markdown").filter({ hasText: /\w+ \w+ \w+/ }).waitFor();
  await own.end("SIGKILL");
  await page.getByText("The reply goes on when the server is back").waitFor();
  const begun = await replies(page).last().locator(".markdown").innerText();
  await page.getByText("No connection; trying again.").first().waitFor();
  const next = await own.again();
  await page.getByText("No connection; trying again.").first().waitFor({ state: "detached" });
  await page.getByText("The reply broke off.").waitFor(); // the new one knows nothing of it
  wire.held = false;
  await page.evaluate(() => {
    const settings = JSON.parse(localStorage.getItem("linnet.settings"));
    settings.sampling.max_tokens = 10;
    localStorage.setItem("linnet.settings", JSON.stringify(settings));
  });
  await page.reload();
  await replies(page).last().getByRole("button", { name: "Continue" }).click();
  await page.locator("article.assistant[data-end=length], article.assistant[data-end=done]").waitFor();
  assert.ok((await replies(page).last().locator(".markdown").innerText()).trim().startsWith(begun.trim()));
  isClean(page);
  await page.context().close();
  await wire.close();
  await next.close();
});

test("a chat is found by its words, exported and imported, as JSON and as Markdown", async () => {
  const page = await visit(server);
  await calm(page, 8);
  await say(page, "Tell me a story about a kingfisher.");
  await page.getByRole("button", { name: "New chat" }).first().click();
  await say(page, "Tell me a story about a hedgehog.");
  const links = page.locator(".chats a");
  await page.getByRole("searchbox").fill("kingfisher");
  await page.waitForFunction(() => document.querySelectorAll(".chats a").length === 1);
  await links.first().click();
  const texts = await textsOf(page);
  const files = [];
  for (const name of ["Export as JSON (whole tree)", "Export as Markdown (this branch)"]) {
    await page.getByRole("button", { name: /^Rename, export/ }).first().click();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
    files.push(await download.path());
    await page.getByRole("button", { name: "Close" }).last().click();
  }
  page.on("dialog", (dialog) => void dialog.accept());
  await page.getByRole("button", { name: /^Rename, export/ }).first().click();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByText("Nothing found.").waitFor();
  for (const [path, name] of [[files[0], "chat.json"], [files[1], "chat.md"]]) {
    const { readFileSync } = await import("node:fs");
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.getByRole("button", { name: "Import" }).click()]);
    await chooser.setFiles({ name, mimeType: "text/plain", buffer: readFileSync(path) });
    await replies(page).first().waitFor();
    await page.waitForFunction((n) => document.querySelectorAll(".chats a").length === n, name === "chat.json" ? 1 : 2);
    assert.deepEqual(await textsOf(page), texts);
  }
  isClean(page);
  await page.context().close();
});

test("a raw text is written on, edited and undone", async () => {
  const page = await visit(server);
  await calm(page, 12);
  await page.getByRole("button", { name: "Raw text" }).click();
  const text = page.getByRole("textbox", { name: "Raw text" });
  await text.fill("Once upon a time there was a linnet who");
  await page.getByRole("button", { name: "Write on" }).click();
  await page.getByRole("button", { name: "Undo" }).waitFor();
  await page.waitForFunction(() => document.querySelector(".raw textarea").value.length > 45);
  const written = await text.inputValue();
  assert.ok(written.startsWith("Once upon a time there was a linnet who") && written.length > 45, written);
  await page.getByRole("button", { name: "Undo" }).click();
  assert.equal(await text.inputValue(), "Once upon a time there was a linnet who");
  await text.fill("Once upon a time there was a robin who");
  await page.getByRole("button", { name: "Write on" }).click();
  await page.getByRole("button", { name: "Undo" }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll("[role=treeitem]").length === 2);
  isClean(page);
  await page.context().close();
});

test("a chat that the server keeps is taken up on another device with the same key", async () => {
  const { createHash } = await import("node:crypto");
  const { mkdtempSync, writeFileSync } = await import("node:fs");
  const { join } = await import("node:path");
  const folder = mkdtempSync("/tmp/linnet-keys-");
  const line = (name, key) => `${name} sha256:${createHash("sha256").update(key).digest("hex")}\n`;
  writeFileSync(join(folder, "keys"), line("anna", "anna-key") + line("bob", "bob-key"), { mode: 0o600 });
  const own = await Server.start(["--api-key-file", join(folder, "keys")]);
  const login = async (key) => {
    const page = await visit(own);
    await page.locator("#ask-key").fill(key);
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await calm(page, 10);
    return page;
  };
  const desk = await login("anna-key");
  await desk.getByRole("tab", { name: "Settings" }).click();
  await desk.getByLabel(/Keep new chats on the server/).check();
  await desk.getByRole("button", { name: "New chat" }).first().click();
  await say(desk, "Tell me a story about a heron.");
  await desk.locator(".chats small", { hasText: "server" }).waitFor();
  const phone = await login("anna-key");
  await phone.locator(".chats a", { hasText: "heron" }).click();
  await replies(phone).first().waitFor();
  await say(phone, "Go on.");
  await phone.getByText("0 read again").waitFor();
  // Back at the desk, after both wrote.
  await say(desk, "What did it eat?");
  await desk.reload();
  await desk.getByRole("tab", { name: "Branches" }).click();
  await desk.waitForFunction(() => document.querySelectorAll("[role=treeitem]").length === 3);
  const other = await login("bob-key");
  await other.getByText("No chats yet.").waitFor();
  for (const page of [desk, phone, other]) {
    isClean(page);
    await page.context().close();
  }
  await own.close();
});

test("the metrics are curves that move", async () => {
  const page = await visit(server, { path: "/#/operator" });
  await page.getByRole("heading", { name: "Metrics" }).waitFor();
  await fetch(`${server.url}/v1/completions`, { method: "POST", headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: "The", max_tokens: 50 }) });
  await page.waitForFunction(() => (document.querySelector(".chart path.line-0")?.getAttribute("d") ?? "").length > 5);
  assert.match(await page.getByRole("figure", { name: "Memory", exact: true }).innerText(), /\d+ MB/);
  isClean(page);
  await page.context().close();
});

test("a text is dropped beside a question, and empty lines are shown as what they do", async () => {
  const page = await visit(server);
  await calm(page, 6);
  const bodies = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/v1/chat/completions")) bodies.push(request.postDataJSON());
  });
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File(["The fox was red.\n"], "fox.txt", { type: "text/plain" }));
    document.querySelector(".composer").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  await page.getByRole("radio", { name: "both" }).check();
  await message(page).fill("What colour\n\nwas the fox?");
  await page.getByText("Empty lines that will be left out: 1.").waitFor();
  await page.getByRole("button", { name: "What the model reads" }).click();
  assert.match(await page.locator("pre.prompt").innerText(), /User: What colour↵\s+was the fox\?↵\s+fox\.txt:/);
  await page.keyboard.press("Escape");
  await message(page).press("Enter");
  await ended(page);
  const asked = "What colour\n\nwas the fox?";
  assert.equal(bodies[0].messages[0].content, `${asked}\nfox.txt:\nThe fox was red.\n\n${asked}`);
  assert.equal(await page.locator("article.user .blank").count(), 1);
  isClean(page);
  await page.context().close();
});

test("a branch is saved as a state, shared as a file, and another chat starts from it", async () => {
  const { readFileSync } = await import("node:fs");
  const page = await visit(server);
  await calm(page, 12);
  await say(page, "Tell me a story about a jackdaw.");
  await page.getByRole("tab", { name: "Server" }).click();
  await page.getByLabel("Name", { exact: true }).fill("jackdaw 鸟");
  await page.getByRole("button", { name: "Save this branch" }).click();
  const states = page.getByRole("tree", { name: "States" }).getByRole("treeitem");
  await states.filter({ hasText: "jackdaw" }).click();
  const [download] = await Promise.all([page.waitForEvent("download"),
    page.getByRole("button", { name: "Download to share" }).click()]);
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"),
    page.getByRole("button", { name: "Upload a state" }).click()]);
  await chooser.setFiles({ name: "shared.state", mimeType: "application/octet-stream", buffer: readFileSync(await download.path()) });
  await states.filter({ hasText: "shared.state" }).waitFor();
  const bodies = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/v1/chat/completions")) bodies.push(request.postDataJSON());
  });
  await page.getByLabel("Start from state").selectOption("shared.state");
  await page.getByRole("button", { name: "New chat" }).first().click();
  await say(page, "Go on.");
  assert.equal(await replies(page).last().getAttribute("data-end"), "length");
  assert.ok(bodies[0].state.length > 0);
  // The state has what was said; the request has not.
  assert.deepEqual(bodies[0].messages.map((one) => one.content), ["Go on."]);
  isClean(page);
  await page.context().close();
});

test("states are a tree of what began with what: forked, renamed, compared, deleted", async () => {
  const own = await Server.start();
  const page = await visit(own);
  await calm(page, 8);
  await say(page, "Tell me a story about a wren.");
  await page.getByRole("tab", { name: "Server" }).click();
  const rows = page.getByRole("tree", { name: "States" }).getByRole("treeitem");
  const shown = async () => (await rows.evaluateAll((all) =>
    all.map((row) => `${"-".repeat(row.ariaLevel - 1)}${row.querySelector("bdi").textContent}`)));
  const whenShown = (wanted) => page.waitForFunction((names) => JSON.stringify(names) === JSON.stringify(
    [...document.querySelectorAll(".states [role=treeitem]")].map((row) => "-".repeat(row.ariaLevel - 1) + row.querySelector("bdi").textContent)), wanted);
  await page.getByLabel("Name", { exact: true }).fill("wren");
  await page.getByRole("button", { name: "Save this branch" }).click();
  await whenShown(["wren"]);
  // By keys alone.
  await rows.first().focus();
  await page.keyboard.press("Enter");
  assert.equal(await rows.first().getAttribute("aria-selected"), "true");
  page.once("dialog", (dialog) => void dialog.accept("copy"));
  await page.getByRole("button", { name: "Fork" }).focus();
  await page.keyboard.press("Enter");
  await whenShown(["wren", "-copy"]);
  // Another conversation that begins with the copy.
  await page.getByLabel("Start from state").selectOption({ label: "copy" });
  await page.getByRole("button", { name: "New chat" }).first().click();
  await say(page, "Where did it go?");
  await page.getByLabel("Name", { exact: true }).fill("went on");
  await page.getByRole("button", { name: "Save this branch" }).click();
  await whenShown(["wren", "-copy", "--went on"]);
  await rows.first().focus();
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  assert.equal(await rows.last().getAttribute("aria-selected"), "true");
  // What it read since.
  await page.getByLabel("Compare with").selectOption({ label: "wren" });
  const figures = page.locator(".difference figure");
  await figures.first().waitFor();
  const layers = (await (await fetch(`${own.url}/v1/models`)).json()).data[0].meta.n_layer;
  assert.equal(await figures.first().locator("rect").count(), layers);
  assert.ok(await figures.count() >= 3); // the parts of a layer's state
  assert.match(await figures.first().locator("figcaption").innerText(), /most in layer \d+, \d/);
  const highest = await page.locator(".difference rect").evaluateAll((bars) => Math.max(...bars.map((bar) => Number(bar.getAttribute("height")))));
  assert.equal(highest, 60); // the largest difference of all
  await rows.nth(1).click();
  await page.getByLabel("Compare with").selectOption({ label: "wren" });
  await page.getByText("These two are the same.").waitFor();

  page.once("dialog", (dialog) => void dialog.accept("middle"));
  await page.getByRole("button", { name: "Rename", exact: true }).click();
  await whenShown(["wren", "-middle", "--went on"]);
  // What began with a state that is deleted began with the one before.
  await page.getByRole("button", { name: "Delete middle" }).click();
  await whenShown(["wren", "-went on"]);
  assert.equal(await page.getByLabel("Start from state").inputValue(), "");
  isClean(page);
  await page.context().close();
  await own.close();
});
