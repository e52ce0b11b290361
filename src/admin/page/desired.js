// What differs from the configuration, and the configuration itself. Both are read when they have
// changed or somebody opens them: they are long.

const DRIFT_WORDS = {
  replicate: (d) => `${vbuckets(d)} come from ${d.from ?? "nowhere"} instead of `
    + `${d.source ?? "nowhere"}`,
  connections: () => "another number of connections",
  pause: (d) => `${vbuckets(d)} paused`,
  takeover: (d) => `${vbuckets(d)} taken over, active here`,
};
const vbuckets = (d) => (d.vbuckets ? `vBuckets ${d.vbuckets}` : "all vBuckets");

const DRIFT = [
  { title: "Bucket", head: true, text: (d) => d.bucket },
  { title: "What", wide: true, text: (d) => (DRIFT_WORDS[d.what]?.(d) ?? d.what) },
  { title: "By", text: (d) => d.by ?? UNKNOWN },
  { title: "When", text: (d) => clock(Date.parse(d.at ?? ""), sidecarNow()) },
];

/** Says how the configuration was read last. */
function configFacts(config, now) {
  const file = config.file ?? "no file";
  const loaded = `${file}, read ${clock(Date.parse(config.loaded_at ?? ""), now)}`;
  const reload = config.last_reload;
  const parts = [loaded];
  if (reload) {
    const when = clock(Date.parse(reload.at ?? ""), now);
    parts.push(reload.ok ? `last reload ${when} by ${reload.by}: in force`
      : `last reload ${when} by ${reload.by} FAILED: ${reload.error}; the values before it stay`);
    if (reload.restart_needed?.length > 0) {
      parts.push(`a restart is needed for ${reload.restart_needed.join(", ")}`);
    }
  }
  if (config.state_error) {
    parts.push(`what was changed CANNOT BE KEPT: ${config.state_error}`);
  }
  return parts.join(" \u00b7 ");
}

/** Where the desired maps come from, where that is not the file. */
function sourceFacts(source) {
  if (!source || source.kind === "file") {
    return "";
  }
  const state = source.connected === true ? "connected"
    : source.connected === false ? "NOT CONNECTED" : "not asked yet";
  return `Maps come from ${source.kind}: ${state}${source.detail ? `, ${source.detail}` : ""}. `;
}

/** Makes both sections; the function it returns shows an overview in them. */
function makeDesired() {
  const rows = makeTable(
    byId("drift-rows"), "What was changed at run time", DRIFT,
    (d) => JSON.stringify([d.bucket, d.what, d.vbuckets, d.from]), "",
  );
  rows([]);
  let read = "";
  const readDrift = async () => {
    try {
      const { buckets } = await ask("/api/v1/desired");
      rows(buckets.flatMap(({ bucket, drift }) => drift.map((d) => ({ bucket, ...d }))));
    } catch (error) {
      read = "";
      setText(byId("drift"), `could not be read: ${error.message}`);
    }
  };
  const details = byId("config");
  const readConfig = async () => {
    try {
      setText(byId("config-text"), JSON.stringify(await ask("/config"), null, 2));
    } catch (error) {
      setText(byId("config-text"), `could not be read: ${error.message}`);
    }
  };
  let loaded = null;
  details.addEventListener("toggle", () => details.open && readConfig());
  return (overview) => {
    const total = overview.drift.reduce((sum, { count: many }) => sum + many, 0);
    const says = total === 0 ? "Nothing: what is in force is what the configuration says."
      : `${plural(total, "vBucket or setting", "vBuckets or settings")}, not as the configuration `
        + "says; this stays so over restarts. dcp-proxy config save writes it into the file, "
        + "dcp-proxy config discard drops it.";
    setText(byId("drift"), sourceFacts(overview.source) + says);
    const state = JSON.stringify(overview.buckets.map((b) => [b.bucket, b.revision, b.drift]));
    if (state !== read) {
      read = state;
      if (total > 0) {
        readDrift();
      } else {
        rows([]);
      }
    }
    setText(byId("config-facts"), configFacts(overview.config, sidecarNow()));
    if (details.open && loaded !== overview.config.loaded_at) {
      readConfig();
    }
    loaded = overview.config.loaded_at;
  };
}
