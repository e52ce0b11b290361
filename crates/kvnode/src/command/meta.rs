//! GET_META, and SET, ADD and DELETE_WITH_META: changes from another cluster that keep their rev,
//! CAS and times. Of two changes of a document the newer one wins.

use bytes::Bytes;
use mcbp::kv::{DocumentMeta, WithMetaExtras, with_meta_options as option};
use mcbp::{Datatype, Opcode, Status};
use vbucket::conflict::{Incoming, Resolution, replaces};
use vbucket::hlc::Drift;
use vbucket::row::REV_TAKEN_MAX;
use vbucket::{Kind, Row};

use super::read::{by, living, matching, miss};
use super::store::written_answer;
use super::value::Value;
use crate::bucket::{Bucket, Draft, Version, WriteRefusal};
use crate::client::Client;
use crate::clock::{unix_now, unix_now_ns};
use crate::protocol::{Request, RequestError, active_vb};

/// Answers with the metadata of a document, also of a deleted one.
pub(super) async fn get(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let with_datatype = match request.frame.extras {
        [] | [1] => false,
        [2] => true,
        _ => {
            return Err(RequestError::new(
                Status::EINVAL,
                "extras must be a version, 1 or 2, or nothing",
            ));
        }
    };
    let vb = active_vb(bucket, request.vb())?;
    let key = &*request.key(&client.features)?;
    let mut found = vb.find_up_to(key, 0)?;
    if found.as_ref().is_some_and(|found| found.row.is_expired_at(unix_now()))
        && vb.expire(Bytes::copy_from_slice(key)).await
    {
        bucket.counters().expired_on_access.add(1);
        found = vb.find_up_to(key, 0)?;
    }
    let Some(found) = found else {
        miss(client, request, None);
        return Ok(());
    };
    let row = &found.shown();
    let (deleted, flags, expiry) = match row.kind {
        Kind::Document { flags, expiry } => (false, flags, expiry),
        Kind::Deleted { at } | Kind::Expired { at } => (true, 0, at),
        Kind::Event { .. } | Kind::Prepared { .. } | Kind::Aborted { .. } => (true, 0, 0),
    };
    let meta = DocumentMeta { deleted, flags, expiry, rev: row.rev, datatype: row.datatype };
    let extras = meta.encode();
    let [without_datatype @ .., _datatype] = &extras;
    let extras: &[u8] = if with_datatype { &extras } else { without_datatype };
    let frame = request.success().cas(row.cas).extras(extras);
    client.replies.answer(&request.frame.header, found.commit, Some(&frame));
    Ok(())
}

/// SET_WITH_META and ADD_WITH_META.
pub(super) async fn store(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let theirs = Theirs::of(client, bucket, request)?;
    let datatype = request.datatype(&client.features)?;
    let value = Value::checked(theirs.value(request)?, datatype)?;
    let WithMetaExtras { flags, expiry, .. } = theirs.extras;
    theirs.apply(client, bucket, request, Kind::Document { flags, expiry }, value).await?;
    bucket.counters().sets.add(1);
    Ok(())
}

/// DELETE_WITH_META. The deletion keeps the extended attributes that the request carries, and no
/// body.
pub(super) async fn delete(
    client: &mut Client,
    bucket: &Bucket,
    request: &Request<'_>,
) -> Result<(), RequestError> {
    let theirs = Theirs::of(client, bucket, request)?;
    let datatype = request.datatype(&client.features)?;
    let mut value = Value { bytes: Bytes::new(), datatype: Datatype::RAW };
    if datatype.contains(Datatype::XATTR) {
        value = Value::checked(theirs.value(request)?, datatype)?;
        let (attributes, body) = value.split()?;
        if !body.is_empty() {
            value = Value::joined(&attributes, &[])?;
        }
    }
    let at = if theirs.extras.expiry == 0 { unix_now() } else { theirs.extras.expiry };
    let expired = theirs.extras.options & option::IS_EXPIRATION != 0;
    let kind = if expired { Kind::Expired { at } } else { Kind::Deleted { at } };
    theirs.apply(client, bucket, request, kind, value).await?;
    bucket.counters().deletes.add(1);
    Ok(())
}

/// The metadata of a change from another cluster.
struct Theirs {
    extras: WithMetaExtras,
    check_conflicts: bool,
}

impl Theirs {
    fn of(client: &Client, bucket: &Bucket, request: &Request<'_>) -> Result<Self, RequestError> {
        let extras = WithMetaExtras::decode(&request.frame)?;
        let has = |bit| extras.options & bit != 0;
        let check_conflicts = !has(option::SKIP_CONFLICT_RESOLUTION) && !has(option::FORCE);
        if check_conflicts && has(option::REGENERATE_CAS) {
            return Err(RequestError::new(
                Status::EINVAL,
                "REGENERATE_CAS needs SKIP_CONFLICT_RESOLUTION or FORCE",
            ));
        }
        let is_lww = bucket.options().resolution == Resolution::LastWriteWins;
        if has(option::FORCE_ACCEPT) != is_lww {
            let context = if is_lww {
                "the last write wins in this bucket: changes of other clusters need FORCE_ACCEPT"
            } else {
                "FORCE_ACCEPT is for buckets where the last write wins, and here the rev decides"
            };
            return Err(RequestError::new(Status::EINVAL, context));
        }
        if matches!(extras.cas, 0 | u64::MAX) {
            let status = invalid_cas(client);
            return Err(RequestError::new(status, "invalid CAS in extras (0 or all ones)"));
        }
        if extras.rev > REV_TAKEN_MAX {
            let text = format!("the rev {} in extras is above {REV_TAKEN_MAX}", extras.rev);
            return Err(RequestError::new(Status::EINVAL, text));
        }
        check_clock(extras.cas, client, bucket)?;
        Ok(Self { extras, check_conflicts })
    }

    /// The value without the extended metadata that follows it, which is obsolete.
    fn value(&self, request: &Request<'_>) -> Result<Bytes, RequestError> {
        let mut value = request.value();
        let end = value.len().checked_sub(usize::from(self.extras.extended_bytes));
        let end = end.ok_or_else(|| {
            RequestError::new(Status::EINVAL, "the value is shorter than its extended metadata")
        })?;
        let extended = value.split_off(end);
        if !extended.is_empty() && !is_extended_metadata(&extended) {
            return Err(RequestError::new(Status::EINVAL, "the extended metadata is malformed"));
        }
        Ok(value)
    }

    async fn apply(
        &self,
        client: &mut Client,
        bucket: &Bucket,
        request: &Request<'_>,
        kind: Kind,
        value: Value,
    ) -> Result<(), RequestError> {
        let vb = active_vb(bucket, request.vb())?;
        let key = &*request.key(&client.features)?;
        let WithMetaExtras { rev, cas, options, .. } = self.extras;
        // The first change of a document has rev 1; 0 comes from senders that do not count.
        let rev = rev.max(1);
        let incoming = Incoming { rev, cas, kind, datatype: value.datatype };
        let regenerate = options & option::REGENERATE_CAS != 0;
        let version = Version::Theirs { rev, cas: (!regenerate).then_some(cas) };
        let resolution = bucket.options().resolution;
        let expected = request.frame.header.cas;
        let change = |old: Option<&Row>| {
            if expected != 0 {
                matching(old, expected)?;
            }
            let taken = request.opcode == Opcode::ADD_WITH_META && living(old).is_some();
            let loses = |old| self.check_conflicts && !replaces(&incoming, old, resolution);
            if taken || old.is_some_and(loses) {
                return Err(WriteRefusal::Status(Status::KEY_EEXISTS));
            }
            let Value { bytes, datatype } = value.clone();
            Ok(Draft { version, kind, datatype, value: bytes })
        };
        let written =
            vb.write(Bytes::copy_from_slice(key), value.bytes.len(), by(request), change).await?;
        written_answer(client, request, written, &[]);
        Ok(())
    }
}

/// Whether this is a version, 1 or 2, and then of each item its id, its length (2 bytes) and its
/// bytes.
fn is_extended_metadata(bytes: &[u8]) -> bool {
    let Some((1 | 2, mut items)) = bytes.split_first() else { return false };
    while let Some(([_id, high, low], rest)) = items.split_first_chunk::<3>() {
        let Some((_, rest)) = rest.split_at_checked(u16::from_be_bytes([*high, *low]).into())
        else {
            return false;
        };
        items = rest;
    }
    items.is_empty()
}

/// As kv_engine: clients without XERROR do not know the status.
const fn invalid_cas(client: &Client) -> Status {
    if client.features.xerror { Status::CAS_VALUE_INVALID } else { Status::KEY_EEXISTS }
}

/// Refuses a CAS that is too far ahead of the clock: it would take all later ones of the vBucket
/// with it.
fn check_clock(cas: u64, client: &Client, bucket: &Bucket) -> Result<(), RequestError> {
    let limits = bucket.options().drift;
    let (counters, now_ns) = (bucket.counters(), unix_now_ns());
    let cas_max = limits.cas_max(now_ns);
    if cas > cas_max {
        counters.invalid_cas.add(1);
        let seconds = limits.future_max.as_secs();
        let text = format!(
            "invalid CAS in extras: {cas} is more than {seconds} s ahead of this node's clock, at \
             most {cas_max} is taken; check the clocks of both clusters"
        );
        return Err(RequestError::new(invalid_cas(client), text));
    }
    let mut drift = Drift::default();
    drift.add(cas, now_ns, &limits);
    counters.active_drift.add(&drift);
    Ok(())
}
