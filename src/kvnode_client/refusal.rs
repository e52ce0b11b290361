//! What an error status of a node means, in words, and what to do. Pure.

use mcbp::{Status, VbId, VbState};
use serde_json::json;

use super::failure::Failure;

/// A request that a node answered with an error.
pub(super) struct Refusal<'a> {
    pub(super) address: &'a str,
    pub(super) bucket: &'a str,
    /// The key; `None` where the request is for a whole vBucket.
    pub(super) key: Option<&'a [u8]>,
    pub(super) vb: VbId,
    pub(super) status: Status,
    /// The text of the answer.
    pub(super) context: &'a [u8],
    /// The state of the vBucket there, if it is known.
    pub(super) state: Option<VbState>,
}

impl Refusal<'_> {
    /// The failure of the command.
    pub(super) fn failure(&self) -> Failure {
        let Self { address, bucket, vb: VbId(vb), status, .. } = *self;
        let key = self.key.map(String::from_utf8_lossy);
        let named = key.as_ref().map_or_else(String::new, |key| format!("key {key:?}, "));
        let place = format!("node {address}, bucket {bucket:?}, {named}vBucket {vb}");
        let text = format!("{place}: {status}: {}", self.words());
        let details = json!({
            "node": address, "bucket": bucket, "key": key, "vbucket": vb,
            "status": status.to_string(), "state": self.state.map(VbState::name),
        });
        Failure::failed(text, details)
    }

    fn words(&self) -> String {
        let text = context(self.context);
        let said = if text.is_empty() { String::new() } else { format!(" ({text})") };
        match self.status {
            Status::KEY_ENOENT => "there is no document with this key".to_owned(),
            Status::NOT_MY_VBUCKET => self.not_my_vbucket(),
            Status::E2BIG => {
                "the value is too large: give at most 20 MiB (20971520 bytes)".to_owned()
            }
            Status::KEY_EEXISTS | Status::LOCKED => {
                format!("another client has changed or locked the document{said}: try again")
            }
            Status::ETMPFAIL | Status::EBUSY => {
                format!("the node cannot do it now{said}: try again; its log says more")
            }
            Status::ENOMEM => {
                format!("the quota of the bucket is used up{said}: raise quota_mib of the node")
            }
            Status::EACCESS => format!("the user may not do this{said}: give another --username"),
            Status::NOT_SUPPORTED | Status::UNKNOWN_COMMAND => {
                format!("the node does not have this command{said}")
            }
            Status::ERANGE => {
                format!("the bucket has no such vBucket{said}: give a smaller number")
            }
            Status::EINTERNAL => format!("the node has failed{said}: its log says why"),
            _ => format!("the node refuses the request{said}"),
        }
    }

    fn not_my_vbucket(&self) -> String {
        let VbId(vb) = self.vb;
        match self.state {
            Some(state) => format!(
                "the vBucket is {state} here, and only an active one serves documents: ask the \
                 node where it is active, or, where none has it active, run kvnode vbuckets {vb} \
                 --set-state active"
            ),
            None => {
                "the node does not have this vBucket: ask the node that has it; kvnode vbuckets \
                     shows those of this one"
                    .to_owned()
            }
        }
    }
}

/// The text that a node gives with an error: JSON, for clients with XERROR.
pub(super) fn context(value: &[u8]) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(value).ok();
    let given = parsed.as_ref().and_then(|json| json.pointer("/error/context")?.as_str());
    let text = given.unwrap_or_default();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_says_where_what_and_what_to_do() {
        let statuses = [
            (Status::KEY_ENOENT, None),
            (Status::NOT_MY_VBUCKET, Some(VbState::Replica)),
            (Status::NOT_MY_VBUCKET, None),
            (Status::E2BIG, None),
            (Status::ETMPFAIL, None),
            (Status::ENOMEM, None),
            (Status::EACCESS, None),
            (Status::NOT_SUPPORTED, None),
            (Status::ERANGE, None),
            (Status::EINTERNAL, None),
            (Status::KEY_EEXISTS, None),
            (Status::EINVAL, None),
        ];
        let text = |(status, state): (Status, Option<VbState>)| {
            let refusal = Refusal {
                address: "127.0.0.1:11210",
                bucket: "default",
                key: Some(b"a\xff\n"),
                vb: VbId(528),
                status,
                context: br#"{"error":{"context":"warm-up is \u001b[31m under way"}}"#,
                state,
            };
            let failure = refusal.failure();
            assert_eq!(failure.exit, 1);
            failure.text
        };
        insta::assert_snapshot!(statuses.map(text).join("\n"));
        assert_eq!(context(b"\x00 not JSON"), "");
    }
}
