// The panel of one vBucket: asked for each second while it is chosen.

/** What is shown of a vBucket, [name, text(detail)]; a null text leaves the line out. */
const FACTS = [
  ["Producer", (d) => d.producer ?? "none"],
  ["Link", (d) => d.link ?? "none"],
  // A copy that is active here may have an open stream all the same: each is said by itself.
  ["Active here", (d) => (d.active_here === null ? UNKNOWN : d.active_here ? "yes" : "no")],
  ["Stream", (d) => (d.stream ? d.stream.phase ?? UNKNOWN : "none")],
  ["Seqno here", (d) => ofStream(d, (s) => count(ms(s.seqno)))],
  ["Producer's seqno", (d) => ofStream(d, (s) => count(ms(s.producer_seqno)))],
  ["Lag", (d) => ofStream(d, (s) => {
    const age = Number.isFinite(s.lag_age_ms) ? `, ${duration(s.lag_age_ms)} ago` : "";
    return `${count(ms(s.lag_seqnos))} seqnos, ${duration(ms(s.lag_ms))}${age}`;
  })],
  ["Last progress", (d) => ofStream(d, (s) => (Number.isFinite(s.progress_ms)
    ? `${duration(s.progress_ms)} ago` : UNKNOWN))],
  ["Not open for", (d) => ofStream(d, (s) => (Number.isFinite(s.not_open_ms)
    ? duration(s.not_open_ms) : null))],
  ["Passed", (d) => ofStream(d, (s) => `${count(ms(s.passed_frames))} frames, `
    + `${bytes(ms(s.passed_bytes))}`)],
  ["Failures in a row", (d) => ofStream(d, (s) => (s.failures > 0 ? count(s.failures) : null))],
  ["Rolls back after", (d) => ofStream(d, (s) => (Number.isFinite(s.rollbacks_before)
    ? plural(s.rollbacks_before, "other vBucket") : null))],
  ["Copy is complete to", (d) => ofStream(d, (s) => (Number.isFinite(s.complete_to)
    ? `seqno ${count(s.complete_to)} only` : null))],
  ["Paused", (d) => (d.paused ? "yes, until it is resumed" : null)],
  ["Move", (d) => (d.move ? `${d.move.phase} from ${d.move.from}` : null)],
  ["Last error", (d) => ofStream(d, (s) => errorWords(s.last_error) ?? "none")],
];

/** A fact of the stream; nothing where there is no stream. */
const ofStream = (detail, read) => (detail.stream ? read(detail.stream) : null);

function errorWords(error) {
  if (!error) {
    return null;
  }
  if (typeof error === "string") {
    return error;
  }
  return [error.reason, error.status, error.detail].filter(Boolean).join(": ");
}

/** Makes the panel; `choose` asks for a vBucket, `tick` asks for the chosen one again. */
function makeDetail() {
  const panel = byId("detail");
  const title = byId("detail-title");
  const intro = panel.lastElementChild;
  const state = h("p", { class: "state-line" });
  const facts = h("dl");
  const events = h("ol", { class: "events" });
  const eventsTitle = h("h4", {}, "Its last events");
  const buttons = h("div", { class: "buttons" });
  const failure = h("p", { role: "alert" });
  const parts = [state, buttons, facts, eventsTitle, events];
  parts.forEach((part) => {
    part.hidden = true;
  });
  panel.append(failure, ...parts);
  let chosen = null;
  let shown = null;

  const act = (name, label) => {
    const values = () => ({
      bucket: chosen.bucket, vbuckets: String(chosen.vb), from: shown?.producer ?? null,
    });
    const button = h("button", { type: "button", click: () => begin(name, values()) });
    button.append(label, "\u2026");
    return button;
  };
  const actions = {
    pause: act("pause", "Pause"), resume: act("resume", "Resume"),
    restart: act("restart", "Restart"), move: act("move", "Move here"),
    takeover: act("takeover", "Take over"),
  };
  buttons.append(...Object.values(actions));

  const show = (detail) => {
    shown = detail;
    const word = detail.state ?? stateWord(detail.char);
    const meaning = detail.meaning ?? LEGEND.get(detail.char)?.meaning ?? "";
    setText(state, meaning && meaning !== word ? `${word}: ${meaning}` : word);
    const known = FACTS.map(([name, read]) => [name, read(detail)])
      .filter(([, text]) => text !== null);
    const make = ([name]) => {
      const value = h("dd");
      const row = h("div", {}, h("dt", {}, name), value);
      row.value = value;
      return row;
    };
    keyed(facts, known, ([name]) => name, make, (row, [, text]) => setText(row.value, text));
    const list = [...(detail.events ?? [])].reverse();
    keyed(events, list, (e) => e.id, eventRow, showEvent);
    setText(eventsTitle, list.length > 0 ? "Its last events" : "No event is kept of it");
    actions.pause.hidden = detail.paused;
    actions.resume.hidden = !detail.paused;
    actions.restart.hidden = !detail.stream;
    actions.move.hidden = detail.active_here === true;
    actions.takeover.hidden = detail.active_here === true;
    parts.forEach((part) => {
      part.hidden = false;
    });
  };
  const load = async () => {
    const { bucket, vb } = chosen;
    const mine = () => chosen.bucket === bucket && chosen.vb === vb;
    try {
      const detail = await ask(bucketPath(bucket, `vbuckets/${vb}`));
      if (mine()) {
        setText(failure, "");
        show(detail);
      }
    } catch (error) {
      if (mine()) {
        setText(failure, `could not be read: ${error.message}`);
      }
    }
  };
  let loading = null;
  const tick = () => {
    if (chosen && !loading) {
      loading = load().finally(() => {
        loading = null;
      });
    }
  };
  return {
    choose: (bucket, vb) => {
      if (chosen?.bucket !== bucket || chosen?.vb !== vb) {
        chosen = { bucket, vb };
        intro.hidden = true;
        setText(title, `vBucket ${vb} of ${bucket}`);
        loading = null;
        tick();
      }
    },
    tick,
  };
}
