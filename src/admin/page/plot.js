// Plots in plain SVG: a line and the area under it. A gap is a time of which nothing is known. A
// library would add ten times the code for axes and zoom that nobody needs here.

/** The plot shows the shortest of these that holds all figures, in minutes. */
const WINDOWS = [2, 5, 15, 60];
const PLOT_HEIGHT = 132;
const MARGIN = { left: 62, right: 10, top: 10, bottom: 22 };
const SPARK = { width: 110, height: 22 };

/** The figures of all links: every plot shows the time that they have, so that plots compare. */
const totals = () => [seriesOf("", "bytes"), seriesOf("", "lag")];

/** First and last slot to show, and the minutes that they are; `among` are to fit in. */
function plotWindow(series, now, among = [series]) {
  const last = series.slot(now);
  const slots = (minutes) => Math.ceil((minutes * 60000) / series.interval);
  const oldest = Math.min(...among.map((one) => one.oldest() ?? last));
  const minutes = WINDOWS.find((m) => last - oldest < slots(m)) ?? WINDOWS.at(-1);
  return { first: last - slots(minutes) + 1, last, minutes };
}

/** At most `columns` figures: the largest of those that share one. */
function squeeze(values, columns) {
  if (values.length <= columns) {
    return values;
  }
  const found = new Array(columns).fill(null);
  values.forEach((value, at) => {
    const column = Math.floor((at * columns) / values.length);
    if (value !== null) {
      found[column] = Math.max(found[column] ?? 0, value);
    }
  });
  return found;
}

/** Runs of figures without a gap: [[place, value], ...]. */
function runsOf(values) {
  const runs = [];
  let before = null;
  values.forEach((value, at) => {
    if (value !== null) {
      if (before === null) {
        runs.push([]);
      }
      runs.at(-1).push([at, value]);
    }
    before = value;
  });
  return runs;
}

/** The paths of a line and its area, in a box of this size with `top` as the largest figure. */
function paths(values, { left, right, upper, lower }, top) {
  const step = values.length > 1 ? (right - left) / (values.length - 1) : 0;
  const x = (at) => (left + at * step).toFixed(1);
  const y = (value) => (lower - (top > 0 ? value / top : 0) * (lower - upper)).toFixed(1);
  let [line, area] = ["", ""];
  for (const run of runsOf(values)) {
    const points = run.map(([at, value]) => `${x(at)} ${y(value)}`).join("L");
    line += run.length === 1 ? `M${points}h.1` : `M${points}`;
    area += `M${x(run[0][0])} ${lower}L${points}L${x(run.at(-1)[0])} ${lower}z`;
  }
  return { line, area };
}

/** The least of 1, 2 or 5 times a power of ten that is not less. */
function niceTop(value) {
  if (!(value > 0)) {
    return 1;
  }
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((top) => top >= value * 0.999999);
}

/** The top of an axis of time: seconds, then whole minutes, then whole hours. */
function niceTimeTop(value) {
  const tops = [1000, 2000, 5000, 10000, 30000, 60000, 120000, 300000, 600000, 1800000, 3600000];
  return tops.find((top) => top >= value) ?? Math.ceil(value / 3600000) * 3600000;
}

/** A small plot in a cell; returns what updates it. */
function makeSpark(cell) {
  const line = h("path", { class: "line" });
  const base = `M0 ${SPARK.height - 1.5}H${SPARK.width}`;
  const svg = h("svg", {
    class: "spark", viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, width: SPARK.width,
    height: SPARK.height, "aria-hidden": "true",
  }, h("path", { class: "base", d: base }), line);
  cell.append(svg);
  return (series) => {
    const { first, last } = plotWindow(series, sidecarNow(), totals());
    const values = squeeze(series.between(first, last), SPARK.width);
    const top = Math.max(...values.map((value) => value ?? 0));
    const box = { left: 1, right: SPARK.width - 1, upper: 2, lower: SPARK.height - 2 };
    setAttribute(line, "d", paths(values, box, top).line);
  };
}

/** A plot with axes; `write` makes the text of a figure, `topOf` the top of the axis. */
class Plot {
  constructor(place, what, name, write, topOf) {
    Object.assign(this, { what, name, write, topOf, key: "", width: 0, shown: null });
    this.figures = h("span", { class: "figures" });
    this.label = h("strong");
    this.svg = h("svg", { role: "img", height: PLOT_HEIGHT, class: "plot" });
    this.figure = h(
      "figure", {}, h("figcaption", {}, this.label, " ", this.figures), this.svg,
    );
    this.area = h("path", { class: "area" });
    this.line = h("path", { class: "line" });
    this.cross = h("line", { class: "cross", y1: MARGIN.top, y2: PLOT_HEIGHT - MARGIN.bottom });
    this.axes = h("g");
    this.svg.append(this.axes, this.area, this.line, this.cross);
    place.append(this.figure);
    this.svg.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.svg.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(([entry]) => {
      this.width = Math.floor(entry.contentRect.width);
      setAttribute(this.svg, "viewBox", `0 0 ${this.width} ${PLOT_HEIGHT}`);
      setAttribute(this.svg, "width", this.width);
      this.show();
    }).observe(this.figure);
    this.pointed = null;
  }

  box() {
    return {
      left: MARGIN.left, right: Math.max(MARGIN.left + 10, this.width - MARGIN.right),
      upper: MARGIN.top, lower: PLOT_HEIGHT - MARGIN.bottom,
    };
  }

  show() {
    if (this.width === 0) {
      return;
    }
    const series = seriesOf(this.key, this.what);
    const now = sidecarNow();
    const { first, last, minutes } = plotWindow(series, now, totals());
    const values = series.between(first, last);
    const known = values.filter((value) => value !== null);
    const highest = known.length > 0 ? Math.max(...known) : NaN;
    const box = this.box();
    const top = this.topOf(Number.isFinite(highest) ? highest : 0);
    const { line, area } = paths(squeeze(values, box.right - box.left), box, top);
    setAttribute(this.line, "d", line);
    setAttribute(this.area, "d", area);
    this.showAxes(box, top, minutes);
    const newest = values.slice(-2).filter((value) => value !== null).at(-1) ?? NaN;
    const last_ = `now ${this.write(newest)}, highest ${this.write(highest)}`;
    const text = `${last_} in ${minutes} min`;
    this.shown = { values, first, interval: series.interval, now, text };
    setAttribute(this.svg, "aria-label", `${this.label.textContent}: ${text}`);
    setAttribute(this.svg, "data-points", known.length);
    if (this.pointed === null) {
      setText(this.figures, text);
    } else {
      this.point(this.pointed);
    }
  }

  /** Draws grid lines and their texts, if they are others than before. */
  showAxes(box, top, minutes) {
    const state = `${this.width} ${top} ${minutes}`;
    if (this.axesState === state) {
      return;
    }
    this.axesState = state;
    const parts = [];
    for (const part of [0, 0.5, 1]) {
      const y = box.lower - part * (box.lower - box.upper);
      parts.push(h("line", { x1: box.left, x2: box.right, y1: y, y2: y }));
      const at = { x: box.left - 6, y: y + 4, "text-anchor": "end" };
      parts.push(h("text", at, part === 0 ? "0" : this.write(top * part)));
    }
    for (const part of [0, 0.5, 1]) {
      const x = box.left + part * (box.right - box.left);
      const anchor = part === 0 ? "start" : part === 1 ? "end" : "middle";
      const ago = part === 1 ? "now" : `-${minutes * (1 - part)} min`;
      parts.push(h("text", { x, y: PLOT_HEIGHT - 5, "text-anchor": anchor }, ago));
    }
    this.axes.replaceChildren(...parts);
  }

  /** Says the figure under the pointer; null where there is none. */
  point(x) {
    this.pointed = x;
    const { shown } = this;
    if (x === null || shown === null) {
      this.cross.classList.remove("on");
      setText(this.figures, shown?.text ?? "");
      return;
    }
    const box = this.box();
    const part = Math.min(1, Math.max(0, (x - box.left) / (box.right - box.left)));
    const at = Math.round(part * (shown.values.length - 1));
    const place = box.left + (at / Math.max(1, shown.values.length - 1)) * (box.right - box.left);
    setAttribute(this.cross, "x1", place);
    setAttribute(this.cross, "x2", place);
    this.cross.classList.add("on");
    const then = (shown.first + at) * shown.interval;
    setText(this.figures, `${clock(then, shown.now)}: ${this.write(shown.values[at] ?? NaN)}`);
  }
}

/** Makes both plots; the function it returns shows an overview in them. */
function makePlots() {
  const place = byId("plots");
  const plots = [
    new Plot(place, "bytes", ["Bytes of all links", "Bytes"], bytesPerSecond, niceTop),
    new Plot(place, "lag", ["Largest lag of all links", "Lag"], duration, niceTimeTop),
  ];
  const select = byId("plotted");
  let offered = "";
  const update = () => {
    const name = select.selectedOptions[0]?.textContent ?? "";
    for (const plot of plots) {
      plot.key = select.value;
      setText(plot.label, plot.key === "" ? plot.name[0] : `${plot.name[1]} of ${name}`);
      plot.show();
    }
  };
  select.addEventListener("change", update);
  return (overview) => {
    const names = JSON.stringify(overview.links.map((link) => [linkKey(link), link.name]));
    if (names !== offered) {
      offered = names;
      const chosen = select.value;
      const options = overview.links.map((l) => h("option", { value: linkKey(l) }, l.name));
      select.replaceChildren(h("option", { value: "" }, "all links"), ...options);
      select.value = chosen;
      if (select.selectedIndex < 0) {
        select.value = "";
      }
    }
    update();
  };
}
