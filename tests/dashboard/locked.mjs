// A sidecar with a configured token shows nothing without it.

import assert from "node:assert/strict";
import {
  assertClean, headline, open, picture, text, until, violations, withBrowser,
} from "./lib.mjs";

const [, , url] = process.argv;
const [base] = url.split("#token=");

await withBrowser(async (browser) => {
  const page = await open(browser, base);
  await headline(page, "warning", ["wants its token"]);
  assert.equal(await text(page, "#fresh"), "the token is needed");
  assert.equal(await page.locator("#buckets tbody tr").count(), 0, "no data");
  assert.deepEqual(await violations(page), []);
  await picture(page, "locked");
  await page.click("#token-button");
  await page.fill("#token-text", "not it");
  await page.keyboard.press("Enter");
  await until("it is refused", async () => (await text(page, "#token-error")).includes("refuses"));
  await page.fill("#token-text", url);
  await page.keyboard.press("Enter");
  await headline(page, "ok", ["everything is replicated"]);
  await until("events are there", async () => (await text(page, "#events")).includes("link-up"));
  assert.equal(await text(page, "#token-button"), "Actions unlocked");
  assertClean(page);
});
