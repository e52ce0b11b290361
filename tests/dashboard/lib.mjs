// What the scripts share: the browser, waits with a deadline, and wishes to the test.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.env.DASHBOARD_MODULES}/`);
const { chromium } = require("playwright-core");
export const axe = require("axe-core").source;

/** The deadline of every wait, far longer than needed, so that a loaded machine fails no test. */
export const PATIENCE = 30000;
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
];

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the test for something, and waits until it is done. */
export async function wish(...words) {
  process.stdout.write(`wish ${JSON.stringify(words)}\n`);
  const { value } = await answers.next();
  assert.equal(value, "done");
}

/** Waits until `look` returns something that is not false; fails with `what` at the deadline. */
export async function until(what, look, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  for (;;) {
    const found = await look();
    if (found) {
      return found;
    }
    assert.ok(Date.now() < deadline, `not within ${patience} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Runs a script with a browser; whatever happens, the browser is closed. */
export async function withBrowser(script) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM, args: FLAGS, headless: true,
  });
  try {
    await script(browser);
  } catch (error) {
    console.log(error.stack);
    process.exitCode = 1;
  } finally {
    await browser.close();
    process.stdin.destroy();
  }
}

/** A page at `url`; what it asks of others than its sidecar, and its errors, are in `seen`. */
export async function open(browser, url, options = {}, sidecar = url) {
  const viewport = { width: 1280, height: 900 };
  const context = await browser.newContext({ viewport, ...options });
  const page = await context.newPage();
  const { origin } = new URL(sidecar);
  page.seen = { elsewhere: [], errors: [], changes: [] };
  context.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith("data:")) {
      page.seen.elsewhere.push(request.url());
    }
    if (request.method() !== "GET") {
      page.seen.changes.push(`${request.method()} ${new URL(request.url()).pathname}`);
    }
  });
  page.on("pageerror", (error) => page.seen.errors.push(String(error)));
  page.on("console", (message) => {
    // A refused or lost request is an error of the browser's console, and expected in some tests.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
      page.seen.errors.push(message.text());
    }
  });
  await page.goto(url);
  return page;
}

/** Fails if the page did what no page may do. */
export function assertClean(page) {
  assert.deepEqual(page.seen.elsewhere, [], "it asks nobody else");
  assert.deepEqual(page.seen.errors, [], "it has no error");
}

export const text = (page, selector) => page.locator(selector).innerText();

/** Waits until the first line has this severity (`*`: any but `ok`) and these words; returns it. */
export async function headline(page, severity, words, patience = PATIENCE) {
  let last = "";
  return until(`the first line is ${severity} with ${words}`, async () => {
    const [kind, what] = await page.evaluate(() => [
      document.getElementById("headline").dataset.severity,
      document.getElementById("what").innerText,
    ]);
    if (last !== `${kind}: ${what}`) {
      last = `${kind}: ${what}`;
      console.log(`first line: ${last}`);
    }
    const fits = severity === "*" ? !["ok", "unknown"].includes(kind) : kind === severity;
    return fits && words.every((word) => what.includes(word)) && what;
  }, patience);
}

/** The violations of WCAG 2.2 A and AA that axe finds, each as a text. */
export async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const { violations: list } = await globalThis.axe.run(document, { runOnly: tags });
    return list.map(({ id, nodes }) => [id, nodes.map((n) => [n.target, n.failureSummary])]);
  });
  return found.map((one) => JSON.stringify(one));
}

/** The state of each vBucket of the first bucket, as the page has drawn it. */
export const gridText = (page) => page.locator(".cells").first().getAttribute("aria-valuetext");

/** Waits until nothing is wider than a window of this width. */
export async function assertFits(page, width) {
  await page.setViewportSize({ width, height: 800 });
  await until(`the page fits a window of ${width}`, async () => (
    await page.evaluate(() => document.documentElement.scrollWidth)) <= width);
}

/** Writes a picture where somebody asked for pictures. */
export async function picture(page, name, options = {}) {
  const folder = process.env.DASHBOARD_PICTURES;
  if (folder) {
    await page.screenshot({ path: `${folder}/${name}.png`, ...options });
  }
}
