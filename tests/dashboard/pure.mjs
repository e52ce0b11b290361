// The pure parts of the page, file by file, in node.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import vm from "node:vm";

const FOLDER = new URL("../../src/admin/page/", import.meta.url);

/** The named functions of these files of the page, which share one scope. */
function load(files, names) {
  const text = files.map((file) => readFileSync(new URL(file, FOLDER), "utf8")).join("\n");
  return vm.runInNewContext(`${text}\n({ ${names.join(", ")} })`, { TextEncoder });
}

/** Objects of the other scope have other prototypes. */
const plain = (value) => JSON.parse(JSON.stringify(value));

test("sets of vBuckets", () => {
  const { parseSet, formatSet } = load(["text.js", "sets.js"], ["parseSet", "formatSet"]);
  for (const [written, vbs, again] of [
    ["7", [7], "7"], ["0-2,5", [0, 1, 2, 5], "0-2,5"], [" 9 , 3 - 4 ", [3, 4, 9], "3-4,9"],
    ["1022-1023", [1022, 1023], "1022-1023"],
  ]) {
    assert.deepEqual(plain(parseSet(written)), vbs, written);
    assert.equal(formatSet(vbs), again);
  }
  for (const [written, why] of [
    ["", /no vBucket/], ["a", /no vBucket/], ["1024", /out of range/], ["5-3", /out of range/],
    ["1,1", /twice/], ["0-3,2", /twice/], ["-1", /no vBucket/],
  ]) {
    assert.throws(() => parseSet(written), why, written);
  }
});

test("the vBucket of a key is that of every client", () => {
  const { vbucketOf, findVbucket } = load(["text.js", "sets.js"], ["vbucketOf", "findVbucket"]);
  assert.equal(vbucketOf("hello", 1024), 528);
  assert.equal(vbucketOf("hello", 64), 16);
  assert.equal(findVbucket("7", 1024).vb, 7);
  assert.equal(findVbucket("hello", 1024).vb, 528);
  assert.equal(findVbucket('"7"', 1024).vb, vbucketOf("7", 1024));
  assert.throws(() => findVbucket("1024", 1024), /no vBucket 1024: 0 to 1023/);
  assert.throws(() => findVbucket(" ", 1024), /write a vBucket/);
});

test("a token is taken as it is pasted, or out of the address", () => {
  const { tokenIn } = load(["text.js", "ask.js"], ["tokenIn"]);
  for (const [pasted, found] of [
    [" abc ", "abc"], ["http://127.0.0.1:4870/#token=abc", "abc"], ["#token=a%20b", "a b"],
    ["see http://h/#token=abc now", "abc"], ["#token=%zz", "%zz"],
  ]) {
    assert.equal(tokenIn(pasted), found);
  }
});

test("unknown is a question mark and never 0", () => {
  const { count, bytes, perSecond, duration } = load(
    ["text.js"], ["count", "bytes", "perSecond", "duration"],
  );
  for (const write of [count, bytes, perSecond, duration]) {
    for (const unknown of [null, undefined, NaN]) {
      assert.equal(write(unknown), "?");
    }
  }
  for (const [value, text] of [[0, "0 s"], [40, "0.1 s"], [412, "0.4 s"], [12000, "12 s"],
    [124000, "2 min 4 s"], [3600000, "1 h"], [3605000, "1 h"], [90061000, "1 d 1 h"]]) {
    assert.equal(duration(value), text);
  }
  for (const [value, text] of [[0, "0 B"], [999, "999 B"], [1000, "1.00 kB"], [2.4e6, "2.40 MB"],
    [123456789, "123 MB"]]) {
    assert.equal(bytes(value), text);
  }
  assert.equal(count(1234567), "1,234,567");
  assert.equal(perSecond(0.44), "0.4/s");
});

test("silence is said within three seconds, and is not counted while nothing is asked", () => {
  const names = ["newContact", "answered", "failed", "heardNothing", "asksAgain", "verdict"];
  const { newContact, answered, failed, heardNothing, asksAgain, verdict } = load(
    ["contact.js"], names,
  );
  const kind = (contact, now) => verdict(contact, now).kind;
  const fresh = newContact(1000);
  assert.equal(kind(fresh, 1500), "waiting");
  assert.equal(kind(fresh, 4000), "silent");
  const heard = answered(fresh, 2000);
  assert.equal(kind(heard, 4000), "live");
  assert.equal(kind(heard, 4999), "silent", "less than 3 s");
  assert.equal(verdict(heard, 9000).since, 2000, "since the last answer");
  assert.equal(kind(asksAgain(heard, 60000), 61000), "live", "the tab was hidden");
  assert.equal(kind(asksAgain(heard, 60000), 63000), "silent");
  const gone = failed(heard, 3000, "Failed to fetch", null);
  const said = plain(verdict(gone, 3000));
  assert.deepEqual(said, { kind: "gone", since: 2000, why: "Failed to fetch" });
  assert.equal(kind(failed(heard, 3000, "no", 503), 3000), "error");
  assert.equal(kind(failed(fresh, 3000, "no", 401), 3000), "token");
  assert.equal(kind(heardNothing(gone), 9000), "silent", "a timeout is silence");
  assert.equal(kind(answered(gone, 5000), 5100), "live");
});

test("a series has gaps where nothing is known, and a bound", () => {
  const { Series } = load(["history.js"], ["Series"]);
  const series = new Series(5000);
  series.add(0, 10, false);
  series.add(1000, 20, false);
  series.add(10000, 5, true);
  series.add(11000, 9, true);
  series.add(12000, NaN, true);
  assert.deepEqual(plain(series.between(0, 3)), [15, null, 9, null]);
  for (let slot = 0; slot < 5000; slot += 1) {
    series.add(slot * 5000, 1, true);
  }
  assert.equal(series.values.size, 720);
});

test("plots: windows, runs between gaps, tops of axes", () => {
  const names = ["Series", "plotWindow", "runsOf", "squeeze", "niceTop", "niceTimeTop"];
  const { Series, plotWindow, runsOf, squeeze, niceTop, niceTimeTop } = load(
    ["history.js", "plot.js"], names,
  );
  const series = new Series(5000);
  assert.deepEqual(plain(plotWindow(series, 600000)), { first: 97, last: 120, minutes: 2 });
  series.add(0, 1, true);
  assert.equal(plotWindow(series, 600000).minutes, 15);
  assert.equal(plotWindow(series, 4e6).minutes, 60);
  assert.deepEqual(plain(runsOf([1, 2, null, 3])), [[[0, 1], [1, 2]], [[3, 3]]]);
  assert.deepEqual(plain(squeeze([1, 5, null, null, 2, 3], 3)), [5, null, 3]);
  assert.deepEqual([0, 0.3, 1, 42, 5e6].map(niceTop), [1, 0.5, 1, 50, 5e6]);
  assert.deepEqual([0, 1500, 61000, 3 * 3.6e6].map(niceTimeTop), [1000, 2000, 120000, 10800000]);
});

test("a vBucket that is active here and has an open stream shows both", () => {
  const { FACTS } = load(["text.js", "detail.js"], ["FACTS"]);
  const facts = (detail) => ["Active here", "Stream"]
    .map((name) => FACTS.find(([of]) => of === name)[1](detail));
  assert.deepEqual(plain(facts({ active_here: true, stream: { phase: "open" } })), ["yes", "open"]);
  assert.deepEqual(plain(facts({ active_here: false, stream: { phase: "waiting" } })), ["no", "waiting"]);
  assert.deepEqual(plain(facts({ active_here: null, stream: null })), ["?", "none"]);
});
