// What changes something: not without the token, not without a confirmation that says what will
// happen, and then as it was said.

import assert from "node:assert/strict";
import { assertClean, headline, open, text, until, withBrowser } from "./lib.mjs";

const [, , url] = process.argv;
const [base, token] = url.split("#token=");

const legend = (page) => text(page, ".legend");

/** Waits until the dialog of an action can be confirmed with a button that says so. */
async function confirmable(page, label) {
  await until(`the button is "${label}"`, async () => (
    (await text(page, "#action-do")) === label && page.isEnabled("#action-do")));
}

/** Without the token: nothing is sent, and whoever wants to is asked for it. */
async function withoutToken(browser) {
  const page = await open(browser, base);
  await headline(page, "ok", ["everything is replicated"]);
  assert.equal(await text(page, "#token-button"), "Actions need the token");
  for (const button of ["#buckets button >> nth=0", "#links button", "[data-action=reload]"]) {
    await page.click(button);
    await page.waitForSelector("#token-dialog[open]");
    assert.equal(await page.locator("#action[open]").count(), 0, `${button} asks for the token`);
    await page.keyboard.press("Escape");
    await page.waitForSelector("#token-dialog", { state: "hidden" });
  }
  assert.deepEqual(page.seen.changes, [], "nothing was sent");
  // The sidecar refuses all the same, whoever asks.
  for (const [path, body] of [
    ["/api/v1/buckets/default/pause", {}], ["/reload", {}], ["/shutdown", {}],
    ["/api/v1/buckets/default/takeover", { from: "alpha", vbuckets: "0" }],
    ["/api/v1/buckets/default/restart", { vbuckets: "0" }],
  ]) {
    const status = await page.evaluate(async ([to, what]) => (
      await fetch(to, { method: "POST", body: JSON.stringify(what) })).status, [path, body]);
    assert.equal(status, 401, path);
  }
  // A wrong one is refused before anything is asked with it.
  await page.click("#token-button");
  await page.fill("#token-text", "wrong");
  await page.keyboard.press("Enter");
  await until("it is refused", async () => (await text(page, "#token-error")).includes("refuses"));
  // The whole address, as it is printed, does too.
  await page.fill("#token-text", url);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#token-dialog", { state: "hidden" });
  assert.equal(await text(page, "#token-button"), "Actions unlocked");
  assertClean(page);
  await page.context().close();
}

/** The token leaves the address at once, and is nowhere in the page. */
async function tokenIsHidden(page) {
  assert.equal(await page.evaluate(() => location.href), base);
  assert.ok(!(await page.content()).includes(token), "the token is not in the page");
  await until("it is unlocked", async () => (
    await text(page, "#token-button")) === "Actions unlocked");
}

async function pauseAndResume(page) {
  await page.click("#buckets button:has-text('Pause')");
  await confirmable(page, "Pause 64 streams");
  await page.fill("#field-vbuckets", "0-3,3");
  await until("a wrong set is said", async () => (
    await text(page, "#action-says")).includes("named twice"));
  assert.ok(await page.isDisabled("#action-do"));
  await page.fill("#field-vbuckets", "0-3");
  await confirmable(page, "Pause 4 streams");
  const says = await text(page, "#action-says");
  assert.match(says, /Bucket default: closes 4 streams from alpha \(0-3\)\./);
  const dryRuns = page.seen.changes.length;
  assert.equal(await legend(page), "64 open\n960 not wanted");
  await page.click("#action-do");
  await until("it is done", async () => (await text(page, "#action-answer")).includes("Done: 60"));
  await page.click("#action-cancel");
  assert.equal(page.seen.changes.length, dryRuns + 1, "one request");
  await until("the grid shows it", async () => (await legend(page)).includes("4 paused"));
  assert.match(await text(page, "#last-action"), /Pause 4 streams: done/);
  await until("the drift is shown", async () => (
    await text(page, "#drift-rows")).includes("vBuckets 0-3 paused"));
  await page.click("#buckets button:has-text('Resume')");
  await confirmable(page, "Resume 4 streams");
  await page.click("#action-do");
  await until("it is done", async () => (await text(page, "#action-answer")).includes("Done: 64"));
  await page.click("#action-cancel");
  await until("all are open", async () => (await legend(page)) === "64 open\n960 not wanted");
}

/** Cancelling does nothing; restarts and a reload answer. */
async function restartAndReload(page) {
  const sent = () => page.seen.changes.filter((change) => change.endsWith("/restart")).length;
  await page.click("#links button");
  await confirmable(page, "Restart the link and 64 streams");
  await page.keyboard.press("Escape");
  await page.waitForSelector("#action", { state: "hidden" });
  assert.equal(sent(), 0, "Escape sends nothing");
  await page.click("#links button");
  await confirmable(page, "Restart the link and 64 streams");
  await page.click("#action-do");
  await until("it is open again", async () => (
    await text(page, "#action-answer")).includes("Done: 64 streams open"));
  await page.click("#action-cancel");
  assert.equal(sent(), 1);
  await page.click("[data-action=reload]");
  await confirmable(page, "Reload");
  await page.click("#action-do");
  await until("it is read", async () => (await text(page, "#action-answer")).includes("In force"));
  await page.click("#action-cancel");
}

/** One vBucket is taken over from its details; a failure is shown as it is. */
async function takeOver(page) {
  await page.fill("#search-text", "5");
  await page.press("#search-text", "Enter");
  await page.click("#detail button:has-text('Take over')");
  await confirmable(page, "Take over 1 vBucket");
  assert.match(await text(page, "#action-says"),
    /1 vBucket of bucket default \(5\) becomes active at beta and dead at alpha/);
  await page.click("#action-do");
  await until("it is moved", async () => (
    await text(page, "#action-answer")).includes("1 vBucket moved"));
  await page.click("#action-cancel");
  await until("it is active here", async () => (await legend(page)).includes("1 active here"));
  await page.fill("#search-text", "6");
  await page.press("#search-text", "Enter");
  await page.click("#detail button:has-text('Restart')");
  await page.fill("#field-vbuckets", "900");
  await confirmable(page, "Restart 1 stream");
  await page.click("#action-do");
  const failed = await until("the failure is shown", async () => {
    const answer = await text(page, "#action-answer");
    return !answer.includes("Asked") && answer;
  });
  assert.match(failed, /900/);
  await page.click("#action-cancel");
  assert.match(await text(page, "#last-action"), /FAILED/);
}

await withBrowser(async (browser) => {
  await withoutToken(browser);
  const page = await open(browser, url);
  await headline(page, "ok", ["everything is replicated"]);
  await tokenIsHidden(page);
  await pauseAndResume(page);
  await restartAndReload(page);
  await takeOver(page);
  assertClean(page);
});
