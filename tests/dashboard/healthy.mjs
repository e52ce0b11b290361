// A healthy pair: what the page shows, to whom, on which screens, and whom it asks.

import assert from "node:assert/strict";
import {
  assertClean, assertFits, gridText, headline, open, picture, text, until, violations, withBrowser,
} from "./lib.mjs";

const [, , url] = process.argv;

/** The grid by keyboard alone: each step says its vBucket and its state. */
async function keyboard(page) {
  const grid = page.locator(".cells").first();
  await grid.focus();
  for (const [key, vb] of [
    ["ArrowRight", 1], ["ArrowRight", 2], ["ArrowLeft", 1], ["End", 1023], ["ArrowRight", 1023],
    ["Home", 0], ["ArrowUp", 0], ["ArrowLeft", 0],
  ]) {
    await page.keyboard.press(key);
    const state = vb < 64 ? "open" : "not wanted";
    assert.equal(await gridText(page), `vBucket ${vb}: ${state}`, key);
    assert.equal(await grid.getAttribute("aria-valuenow"), String(vb));
  }
  await page.keyboard.press("ArrowDown");
  const below = Number(await grid.getAttribute("aria-valuenow"));
  assert.ok([16, 32, 64, 128].includes(below), `a row below 0 is ${below}`);
  await page.keyboard.press("ArrowUp");
  await until("the details follow", async () => (
    await text(page, "#detail-title")) === "vBucket 0 of default");
  const facts = await until("the details are there", async () => {
    const facts = await text(page, "#detail dl");
    return facts.includes("Seqno here") && facts;
  });
  assert.match(facts, /Producer\s+alpha/);
  assert.match(facts, /Link\s+replication:alpha->beta:default/);
  assert.match(facts, /Last error\s+none/);
}

/** Number and key, right and wrong. */
async function search(page) {
  for (const [asked, found] of [
    ["7", "vBucket 7: open"], ["hello", "key hello is in vBucket 528 of 1024: not wanted"],
    ["1024", 'no vBucket 1024: 0 to 1023; for a key of digits write "1024"'],
    ["<b>x</b>", "key <b>x</b> is in vBucket"],
  ]) {
    await page.fill("#search-text", asked);
    await page.press("#search-text", "Enter");
    const answer = await text(page, "#search-answer");
    assert.ok(answer.startsWith(found), `${asked}: ${answer}`);
  }
}

/** A hidden tab asks for nothing, and is not frightened by its own silence afterwards. */
async function hiddenTab(page) {
  const hide = (hidden) => page.evaluate((is) => {
    Object.defineProperty(document, "hidden", { get: () => is, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  let asked = 0;
  page.on("request", () => {
    asked += 1;
  });
  await page.evaluate(() => {
    globalThis.severities = new Set();
    new MutationObserver(() => {
      globalThis.severities.add(document.getElementById("headline").dataset.severity);
    }).observe(document.getElementById("headline"), { attributes: true });
  });
  await hide(true);
  const [before, began] = [asked, Date.now()];
  await until("five seconds have passed", () => Date.now() - began > 5000);
  assert.equal(asked - before, 0, "a hidden tab asks for nothing");
  await hide(false);
  await until("it asks again", () => asked > before + 2);
  assert.deepEqual(await page.evaluate(() => [...globalThis.severities]), [], "it stays calm");
  await until("events are live", async () => (await text(page, "#events-state")) === "live");
}

/** Events that could not be read are asked for again, and shown once. */
async function eventsFail(browser) {
  const page = await open(browser, "about:blank", {}, url);
  let asked = 0;
  await page.route("**/api/v1/events*", (route) => {
    asked += 1;
    const json = { error: "not now" };
    return asked > 2 ? route.continue() : route.fulfill({ status: 503, json });
  });
  await page.goto(url);
  await until("it says so", async () => (await text(page, "#events-state")) === "not read: not now");
  await until("it asks again", async () => (await text(page, "#events-state")) === "live");
  await until("events are there", async () => (await text(page, "#events")).includes("link-up"));
  const [before, began] = [asked, Date.now()];
  await until("three seconds have passed", () => Date.now() - began > 3000);
  assert.ok(asked - before <= 1, `nothing is new, and ${asked - before} requests ask for it`);
  assertClean(page);
  await page.context().close();
}

/** Whether the page says what it shows, to everybody, on every screen. */
async function everybody(browser) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 360]) {
      const page = await open(browser, url, { colorScheme, viewport: { width, height: 800 } });
      await headline(page, "ok", ["everything is replicated"]);
      await page.locator(".cells").first().focus();
      await page.keyboard.press("ArrowRight");
      await until("the details", async () => (await text(page, "#detail")).includes("Seqno here"));
      await page.click("#config summary");
      await until("the configuration", async () => (
        await text(page, "#config-text")).includes('"node"'));
      assert.deepEqual(await violations(page), [], `${colorScheme}, ${width} wide`);
      await assertFits(page, width);
      await picture(page, `healthy-${colorScheme}-${width}`, { fullPage: true });
      await page.click("#token-button");
      assert.deepEqual(await violations(page), [], `the dialog, ${colorScheme}, ${width} wide`);
      await assertFits(page, width);
      assertClean(page);
      await page.context().close();
    }
  }
}

await withBrowser(async (browser) => {
  const page = await open(browser, url);
  await headline(page, "ok", ["everything is replicated"]);
  assert.match(await page.title(), /^beta - dcp-proxy$/);
  assert.match(await text(page, "header"), /sidecar of beta[\s\S]*version [\s\S]*live/);
  assert.match(await text(page, "#buckets tbody"), /default[\s\S]*64 of 64/);
  assert.match(await text(page, "#links tbody"), /alpha[\s\S]*up[\s\S]*64 of 64/);
  assert.match(await text(page, ".legend"), /64 open/);
  await until("events are there", async () => (await text(page, "#events")).includes("link-up"));
  assert.equal(await text(page, "#events-state"), "live");
  await keyboard(page);
  await search(page);
  for (const plot of [0, 1]) {
    await until("the plots have points", async () => (
      Number(await page.locator("svg.plot").nth(plot).getAttribute("data-points")) >= 2), 60000);
  }
  for (const width of [1920, 1280, 1221, 1220, 1101, 1100, 700, 521, 520, 360]) {
    await assertFits(page, width);
  }
  await hiddenTab(page);
  assertClean(page);
  await page.context().close();
  await eventsFail(browser);
  await everybody(browser);
});
