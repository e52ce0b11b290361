// Sets of vBuckets in text ("0-511,600"), and the vBucket of a key. Pure.

const VBUCKETS_MAX = 1024;

/** The vBuckets of a text, ascending; an error says what is wrong and what is allowed. */
function parseSet(text) {
  const found = new Set();
  const parts = text.split(",").map((part) => part.trim());
  for (const part of parts) {
    const match = /^(\d{1,4})(?:\s*-\s*(\d{1,4}))?$/.exec(part);
    if (!match) {
      throw new Error(`"${part}" is no vBucket and no range: write for example 0-99,200`);
    }
    const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])];
    if (last >= VBUCKETS_MAX || first > last) {
      throw new Error(`"${part}" is out of range: 0 to ${VBUCKETS_MAX - 1}, lower number first`);
    }
    for (let vb = first; vb <= last; vb += 1) {
      if (found.has(vb)) {
        throw new Error(`vBucket ${vb} is named twice: name each once`);
      }
      found.add(vb);
    }
  }
  return [...found].sort((a, b) => a - b);
}

/** The text of ascending vBuckets, with ranges. */
function formatSet(vbs) {
  const runs = [];
  for (const vb of vbs) {
    const run = runs.at(-1);
    if (run && run[1] === vb - 1) {
      run[1] = vb;
    } else {
      runs.push([vb, vb]);
    }
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

/** The checksum that clients use for keys: CRC-32 of the IEEE polynomial. */
function crc32(octets) {
  let crc = 0xffffffff;
  for (const octet of octets) {
    crc ^= octet;
    for (let bit = 0; bit < 8; bit += 1) {
      crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    }
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** The vBucket of a key, as every Couchbase client chooses it. */
function vbucketOf(key, vbuckets) {
  return ((crc32(new TextEncoder().encode(key)) >>> 16) & 0x7fff) % vbuckets;
}

/**
 * What somebody looks for: digits are a vBucket, everything else is a key; a key of digits stands
 * in quotes. Returns the vBucket, and a text about it.
 */
function findVbucket(text, vbuckets) {
  const asked = text.trim();
  if (asked === "") {
    throw new Error("write a vBucket's number, or a document's key");
  }
  if (/^\d+$/.test(asked)) {
    const vb = Number(asked);
    if (vb >= vbuckets) {
      const range = `0 to ${vbuckets - 1}`;
      throw new Error(`no vBucket ${asked}: ${range}; for a key of digits write "${asked}"`);
    }
    return { vb, says: `vBucket ${vb}` };
  }
  const quoted = /^"(.*)"$/s.exec(asked);
  const key = quoted ? quoted[1] : asked;
  const vb = vbucketOf(key, vbuckets);
  return { vb, says: `key ${key} is in vBucket ${vb} of ${vbuckets}` };
}

/** How many of these vBuckets are in each state, most first: [[char, number]]. */
function statesOf(vbs, states) {
  const numbers = new Map();
  for (const vb of vbs) {
    const char = states[vb] ?? UNKNOWN;
    numbers.set(char, (numbers.get(char) ?? 0) + 1);
  }
  return [...numbers].sort((a, b) => b[1] - a[1]);
}
