// The figures of the last hour: from the sidecar's history, then from each answer. One slot of a
// series is one interval; a slot without a figure is a gap, never 0.

const SLOTS = 720;

/** A series of slots on the clock of the sidecar. Pure. */
class Series {
  constructor(interval) {
    this.interval = interval;
    /** Slot number on the clock: [sum, how many], or the largest. */
    this.values = new Map();
    this.newest = null;
    this.version = 0;
  }

  slot(at) {
    return Math.floor(at / this.interval);
  }

  /** Adds a figure; of several in a slot, `largest` keeps the largest, else their mean is shown. */
  add(at, value, largest) {
    const slot = this.slot(at);
    if (!Number.isFinite(value)) {
      return;
    }
    const [sum, many] = this.values.get(slot) ?? [0, 0];
    this.values.set(slot, largest ? [Math.max(sum, value), 1] : [sum + value, many + 1]);
    this.version += 1;
    if (this.newest === null || slot > this.newest) {
      this.newest = slot;
      for (const old of this.values.keys()) {
        if (old > slot - SLOTS) {
          break;
        }
        this.values.delete(old);
      }
    }
  }

  /** The figures of the slots from `first` to `last`, null for a gap. */
  between(first, last) {
    const found = [];
    for (let slot = first; slot <= last; slot += 1) {
      const [sum, many] = this.values.get(slot) ?? [0, 0];
      found.push(many > 0 ? sum / many : null);
    }
    return found;
  }

  /** The oldest slot that has a figure. */
  oldest() {
    let oldest = null;
    for (const slot of this.values.keys()) {
      oldest = oldest === null || slot < oldest ? slot : oldest;
    }
    return oldest;
  }
}

/** All series: by key of a link, and under "" those of all links together. */
const HISTORY = { interval: 5000, series: new Map() };
/** Which of several figures counts: the mean of rates, the largest lag. */
const LARGEST = { bytes: false, lag: true };

function seriesOf(key, what) {
  let both = HISTORY.series.get(key);
  if (!both) {
    both = { bytes: new Series(HISTORY.interval), lag: new Series(HISTORY.interval) };
    HISTORY.series.set(key, both);
  }
  return both[what];
}

/** Sum of the known figures, largest of the known figures; null where none is known. */
function together(figures, what) {
  const known = figures.filter(Number.isFinite);
  if (known.length === 0) {
    return null;
  }
  return LARGEST[what] ? Math.max(...known) : known.reduce((sum, one) => sum + one, 0);
}

/** Takes the answer of `/api/v1/history` in place of all that was there. */
function takeHistory(answer) {
  HISTORY.interval = answer.interval_ms;
  HISTORY.series.clear();
  const at = Date.parse(answer.at ?? "");
  const totals = { bytes: new Map(), lag: new Map() };
  for (const link of answer.links) {
    for (const [what, samples] of [
      ["bytes", link.samples.bytes_per_s], ["lag", link.samples.lag_ms],
    ]) {
      const series = seriesOf(linkKey(link), what);
      samples.forEach((value, place) => {
        const then = at - (samples.length - 1 - place) * answer.interval_ms;
        series.add(then, value ?? NaN, LARGEST[what]);
        const figures = totals[what].get(then) ?? [];
        figures.push(value ?? NaN);
        totals[what].set(then, figures);
      });
    }
  }
  for (const what of ["bytes", "lag"]) {
    for (const [then, figures] of [...totals[what]].sort(([a], [b]) => a - b)) {
      seriesOf("", what).add(then, together(figures, what) ?? NaN, LARGEST[what]);
    }
  }
  const out = answer.left_out;
  const many = Array.isArray(out) ? out.length : Number(out ?? 0);
  setText(byId("left-out"), many > 0 ? `${plural(many, "link")} without history` : "");
}

/** Adds the figures of an overview, and forgets links that are gone. */
function addToHistory(overview) {
  const at = Date.parse(overview.at);
  const present = new Set([""]);
  for (const link of overview.links) {
    const key = linkKey(link);
    present.add(key);
    seriesOf(key, "bytes").add(at, ms(link.bytes_per_s), false);
    seriesOf(key, "lag").add(at, ms(link.lag_ms), true);
  }
  for (const [what, name] of [["bytes", "bytes_per_s"], ["lag", "lag_ms"]]) {
    const figures = overview.links.map((link) => ms(link[name]));
    seriesOf("", what).add(at, together(figures, what) ?? NaN, LARGEST[what]);
  }
  for (const key of HISTORY.series.keys()) {
    if (!present.has(key)) {
      HISTORY.series.delete(key);
    }
  }
}
