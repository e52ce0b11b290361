//! Generates the sample documents. Pure and repeatable: the same seed and number give the same
//! document.

use fastrand::Rng;
use mcbp::{Datatype, VbId};

/// The smallest value, in bytes.
pub const VALUE_BYTES_MIN: usize = 64;
/// The largest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// The exponent that favours small sizes: with 5, 100,000 documents take about 200 MB.
const SKEW: i32 = 5;
/// Documents that expire live 6 to 48 hours, so that none expires during the comparison.
const TTL_SECONDS: std::ops::Range<u32> = 6 * 3600..48 * 3600;

const WORDS: [&str; 16] = [
    "stream", "bucket", "snapshot", "marker", "replica", "active", "pending", "takeover", "seqno",
    "failover", "rollback", "backfill", "mutation", "deletion", "opaque", "window",
];

/// One sample document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Its key, which contains the number.
    pub key: String,
    /// Its value.
    pub value: Vec<u8>,
    /// JSON or raw.
    pub datatype: Datatype,
    /// The user's flags.
    pub flags: u32,
    /// What happens to it after it was written.
    pub fate: Fate,
}

/// What happens to a document after it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It stays.
    Stays,
    /// It expires this many seconds after it was written.
    Expires(u32),
    /// It is deleted immediately.
    Deleted,
}

impl Fate {
    /// Seconds to live; 0 for no expiry.
    #[must_use]
    pub const fn ttl_seconds(self) -> u32 {
        match self {
            Self::Expires(seconds) => seconds,
            Self::Stays | Self::Deleted => 0,
        }
    }
}

/// The document of this number.
#[must_use]
pub fn sample(seed: u64, number: u64) -> Sample {
    sized(seed, number, None)
}

/// The document of this number, with a value of this size, at least [`VALUE_BYTES_MIN`].
#[must_use]
pub fn sized(seed: u64, number: u64, bytes: Option<usize>) -> Sample {
    let key = format!("sample-{number:08}");
    let (mut rng, drawn, is_json, fate) = drawn(seed, number);
    let bytes = bytes.map_or(drawn, |bytes| bytes.max(VALUE_BYTES_MIN));
    let flags = rng.u32(..);
    let (value, datatype) = if is_json {
        (json(&mut rng, &key, bytes), Datatype::JSON)
    } else {
        (binary(&mut rng, bytes), Datatype::RAW)
    };
    Sample { key, value, datatype, flags, fate }
}

/// What happens to the document of this number, without its value.
#[must_use]
pub fn fate(seed: u64, number: u64) -> Fate {
    let (.., fate) = drawn(seed, number);
    fate
}

/// The size of a document, whether it is JSON, and its fate; then what draws the rest of it.
fn drawn(seed: u64, number: u64) -> (Rng, usize, bool, Fate) {
    // Spreads neighbouring seeds, which would give similar documents.
    let mut rng = Rng::with_seed((seed ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let bytes = value_bytes(&mut rng);
    let is_json = rng.u8(..4) != 0;
    let fate = match rng.u8(..100) {
        0..=2 => Fate::Deleted,
        3..=7 => Fate::Expires(rng.u32(TTL_SECONDS)),
        _ => Fate::Stays,
    };
    (rng, bytes, is_json, fate)
}

/// The vBucket of a key in a bucket with this number of vBuckets, as Couchbase clients choose it.
#[must_use]
pub fn vbucket_of(key: &[u8], vbuckets: u16) -> VbId {
    // The upper half of the checksum, of which clients use 15 bits.
    let [high, low, ..] = crc32fast::hash(key).to_be_bytes();
    let hash = u16::from_be_bytes([high, low]) & 0x7fff;
    // A bucket with no vBucket has no keys either.
    VbId(hash.checked_rem(vbuckets).unwrap_or(0))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "between the two bounds, far below what either type holds"
)]
fn value_bytes(rng: &mut Rng) -> usize {
    let span = (VALUE_BYTES_MAX / VALUE_BYTES_MIN) as f64;
    (VALUE_BYTES_MIN as f64 * span.powf(rng.f64().powi(SKEW))) as usize
}

fn json(rng: &mut Rng, key: &str, bytes: usize) -> Vec<u8> {
    let mut text = format!("{{\"id\":\"{key}\",\"rank\":{},\"text\":\"", rng.u16(..));
    let end = "\"}";
    while text.len() + end.len() < bytes {
        text.extend(rng.choice(&WORDS).copied());
        text.push(' ');
    }
    text.truncate(bytes - end.len());
    text.push_str(end);
    text.into_bytes()
}

fn binary(rng: &mut Rng, bytes: usize) -> Vec<u8> {
    let mut value = vec![0; bytes];
    rng.fill(&mut value);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_gives_the_same_document() {
        assert_eq!(sample(1, 77), sample(1, 77));
        assert_ne!(sample(1, 77).value, sample(2, 77).value);
        assert_ne!(sample(1, 77).value, sample(1, 78).value);
    }

    #[test]
    fn sizes_lean_to_the_small_and_stay_within_bounds() {
        let samples: Vec<Sample> = (0..2000).map(|number| sample(7, number)).collect();
        let sizes = samples.iter().map(|sample| sample.value.len());
        let total: usize = sizes.clone().sum();
        assert!(sizes.clone().all(|size| (VALUE_BYTES_MIN..=VALUE_BYTES_MAX).contains(&size)));
        assert!(sizes.clone().filter(|&size| size < 1024).count() > 1200);
        assert!(sizes.filter(|&size| size > 16 * 1024).count() > 20);
        assert!((1_500..2_500).contains(&(total / 2000)), "mean is {}", total / 2000);
    }

    #[test]
    fn a_size_may_be_given() {
        for (wanted, bytes) in [(0, 64), (64, 64), (65, 65), (1 << 20, 1 << 20)] {
            for number in 0..20 {
                let sample = sized(7, number, Some(wanted));
                assert_eq!((sample.value.len(), &sample.key), (bytes, &sample_key(number)));
                if sample.datatype == Datatype::JSON {
                    serde_json::from_slice::<serde_json::Value>(&sample.value).unwrap();
                }
            }
        }
    }

    #[test]
    fn there_are_documents_of_every_kind() {
        let samples: Vec<Sample> = (0..2000).map(|number| sample(7, number)).collect();
        let count = |test: fn(&Sample) -> bool| samples.iter().filter(|s| test(s)).count();
        assert!((30..=100).contains(&count(|sample| sample.fate == Fate::Deleted)));
        assert!((60..=150).contains(&count(|sample| matches!(sample.fate, Fate::Expires(_)))));
        assert!(count(|sample| sample.datatype == Datatype::RAW) > 400);
        let json = samples.iter().filter(|sample| sample.datatype == Datatype::JSON);
        for sample in json {
            serde_json::from_slice::<serde_json::Value>(&sample.value).unwrap();
        }
    }

    #[test]
    fn keys_go_to_the_vbuckets_that_couchbase_clients_choose() {
        // Worked out with zlib.
        assert_eq!(vbucket_of(b"hello", 1024), VbId(528));
        assert_eq!(vbucket_of(b"hello", 64), VbId(16));
        let spread: std::collections::BTreeSet<VbId> =
            (0..20_000).map(|n| vbucket_of(sample_key(n).as_bytes(), 1024)).collect();
        assert_eq!(spread.len(), 1024);
    }

    fn sample_key(number: u64) -> String {
        format!("sample-{number:08}")
    }
}
