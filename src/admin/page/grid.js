// All vBuckets of a bucket as cells. Only cells whose state has changed are drawn. The grid is one
// slider for the keyboard and for screen readers, whose value is a vBucket and whose text is its
// state: a thousand elements would be slow for both.

const CELL_MIN = 9;
const CELL_MAX = 18;
const GAP = 1;
/** The legend begins with what is wrong. */
const STATE_RANKS = { error: 0, warning: 1, notice: 2, ok: 3, idle: 4 };

/** Columns and size of a cell for a width: a power of two, so that rows begin at round numbers. */
function gridLayout(width, vbuckets) {
  const fits = [128, 64, 32, 16].find((columns) => columns * (CELL_MIN + GAP) <= width) ?? 16;
  const columns = Math.min(fits, Math.max(16, vbuckets));
  const cell = Math.max(4, Math.min(CELL_MAX, Math.floor(width / columns) - GAP));
  return { columns, cell, rows: Math.ceil(vbuckets / columns) };
}

class Grid {
  constructor(bucket, onSelect) {
    Object.assign(this, { bucket, onSelect, states: "", drawn: "", layout: null, at: 0 });
    Object.assign(this, { selected: null, told: null });
    this.title = h("h3", {}, bucket);
    this.legend = h("ul", { class: "legend", "aria-label": `States of ${bucket}` });
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.cursor = h("div", { class: "cursor", hidden: true });
    this.tip = h("div", { class: "tip", hidden: true });
    this.surface = h("div", {
      class: "cells", tabindex: "0", role: "slider", "aria-label": `vBuckets of ${bucket}`,
      "aria-valuemin": 0, "aria-orientation": "horizontal",
    }, this.canvas, this.cursor, this.tip);
    this.element = h("div", { class: "grid" }, this.title, this.legend, this.surface);
    this.surface.addEventListener("keydown", (event) => this.key(event));
    this.surface.addEventListener("pointermove", (event) => this.hover(event));
    this.surface.addEventListener("pointerleave", () => this.tell(null));
    this.surface.addEventListener("click", (event) => this.click(event));
    this.surface.addEventListener("focus", () => this.moveTo(this.at));
    this.surface.addEventListener("blur", () => this.tell(null));
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  /** Shows the states of an overview. */
  show(bucket) {
    const vbuckets = bucket.vbuckets ?? bucket.states?.length ?? 0;
    const states = (bucket.states ?? "").padEnd(vbuckets, UNKNOWN).slice(0, vbuckets);
    const resized = states.length !== this.states.length;
    this.states = states;
    setAttribute(this.surface, "aria-valuemax", Math.max(0, vbuckets - 1));
    this.at = Math.min(this.at, Math.max(0, vbuckets - 1));
    if (resized) {
      this.resize();
    } else {
      this.draw();
    }
    this.showLegend();
    this.speak();
  }

  /** Fits the cells to the width, and draws all. */
  resize() {
    const width = this.element.clientWidth;
    if (width === 0 || this.states === "") {
      return;
    }
    const layout = gridLayout(width, this.states.length);
    const ratio = window.devicePixelRatio || 1;
    const { columns, rows, cell } = layout;
    const [wide, high] = [columns * (cell + GAP) - GAP, rows * (cell + GAP) - GAP];
    this.canvas.width = Math.round(wide * ratio);
    this.canvas.height = Math.round(high * ratio);
    this.canvas.style.width = `${wide}px`;
    this.canvas.style.height = `${high}px`;
    this.surface.style.width = `${wide}px`;
    this.cursor.style.width = `${cell}px`;
    this.cursor.style.height = `${cell}px`;
    this.layout = { ...layout, ratio };
    this.redraw();
    this.moveCursor();
    this.tell(this.told);
  }

  /** Draws all cells anew, as after a change of colours. */
  redraw() {
    if (this.layout) {
      this.sprites = new Sprites(Math.round(this.layout.cell * this.layout.ratio));
      this.drawn = "";
      this.legendText = "";
      this.draw();
      this.showLegend();
    }
  }

  place(vb) {
    const { columns, cell } = this.layout;
    return [(vb % columns) * (cell + GAP), Math.floor(vb / columns) * (cell + GAP)];
  }

  draw() {
    if (!this.layout || this.drawn === this.states) {
      return;
    }
    const context = this.canvas.getContext("2d");
    const { ratio } = this.layout;
    for (let vb = 0; vb < this.states.length; vb += 1) {
      if (this.states[vb] !== this.drawn[vb]) {
        const [x, y] = this.place(vb);
        context.drawImage(this.sprites.of(this.states[vb]), Math.round(x * ratio),
          Math.round(y * ratio));
      }
    }
    this.drawn = this.states;
  }

  /** The states that occur, with their numbers; each leads to the next vBucket in that state. */
  showLegend() {
    const rank = ([char]) => STATE_RANKS[LEGEND.get(char)?.severity] ?? 2;
    const numbers = statesOf(Array.from(this.states, (_, vb) => vb), this.states)
      .sort((a, b) => rank(a) - rank(b) || b[1] - a[1]);
    const text = JSON.stringify(numbers) + LEGEND.size;
    if (text === this.legendText || !this.sprites) {
      return;
    }
    this.legendText = text;
    const make = ([char]) => {
      const number = h("span", { class: "number" });
      const picture = h("canvas", { width: 14, height: 14, "aria-hidden": "true" });
      const button = h("button", {
        type: "button", click: () => this.next(char), title: LEGEND.get(char)?.meaning ?? "",
      }, picture, number);
      const item = h("li", {}, button);
      item.parts = { number, picture, button };
      return item;
    };
    const update = (item, [char, number]) => {
      const { picture } = item.parts;
      const ratio = window.devicePixelRatio || 1;
      picture.width = 14 * ratio;
      picture.height = 14 * ratio;
      drawCell(picture.getContext("2d"), char, picture.width, this.sprites.colours);
      setText(item.parts.number, `${count(number)} ${stateWord(char)}`);
      setAttribute(item.parts.button, "title", LEGEND.get(char)?.meaning ?? "");
    };
    keyed(this.legend, numbers, ([char]) => char, make, update);
  }

  next(char) {
    const from = (this.selected ?? -1) + 1;
    const after = this.states.indexOf(char, from);
    this.select(after >= 0 ? after : this.states.indexOf(char));
  }

  key(event) {
    const { columns } = this.layout ?? { columns: 1 };
    const last = this.states.length - 1;
    const steps = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns,
      PageUp: -columns * 4, PageDown: columns * 4, Home: -last, End: last,
    };
    if (event.key === "Enter" || event.key === " ") {
      this.select(this.at);
    } else if (event.key in steps && !event.ctrlKey && !event.altKey && !event.metaKey) {
      const to = this.at + steps[event.key];
      const row = event.key === "ArrowUp" || event.key === "ArrowDown";
      this.select(row && (to < 0 || to > last) ? this.at : Math.min(last, Math.max(0, to)));
    } else {
      return;
    }
    event.preventDefault();
  }

  /** The vBucket under the pointer, null beside the cells. */
  under(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    const { columns, cell } = this.layout;
    const column = Math.floor((event.clientX - left) / (cell + GAP));
    const vb = Math.floor((event.clientY - top) / (cell + GAP)) * columns + column;
    return column >= 0 && column < columns && this.states[vb] ? vb : null;
  }

  hover(event) {
    this.tell(this.layout ? this.under(event) : null);
  }

  click(event) {
    const vb = this.layout ? this.under(event) : null;
    if (vb !== null) {
      this.select(vb);
    }
  }

  /** Shows number and state of a cell beside it. */
  tell(vb) {
    this.told = vb;
    this.tip.hidden = vb === null;
    if (vb !== null) {
      const [x, y] = this.place(vb);
      setText(this.tip, this.words(vb));
      const room = this.surface.clientWidth - this.tip.offsetWidth;
      this.tip.style.left = `${Math.max(0, Math.min(room, x))}px`;
      this.tip.style.top = `${y + this.layout.cell + 4}px`;
    }
  }

  words(vb) {
    return `vBucket ${vb}: ${stateWord(this.states[vb])}`;
  }

  speak() {
    setAttribute(this.surface, "aria-valuenow", this.at);
    setAttribute(this.surface, "aria-valuetext", this.words(this.at));
  }

  moveTo(vb) {
    this.at = vb;
    this.speak();
    if (this.layout) {
      this.moveCursor();
      this.tell(vb);
    }
  }

  moveCursor() {
    this.cursor.hidden = this.selected === null;
    if (this.selected !== null && this.layout) {
      const [x, y] = this.place(this.selected);
      this.cursor.style.transform = `translate(${x}px, ${y}px)`;
    }
  }

  select(vb) {
    this.selected = vb;
    this.moveTo(vb);
    this.tell(document.activeElement === this.surface ? vb : null);
    this.onSelect(this.bucket, vb);
  }

  deselect() {
    this.selected = null;
    this.moveCursor();
  }
}
