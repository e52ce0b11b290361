// The sidecar itself is frozen, then gone, then there again: the page says so, since when, and
// shows old values as old.

import assert from "node:assert/strict";
import {
  assertClean, headline, open, picture, text, until, violations, wish, withBrowser,
} from "./lib.mjs";

const [, , url] = process.argv;
/** From the last answer to the first line that says that there is none. */
const SAID_MS = 3000;

/** How long after the last answer the first line changed, by the clock of the page. */
const measured = (page) => page.evaluate(() => {
  const answers = performance.getEntriesByType("resource")
    .filter((entry) => entry.name.includes("/api/v1/overview") && entry.responseEnd > 0
      && entry.responseStatus === 200);
  return globalThis.changedAt - Math.max(...answers.map((entry) => entry.responseEnd));
});

await withBrowser(async (browser) => {
  const page = await open(browser, url);
  await headline(page, "ok", ["everything is replicated"]);
  await page.evaluate(() => {
    new MutationObserver(() => {
      globalThis.changedAt ??= performance.now();
    }).observe(document.getElementById("what"), { childList: true, characterData: true });
  });
  await wish("STOP");
  await headline(page, "error", ["the sidecar at", "does not answer"]);
  const took = await measured(page);
  console.log(`said after ${Math.round(took)} ms`);
  assert.ok(took <= SAID_MS, `it was said ${took} ms after the last answer`);
  assert.match(await text(page, "#since"), /^since \d\d:\d\d:\d\d \(/);
  assert.equal(await page.locator("#data").getAttribute("data-stale"), "yes");
  assert.match(await text(page, "#fresh"), /not current: values of \d\d:\d\d:\d\d/);
  assert.deepEqual(await violations(page), []);
  await picture(page, "silent", { fullPage: true });
  const began = Date.now();
  await until("requests have timed out", () => Date.now() - began > 6000);
  await headline(page, "error", ["the sidecar at", "does not answer"], 100);
  await wish("CONT");
  await headline(page, "ok", ["everything is replicated"]);
  assert.equal(await page.locator("#data").getAttribute("data-stale"), null);

  await wish("KILL");
  await headline(page, "error", ["the sidecar at", "cannot be reached"]);
  assert.equal(await text(page, "#token-button"), "Actions unlocked");
  await wish("start");
  await headline(page, "ok", ["everything is replicated"]);
  await until("its old token is refused", async () => (
    await text(page, "#token-button")) === "Token refused: give another");
  await until("events go on", async () => (
    await page.locator("#events li[data-level]").count()) > 0
    && (await text(page, "#events-state")) === "live");
  assert.match(await text(page, "#events"), /the sidecar was restarted/);
  assertClean(page);
});
