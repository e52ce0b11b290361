// The loop: ask for the overview each second, show it, and say so at once where no answer comes.
// Nothing is asked while the tab is hidden.

const POLL_MS = 1000;
const LOOK_MS = 250;

let lastOverview = null;
let contact = newContact(Date.now());
/** The clock of the sidecar minus that of the browser. */
let clockOffset = 0;
let pollTimer = null;
let isAsking = false;
let historyOf = null;

/** The time of the sidecar: what it says, and what has passed since. */
const sidecarNow = () => Date.now() + clockOffset;
const nodeName = () => lastOverview?.node?.name ?? "this node";

takeToken();
const showTables = makeTables();
const showPlots = makePlots();
const detail = makeDetail();
const grids = makeGrids(detail.choose);
const gridStates = (bucket) => grids.statesOf(bucket);
const showDesired = makeDesired();
const eventLog = new EventLog();
makeToken();
document.querySelectorAll("button[data-action]").forEach((button) => {
  button.addEventListener("click", () => begin(button.dataset.action, {}));
});

async function poll() {
  pollTimer = null;
  if (isAsking || document.hidden) {
    return;
  }
  isAsking = true;
  const began = Date.now();
  try {
    const legend = LEGEND.size === 0 ? "?legend=true" : "";
    const overview = await ask(`/api/v1/overview${legend}`);
    contact = answered(contact, Date.now());
    clockOffset = Date.parse(overview.at) - Date.now();
    take(overview);
  } catch (error) {
    if (error instanceof AskError) {
      contact = error.isSlow ? heardNothing(contact)
        : failed(contact, Date.now(), error.message, error.status);
      if (error.status === 401) {
        tokenWasRefused();
      }
    } else {
      showDefect(error);
    }
  } finally {
    isAsking = false;
  }
  look();
  if (!document.hidden && pollTimer === null) {
    pollTimer = setTimeout(poll, Math.max(0, began + POLL_MS - Date.now()));
  }
}

/** Asks now, not at the next second. */
function pollSoon() {
  clearTimeout(pollTimer);
  pollTimer = setTimeout(poll, 0);
}

/** Which run of the sidecar an overview is of: a new one has a new history and a new token. */
const runOf = (overview) => Math.round((Date.parse(overview.at) - overview.uptime_ms) / 5000);

/** Reads what was before this page; the figures since then follow from its answers. */
async function readHistory() {
  try {
    takeHistory(await ask("/api/v1/history"));
    addToHistory(lastOverview);
  } catch (error) {
    setText(byId("left-out"), `the last hour could not be read: ${error.message}`);
    historyOf = null;
  }
}

function take(overview) {
  const before = lastOverview;
  lastOverview = overview;
  for (const { char, ...rest } of overview.legend ?? []) {
    LEGEND.set(char, rest);
  }
  if (historyOf === null) {
    historyOf = overview;
    readHistory();
  }
  if (before && Math.abs(runOf(before) - runOf(overview)) > 1) {
    historyOf = null;
  }
  judgeToken(overview);
  addToHistory(overview);
  showNow();
  detail.tick();
  eventLog.tick(overview.events_newest);
}

/** Shows the last overview in all parts but the first lines. */
function showNow() {
  const overview = lastOverview;
  setText(byId("node"), `sidecar of ${overview.node?.name ?? UNKNOWN}`);
  const up = duration(overview.uptime_ms).replace(/ \d+ s$/, "");
  setText(byId("process"), `version ${overview.version} \u00b7 up ${up} \u00b7 ${overview.phase}`);
  showTables(overview);
  showPlots(overview);
  grids.show(overview);
  showDesired(overview);
}

/** Shows the first lines: of the sidecar while it answers, else that it does not. */
function look() {
  const found = verdict(contact, Date.now());
  const stale = found.kind !== "live";
  setAttribute(byId("data"), "data-stale", stale && lastOverview ? "yes" : null);
  setAttribute(document.body, "data-contact", found.kind);
  showFresh(found);
  const node = lastOverview?.node?.name;
  if (stale) {
    const problem = contactProblem(found, location.host);
    const since = new Date(found.since + clockOffset).toISOString();
    const shown = found.kind === "waiting" ? problem : { ...problem, since };
    showHeadline(shown, [], sidecarNow());
    showTitle(problem.severity, found.kind === "waiting" ? 0 : 1, node);
    return;
  }
  const { problems, headline, phase } = lastOverview;
  const calm = phase === "running" ? "ok" : "notice";
  const [first, ...others] = problems.length > 0 ? problems : [{ severity: calm, what: headline }];
  showHeadline({ ...first, what: headline || first.what }, others, sidecarNow());
  showTitle(first.severity, problems.length, node);
}

function showFresh({ kind, since }) {
  const ago = duration(Math.floor((Date.now() - since) / 1000) * 1000);
  const at = clock(since, Date.now());
  const words = {
    live: "live, once a second", waiting: "no answer yet",
    token: "the token is needed", error: `not current: values of ${at}, ${ago} ago`,
    gone: `not current: values of ${at}, ${ago} ago`,
    silent: `not current: values of ${at}, ${ago} ago`,
  };
  const never = lastOverview === null && kind !== "live" && kind !== "token";
  setText(byId("fresh"), never ? "no answer yet" : words[kind]);
  setAttribute(byId("fresh"), "data-kind", kind);
}

/** An answer that this page cannot show: it says so, rather than show old values as new. */
function showDefect(error) {
  const text = `this page cannot show what it answers (${error.message}): reload the page; `
    + "report it if that does not help";
  contact = failed(contact, Date.now(), text, 500);
  console.error(error);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(pollTimer);
    pollTimer = null;
  } else {
    contact = asksAgain(contact, Date.now());
    historyOf = null;
    pollSoon();
  }
});
setInterval(() => document.hidden || look(), LOOK_MS);
look();
poll();
