// The events of the sidecar: those after the last one that was read are asked for whenever the
// overview names a newer one. A stream would hold one of the six connections that a browser has to
// the sidecar for all its tabs together.

const EVENTS_MAX = 300;
const LEVELS = { info: 0, warn: 1, error: 2 };
const LEVEL_WORDS = { info: "info", warn: "WARN", error: "ERROR" };

/** An empty row of an event. */
function eventRow() {
  const parts = {
    time: h("time"), level: h("span", { class: "level" }), kind: h("span", { class: "kind" }),
    text: h("span", { class: "text" }), where: h("span", { class: "muted" }),
  };
  const row = h("li", {}, parts.time, parts.level, parts.kind, parts.text, parts.where);
  row.parts = parts;
  return row;
}

function showEvent(row, event) {
  const { parts } = row;
  const at = Date.parse(event.time ?? "");
  setText(parts.time, Number.isNaN(at) ? UNKNOWN : clock(at, sidecarNow()));
  setAttribute(parts.time, "datetime", event.time ?? "");
  setAttribute(row, "data-level", event.level);
  setText(parts.level, LEVEL_WORDS[event.level] ?? String(event.level));
  setText(parts.kind, event.kind);
  const more = event.more > 0 ? ` (and ${count(event.more)} like it)` : "";
  setText(parts.text, `${event.text}${more}`);
  const named = [event.bucket, event.link, event.node].filter(Boolean);
  if (event.vbuckets) {
    named.push(`vBuckets ${event.vbuckets}`);
  }
  setText(parts.where, named.join(" \u00b7 "));
}

/** A place where events are missing, as a row. */
function gapEvent(gap) {
  const why = gap.reason === "restarted" ? "the sidecar was restarted"
    : "they are not kept any more";
  const many = Number.isFinite(gap.missed) ? plural(gap.missed, "event") : "events";
  return {
    id: `gap ${performance.now()}`, time: new Date(sidecarNow()).toISOString(), level: "warn",
    kind: "gap", text: `${many} of an earlier time cannot be shown: ${why}`, more: 0,
  };
}

class EventLog {
  constructor() {
    this.events = [];
    this.known = new Set();
    /** What has been read up to, and the newest event of the overview at that time. */
    this.last = null;
    this.newest = null;
    this.isAsking = false;
    this.isDue = false;
    this.level = byId("events-level");
    this.level.addEventListener("change", () => this.draw());
  }

  take(event) {
    if (event.id && !this.known.has(event.id)) {
      this.known.add(event.id);
      this.events.push(event);
      if (this.events.length > EVENTS_MAX) {
        this.events.splice(0, this.events.length - EVENTS_MAX)
          .forEach((old) => this.known.delete(old.id));
      }
    }
    if (!this.isDue) {
      this.isDue = true;
      requestAnimationFrame(() => this.draw());
    }
  }

  draw() {
    this.isDue = false;
    const least = LEVELS[this.level.value];
    const shown = this.events.filter((event) => (LEVELS[event.level] ?? 0) >= least).reverse();
    keyed(byId("events"), shown, (event) => event.id, eventRow, showEvent);
  }

  say(text) {
    setText(byId("events-state"), text);
  }

  /** Asks for what is new, where an overview has named another newest event than the last one. */
  async tick(newest) {
    if (this.isAsking || newest === this.newest) {
      return;
    }
    this.isAsking = true;
    try {
      const after = this.last === null ? "" : `&after=${encodeURIComponent(this.last)}`;
      const { gap, events, next } = await ask(`/api/v1/events?follow=false${after}`);
      if (gap) {
        this.take(gapEvent(gap));
      }
      events.forEach((event) => this.take(event));
      this.last = next;
      this.newest = newest;
      this.say("live");
    } catch (error) {
      this.say(`not read: ${error.message}`);
    } finally {
      this.isAsking = false;
    }
  }
}
