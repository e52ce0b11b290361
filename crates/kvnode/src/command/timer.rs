//! GET_CMD_TIMER: how long the commands of one opcode took, for mctimings.
//!
//! Source: kv_engine's `get_cmd_timer_executor.cc`.

use mcbp::{Opcode, Status};

use crate::client::{Client, Login};
use crate::context::Context;
use crate::protocol::{Request, RequestError};
use crate::timings::Reading;

/// The key that stands for all buckets that the user may see.
const ALL: &[u8] = b"/all/";
/// The key that stands for commands of clients that had selected no bucket.
const NO_BUCKET: &[u8] = b"@no bucket@";

/// Answers with the times of an opcode. Without a key they are those of the selected bucket.
pub(super) fn get(client: &mut Client, request: &Request<'_>) -> Result<(), RequestError> {
    let &[opcode] = request.frame.extras else {
        return Err(RequestError::new(Status::EINVAL, "extras must be the opcode"));
    };
    let login = client.login.as_ref();
    let login = login.ok_or_else(|| RequestError::new(Status::EACCESS, "authenticate first"))?;
    let reading = reading(&client.node, login, request.frame.key, Opcode(opcode))?;
    client.replies.send(&request.success().value(reading.to_string().as_bytes()));
    Ok(())
}

fn reading(
    node: &Context,
    login: &Login,
    key: &[u8],
    opcode: Opcode,
) -> Result<Reading, RequestError> {
    if key == ALL {
        return all(node, login, opcode);
    }
    let Some(selected) = login.bucket.as_ref().filter(|_| key != NO_BUCKET) else {
        login.check_times(None)?;
        return Ok(node.counters.timings.of([opcode]));
    };
    let bucket = &selected.bucket;
    if !key.is_empty() && key != bucket.name().as_bytes() {
        let context = "name the selected bucket, /all/ or @no bucket@";
        return Err(RequestError::new(Status::NOT_SUPPORTED, context));
    }
    login.check_times(Some(bucket.name()))?;
    Ok(bucket.counters().timings.of([opcode]))
}

/// The times of all buckets that the user may see; refused where there is none.
fn all(node: &Context, login: &Login, opcode: Opcode) -> Result<Reading, RequestError> {
    let none = login.check_times(None);
    let mut sum = none.is_ok().then(|| node.counters.timings.of([opcode]));
    let buckets = node.buckets.iter().map(|served| &served.bucket);
    for bucket in buckets.filter(|bucket| login.check_times(Some(bucket.name())).is_ok()) {
        let times = bucket.counters().timings.of([opcode]);
        sum.get_or_insert_default().add(&times);
    }
    sum.map_or_else(|| none.map(|()| Reading::default()), Ok)
}
