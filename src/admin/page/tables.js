// The tables of buckets, links, moves and embedded nodes.

/** Links that are shown before somebody asks for all. */
const LINKS_SHOWN = 24;
/** Moves that are shown; those that wait behind them are counted. */
const MOVES_SHOWN = 24;

const BUCKETS = [
  { title: "Bucket", head: true, text: (b) => b.bucket },
  {
    title: "Open", num: true, text: (b) => `${count(b.open)} of ${count(b.wanted)}`,
    tone: (b) => (b.open < b.wanted ? "warning" : null),
  },
  { title: "Failed", num: true, text: (b) => count(b.failed), tone: (b) => isError(b.failed) },
  {
    title: "No answer", num: true, text: (b) => count(b.unresponsive),
    tone: (b) => isError(b.unresponsive),
  },
  {
    title: "Incomplete", num: true, text: (b) => count(b.incomplete),
    tone: (b) => isError(b.incomplete),
  },
  { title: "Paused", num: true, text: (b) => count(b.paused), tone: (b) => isWarning(b.paused) },
  { title: "Moving", num: true, text: (b) => count(b.moving), tone: (b) => isWarning(b.moving) },
  { title: "Lag, time", num: true, text: (b) => (b.wanted ? duration(ms(b.lag_ms_max)) : "-") },
  {
    title: "Lag, seqnos", num: true,
    text: (b) => (b.wanted ? lagSeqnos(b.lag_seqnos_max, b.lag_unknown) : "-"),
    tone: (b) => (b.lag_unknown > 0 ? "warning" : null),
  },
  { title: "Frames", num: true, text: (b) => perSecond(ms(b.frames_per_s)) },
  { title: "Bytes", num: true, text: (b) => bytesPerSecond(ms(b.bytes_per_s)) },
  {
    title: "Actions", wide: true,
    make: all(
      actionButton("pause", "Pause", (b) => ({ bucket: b.bucket })),
      actionButton("resume", "Resume", (b) => ({ bucket: b.bucket })),
    ),
  },
];

/** null and undefined are no number, not 0. */
function ms(value) {
  return typeof value === "number" ? value : NaN;
}

const LINK_TONES = {
  up: "good", connecting: "warning", waiting: "error", unresponsive: "error", closing: "muted",
  stopped: "muted",
};
const LINK_WORDS = { unresponsive: "NO ANSWER", waiting: "WAITING to retry" };

function linkState(cell, link) {
  if (!cell.firstChild) {
    cell.append(h("span", { class: "state" }), " ", h("span", { class: "why" }));
  }
  const [state, why] = [cell.firstChild, cell.lastChild];
  setAttribute(state, "data-tone", LINK_TONES[link.phase] ?? "warning");
  setText(state, LINK_WORDS[link.phase] ?? link.phase);
  const failed = link.failures > 0 ? `${plural(link.failures, "failure")} in a row` : null;
  const since = link.phase_since ? sinceText(link.phase_since, sidecarNow()) : null;
  const error = typeof link.last_error === "string" ? link.last_error : link.last_error?.detail;
  setText(why, [link.phase === "up" ? null : since, failed, error].filter(Boolean).join("; "));
}

function sparkCell(what) {
  return (cell, link) => {
    cell.spark ??= makeSpark(cell);
    cell.spark(seriesOf(linkKey(link), what));
  };
}

const LINKS = [
  { title: "From", head: true, text: (l) => l.producer },
  { title: "Bucket", text: (l) => l.bucket },
  { title: "No.", num: true, text: (l) => count(l.connection) },
  { title: "State", wide: true, show: linkState },
  {
    title: "Open", num: true, text: (l) => `${count(l.open)} of ${count(l.wanted)}`,
    tone: (l) => (l.open < l.wanted ? "warning" : null),
  },
  { title: "Frames", num: true, text: (l) => perSecond(ms(l.frames_per_s)) },
  { title: "Bytes", num: true, text: (l) => bytesPerSecond(ms(l.bytes_per_s)) },
  { title: "Bytes over time", show: sparkCell("bytes") },
  { title: "Lag, time", num: true, text: (l) => (l.wanted ? duration(ms(l.lag_ms)) : "-") },
  {
    title: "Lag, seqnos", num: true,
    text: (l) => (l.wanted ? lagSeqnos(l.lag_seqnos, l.lag_unknown) : "-"),
    tone: (l) => (l.lag_unknown > 0 ? "warning" : null),
  },
  { title: "Lag over time", show: sparkCell("lag") },
  {
    title: "Window", num: true,
    text: (l) => (l.window_bytes > 0
      ? `${Math.min(100, Math.round((l.unacked_bytes / l.window_bytes) * 100))} %` : UNKNOWN),
  },
  {
    title: "Actions", wide: true,
    make: actionButton("restartLink", "Restart", (l) => ({
      bucket: l.bucket, producer: l.producer, connection: l.connection, name: l.name,
    })),
  },
];

const linkKey = (link) => JSON.stringify([link.bucket, link.producer, link.connection]);

/** Links with problems first, then the busiest, then by name. */
function sortedLinks(links) {
  const rank = { unresponsive: 0, waiting: 0, connecting: 1, up: 2, closing: 3, stopped: 3 };
  const of = (link) => [
    rank[link.phase] ?? 1, link.open < link.wanted ? 0 : 1, linkKey(link),
  ];
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return links.map((link) => [of(link), link])
    .sort(([a], [b]) => compare(a[0], b[0]) || compare(a[1], b[1]) || compare(a[2], b[2]))
    .map(([, link]) => link);
}

function moveProgress(cell, move) {
  if (!cell.firstChild) {
    cell.append(h("progress", { max: 100 }), " ", h("span"));
  }
  const [bar, text] = [cell.firstChild, cell.lastChild];
  const known = Number.isFinite(move.estimate) && move.estimate_first > 0;
  const part = known ? Math.max(0, 1 - move.estimate / move.estimate_first) : 0;
  bar.hidden = !known;
  setAttribute(bar, "value", Math.round(part * 100));
  setAttribute(bar, "aria-label", `vBucket ${move.vbucket}: copied`);
  const left = Number.isFinite(move.estimate) ? `${count(move.estimate)} changes left` : UNKNOWN;
  setText(text, known ? `${Math.round(part * 100)} %, ${left}` : left);
}

const MOVES = [
  { title: "vBucket", head: true, num: true, text: (m) => String(m.vbucket) },
  { title: "Bucket", text: (m) => m.bucket },
  { title: "From", text: (m) => m.from },
  { title: "Phase", text: (m) => m.phase },
  { title: "Progress", wide: true, show: moveProgress },
  { title: "For", num: true, text: (m) => duration(ms(m.since_ms)) },
];

const EMBEDDED = [
  { title: "Node", head: true, text: (e) => e.name },
  { title: "Address", text: (e) => e.address },
  { title: "Durability", text: (e) => e.durability ?? UNKNOWN },
  { title: "Documents", num: true, text: (e) => count(e.documents) },
  { title: "Disk", num: true, text: (e) => bytes(ms(e.disk_bytes)) },
  {
    title: "Memory", num: true,
    text: (e) => `${bytes(ms(e.memory_bytes))} of ${bytes(ms(e.quota_bytes))}`,
  },
  { title: "Connections", num: true, text: (e) => count(e.connections) },
  { title: "Gets", num: true, text: (e) => count(e.gets_total) },
  { title: "Sets", num: true, text: (e) => count(e.sets_total) },
  { title: "Commits", num: true, text: (e) => count(e.commits_total) },
];

/** Makes all tables; the function it returns shows an overview in them. */
function makeTables() {
  const buckets = makeTable(
    byId("buckets"), "Buckets", BUCKETS, (b) => b.bucket, "No bucket is configured.",
  );
  const links = makeTable(byId("links"), "Links", LINKS, linkKey, "No link: nothing is wanted.");
  const moves = makeTable(
    byId("moves"), "Moves", MOVES, (m) => `${m.vbucket} ${m.bucket}`, "Nothing is being moved.",
  );
  const embedded = makeTable(byId("embedded"), "Embedded nodes", EMBEDDED, (e) => e.name, "None.");
  const more = byId("links-more");
  let wantsAll = false;
  more.addEventListener("click", () => {
    wantsAll = !wantsAll;
    showNow();
  });
  return (overview) => {
    const isKnown = overview.phase !== "starting";
    buckets(overview.buckets, isKnown);
    const sorted = sortedLinks(overview.links);
    const rest = sorted.length - LINKS_SHOWN;
    links(wantsAll ? sorted : sorted.slice(0, LINKS_SHOWN), isKnown);
    more.hidden = rest <= 0;
    setText(more, wantsAll ? `Show ${LINKS_SHOWN} links` : `Show ${count(rest)} more links`);
    const waits = (move) => Number(move.phase === "queued");
    const running = [...overview.moves].sort((a, b) => waits(a) - waits(b));
    moves(running.slice(0, MOVES_SHOWN), isKnown);
    const waiting = running.length - MOVES_SHOWN;
    const title = running.length === 0 ? "Moves" : `Moves: ${count(running.length)}`;
    setText(byId("moves-title"), waiting > 0 ? `${title}, the first ${MOVES_SHOWN}` : title);
    embedded(overview.embedded);
    byId("embedded-section").hidden = overview.embedded.length === 0;
  };
}
