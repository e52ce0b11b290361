// The dialog of an action: fields, what it will do, the button that names it, and the answer.

const FIELD_LABELS = { vbuckets: "vBuckets", from: "From", producer: "Producer" };
const CHECK_MS = 300;
/** Failures of single vBuckets that are shown; the events have the others. */
const FAILURES_SHOWN = 5;

/** Begins an action, after the token was given. */
async function begin(name, values) {
  if (tokenState !== "good") {
    await tryToken();
  }
  if (tokenState !== "good" && !(await askToken())) {
    return;
  }
  new ActionDialog(ACTIONS[name], values).open();
}

/** The fields of an action, filled. */
function makeFields(action, values) {
  return action.fields.map((name) => {
    const id = `field-${name}`;
    const producers = (lastOverview?.producers ?? []).map((producer) => producer.name);
    const hint = action.optional ? " (empty: all)" : "";
    const label = h("label", { for: id }, FIELD_LABELS[name] + (name === "vbuckets" ? hint : ""));
    let field = null;
    if (name === "vbuckets") {
      field = h("input", { id, name, autocomplete: "off", spellcheck: "false" });
    } else {
      const option = (producer) => h("option", { value: producer }, producer);
      const any = action.optional ? [h("option", { value: "" }, "all")] : [];
      field = h("select", { id, name }, ...any, ...producers.map(option));
    }
    field.value = values[name] ?? (name === "from" ? producers[0] ?? "" : "");
    return h("p", { class: "field" }, label, field);
  });
}

class ActionDialog {
  constructor(action, values) {
    Object.assign(this, { action, values, checked: null, isSent: false, timer: null });
    /** Of the check, and of the action: ends the request where nobody waits for its answer. */
    this.checking = new AbortController();
    this.waiting = new AbortController();
    this.dialog = byId("action");
    this.form = this.dialog.querySelector("form");
    this.button = byId("action-do");
    this.says = byId("action-says");
    this.answer = byId("action-answer");
    this.cancel = byId("action-cancel");
  }

  open() {
    setText(byId("action-title"), this.action.title);
    byId("action-fields").replaceChildren(...makeFields(this.action, this.values));
    this.says.replaceChildren();
    this.answer.replaceChildren();
    setAttribute(this.answer, "data-tone", null);
    setText(this.cancel, "Cancel");
    this.button.hidden = false;
    this.cancel.onclick = () => this.dialog.close();
    this.dialog.onclose = () => {
      clearTimeout(this.timer);
      this.checking.abort();
      this.waiting.abort();
    };
    this.form.oninput = () => {
      clearTimeout(this.timer);
      this.refuse("\u2026");
      this.timer = setTimeout(() => this.check(), CHECK_MS);
    };
    this.form.onsubmit = (event) => {
      event.preventDefault();
      this.send();
    };
    this.refuse("\u2026");
    this.dialog.showModal();
    (this.form.querySelector("input") ?? this.cancel).focus();
    this.check();
  }

  /** The values of the fields. */
  read() {
    const fields = Object.fromEntries(new FormData(this.form));
    return { ...this.values, ...fields };
  }

  /** Nothing can be confirmed: `label` is on the button. */
  refuse(label) {
    this.checked = null;
    this.button.disabled = true;
    setText(this.button, label);
  }

  /** Says what would happen with the values as they are now. */
  async check() {
    this.checking.abort();
    this.checking = new AbortController();
    const { signal } = this.checking;
    const values = this.read();
    let found = null;
    try {
      found = await this.action.check(values, signal);
    } catch (error) {
      found = { error: error.message };
    }
    if (signal.aborted || this.isSent) {
      return;
    }
    if (found.error) {
      this.refuse("Not possible");
      this.says.replaceChildren(h("p", { "data-tone": "error" }, found.error));
      return;
    }
    this.checked = { values, found };
    this.says.replaceChildren(...found.says.filter(Boolean).map((text) => h("p", {}, text)));
    setText(this.button, found.button);
    this.button.disabled = false;
  }

  /** Sends what was confirmed, and shows the answer. */
  async send() {
    if (!this.checked || this.isSent) {
      return;
    }
    const { values, found } = this.checked;
    const what = found.button;
    this.lock(true, "Working\u2026");
    this.show(null, [`Asked. It ${this.goesOn()} if this is closed.`]);
    const { signal } = this.waiting;
    try {
      const { body } = await inPlace(() => this.action.send(values, signal, found));
      this.end(what, "good", [this.action.done(body)]);
    } catch (error) {
      if (signal.aborted) {
        this.note(what, null, `it ${this.goesOn()}`);
      } else if (error instanceof BusyError) {
        this.lock(false, what);
        this.show("error", [error.message]);
      } else {
        if (error.status === 401) {
          tokenWasRefused();
        }
        this.end(what, "error", failureTexts(error));
      }
    }
  }

  /** Where to look for an action of which nobody waits for the answer. */
  goesOn() {
    return `goes on in the sidecar; see ${this.action.see ?? "Events"}`;
  }

  /** Nothing can be changed or sent a second time while it is sent. */
  lock(isSent, label) {
    this.isSent = isSent;
    this.button.disabled = isSent;
    setText(this.button, label);
    setText(this.cancel, isSent ? "Close" : "Cancel");
    this.form.querySelectorAll("input, select").forEach((field) => {
      field.disabled = isSent;
    });
  }

  show(tone, texts) {
    setAttribute(this.answer, "data-tone", tone);
    this.answer.replaceChildren(...texts.map((text) => h("p", {}, text)));
  }

  end(what, tone, texts) {
    this.show(tone, texts);
    this.button.hidden = true;
    this.note(what, tone, `${tone === "good" ? "done" : "FAILED"}. ${texts[0]}`);
    if (this.dialog.open) {
      this.cancel.focus();
    }
    pollSoon();
  }

  /** What became of it, in the line that stays when the dialog is closed. */
  note(what, tone, text) {
    const line = byId("last-action");
    line.hidden = false;
    setAttribute(line, "data-tone", tone);
    setText(line, `${clock(Date.now(), Date.now())} ${what}: ${text}`);
  }
}

/** The texts of a failed request: the error, then those of single vBuckets or settings. */
function failureTexts(error) {
  const { body } = error;
  const single = body?.problems ?? (body?.errors ?? []).map((one) => one.detail ?? one.reason);
  const more = single.length - FAILURES_SHOWN;
  return [
    error.message,
    ...single.slice(0, FAILURES_SHOWN).filter((text) => !error.message.includes(text)),
    ...(more > 0 ? [`and ${count(more)} more; see the events`] : []),
  ];
}
