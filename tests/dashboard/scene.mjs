// Two producers under load, one of which freezes: what the whole page shows of it. With a path as
// its second argument, the picture of the README.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { assertClean, headline, open, text, until, wish, withBrowser } from "./lib.mjs";

const [, , url, file] = process.argv;
const PICTURE_BYTES_MAX = 200000;
/** Figures that the plots have before the producer freezes: more of them for a picture. */
const POINTS = file ? 22 : 4;

const points = (page) => page.locator("svg.plot").first().getAttribute("data-points");
const legend = (page) => text(page, ".legend");

await withBrowser(async (browser) => {
  const viewport = { width: 1280, height: 1010 };
  const page = await open(browser, "about:blank", { viewport }, url);
  if (file) {
    // A picture for everybody does not show the folder of this run.
    await page.route("**/api/v1/overview*", async (route) => {
      const response = await route.fetch();
      const folder = /(--config )\S+(proxy.toml)/g;
      const body = (await response.text()).replace(folder, "$1$2");
      await route.fulfill({ response, body });
    });
  }
  await page.goto(url);
  await headline(page, "ok", ["everything is replicated"], 60000);
  await until("all are open", async () => (await legend(page)).includes("1,024 open"));
  await wish("write");
  await until("data moves", async () => {
    const rows = await page.locator("#links tbody tr").allInnerTexts();
    return rows.length === 2 && rows.every((row) => /[1-9][\d.]* [kM]B\/s/.test(row)) && rows;
  });
  await until(`the plots have ${POINTS} figures`, async () => (
    Number(await points(page)) >= POINTS), 180000);
  await wish("freeze");
  await headline(page, "error", ["gamma", "512 vBuckets"]);
  await until("half of the grid shows it", async () => {
    const states = await legend(page);
    return states.includes("512 unresponsive") && states.includes("512 open");
  });
  const first = await text(page, "#links tbody tr >> nth=0");
  assert.match(first, /gamma[\s\S]*NO ANSWER/, "the link that fails comes first");
  await page.fill("#search-text", "600");
  await page.press("#search-text", "Enter");
  await until("its details", async () => (await text(page, "#detail")).includes("Seqno here"));
  assert.match(await text(page, "#detail"), /unresponsive/);
  if (file) {
    await page.evaluate(() => document.activeElement.blur());
    await until("the lag has grown", async () => (
      /1\d s/.test(await text(page, "#links tbody tr >> nth=0"))), 60000);
    await page.screenshot({ path: file });
    const { size } = statSync(file);
    console.log(`${file}: ${size} bytes`);
    assert.ok(size <= PICTURE_BYTES_MAX, `${size} bytes, at most ${PICTURE_BYTES_MAX}`);
  }
  await wish("thaw");
  await headline(page, "ok", ["everything is replicated"], 60000);
  assertClean(page);
});
