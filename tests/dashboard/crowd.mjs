// More actions that wait, and more tabs, than a browser has connections to one address (six): the
// page still hears its sidecar.

import assert from "node:assert/strict";
import { assertClean, headline, open, text, until, wish, withBrowser } from "./lib.mjs";

const [, , url] = process.argv;

/** Begins to move a vBucket, and leaves the dialog open; returns what it answers first. */
async function move(page, vb) {
  await page.fill("#search-text", String(vb));
  await page.press("#search-text", "Enter");
  await until("the details", async () => (
    await text(page, "#detail-title")) === `vBucket ${vb} of default`);
  await page.click("#detail button:has-text('Move here')");
  await until("it can be confirmed", async () => (
    (await text(page, "#action-do")) === "Move here 1 vBucket" && page.isEnabled("#action-do")));
  await page.click("#action-do");
  return until("it answers", () => text(page, "#action-answer"));
}

async function close(page) {
  await page.click("#action-cancel");
  await page.waitForSelector("#action", { state: "hidden" });
}

/** Notes each state of the contact from now on. */
const watch = (page) => page.evaluate(() => {
  globalThis.contacts = new Set([document.body.dataset.contact]);
  new MutationObserver(() => globalThis.contacts.add(document.body.dataset.contact))
    .observe(document.body, { attributes: true });
});

/** Waits for answers to more questions, and fails if there was a silence before. */
async function hears(page, who) {
  await page.evaluate(() => performance.clearResourceTimings());
  await until(`${who} is answered`, () => page.evaluate(() => performance
    .getEntriesByType("resource").filter((entry) => entry.name.includes("/api/v1/overview")
      && entry.responseStatus === 200).length >= 5));
  assert.deepEqual(await page.evaluate(() => [...globalThis.contacts]), ["live"], who);
}

await withBrowser(async (browser) => {
  const page = await open(browser, url);
  await headline(page, "ok", ["everything is replicated"]);
  await until("unlocked", async () => (
    await text(page, "#token-button")) === "Actions unlocked");
  await watch(page);
  await wish("freeze");
  await headline(page, "error", ["alpha"]);
  for (let vb = 0; vb < 6; vb += 1) {
    assert.match(await move(page, vb), /goes on in the sidecar; see Moves if this is closed/);
    await close(page);
    await until("it is said", async () => (
      await text(page, "#last-action")).endsWith("it goes on in the sidecar; see Moves"));
  }
  await hears(page, "a page with six actions");
  await until("they go on", async () => (await text(page, "#moves")).includes("alpha"));

  const tabs = [page];
  while (tabs.length < 8) {
    const tab = await page.context().newPage();
    await tab.goto(url);
    await headline(tab, "error", ["alpha"]);
    await until("unlocked", async () => (
      await text(tab, "#token-button")) === "Actions unlocked");
    await watch(tab);
    tabs.push(tab);
  }
  // The moves of the others still wait for the frozen producer: it takes ten seconds for each.
  assert.match(await move(tabs[1], 6), /^Asked/);
  assert.match(await move(tabs[2], 7), /^Asked/);
  const third = tabs[3];
  await move(third, 5);
  await until("it is told to wait", async () => (
    await text(third, "#action-answer")).includes("2 actions of this browser are in progress"));
  assert.ok(await third.isEnabled("#action-do"), "it can be tried again");
  for (const [at, tab] of tabs.entries()) {
    await hears(tab, `tab ${at}`);
  }
  await close(tabs[1]);
  await third.click("#action-do");
  await until("it is sent", async () => (
    !(await text(third, "#action-answer")).includes("of this browser")));
  await close(third);
  await close(tabs[2]);
  await wish("thaw");
  assertClean(page);
});
