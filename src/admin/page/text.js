// How values are written, and the small tools that make elements. Text of the sidecar, of peers
// and of users reaches the page through textContent and attributes alone: the policy of the page
// (require-trusted-types-for) refuses markup from strings.

"use strict";

const UNKNOWN = "?";

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** A whole number with separators; `?` where it is unknown. */
function count(number) {
  return Number.isFinite(number) ? WHOLE.format(number) : UNKNOWN;
}

/** A number with at most three digits that matter, with a prefix of the unit. */
function scaled(number, units, step) {
  if (!Number.isFinite(number)) {
    return UNKNOWN;
  }
  let [value, at] = [number, 0];
  while (Math.abs(value) >= step && at < units.length - 1) {
    value /= step;
    at += 1;
  }
  const digits = at === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[at]}`;
}

const bytes = (number) => scaled(number, ["B", "kB", "MB", "GB", "TB"], 1000);
const bytesPerSecond = (number) => scaled(number, ["B/s", "kB/s", "MB/s", "GB/s"], 1000);

/** A rate of things: 12/s, 0.4/s, 12,000/s. */
function perSecond(number) {
  if (!Number.isFinite(number)) {
    return UNKNOWN;
  }
  return number > 0 && number < 10 ? `${number.toFixed(1)}/s` : `${count(number)}/s`;
}

/** A length of time in its two largest units: 0.4 s, 12 s, 2 min 4 s, 5 h 3 min, 2 d 4 h. */
function duration(ms) {
  if (!Number.isFinite(ms)) {
    return UNKNOWN;
  }
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) {
    return seconds === 0 ? "0 s" : `${Math.max(0.1, seconds).toFixed(1)} s`;
  }
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let left = Math.round(seconds);
  const written = [];
  for (const [unit, size] of parts) {
    const whole = Math.floor(left / size);
    left -= whole * size;
    if (whole > 0) {
      written.push([`${whole} ${unit}`, size]);
    }
  }
  const [[first, size], second] = written;
  const next = parts.findIndex(([, s]) => s === size) + 1;
  return second && second[1] === parts[next]?.[1] ? `${first} ${second[0]}` : first;
}

/** The time of day of the reader, with the date if that is not today. */
function clock(ms, now) {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) {
    return UNKNOWN;
  }
  const two = (number) => String(number).padStart(2, "0");
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
  if (at.toDateString() === new Date(now).toDateString()) {
    return time;
  }
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

/** `1 vBucket`, `2 vBuckets`. */
function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** Characters that cannot be seen, or that turn the text around them; lines and tabs may be. */
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g;

/** Shows the controls in a text as what they are: characters that nobody can read. */
const visible = (text) => text.replace(CONTROLS, "\ufffd");

/** Writes the text of an element if it is another one. */
function setText(element, text) {
  const shown = visible(text);
  if (element.textContent !== shown) {
    element.textContent = shown;
  }
}

/** Sets an attribute if it has another value; null removes it. */
function setAttribute(element, name, value) {
  if (value === null) {
    element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, value);
  }
}

/** Makes an element with attributes and children; text stays text. */
function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "g", "text", "rect", "circle"].includes(tag);
  const element = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name, value);
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.map((one) => (typeof one === "string" ? visible(one) : one)));
  return element;
}

const byId = (id) => document.getElementById(id);

/** The children that `keyed` made of an element, by key. */
const KEYED = new WeakMap();

/** Makes the children of `parent` follow `items`: only what is new, gone or moved is touched. */
function keyed(parent, items, key, make, update) {
  const before = KEYED.get(parent) ?? new Map();
  const now = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    let id = key(item);
    while (now.has(id)) {
      id += "+";
    }
    const child = before.get(id) ?? make(item);
    before.delete(id);
    now.set(id, child);
    update(child, item);
    if (child === place) {
      place = place.nextSibling;
    } else {
      parent.insertBefore(child, place);
    }
  }
  before.forEach((child) => child.remove());
  KEYED.set(parent, now);
}
