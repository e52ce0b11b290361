//! `get`, `set` and `delete`: one document.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kvnode::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use mcbp::kv::StoreExtras;
use mcbp::{Datatype, FrameBuilder, Opcode, Status, VbId};
use relay::Response;
use serde_json::{Value, json};

use super::answer::Answer;
use super::connect::Node;
use super::failure::Failure;
use super::refusal::Refusal;

/// Checks the length of a key.
pub(super) fn key(key: &OsStr) -> Result<&[u8], Failure> {
    let key = key.as_bytes();
    match key.len() {
        1..=KEY_BYTES_MAX => Ok(key),
        bytes => {
            Err(Failure::wrong(format!("the key has {bytes} bytes: give 1 to {KEY_BYTES_MAX}")))
        }
    }
}

/// The value of the command line, or of standard input for `-`.
pub(super) fn value(given: &OsStr) -> Result<Vec<u8>, Failure> {
    let value = if given == "-" {
        let (mut value, more) = (Vec::new(), VALUE_BYTES_MAX as u64 + 1);
        let read = std::io::stdin().lock().take(more).read_to_end(&mut value);
        read.map_err(|error| Failure::failed(format!("standard input: {error}"), json!({})))?;
        value
    } else {
        given.as_bytes().to_vec()
    };
    if value.len() > VALUE_BYTES_MAX {
        let text = format!("the value is too large: give at most 20 MiB ({VALUE_BYTES_MAX} bytes)");
        return Err(Failure::wrong(text));
    }
    Ok(value)
}

pub(super) async fn get(node: &mut Node, key: &[u8], vb: Option<u16>) -> Result<Answer, Failure> {
    let vb = node.vbucket(key, vb).await?;
    let sent = node.sent(key);
    let request = FrameBuilder::request(Opcode::GET).vbucket(vb).key(&sent);
    let response = call(node, request, key, vb).await?;
    let mut json = place(node, key, vb);
    let more = shown(&response);
    if let (Some(json), Some(more)) = (json.as_object_mut(), more.as_object()) {
        json.extend(more.clone());
    }
    Ok(Answer { text: response.value.to_vec(), json, failure: None })
}

/// The fields of a document for programs. A CAS has more digits than some JSON readers keep.
fn shown(response: &Response) -> Value {
    let flags = response.extras.first_chunk().map_or(0, |flags| u32::from_be_bytes(*flags));
    let is_json = response.datatype.contains(Datatype::JSON);
    let parsed = Some(&response.value).filter(|_| is_json);
    let parsed = parsed.and_then(|value| serde_json::from_slice::<Value>(value).ok());
    let datatype = if is_json { "json" } else { "raw" };
    let mut shown = json!({
        "cas": response.cas.to_string(), "flags": flags, "datatype": datatype,
        "bytes": response.value.len(),
    });
    let (name, value) = match (parsed, std::str::from_utf8(&response.value)) {
        (Some(json), _) => ("value", json),
        (None, Ok(text)) => ("value", json!(text)),
        (None, Err(_)) => ("value_base64", json!(BASE64_STANDARD.encode(&response.value))),
    };
    if let Some(fields) = shown.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
    shown
}

pub(super) async fn set(
    node: &mut Node,
    (key, value, expiry): (&[u8], &[u8], u32),
    vb: Option<u16>,
) -> Result<Answer, Failure> {
    let vb = node.vbucket(key, vb).await?;
    let extras = StoreExtras { flags: 0, expiry }.encode();
    let request = FrameBuilder::request(Opcode::SET).vbucket(vb).extras(&extras);
    let sent = node.sent(key);
    let response = call(node, request.key(&sent).value(value), key, vb).await?;
    let what = format!("{} bytes set", value.len());
    Ok(written(node, &what, key, vb, &response))
}

pub(super) async fn delete(
    node: &mut Node,
    key: &[u8],
    vb: Option<u16>,
) -> Result<Answer, Failure> {
    let vb = node.vbucket(key, vb).await?;
    let sent = node.sent(key);
    let request = FrameBuilder::request(Opcode::DELETE).vbucket(vb).key(&sent);
    let response = call(node, request, key, vb).await?;
    Ok(written(node, "deleted", key, vb, &response))
}

/// The answer to a change. Its extras are a mutation token: the UUID of the vBucket and the seqno.
fn written(node: &Node, what: &str, key: &[u8], vb: VbId, response: &Response) -> Answer {
    let seqno = response.extras.last_chunk().map(|seqno| u64::from_be_bytes(*seqno));
    let mut json = place(node, key, vb);
    if let Some(fields) = json.as_object_mut() {
        fields.insert("cas".to_owned(), json!(response.cas.to_string()));
        fields.insert("seqno".to_owned(), json!(seqno));
    }
    let seqno = seqno.map_or_else(String::new, |seqno| format!(", seqno {seqno}"));
    let key = String::from_utf8_lossy(key);
    Answer::text(format!("key {key:?}: {what}, vBucket {}{seqno}", vb.0), json)
}

fn place(node: &Node, key: &[u8], vb: VbId) -> Value {
    let (address, bucket) = (&node.address, &node.bucket);
    let key = String::from_utf8_lossy(key);
    json!({ "node": address, "bucket": bucket, "key": key, "vbucket": vb.0 })
}

/// Sends a request for a document; an error status is a failure in words.
async fn call(
    node: &mut Node,
    request: FrameBuilder<'_>,
    key: &[u8],
    vb: VbId,
) -> Result<Response, Failure> {
    let response = node.client.call(request).await?;
    if response.status.is_success() {
        return Ok(response);
    }
    let is_elsewhere = response.status == Status::NOT_MY_VBUCKET;
    let state = if is_elsewhere { node.state(vb).await } else { None };
    let refusal = Refusal {
        address: &node.address,
        bucket: &node.bucket,
        key: Some(key),
        vb,
        status: response.status,
        context: &response.value,
        state,
    };
    Err(refusal.failure())
}
