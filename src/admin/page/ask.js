// Requests to the sidecar, and the token that they carry. The token comes in the fragment of the
// address (which no browser sends to a server), is taken out of the address bar at once, and lives
// in the storage of this tab.

const TOKEN_KEY = "dcp-proxy-token";
/** The longest wait for an answer to a question; the page says much earlier that there is none. */
const ASK_MS = 5000;

/** The token in an address such as `dcp-proxy dashboard` prints, or null. */
function tokenOfAddress(text) {
  const written = /#token=([^&\s]+)/.exec(text)?.[1];
  if (written === undefined) {
    return null;
  }
  try {
    return decodeURIComponent(written);
  } catch {
    return written;
  }
}

/** Takes the token out of the address, if it has one. */
function takeToken() {
  const given = tokenOfAddress(location.hash);
  if (given !== null) {
    keepToken(given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return given !== null;
}

const token = () => sessionStorage.getItem(TOKEN_KEY);

/** Keeps a token; null forgets it. */
function keepToken(text) {
  if (text === null) {
    sessionStorage.removeItem(TOKEN_KEY);
  } else {
    sessionStorage.setItem(TOKEN_KEY, text);
  }
}

/** The token in what somebody pasted: itself, or the address that `dcp-proxy dashboard` prints. */
const tokenIn = (text) => (tokenOfAddress(text) ?? text).trim();

/** An answer that is an error; `status` is null where there was no answer, `isSlow` if in time. */
class AskError extends Error {
  constructor(text, status, body, isSlow = false) {
    super(text);
    Object.assign(this, { status, body, isSlow });
  }
}

function headersWith(more) {
  const own = token();
  return own === null ? more : { ...more, authorization: `Bearer ${own}` };
}

/** The text of an error answer. */
function errorText(status, body, text) {
  return body?.error ?? `HTTP ${status}${text ? `: ${text.slice(0, 500)}` : ""}`;
}

async function answerOf(response) {
  const text = await response.text();
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // An answer of something between here and the sidecar.
  }
  if (!response.ok || body === null) {
    const why = errorText(response.status, body, text);
    throw new AskError(why, response.ok ? 502 : response.status, body);
  }
  return body;
}

/** The JSON of a path; fails with an `AskError`. */
async function ask(path, { timeout = ASK_MS } = {}) {
  const signal = AbortSignal.timeout(timeout);
  try {
    const headers = headersWith({ accept: "application/json" });
    return await answerOf(await fetch(path, { headers, signal, cache: "no-store" }));
  } catch (error) {
    if (error instanceof AskError) {
      throw error;
    }
    const slow = error.name === "TimeoutError";
    const text = slow ? `no answer within ${timeout / 1000} s` : error.message;
    throw new AskError(text, null, null, slow);
  }
}

/**
 * A request that changes something. Returns the body and the ETag; fails with an `AskError`. It
 * has no deadline: the sidecar has one for every step, and a set may take long. `signal` frees the
 * connection where nobody waits for the answer any more.
 */
async function change(method, path, body, { more = {}, signal = null } = {}) {
  try {
    const headers = headersWith({ "content-type": "application/json", ...more });
    const sent = { method, headers, body: JSON.stringify(body), cache: "no-store", signal };
    const response = await fetch(path, sent);
    return { body: await answerOf(response), tag: response.headers.get("etag") };
  } catch (error) {
    if (error instanceof AskError) {
      throw error;
    }
    const text = "the connection to the sidecar was lost before it answered: what was asked may "
      + `have been done (${error.message})`;
    throw new AskError(text, null, null);
  }
}

/** Actions that the tabs of this browser have in flight together; the rest is for questions. */
const ACTIONS_MAX = 2;

/** Another action has to end first. Nothing was sent. */
class BusyError extends Error {}

/**
 * Runs an action in one of the places that all tabs of this browser share: a browser has six
 * connections to one address, and an action that waits holds one. Where the address is neither
 * loopback nor https, tabs have no way to share: each has the one action of its dialog.
 */
async function inPlace(run) {
  if (navigator.locks === undefined) {
    return run();
  }
  for (let place = 0; place < ACTIONS_MAX; place += 1) {
    const take = async (lock) => (lock === null ? null : { value: await run() });
    const done = await navigator.locks.request(`action ${place}`, { ifAvailable: true }, take);
    if (done !== null) {
      return done.value;
    }
  }
  throw new BusyError(`Nothing was sent: ${ACTIONS_MAX} actions of this browser are in progress. `
    + "Wait until one is done, or close its dialog: it goes on in the sidecar.");
}

const bucketPath = (bucket, rest) => `/api/v1/buckets/${encodeURIComponent(bucket)}/${rest}`;
