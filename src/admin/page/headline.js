// The first lines: what is wrong, since when, and what to do. The same is in the title and the
// icon of the tab, so that it is seen in a row of tabs.

const SEVERITIES = {
  ok: { word: "OK", shape: "ok" },
  notice: { word: "Notice", shape: "notice" },
  warning: { word: "Warning", shape: "warning" },
  error: { word: "Error", shape: "error" },
  unknown: { word: "Waiting", shape: "unknown" },
};

/** Each severity has its own outline and its own mark inside it, [outline, mark]. */
const SHAPES = {
  ok: ["M12 1.5a10.5 10.5 0 1 1 0 21a10.5 10.5 0 0 1 0-21z", "M7 12.5l3.5 3.5l6.5-8"],
  notice: ["M2.5 2.5h19v19h-19z", "M12 10.5v7M12 6.3v1"],
  warning: ["M12 1.5l11 20.5h-22z", "M12 9v7M12 18.4v1"],
  error: ["M7.5 1.5h9l6 6v9l-6 6h-9l-6-6v-9z", "M8 8l8 8M16 8l-8 8"],
  unknown: [
    "M12 1.5a10.5 10.5 0 1 1 0 21a10.5 10.5 0 0 1 0-21z",
    "M8.7 9.3a3.3 3.3 0 1 1 4.9 2.9c-1.2.7-1.6 1.3-1.6 2.6M12 17.6v1",
  ],
};

/** Colours of the icon: the tab bar of a browser is light or dark whatever the page is. */
const ICON_COLOURS = {
  ok: "#2e7d4f", notice: "#3874b0", warning: "#b07a12", error: "#c5362b", unknown: "#6b7680",
};

function drawSign(sign, severity) {
  if (sign.dataset.severity !== severity) {
    const [outline, mark] = SHAPES[SEVERITIES[severity].shape];
    sign.dataset.severity = severity;
    sign.replaceChildren(h("path", { d: outline, class: "outline" }), h("path", {
      d: mark, class: "mark",
    }));
  }
}

function setIcon(severity) {
  const [outline, mark] = SHAPES[SEVERITIES[severity].shape];
  const colour = ICON_COLOURS[severity];
  const svg = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'>"
    + `<path d='${outline}' fill='${colour}'/>`
    + `<path d='${mark}' fill='none' stroke='white' stroke-width='2.6'/></svg>`;
  setAttribute(byId("icon"), "href", `data:image/svg+xml,${encodeURIComponent(svg)}`);
}

/** `since 14:03:05 (2 min 4 s)`; empty where it is not known. */
function sinceText(since, now) {
  const at = Date.parse(since ?? "");
  const whole = Math.floor((now - at) / 1000) * 1000;
  return Number.isNaN(at) ? "" : `since ${clock(at, now)} (${duration(whole)})`;
}

/** Where a problem is: bucket, node or link, vBuckets. */
function whereText(problem) {
  const parts = [];
  const name = (label, value) => value && parts.push(`${label} ${value}`);
  name("bucket", problem.bucket);
  name("node", problem.node);
  name("link", problem.link);
  if (problem.vbuckets) {
    const many = Number.isFinite(problem.count) ? ` (${count(problem.count)})` : "";
    parts.push(`vBuckets ${problem.vbuckets}${many}`);
  }
  return parts.join(" \u00b7 ");
}

/** The further problems, one row each. */
function showProblems(list, problems, now) {
  const make = () => {
    const parts = {
      severity: h("span", { class: "tag" }), what: h("span", { class: "what" }),
      since: h("span", { class: "muted" }), where: h("span", { class: "muted" }),
      remedy: h("span"),
    };
    const row = h(
      "li", {}, parts.severity, parts.what, " ", parts.since, h("br"), parts.where, " ",
      parts.remedy,
    );
    row.parts = parts;
    return row;
  };
  const update = (row, problem) => {
    const { parts } = row;
    const severity = SEVERITIES[problem.severity] ? problem.severity : "warning";
    setAttribute(parts.severity, "data-severity", severity);
    setText(parts.severity, SEVERITIES[severity].word);
    setText(parts.what, problem.what);
    setText(parts.since, sinceText(problem.since, now));
    setText(parts.where, whereText(problem));
    setText(parts.remedy, problem.remedy ? `What to do: ${problem.remedy}` : "");
  };
  const key = (problem) => JSON.stringify([
    problem.id, problem.bucket, problem.node, problem.link, problem.vbuckets,
  ]);
  keyed(list, problems, key, make, update);
  list.hidden = problems.length === 0;
}

/**
 * Shows the first lines. `first` has severity, what, since, remedy; `others` are the further
 * problems; `now` is the time of the sidecar, as far as it is known.
 */
function showHeadline(first, others, now) {
  const severity = SEVERITIES[first.severity] ? first.severity : "warning";
  setAttribute(byId("headline"), "data-severity", severity);
  drawSign(byId("sign"), severity);
  setText(byId("severity"), SEVERITIES[severity].word);
  setText(byId("what"), first.what);
  const [where, since] = [whereText(first), sinceText(first.since, now)];
  const line = [since, where].filter((text) => text !== "").join(" \u00b7 ");
  byId("since").hidden = line === "";
  setText(byId("since"), line);
  byId("remedy").hidden = !first.remedy;
  setText(byId("remedy").lastElementChild, first.remedy ?? "");
  showProblems(byId("problems"), others, now);
}

/** The title of the tab: a mark, how many problems, and whose sidecar it is. */
function showTitle(severity, problems, node) {
  const marks = { ok: "", notice: "i ", warning: "! ", error: "X ", unknown: "? " };
  const many = problems > 0 ? `${plural(problems, "problem")} - ` : "";
  const title = `${marks[severity] ?? "? "}${many}${node ?? UNKNOWN} - dcp-proxy`;
  if (document.title !== title) {
    document.title = title;
    setIcon(SEVERITIES[severity] ? severity : "unknown");
  }
}
