//! Compares an answer with a recorded one.
//!
//! Different by their nature, and compared by what they have in common: CAS values (each stands for
//! the same answer on both sides), uuids of vBuckets and scans, times, durations, and the texts of
//! errors, which are each node's own words.

use std::collections::BTreeMap;

use mcbp::{Datatype, Feature, Frame, Header, Opcode, Status, framing};

use crate::support::client::Answer;

/// What stands for the same on both sides: the recorded one, and this node's.
#[derive(Default)]
pub struct Known {
    cas: Vec<[u64; 2]>,
    uuids: Vec<[u64; 2]>,
    scans: Vec<[[u8; 16]; 2]>,
}

/// Compares two values that must be the same.
pub fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what} {found:?} instead of {expected:?}"))
    }
}

impl Known {
    /// The CAS of this node for one of the recorded node.
    pub fn ours(&self, cas: u64) -> u64 {
        self.cas.iter().find(|known| known[0] == cas).map_or(cas, |known| known[1])
    }

    /// Bytes of a request with this node's uuids and scans in the places of the recorded ones.
    pub fn ours_in(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        if let Some(uuid) = bytes.first_chunk_mut::<8>()
            && let Some(known) = self.uuids.iter().find(|known| known[0].to_be_bytes() == *uuid)
        {
            *uuid = known[1].to_be_bytes();
        }
        if let Some(scan) = bytes.first_chunk_mut::<16>()
            && let Some(known) = self.scans.iter().find(|known| known[0] == *scan)
        {
            *scan = known[1];
        }
        bytes
    }

    pub fn compare_head(&mut self, expected: &Frame<'_>, found: &Answer) -> Result<(), String> {
        let header = &expected.header;
        let text = String::from_utf8_lossy(&found.value);
        same("status", &found.status, &header.status()).map_err(|it| format!("{it}: {text}"))?;
        same("opcode", &found.opcode, &header.opcode)?;
        same("opaque", &found.opaque, &header.opaque)?;
        same("framing extras", &infos(&found.framing), &infos(expected.framing))?;
        let pair = [header.cas, found.cas];
        // The CAS of all ones stands for itself.
        match self.cas.iter().find(|known| known[0] == header.cas) {
            _ if matches!(header.cas, 0 | u64::MAX) => same("CAS", &found.cas, &header.cas),
            Some(known) => same("CAS", &pair, known),
            None => {
                self.cas.push(pair);
                Ok(())
            }
        }
    }

    pub fn compare(&mut self, expected: &Frame<'_>, found: &Answer) -> Result<(), String> {
        self.compare_head(expected, found)?;
        let header = &expected.header;
        let error = b"{\"error\":{\"context\"";
        if expected.value.starts_with(error) {
            same("datatype", &found.datatype, &header.datatype)?;
            let uids = [&found.value[..], expected.value].map(manifest_uid);
            same("the uid of the manifest", &uids[0], &uids[1])?;
            return same("an error", &members(&found.value), &members(expected.value));
        }
        let is_told = expected.value.is_empty() && found.value.starts_with(error);
        if header.status() != Status::SUCCESS && is_told {
            return Ok(());
        }
        if header.opcode == Opcode::HELLO {
            return compare_features(expected.value, &found.value);
        }
        same("datatype", &found.datatype, &header.datatype)?;
        let is_success = header.status() == Status::SUCCESS;
        if header.opcode == Opcode::GET_ERROR_MAP && is_success {
            return compare_error_maps(expected.value, &found.value);
        }
        if header.opcode == Opcode::RANGE_SCAN_CREATE && is_success {
            let scan = [expected.value, &found.value].map(|it| it.try_into().unwrap_or_default());
            same("whether it is 16 bytes", &scan.contains(&[0; 16]), &false)?;
            self.scans.push(scan);
            return Ok(());
        }
        same("key", &&found.key[..], &expected.key)?;
        self.compare_extras(header, expected.extras, &found.extras)?;
        let is_compressed = header.datatype.contains(Datatype::SNAPPY);
        let [expected, found] = [(0, expected.value), (1, &found.value)].map(|(side, value)| {
            // Encoders differ.
            let inflated = is_compressed.then(|| snap::raw::Decoder::new().decompress_vec(value));
            self.plain(side, &inflated.map_or(value.to_vec(), Result::unwrap))
        });
        same("value", &found, &expected)
    }

    fn compare_extras(
        &mut self,
        header: &Header,
        expected: &[u8],
        found: &[u8],
    ) -> Result<(), String> {
        let (opcode, is_push) = (header.opcode, header.is_request());
        same("extras", &found.len(), &expected.len())?;
        if opcode == Opcode::GET_META && !expected.is_empty() {
            // The expiry is a time.
            let is_set = |extras: &[u8]| extras[8..12] != [0; 4];
            same("expiry", &is_set(found), &is_set(expected))?;
            same("meta", &(&found[..8], &found[12..]), &(&expected[..8], &expected[12..]))
        } else if expected.len() == 16 && !is_push {
            let uuids = [expected, found].map(|it| u64::from_be_bytes(it[..8].try_into().unwrap()));
            self.same_uuid(uuids)?;
            same("seqno", &&found[8..], &&expected[8..])
        } else {
            same("extras", &found, &expected)
        }
    }

    /// One uuid stands for one of the recorded ones, and for no other.
    fn same_uuid(&mut self, pair: [u64; 2]) -> Result<(), String> {
        let known = self.uuids.iter().find(|it| it[0] == pair[0] || it[1] == pair[1]).copied();
        if known.is_none() {
            self.uuids.push(pair);
        }
        same("uuid", &pair, &known.unwrap_or(pair))
    }

    /// The text of a value with names in the place of numbers that differ.
    pub fn plain(&self, side: usize, value: &[u8]) -> String {
        let mut text = hex(&without_times(value));
        for (index, pair) in self.cas.iter().enumerate() {
            let cas = pair[side];
            text = text.replace(&hex(&cas.to_be_bytes()), &format!("<CAS {index}>"));
            // As a text, in both orders of its bytes.
            for cas in [cas, cas.swap_bytes()] {
                let written = hex(format!("{cas:016x}").as_bytes());
                text = text.replace(&written, &format!("<CAS {index}>"));
            }
        }
        for (index, uuid) in self.uuids.iter().enumerate() {
            let (uuid, name) = (uuid[side], format!("<uuid {index}>"));
            text = text.replace(&hex(format!("{uuid:016x}").as_bytes()), &name);
            text = text.replace(&hex(&uuid.to_be_bytes()), &name);
        }
        text
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value without its numbers of ten digits, which are times.
fn without_times(value: &[u8]) -> Vec<u8> {
    let same_word = |a: &u8, b: &u8| a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric();
    let is_time = |word: &[u8]| word.len() == 10 && word.iter().all(u8::is_ascii_digit);
    let words = value.chunk_by(same_word);
    words.flat_map(|word| if is_time(word) { b"<time>" } else { word }).copied().collect()
}

/// This node grants what a real one does, without what it does not have.
fn compare_features(expected: &[u8], found: &[u8]) -> Result<(), String> {
    let missing = [
        Feature::NON_BLOCKING_THROTTLING,
        Feature::RANGE_SCAN_INCLUDE_XATTR,
        Feature::GET_RANDOM_KEY_INCLUDE_XATTR,
    ];
    let features = |bytes: &[u8]| -> Vec<Feature> {
        bytes.as_chunks::<2>().0.iter().map(|it| Feature(u16::from_be_bytes(*it))).collect()
    };
    let mut expected = features(expected);
    expected.retain(|feature| !missing.contains(feature));
    same("features", &features(found), &expected)
}

/// The names of the members of a JSON object, and of those of its first member.
fn members(json: &[u8]) -> Vec<String> {
    let json = serde_json::from_slice(json).unwrap_or_default();
    let names = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().map(|it| it.keys().cloned().collect()).unwrap_or_default()
    };
    [names(&json), names(&json["error"])].concat()
}

/// The uid of the manifest in an error about a collection.
fn manifest_uid(json: &[u8]) -> serde_json::Value {
    let json: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
    json["manifest_uid"].clone()
}

/// The names of the framing extras, and their lengths.
fn infos(framing: &[u8]) -> Vec<(u16, usize)> {
    let infos = framing::iter(framing).map(|info| info.unwrap());
    infos.map(|info| (info.id, info.value.len())).collect()
}

/// Each status has the attributes that it has in the map of a real node: by them a client decides
/// what to do. Names and descriptions are each node's own.
fn compare_error_maps(expected: &[u8], found: &[u8]) -> Result<(), String> {
    let [expected, found] = [expected, found].map(attributes);
    same("whether the map has errors", &found.is_empty(), &false)?;
    let differ = found.iter().filter(|(code, attributes)| expected.get(*code) != Some(attributes));
    let differ = differ.map(|(code, found)| (code, found, expected.get(code)));
    same("errors", &differ.collect::<Vec<_>>(), &Vec::new())
}

fn attributes(map: &[u8]) -> BTreeMap<String, serde_json::Value> {
    let map: serde_json::Value = serde_json::from_slice(map).unwrap();
    let errors = map["errors"].as_object().unwrap().iter();
    errors.map(|(code, error)| (code.clone(), error["attrs"].clone())).collect()
}
