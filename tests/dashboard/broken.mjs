// A node that fails: the first line names it, and is calm again once it is back. The wish that
// breaks it and the one that mends it are arguments, with the words of the first line.

import assert from "node:assert/strict";
import {
  assertClean, assertFits, headline, open, picture, text, until, violations, wish, withBrowser,
} from "./lib.mjs";

const [, , url, name, severity, ...words] = process.argv;

await withBrowser(async (browser) => {
  const page = await open(browser, url);
  await headline(page, "ok", ["everything is replicated"]);
  await wish("break");
  const what = await headline(page, severity, words);
  await until("since when", async () => (await text(page, "#since")).startsWith("since "));
  assert.match(await text(page, "#remedy"), /^What to do: ./);
  assert.match(await page.title(), /^[!X] \d+ problems? - beta - dcp-proxy$/);
  assert.equal(await text(page, "h1"), what, "the first line is the heading");
  const first = await page.evaluate(() => document.querySelector("main").innerText
    .split("\n").filter(Boolean).slice(0, 2));
  assert.equal(first[1], what, `it comes first, after its severity: ${first}`);
  await until("the grid shows it", async () => !/^8 open/.test(await text(page, ".legend")));
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(page), [], colorScheme);
    await picture(page, `${name}-${colorScheme}`, { fullPage: true });
  }
  await assertFits(page, 360);
  await picture(page, `${name}-narrow`);
  await wish("mend");
  if (name !== "diverged") {
    await headline(page, "ok", ["everything is replicated"]);
  } else {
    // What only our copies had is gone, although everything is replicated again.
    await headline(page, "warning", ["8 vBuckets", "went back from seqno"]);
    await until("the rollback is told", async () => (
      await text(page, "#events")).includes("rollback"));
  }
  assertClean(page);
});
