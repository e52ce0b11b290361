// Whether the sidecar answers, and since when it does not. Pure: the time is given.

/** An answer is asked for each second; a later one than this is no answer. */
const SILENT_MS = 2300;

/** A page that has just begun to ask. */
function newContact(now) {
  return { asking: now, answered: null, failed: null, why: "", status: null };
}

/** The sidecar has answered. */
function answered(contact, now) {
  return { ...contact, answered: now, failed: null, why: "", status: null };
}

/** A request failed: `status` is that of an answer with an error, null where nothing came back. */
function failed(contact, now, why, status) {
  return { ...contact, failed: contact.failed ?? now, why, status };
}

/** A request had no answer in time: that is silence, which is judged by the clock. */
function heardNothing(contact) {
  return { ...contact, failed: null, why: "", status: null };
}

/** The page asks again, after a time in which it did not: silence is counted from now on. */
function asksAgain(contact, now) {
  return { ...contact, asking: now };
}

/**
 * What is to be said: `kind` is `waiting`, `live`, `token`, `error`, `gone` or `silent`; `since`
 * is the time of the last answer, or of the first question.
 */
function verdict(contact, now) {
  const since = contact.answered ?? contact.asking;
  if (contact.failed !== null) {
    if (contact.status === 401) {
      return { kind: "token", since, why: contact.why };
    }
    const kind = contact.status === null ? "gone" : "error";
    return { kind, since, why: contact.why };
  }
  const heard = Math.max(contact.answered ?? 0, contact.asking);
  if (now - heard > SILENT_MS) {
    return { kind: "silent", since, why: "" };
  }
  return { kind: contact.answered === null ? "waiting" : "live", since, why: "" };
}

/** The headline of a verdict that is not `live`. */
function contactProblem({ kind, why }, page) {
  const check = "look at the process and its log (systemctl status dcp-proxy); this page keeps "
    + "asking";
  const of = `the sidecar at ${page}`;
  switch (kind) {
    case "silent":
      return {
        severity: "error", what: `${of} does not answer`,
        remedy: `it is stopped, overloaded, or the network loses what it sends: ${check}`,
      };
    case "gone":
      return {
        severity: "error", what: `${of} cannot be reached`,
        remedy: `it has ended, listens elsewhere, or the network is down: ${check}`,
      };
    case "error":
      return { severity: "error", what: `${of} answers with an error: ${why}`, remedy: check };
    case "token":
      return {
        severity: "warning", what: `${of} wants its token`,
        remedy: "give it with the button above; dcp-proxy dashboard prints it",
      };
    default:
      return {
        severity: "unknown", what: "Waiting for the first answer of the sidecar", remedy: null,
      };
  }
}
