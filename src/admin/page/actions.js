// What each action asks, says that it will do, and sends. Whatever it is, nothing is sent before
// somebody has confirmed what the dialog says (actions without `dry_run` say it from the states).

/** `set` of a dialog, parsed: null where it is empty, which stands for all. */
function setOf(values) {
  const text = values.vbuckets?.trim() ?? "";
  return text === "" ? null : parseSet(text);
}

/** The vBuckets of a required set. */
function neededSet(values) {
  const set = setOf(values);
  if (set === null) {
    throw new Error("name at least one vBucket, for example 0-99,200");
  }
  return set;
}

const manyVbuckets = (set) => plural(set.length, "vBucket");

/** How many of a set are in which state, in words. */
function stateSummary(bucket, set) {
  const parts = statesOf(set, gridStates(bucket)).map(([c, n]) => `${count(n)} ${stateWord(c)}`);
  return `Their states now: ${parts.join(", ")}.`;
}

/** Both transfers of ownership. */
function transfer(name, verb, how) {
  return {
    title: `${verb} vBuckets`, fields: ["vbuckets", "from"], see: "Moves",
    check: (v) => {
      const set = neededSet(v);
      const one = set.length === 1;
      return {
        button: `${verb} ${manyVbuckets(set)}`,
        says: [
          `${manyVbuckets(set)} of bucket ${v.bucket} (${formatSet(set)}) `
          + `${one ? "becomes" : "become"} active at ${nodeName()} and dead at ${v.from}, one at a `
          + `time, in ascending order. ${how}`,
          `Clients must write to ${nodeName()} from then on, and ${one ? "it is" : "they are"} `
          + "not replicated here any more. This page cannot take that back.",
          stateSummary(v.bucket, set),
        ],
      };
    },
    send: (v, signal) => change("POST", bucketPath(v.bucket, name), {
      from: v.from, vbuckets: formatSet(neededSet(v)),
    }, { signal }),
    done: (body) => `${plural(body.moved?.length ?? 0, "vBucket")} moved: active here now.`,
  };
}

/** What a selection means: all of a bucket, those of a producer, a set, or both. */
function selectionBody(values) {
  const set = setOf(values);
  return {
    ...(values.producer ? { producer: values.producer } : {}),
    ...(set ? { vbuckets: formatSet(set) } : {}),
  };
}

const countOf = (map) => Object.values(map ?? {})
  .reduce((sum, text) => sum + (text ? parseSet(text).length : 0), 0);
const byProducer = (map) => Object.entries(map ?? {})
  .filter(([, text]) => text)
  .map(([producer, text]) => {
    const many = plural(parseSet(text).length, "stream");
    return `${many} from ${producer} (${text})`;
  })
  .join("; ");

/** Pause and resume: the sidecar says what would happen. */
function pausing(name, verb, which, effect) {
  return {
    title: `${verb} replication`, fields: ["producer", "vbuckets"], optional: true,
    check: async (v, signal) => {
      const path = `${bucketPath(v.bucket, name)}?dry_run=true`;
      const { body, tag } = await change("POST", path, selectionBody(v), { signal });
      const many = countOf(body[which]);
      const meant = byProducer(body[which]);
      const set = setOf(v);
      return {
        tag,
        button: many > 0 ? `${verb} ${plural(many, "stream")}` : `${verb}, though none is open`,
        says: [
          many > 0 ? `Bucket ${v.bucket}: ${effect.verb} ${meant}.`
            : `Bucket ${v.bucket}: no stream ${effect.none}.`,
          set === null && !v.producer && name === "pause"
            ? "The whole bucket is meant: also vBuckets that are added later." : effect.then,
        ],
      };
    },
    send: (v, signal, { tag }) => change("POST", bucketPath(v.bucket, name), selectionBody(v), {
      more: tag ? { "if-match": tag } : {}, signal,
    }),
    done: (body) => `Done: ${plural(body.open ?? 0, "stream")} open, revision ${body.revision}.`,
  };
}

const ACTIONS = {
  takeover: transfer("takeover", "Take over", "What is missing here is copied within the "
    + "takeover, and clients cannot write to a vBucket while it is handed over: where much is "
    + "missing, move it."),
  move: transfer("move", "Move here", "Each is copied first, until little is left; only then it "
    + "changes hands."),
  pause: pausing("pause", "Pause", "closes", {
    verb: "closes", none: "is open that this would close",
    then: "They stay closed, over restarts too, until they are resumed; their lag grows.",
  }),
  resume: pausing("resume", "Resume", "opens", {
    verb: "opens", none: "is paused that this would open",
    then: "They go on where they stopped.",
  }),
  restart: {
    title: "Restart streams", fields: ["vbuckets"],
    check: (v) => {
      const set = neededSet(v);
      return {
        button: `Restart ${plural(set.length, "stream")}`,
        says: [
          `Closes the streams of ${manyVbuckets(set)} of bucket ${v.bucket} (${formatSet(set)}) `
          + "and opens them again where they stopped. Pauses after failures end.",
          stateSummary(v.bucket, set),
        ],
      };
    },
    send: (v, signal) => change("POST", bucketPath(v.bucket, "restart"), {
      vbuckets: formatSet(neededSet(v)),
    }, { signal }),
    done: (body) => `Done: ${plural(body.open ?? 0, "stream")} open.`,
  },
  restartLink: {
    title: "Restart a link", fields: [],
    check: (v) => {
      const link = lastOverview.links.find((one) => linkKey(one) === linkKey(v));
      if (!link) {
        throw new Error(`link ${v.name} is not there any more`);
      }
      return {
        button: `Restart the link and ${plural(link.wanted, "stream")}`,
        says: [
          `Closes both connections of link ${v.name} (connection ${v.connection} to ${v.producer}) `
          + `and opens them again, with ${plural(link.wanted, "stream")}, of which `
          + `${count(link.open)} are open now. They go on where they stopped.`,
        ],
      };
    },
    send: (v, signal) => change("POST", bucketPath(v.bucket, "restart"), {
      producer: v.producer, connection: v.connection,
    }, { signal }),
    done: (body) => `Done: ${plural(body.open ?? 0, "stream")} open.`,
  },
  reload: {
    title: "Reload the configuration", fields: [],
    check: () => ({
      button: "Reload",
      says: [
        `Reads ${lastOverview?.config.file ?? "the configuration file"} again, checks it as a `
        + "whole, and applies what has changed: producers, buckets, maps, the token and [log]. "
        + "Streams that stay wanted are not touched; those that it does not name any more are "
        + "closed. A file with a mistake changes nothing.",
      ],
    }),
    send: (v, signal) => change("POST", "/reload", {}, { signal }),
    done: (body) => {
      const list = (name, texts) => (texts?.length > 0 ? ` ${name}: ${texts.join("; ")}.` : "");
      return `In force.${list("Changed", body.changed) || " Nothing has changed."}`
        + list("A restart is needed for", body.restart_needed) + list("Warnings", body.warnings);
    },
  },
};
