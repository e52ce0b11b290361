// The cells of the grid: each state has a shape of its own, so that nobody needs its colour. A
// shape is drawn once for each size and colour scheme, and copied from there. The words and the
// severities of the states are the sidecar's (the legend of its overview).

/** Lines and areas in a box of 10 by 10; `kind` chooses colours of the style sheet: `alarm` and
 * `bad` for errors of the legend, `warn` for its warnings. */
const GLYPHS = {
  o: { kind: "good", draw: () => {} },
  ".": { kind: "none", draw: (c) => dot(c, 1.1) },
  u: { kind: "alarm", draw: (c) => lines(c, [[1, 9, 9, 1], [1, 5, 5, 1], [5, 9, 9, 5]]) },
  s: { kind: "warn", draw: (c) => shape(c, [[2, 8], [5, 2], [8, 8]]) },
  r: { kind: "warn", draw: (c) => shape(c, [[7.6, 1.8], [7.6, 8.2], [2, 5]]) },
  i: { kind: "alarm", draw: (c) => shape(c, [[0, 5], [10, 5], [10, 10], [0, 10]]) },
  w: { kind: "bad", draw: (c) => lines(c, [[2.4, 2.4, 7.6, 7.6], [7.6, 2.4, 2.4, 7.6]]) },
  b: {
    kind: "bad", draw: (c) => {
      lines(c, [[2.8, 2.8, 7.2, 7.2], [7.2, 2.8, 2.8, 7.2]]);
      c.strokeRect(0.9, 0.9, 8.2, 8.2);
    },
  },
  p: { kind: "quiet", draw: (c) => lines(c, [[3.5, 2.2, 3.5, 7.8], [6.5, 2.2, 6.5, 7.8]]) },
  h: { kind: "warn", draw: (c) => lines(c, [[2.2, 5, 7.8, 5]]) },
  a: { kind: "info", draw: (c) => shape(c, [[5, 1.2], [8.8, 5], [5, 8.8], [1.2, 5]]) },
  m: { kind: "info", draw: (c) => lines(c, [[2, 5, 8, 5], [5.2, 2.2, 8, 5], [5.2, 7.8, 8, 5]]) },
};
/** A state that this page does not know. */
const STRANGE = {
  kind: "none", draw: (c) => {
    lines(c, [[3, 3.4, 5, 2], [5, 2, 7, 3.6], [7, 3.6, 5, 5.6], [5, 5.6, 5, 6.4]]);
    lines(c, [[5, 8, 5, 8.1]]);
  },
};

function lines(context, list) {
  context.beginPath();
  for (const [x1, y1, x2, y2] of list) {
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
  }
  context.stroke();
}

function shape(context, points) {
  context.beginPath();
  points.forEach(([x, y]) => context.lineTo(x, y));
  context.fill();
}

function dot(context, radius) {
  context.beginPath();
  context.arc(5, 5, radius, 0, 2 * Math.PI);
  context.fill();
}

/** Colours of the kinds, as the style sheet has them for the colour scheme in use. */
function kindColours() {
  const style = getComputedStyle(document.documentElement);
  const colours = {};
  for (const kind of ["good", "none", "warn", "alarm", "bad", "quiet", "info"]) {
    const of = (name) => style.getPropertyValue(`--cell-${kind}-${name}`).trim();
    colours[kind] = [of("back"), of("mark")];
  }
  return colours;
}

/** Draws one cell of `size` device pixels at the origin of `context`. */
function drawCell(context, char, size, colours) {
  const { kind, draw } = GLYPHS[char] ?? STRANGE;
  const [back, mark] = colours[kind];
  context.save();
  context.scale(size / 10, size / 10);
  context.fillStyle = back;
  context.fillRect(0, 0, 10, 10);
  context.fillStyle = mark;
  context.strokeStyle = mark;
  context.lineWidth = 1.5;
  context.beginPath();
  context.rect(0, 0, 10, 10);
  context.clip();
  draw(context);
  context.restore();
}

/** Pictures of all states in one size, made when they are first used. */
class Sprites {
  constructor(size) {
    this.size = size;
    this.colours = kindColours();
    this.made = new Map();
  }

  of(char) {
    let sprite = this.made.get(char);
    if (!sprite) {
      sprite = document.createElement("canvas");
      sprite.width = this.size;
      sprite.height = this.size;
      drawCell(sprite.getContext("2d"), char, this.size, this.colours);
      this.made.set(char, sprite);
    }
    return sprite;
  }
}

/** The sidecar's legend by char; empty until it is known. */
const LEGEND = new Map();

/** The word of a state, such as `open`. */
function stateWord(char) {
  return LEGEND.get(char)?.word ?? (char === UNKNOWN ? "unknown" : `state ${char}`);
}
