// The pictures of the documentation: LINNET_SCREENSHOTS is where they go.

import { join } from "node:path";
import { after, before, test } from "node:test";
import { browser, calm, ended, replies, say, Server, visit } from "./server.mjs";

const folder = process.env.LINNET_SCREENSHOTS;
let server;
before(async () => { server = await Server.start(); });
after(async () => {
  await server.close();
  await browser.close();
});

const kTexts = {
  en: { ask: "Tell me a story about a linnet.", next: "What did it find?", other: "Tell me a story about an old clock.", retry: "Retry", tab: "Probabilities" },
  zh: { ask: "Tell me a story about a linnet.", next: "What did it find?", other: "Tell me a story about an old clock.", retry: "重试", tab: "概率" },
};

async function talk(page, language) {
  const texts = kTexts[language];
  await calm(page, 60, { seed: 3 });
  await say(page, texts.ask);
  await say(page, texts.next);
  await replies(page).first().getByRole("button", { name: texts.retry }).click();
  await ended(page);
  await say(page, texts.next);
  await page.getByRole("treeitem").nth(1).click();
  await page.locator(".jump").waitFor();
}

for (const language of ["en", "zh"]) {
  test(`desk, ${language}`, { skip: !folder }, async () => {
    const page = await visit(server, { viewport: { width: 1200, height: 800 }, locale: language === "zh" ? "zh-CN" : "en-US" });
    await talk(page, language);
    await page.screenshot({ path: join(folder, `page-desk-${language}.png`) });
    if (language === "en") {
      await page.evaluate(() => {
        const settings = JSON.parse(localStorage.getItem("linnet.settings"));
        localStorage.setItem("linnet.settings", JSON.stringify({ ...settings, theme: "dark" }));
      });
      await page.reload();
      await replies(page).first().getByRole("button", { name: kTexts.en.tab }).click();
      await page.locator(".token").nth(12).hover();
      await page.getByRole("group", { name: "Alternatives" }).waitFor();
      await replies(page).first().evaluate((reply) => reply.scrollIntoView());
      await page.screenshot({ path: join(folder, "page-desk-en-dark.png") });
    }
    await page.context().close();
  });
  test(`phone, ${language}`, { skip: !folder }, async () => {
    const page = await visit(server, { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true, locale: language === "zh" ? "zh-CN" : "en-US" });
    await page.locator(".tasks").waitFor();
    if (language === "zh") {
      const texts = kTexts.zh;
      await calm(page, 60, { seed: 3 });
      await say(page, texts.ask);
      await replies(page).first().getByRole("button", { name: texts.retry }).click();
      await ended(page);
    }
    await page.screenshot({ path: join(folder, `page-phone-${language}.png`) });
    await page.context().close();
  });
}
