//! Plays the other side of one recorded node to a real one.

use std::collections::BTreeMap;
use std::time::Duration;

use mcbp::dcp::{Open, control_key};
use mcbp::{Frame, FrameBuilder, Opcode, Side, VbId, VbUuid};
use relay::{Client, DcpOpen, Deadlines, Endpoint, LINK_FEATURES, Login, Prepared};

use super::allowed::{Consent, restrict};
use super::output::Output;
use super::player::Player;
use super::recording::{Conversation, Opening};
use super::script::{Act, Line, Part, Role, script};
use super::shape::{Compare, name};
use super::wire::{Wire, play};

/// The longest name of a connection, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Who this is, in HELLO.
const AGENT: &str = "dcp-proxy-replay";

/// What is played, and to whom.
pub(crate) struct Target<'a> {
    /// The node.
    pub(crate) endpoint: &'a Endpoint,
    /// Which recorded node it stands for.
    pub(crate) side: Side,
    /// The bucket.
    pub(crate) bucket: &'a str,
    /// What makes the name of the connection another one than any that is in use.
    pub(crate) suffix: &'a str,
    /// Whether it may be changed.
    pub(crate) consent: Consent,
    /// How much is compared.
    pub(crate) compare: Compare,
    /// How long nothing may come.
    pub(crate) wait: Duration,
}

impl Target<'_> {
    /// Those of a login: nothing is waited for longer than for a frame.
    fn deadlines(&self) -> Deadlines {
        let default = Deadlines::default();
        let (connect, request) = (default.connect.min(self.wait), default.request.min(self.wait));
        Deadlines { connect, request }
    }
}

/// Plays one conversation. Returns the player at its end.
///
/// # Errors
/// The node cannot be reached or logged in to.
pub(crate) async fn run(
    conversation: &Conversation,
    target: &Target<'_>,
    out: &Output,
) -> Result<Player, String> {
    let mut lines = script(conversation, target.side, Role::Peer);
    let lacks_opening = conversation.openings.is_empty();
    if lacks_opening && target.side == Side::Producer {
        lines.splice(0..0, usual_options());
    }
    for remark in restrict(&mut lines, target.side, target.consent) {
        out.remark(&remark);
    }
    let uuids = uuids(&lines, target).await?;
    let opening = conversation.openings.get(&target.side);
    let mut wire = open(target, opening).await?;
    let other = format!("node as {}", name(target.side));
    let mut player = Player::new(lines, target.compare, other);
    player.ignores_options = lacks_opening;
    play(&mut player, &mut wire, target.wait, &uuids).await;
    Ok(player)
}

/// The options without which a producer opens no stream or sends other frames, for a recording
/// that begins after they were agreed. A node refuses those that it does not know.
fn usual_options() -> impl Iterator<Item = Line> {
    let options = [
        (control_key::ENABLE_NOOP, "true"),
        (control_key::SEND_STREAM_END_ON_CLIENT_CLOSE, "true"),
        (control_key::ENABLE_EXPIRY_OPCODE, "true"),
        (control_key::ENABLE_SYNC_WRITES, "true"),
        (control_key::INCLUDE_DELETED_USER_XATTRS, "true"),
        (control_key::V7_STATUS_CODES, "true"),
        (control_key::FLATBUFFERS_SYSTEM_EVENTS, "true"),
        (control_key::CHANGE_STREAMS, "true"),
        (control_key::MAX_MARKER_VERSION, "2.2"),
    ];
    options.into_iter().map(|(key, value)| {
        let request = FrameBuilder::request(Opcode::DCP_CONTROL);
        let bytes = request.key(key.as_bytes()).value(value.as_bytes()).build();
        Line { n: 0, act: Act::Send(Part { bytes, vb: None, is_accepted: false }) }
    })
}

async fn open(target: &Target<'_>, opening: Option<&Opening>) -> Result<Wire, String> {
    let deadlines = target.deadlines();
    let prepared = Prepared::connect(target.endpoint, target.side, target.bucket, deadlines).await;
    let frame = opening.and_then(|opening| Frame::parse(&opening.open).ok());
    let recorded = frame.as_ref().and_then(|frame| Open::decode(frame).ok());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let base = recorded.map_or_else(|| "replay".to_owned(), |open| text(open.name));
    let room = NAME_BYTES_MAX.saturating_sub(target.suffix.len());
    let base = base.get(..base.floor_char_boundary(room)).unwrap_or_default();
    let consumer_name = recorded.and_then(|open| {
        let json: serde_json::Value = serde_json::from_slice(open.value).ok()?;
        Some(json.get("consumer_name")?.as_str()?.to_owned())
    });
    // A producer would take this connection for a replica.
    let consumer_name = consumer_name.filter(|_| target.side == Side::Consumer);
    let asked = opening.map(|opening| &opening.features).filter(|features| !features.is_empty());
    let open = DcpOpen {
        connection_name: &format!("{base}{}", target.suffix),
        consumer_name: consumer_name.as_deref(),
        agent: AGENT,
        features: asked.map_or(&LINK_FEATURES, |features| features),
    };
    let connection = match prepared {
        Ok(prepared) => prepared.open(open).await,
        Err(error) => Err(error),
    };
    let connection = connection.map_err(|error| error.to_string())?;
    let leftover = connection.leftover.clone();
    Ok(Wire::new(connection.reader, connection.writer, &leftover))
}

/// The newest uuid of each vBucket of which a stream is to go on where the recorded one did: the
/// histories of two nodes never have the same.
async fn uuids(lines: &[Line], target: &Target<'_>) -> Result<BTreeMap<VbId, VbUuid>, String> {
    let going_on = lines.iter().filter_map(|line| match &line.act {
        Act::Send(part) if part.is_accepted => {
            let frame = Frame::parse(&part.bytes).ok()?;
            let is_request = frame.opcode() == Opcode::DCP_STREAM_REQ;
            part.vb.filter(|_| is_request)
        }
        _ => None,
    });
    let vbs: Vec<VbId> = going_on.collect();
    let mut uuids = BTreeMap::new();
    if vbs.is_empty() {
        return Ok(uuids);
    }
    let login = Login {
        bucket: Some(target.bucket),
        agent: AGENT,
        features: &[],
        deadlines: target.deadlines(),
    };
    let client = Client::connect(target.endpoint, login).await;
    let mut client = client.map_err(|error| error.to_string())?;
    for vb in vbs {
        // A vBucket that the node lacks is found out when its stream is asked for.
        let log = client.failover_log(vb).await.unwrap_or_default();
        uuids.extend(log.first().map(|newest| (vb, newest.uuid)));
    }
    Ok(uuids)
}
