// What the page shows of replies that the test sends: hostile ones, long chats, thoughts, calls.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { answerWith, axePath, browser, ended, isClean, message, replies, say, Server, streamOf, visit } from "./server.mjs";

let server;
before(async () => { server = await Server.start(); });
after(async () => {
  await server.close();
  await browser.close();
});

const kHostile = [
  "<script>window.hacked = 1</script> <img src=x onerror=\"window.hacked = 2\">\n\n",
  "<iframe src=\"https://evil.example/\"></iframe> <style>body { display: none }</style> <svg onload=\"window.hacked = 3\">\n\n",
  "[click](javascript:window.hacked=4) [data](data:text/html,<script>window.hacked=5</script>) [vb](vbscript:x)\n\n",
  "[good](https://example.org/a?b=c) ![picture](https://evil.example/track.png) <https://evil.example/auto>\n\n",
  "[x](https://evil.example/\" onmouseover=\"window.hacked=6) **bold** `<b>code</b>`\n\n",
  "| a | b |\n|:-:|--:|\n| <b>1</b> | [l](JaVaScRiPt:alert(1)) |\n\n",
  "$\\href{javascript:window.hacked=7}{x}$ $\\htmlStyle{color: red}{y}$ $x^2$\n\n",
  "```html\n<script>window.hacked = 8</script>\n```\n\n",
  "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=window.hacked=9&gt;\">\n\n",
  "<form action=https://evil.example><input name=q><button>go</button></form> <base href=https://evil.example>\n",
];

test("a reply cannot run scripts, load from other hosts or lead elsewhere unseen", async () => {
  const page = await visit(server);
  await answerWith(page, kHostile);
  await say(page, "<img src=x onerror=window.hacked=10>");
  await page.locator(".markdown a", { hasText: "good" }).waitFor();
  await page.locator(".markdown math").first().waitFor();
  const found = await page.evaluate(() => ({
    hacked: window.hacked,
    tags: [...new Set([...document.querySelectorAll("article *")].map((e) => e.tagName.toLowerCase()))],
    links: [...document.querySelectorAll("article .markdown a")].map((a) => [a.href, a.target, a.rel, a.title]),
    handlers: [...document.querySelectorAll("article *")].flatMap((e) => e.getAttributeNames()).filter((n) => /^on|^style$|^srcdoc$/.test(n)),
  }));
  assert.equal(found.hacked, undefined);
  assert.deepEqual(found.handlers, []);
  for (const tag of ["script", "img", "iframe", "style", "form", "input", "base", "object", "embed", "link", "meta"]) {
    assert.ok(!found.tags.includes(tag), tag);
  }
  assert.ok(found.links.length >= 3);
  for (const [href, target, rel, title] of found.links) {
    assert.match(href, /^(https?|mailto):/);
    assert.equal(target, "_blank");
    assert.match(rel, /noopener noreferrer/);
    assert.ok(title.length > 0);
  }
  // The page is all there.
  await page.locator("article.user .said", { hasText: "<img src=x" }).waitFor();
  assert.match(await page.locator("article.assistant").innerText(), /<script>window\.hacked = 1<\/script>/);
  assert.ok(await page.locator("article .markdown pre code .hljs-tag, article .markdown pre code [class^=hljs]").count() > 0);
  isClean(page); // in particular: nothing was refused by the policy, since nothing was tried
  await page.context().close();
});

test("the policy refuses what would be inline", async () => {
  const page = await visit(server);
  await page.evaluate(() => {
    try {
      document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.hacked = 1'>");
    } catch {
      window.refused = true; // trusted types
    }
    const script = document.createElement("script");
    try {
      script.text = "window.hacked = 2";
      document.body.append(script);
    } catch {
      // the same
    }
  });
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.evaluate(() => window.refused), true);
  await page.context().close();
});

test("thoughts are folded, formulas drawn, code coloured, calls shown and answered", async () => {
  const page = await visit(server);
  await answerWith(page, [{ reasoning_content: "Let me think about it." },
    "The answer is $\\frac{1}{2}$.\n\n```python\ndef f(x):\n    return x  # half\n```\n\n$$\\sum_{i=1}^n i$$"]);
  await say(page, "Half?");
  const thought = page.locator("details.thought");
  assert.match(await thought.locator("summary").innerText(), /Thought for 5 words/);
  assert.equal(await thought.getAttribute("open"), null);
  await page.locator("math mfrac").waitFor();
  assert.equal(await page.locator("math[display=block]").count(), 1);
  await page.locator("pre .hljs-keyword").first().waitFor();

  await page.unroute("**/v1/chat/completions");
  await answerWith(page, [{ tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "weather", arguments: "" } }] },
    { tool_calls: [{ index: 0, function: { arguments: "{\"city\":\"Oslo\"}" } }] }]);
  await say(page, "How is the weather?");
  await page.getByText("Calls weather").waitFor();
  assert.match(await page.locator(".call pre").innerText(), /"city": "Oslo"/);
  await page.unroute("**/v1/chat/completions");
  let sent;
  await page.route("**/v1/chat/completions", (route) => {
    sent = route.request().postDataJSON().messages;
    return route.abort();
  });
  await page.getByLabel("Result").fill("rain");
  await page.getByRole("button", { name: "Send results" }).click();
  await page.getByText("The reply broke off.").waitFor();
  assert.deepEqual(sent.slice(-2), [
    { role: "assistant", content: "", tool_calls: [{ id: "call_1", type: "function", function: { name: "weather", arguments: "{\"city\":\"Oslo\"}" } }] },
    { role: "tool", content: "rain", tool_call_id: "call_1" },
  ]);
  await page.context().close();
});

const pair = (i) => [
  { role: "user", text: `Question ${i}: how many legs has a beetle?` },
  { role: "assistant", text: `Answer ${i}: **six**.\n\n- one\n- two\n\n\`\`\`python\nprint(${i})\n\`\`\`` },
];

async function long(page, pairs) {
  const nodes = {};
  let parent = null;
  let made = 1;
  for (let i = 0; i < pairs; ++i) {
    for (const { role, text } of pair(i)) {
      const id = `n${made}`;
      nodes[id] = { id, parent, role, text, made, changed: made, end: "done" };
      parent = id;
      ++made;
    }
  }
  const chat = { kind: "chat", title: "Beetles", system: "", tools: "", nodes, leaf: parent };
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.getByRole("button", { name: "Import" }).click()]);
  await chooser.setFiles({ name: "long.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify(chat)) });
  await page.locator("article").nth(2 * pairs - 1).waitFor({ state: "attached" });
}

test("of 500 messages only those in view are drawn, and one more draws only itself", async () => {
  const page = await visit(server);
  await long(page, 250);
  await page.locator("article.assistant").last().locator(".markdown pre .hljs-built_in, .markdown pre [class^=hljs]").first().waitFor();
  // Far messages are plain text so far; that is what keeps the page quick.
  const drawn = await page.locator(".markdown:not(.plain)").count();
  assert.ok(drawn < 60, `${drawn} of 250 replies are drawn`);
  await page.evaluate(() => {
    window.touched = new Set();
    new MutationObserver((changes) => {
      for (const change of changes) {
        const article = (change.target.nodeType === 1 ? change.target : change.target.parentElement)?.closest("article");
        if (article) window.touched.add(article.id);
      }
    }).observe(document.querySelector(".messages"), { subtree: true, childList: true, characterData: true });
  });
  await answerWith(page, ["Nine", " or", " ten."]);
  await say(page, "And a spider?");
  await page.locator("article.assistant .markdown", { hasText: "Nine or ten." }).waitFor();
  const touched = await page.evaluate(() => window.touched.size);
  assert.ok(touched < 60, `${touched} messages were drawn again for one new reply`);
  // The reader is at the end, and the start is found.
  assert.ok(await page.evaluate(() => {
    const box = document.querySelector(".transcript");
    return box.scrollHeight - box.scrollTop - box.clientHeight < 80;
  }));
  await page.evaluate(() => { document.querySelector(".transcript").scrollTop = 0; });
  await page.locator("article").nth(1).locator("strong").waitFor();
  isClean(page);
  await page.context().close();
});

async function violations(page) {
  // Not as an element, which the page's policy would refuse.
  await page.evaluate(readFileSync(axePath, "utf8"));
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 150)).join(" ")}`);
}

for (const [language, theme] of [["en", "light"], ["en", "dark"], ["zh", "light"]]) {
  test(`axe finds nothing wrong: ${language}, ${theme}`, async () => {
    const page = await visit(server, { colorScheme: theme, locale: language === "zh" ? "zh-CN" : "en-US" });
    assert.deepEqual(await violations(page), []);
    await answerWith(page, ["# One\n\nText with `code`, a [link](https://example.org) and\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```json\n{\"a\": 1}\n```"]);
    await say(page, "Hello\n\nthere");
    await replies(page).last().getByRole("button", { name: language === "zh" ? "重试" : "Retry" }).click();
    await ended(page);
    assert.equal(await page.getByRole("treeitem").count(), 3);
    assert.deepEqual(await violations(page), []);
    const post = (path, body) => fetch(`${server.url}${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    await post("/v1/states", { id: "first", input: "once upon a time" });
    await post("/v1/states", { id: "second", input: " there was a bird", state: "first" });
    for (const tab of language === "zh" ? ["设置", "服务器"] : ["Settings", "Server"]) {
      await page.getByRole("tab", { name: tab }).click();
      assert.deepEqual(await violations(page), []);
    }
    await page.locator(".states [role=treeitem]", { hasText: "second" }).click();
    await page.locator("#compare").selectOption("first");
    await page.locator(".difference figure").first().waitFor();
    assert.deepEqual(await violations(page), []);
    await page.locator(".chats .button").first().click();
    assert.deepEqual(await violations(page), []);
    await page.keyboard.press("Escape");
    await page.goto(`${server.url}/#/operator`);
    await page.locator(".chart").first().waitFor();
    assert.deepEqual(await violations(page), []);
    isClean(page);
    await page.context().close();
  });
}

test("on a phone the lists are beside the page, and everything is reached by keys", async () => {
  const page = await visit(server, { viewport: { width: 390, height: 760 }, hasTouch: true, isMobile: true });
  const wide = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.equal(await wide(), 0);
  await answerWith(page, ["A_word_that_is_longer_than_the_phone_is_wide_".repeat(6), "\n\n```\n", "x ".repeat(200), "\n```"]);
  await say(page, "Hello");
  assert.equal(await wide(), 0);
  assert.ok(!(await page.getByRole("navigation").isVisible()));
  await page.getByRole("button", { name: "Chats" }).click();
  await page.getByRole("searchbox").waitFor();
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");
  await page.getByRole("searchbox").waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Branches and settings" }).click();
  await page.getByRole("tab", { name: "Branches" }).waitFor();
  assert.deepEqual(await violations(page), []);
  await page.context().close();
});

test("text from right to left stands right to left, beside other text", async () => {
  const page = await visit(server);
  await answerWith(page, ["مرحبا بالعالم، هذا نص.\n\nAnd this is English."]);
  await say(page, "שלום עולם");
  await page.locator(".markdown p").nth(1).waitFor();
  const direction = (selector) => page.locator(selector).evaluate((e) => getComputedStyle(e).direction);
  assert.equal(await direction("article.user .said"), "rtl");
  assert.equal(await direction("article.assistant .markdown p:nth-child(1)"), "rtl");
  assert.equal(await direction("article.assistant .markdown p:nth-child(2)"), "ltr");
  await message(page).fill("שלום");
  assert.equal(await direction(".composer textarea"), "rtl");
  await page.context().close();
});

test("without the server the page opens and its chats can be read", async () => {
  const own = await Server.start();
  const page = await visit(own, { serviceWorkers: "allow" });
  await answerWith(page, ["Kept in this browser."]);
  await say(page, "Hello");
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await page.reload(); // from now on through the service worker
  await page.getByText("Kept in this browser.").waitFor();
  await page.unroute("**/v1/chat/completions");
  const address = page.url();
  await own.end();
  await page.goto(address);
  await page.reload();
  await page.getByText("Kept in this browser.").waitFor();
  await page.getByText("No connection; trying again.").first().waitFor();
  const next = await own.again();
  await page.getByText("No connection; trying again.").first().waitFor({ state: "detached" });
  await page.context().close();
  await next.close();
});

// Writing to the database takes longer than the page lives: what it is asked for is never there.
const slowDatabase = (page) => page.evaluate(() => {
  const put = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = function (...given) {
    const hold = () => { this.count().onsuccess = hold; };
    hold();
    return put.apply(this, given);
  };
});

test("what the database does not have yet survives a reload", async () => {
  const page = await visit(server);
  await answerWith(page, ["Never saved."]);
  await slowDatabase(page);
  await say(page, "Hello");
  await page.reload();
  await page.getByText("Never saved.").waitFor();
  assert.equal(await replies(page).last().getAttribute("data-end"), "done");
  await page.locator(".chats a", { hasText: "Hello" }).waitFor();
  // Now it is in the database, and nowhere else.
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("linnet.unsaved."))), []);
  await page.reload();
  await page.getByText("Never saved.").waitFor();

  // Also in the same moment as the last change, and with what had come of a reply by then.
  await say(page, "Again");
  await slowDatabase(page);
  await page.evaluate(() => new Promise((resolve) => {
    new MutationObserver(() => {
      if (!document.querySelector("article.user .said, article.assistant[data-end=running]")) return;
      location.reload();
      resolve();
    }).observe(document.querySelector(".messages"), { subtree: true, childList: true, attributes: true });
    document.querySelector("article:last-of-type footer button[aria-label=Retry]").click();
  })).catch(() => undefined); // the page went away
  await page.getByText("2/2").waitFor();
  isClean(page);
  await page.context().close();
});

test("a full or damaged storage does not stop the page", async () => {
  const page = await visit(server);
  await answerWith(page, ["Kept all the same."]);
  await page.evaluate(() => {
    localStorage.setItem("linnet.unsaved.x", "{\"nodes\": 3");
    localStorage.setItem("linnet.unsaved.y", JSON.stringify({ nodes: { a: { role: "user", parent: "a", stream: 1 }, b: null }, dropped: "?" }));
    for (let size = 1 << 22; size > 0; size >>= 1) {
      try {
        localStorage.setItem(`filler.${size}`, "x".repeat(size));
      } catch {
        // The next is half as large.
      }
    }
  });
  await page.reload();
  await page.getByRole("heading", { name: "Linnet", exact: true }).waitFor();
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.getByLabel("Temperature").fill("0.5");
  await say(page, "Hello");
  await page.locator(".chats a", { hasText: "Hello" }).waitFor();
  await page.reload();
  await page.getByText("Kept all the same.").waitFor();
  isClean(page);
  await page.context().close();
});

const kTasks = {
  en: ["Sentiment", "Reading comprehension", "Prose poem", "Read and mend code", "Paper topics in finance", "Key points of news",
    "Grow a text from a sentence", "A snake game in Python"],
  zh: ["情感分析", "阅读理解", "散文诗", "读代码并改错", "金融论文选题", "新闻要点", "由一句话扩写", "Python 贪吃蛇"],
};

for (const language of ["en", "zh"]) {
  test(`the eight tasks are prompts in the page's language: ${language}`, async () => {
    const page = await visit(server, { locale: language === "zh" ? "zh-CN" : "en-US" });
    const cards = page.locator(".tasks button");
    assert.deepEqual(await cards.locator("strong").allInnerTexts(), kTasks[language]);
    const prompts = new Set();
    for (const name of kTasks[language]) {
      await cards.filter({ hasText: name }).click();
      const prompt = await message(page).inputValue();
      assert.equal(/[\u4e00-\u9fff]/.test(prompt), language === "zh", prompt);
      assert.ok(prompt.length > 20, prompt);
      prompts.add(prompt);
    }
    assert.equal(prompts.size, 8);
    // The last one is what is sent.
    let sent;
    await page.route("**/v1/chat/completions", (route) => {
      sent = route.request().postDataJSON().messages;
      return route.fulfill({ status: 200, contentType: "text/event-stream", body: streamOf(["Yes."]) });
    });
    const asked = await message(page).inputValue();
    await message(page).press("Enter");
    await ended(page);
    assert.deepEqual(sent, [{ role: "user", content: asked }]);
    isClean(page);
    await page.context().close();
  });
}

test("a preset sets the sampler, and the request has it; the reader's own come beside them", async () => {
  const page = await visit(server);
  let body;
  await page.route("**/v1/chat/completions", (route) => {
    body = route.request().postDataJSON();
    return route.fulfill({ status: 200, contentType: "text/event-stream", body: streamOf(["Yes."]) });
  });
  await page.getByRole("tab", { name: "Settings" }).click();
  const kFields = ["temperature", "top_p", "presence_penalty", "frequency_penalty"];
  const shown = async () => Promise.all(["Temperature", "Top p", "Presence penalty", "Frequency penalty"].map((name) =>
    page.getByLabel(name, { exact: true }).inputValue()));
  const sent = () => kFields.map((name) => body[name]);
  for (const [name, values] of [["Careful", [0.8, 0.3, 0.2, 0.2]], ["Balanced", [1, 0.5, 0.4, 0.4]], ["Free", [1.2, 0.8, 0.4, 0.4]],
    ["Likeliest token", [0, undefined, 0, 0]], ["The model's own", [undefined, undefined, undefined, undefined]]]) {
    await page.getByLabel("Preset").selectOption({ label: name });
    assert.deepEqual(await shown(), values.map((value) => (value === undefined ? "" : String(value))), name);
    await say(page, "Hello");
    assert.deepEqual(sent(), values, name);
  }
  await page.getByLabel("Preset").selectOption({ label: "Free" });
  await page.getByLabel("Top p", { exact: true }).fill("0.6");
  await page.getByLabel("Top p", { exact: true }).press("Tab");
  assert.equal(await page.getByLabel("Preset").locator("option:checked").innerText(), "changed");
  page.once("dialog", (dialog) => void dialog.accept("mine"));
  await page.getByRole("button", { name: "Save as a preset" }).click();
  await page.getByLabel("Preset").selectOption({ label: "The model's own" });
  await page.reload();
  await page.getByRole("tab", { name: "Settings" }).click();
  await page.getByLabel("Preset").selectOption({ label: "mine" });
  await say(page, "Hello");
  assert.deepEqual(sent(), [1.2, 0.6, 0.4, 0.4]);
  isClean(page);
  await page.context().close();
});

test("states, adapters, models and downloads are there if the server has them", async () => {
  const page = await visit(server);
  await page.getByRole("tab", { name: "Server" }).click();
  await page.getByText("In use").waitFor();
  const asked = [];
  const kept = { id: "state_1", name: "poet", parent: null, tokens: 54, bytes: 2_700_000 };
  let states = [];
  const json = (route, value) => {
    const request = route.request();
    asked.push(`${request.method()} ${new URL(request.url()).pathname}`);
    return route.fulfill({ status: 200, contentType: "application/json", body: JSON.stringify(value) });
  };
  await page.route("**/openapi.json", async (route) => {
    const document = await (await route.fetch()).json();
    for (const path of ["/v1/states", "/v1/lora", "/v1/admin/models"]) document.paths[path] ??= {};
    await route.fulfill({ status: 200, contentType: "application/json", body: JSON.stringify(document) });
  });
  await page.route("**/v1/states", (route) => json(route, { data: states }));
  await page.route("**/v1/states/tmp", (route) => {
    states = [kept];
    assert.deepEqual(route.request().postDataJSON(), { name: "poet" });
    return json(route, kept);
  });
  await page.route("**/v1/lora", (route) => json(route, { data: [{ id: "rhymes", loaded: true }, { id: "verse", loaded: false }] }));
  let changes = false;
  await page.route("**/v1/admin/models", (route) => json(route, { changes, data: [{ id: "builtin", loaded: true, default: true }, { id: "big", loaded: false, bytes: 3e9 }] }));
  await page.route("**/v1/admin/models/load", (route) => json(route, {}));
  await page.route("**/api/pull", (route) => {
    asked.push(route.request().postData());
    return route.fulfill({ status: 200, body: "{\"status\":\"pulling\",\"total\":10,\"completed\":4}\n{\"status\":\"success\"}\n" });
  });
  let body;
  await page.route("**/v1/chat/completions", (route) => {
    body = route.request().postDataJSON();
    return body.stream ? route.fulfill({ status: 200, contentType: "text/event-stream", body: streamOf(["Hi."]) })
      : json(route, { state: { id: "tmp" } });
  });
  await page.reload();
  await say(page, "Hello");
  assert.equal(body.state, undefined);
  await page.getByRole("tab", { name: "Server" }).click();
  await page.getByLabel("Name", { exact: true }).fill("poet");
  await page.getByRole("button", { name: "Save this branch" }).click();
  await page.getByRole("treeitem", { name: "poet" }).waitFor();
  assert.equal(body.return_state, "kept");
  assert.equal(body.max_tokens, 0);
  assert.deepEqual(body.messages.map((one) => one.content), ["Hello", "Hi."]);
  assert.ok(asked.includes("POST /v1/states/tmp"));
  await page.getByLabel("Start from state").selectOption("state_1");
  await page.getByLabel("Adapter").selectOption("rhymes");
  assert.equal(await page.getByRole("button", { name: "Fetch" }).count(), 0); // the server permits it to nobody
  changes = true;
  await page.getByRole("button", { name: "Load" }).last().click();
  await page.getByLabel("owner/repository").fill("someone/model");
  await page.getByRole("button", { name: "Fetch" }).click();
  await page.getByText("success").waitFor();
  assert.ok(asked.includes("POST /v1/admin/models/load"));
  assert.ok(asked.includes("{\"model\":\"someone/model\",\"stream\":true}"));
  await say(page, "Go on");
  assert.equal(body.state, "state_1");
  assert.equal(body.lora, "rhymes");
  assert.deepEqual(await violations(page), []);
  isClean(page);
  await page.context().close();
});

test("what the server says of an error is shown, and nothing is lost", async () => {
  const page = await visit(server);
  await page.route("**/v1/chat/completions", (route) => route.fulfill({ status: 429, headers: { "retry-after": "3" },
    contentType: "application/json", body: JSON.stringify({ error: { message: "the queue is full" } }) }));
  await say(page, "Hello");
  await page.getByText("the queue is full").waitFor();
  await page.unroute("**/v1/chat/completions");
  await answerWith(page, ["Now."]);
  await replies(page).last().getByRole("button", { name: "Retry" }).click();
  await page.getByText("Now.", { exact: true }).waitFor();
  await page.getByText("2/2").waitFor();
  isClean(page);
  await page.context().close();
});
