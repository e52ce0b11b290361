// Asks for the token, and shows whether actions are possible. Every overview says whether the
// token that the request had is the right one.

/** `none`, `given` (not judged yet), `good` or `refused`. */
let tokenState = "none";

const TOKEN_WORDS = {
  none: "Actions need the token", given: "Token not checked yet", good: "Actions unlocked",
  refused: "Token refused: give another",
};

function showToken() {
  const button = byId("token-button");
  setText(button, TOKEN_WORDS[tokenState]);
  setAttribute(button, "data-state", tokenState);
}

/** Judges the token by an overview that was asked for with it. */
function judgeToken(overview) {
  const good = overview.token?.accepted === true;
  tokenState = token() === null ? "none" : good ? "good" : "refused";
  showToken();
}

/** Tries the token of this tab: it stays `given` where nothing answers. */
async function tryToken() {
  if (token() === null) {
    tokenState = "none";
  } else {
    try {
      judgeToken(await ask("/api/v1/overview"));
      return;
    } catch (error) {
      tokenState = error.status === 401 ? "refused" : "given";
    }
  }
  showToken();
}

/** Called where an answer says that the token is missing or wrong. */
function tokenWasRefused() {
  tokenState = token() === null ? "none" : "refused";
  showToken();
}

const TOKEN_WHY = {
  none: "Whatever changes something needs the token of this sidecar.",
  given: "Whatever changes something needs the token of this sidecar.",
  good: "This tab has the token. Another one takes its place.",
  refused: "The sidecar refuses the token of this tab. It may be of an earlier start: a sidecar "
    + "without a configured token makes a new one at each start.",
};

/** Asks for the token; true once one is given that the sidecar takes. */
function askToken(why = TOKEN_WHY[tokenState]) {
  const dialog = byId("token-dialog");
  const [input, error] = [byId("token-text"), byId("token-error")];
  setText(byId("token-why"), why);
  setText(error, "");
  input.value = "";
  dialog.showModal();
  input.focus();
  return new Promise((resolve) => {
    const end = (done) => {
      dialog.removeEventListener("cancel", cancel);
      byId("token-cancel").onclick = null;
      dialog.querySelector("form").onsubmit = null;
      dialog.close();
      resolve(done);
    };
    const cancel = () => end(false);
    dialog.addEventListener("cancel", cancel);
    byId("token-cancel").onclick = cancel;
    dialog.querySelector("form").onsubmit = async (event) => {
      event.preventDefault();
      const text = tokenIn(input.value);
      if (text === "") {
        setText(error, "Paste the token first.");
        return;
      }
      keepToken(text);
      await tryToken();
      if (tokenState !== "good") {
        setText(error, tokenState === "refused" ? "The sidecar refuses this token. Print the "
          + "present one with: dcp-proxy dashboard" : "The sidecar does not answer.");
      } else {
        input.value = "";
        end(true);
      }
    };
  });
}

function makeToken() {
  byId("token-button").addEventListener("click", () => askToken().then(pollSoon));
  window.addEventListener("hashchange", () => {
    if (takeToken()) {
      pollSoon();
    }
  });
  if (token() !== null) {
    tokenState = "given";
  }
  showToken();
}
