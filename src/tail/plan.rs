//! What to follow, from where to where: the command line, the checkpoint and the node together.

use std::collections::BTreeMap;
use std::path::Path;

use follow::{Checkpoint, End, Filter, LineOptions, Track, targets};
use mcbp::{FrameBuilder, Opcode, Seqno, Status, VbId, VbUuid};
use relay::{Client, Deadlines, Endpoint, Login};
use replica::branch;

use super::args::{From, TailArgs};
use super::failure::Failure;
use crate::watch::SEQNO_FEATURES;

/// See the module.
pub(super) struct Plan {
    pub(super) endpoint: Endpoint,
    pub(super) bucket: String,
    /// The name of the connection.
    pub(super) name: String,
    pub(super) vbs: BTreeMap<VbId, (Track, End)>,
    /// Of the checkpoint, but not followed.
    pub(super) others: BTreeMap<VbId, Track>,
    pub(super) filter: Filter,
    /// Whether every version of a document is shown.
    pub(super) history: bool,
    pub(super) lines: LineOptions,
}

/// What the node has.
struct Found {
    seqnos: BTreeMap<VbId, Seqno>,
    uuids: BTreeMap<VbId, VbUuid>,
}

/// Asks the node, and reads the checkpoint.
pub(super) async fn plan(args: &TailArgs, endpoint: Endpoint) -> Result<Plan, Failure> {
    let checkpoint = read_checkpoint(args)?;
    let until = args.until.as_deref().map(|text| read_until(text, args)).transpose()?;
    let login = Login {
        bucket: Some(&args.bucket),
        agent: "dcp-proxy/tail",
        features: &SEQNO_FEATURES,
        deadlines: Deadlines::default(),
    };
    let mut client = Client::connect(&endpoint, login).await.map_err(|e| Failure::of(&e))?;
    client.require(&SEQNO_FEATURES).map_err(|e| Failure::of(&e))?;
    let seqnos = client.get_all_vb_seqnos().await.map_err(|e| Failure::of(&e))?;
    let stats = client.stats(branch::GROUP).await.map_err(|e| Failure::of(&e))?;
    let collection = match &args.collection {
        Some(name) => Some(collection(&mut client, name).await?),
        None => None,
    };
    let found = Found {
        seqnos: seqnos.into_iter().collect(),
        uuids: branch::uuids(&stats).into_iter().collect(),
    };
    // What begins with nothing is every key.
    let key = args.key.clone().filter(|key| !key.is_empty());
    let filter = Filter { collection, key };
    let (vbs, others) = tracks(args, checkpoint, &filter, until.as_ref(), &found)?;
    if vbs.is_empty() {
        let (name, bucket) = (&endpoint.name, logline::value(&args.bucket));
        let text = format!("{name} has no vBucket of bucket {bucket}: name them with --vb");
        return Err(Failure::Failed(text));
    }
    let suffix = crate::random::hex::<6>();
    let suffix = suffix.map_err(|error| Failure::Failed(format!("no random bytes: {error}")))?;
    let lines = LineOptions { raw: args.raw, keys_only: args.keys_only, snapshots: args.snapshots };
    let name = format!("dcp-proxy-tail:{}:{suffix}", args.bucket);
    let (bucket, history) = (args.bucket.clone(), args.history);
    Ok(Plan { endpoint, bucket, name, vbs, others, filter, history, lines })
}

/// Where it ends.
enum Until {
    Now,
    At(BTreeMap<VbId, Seqno>),
}

fn read_until(text: &str, args: &TailArgs) -> Result<Until, Failure> {
    if text == "now" {
        return Ok(Until::Now);
    }
    let is_list = text.starts_with(|first: char| first.is_ascii_digit()) && text.contains('=');
    let content = if is_list {
        text.to_owned()
    } else {
        std::fs::read_to_string(text).map_err(|error| {
            let what = "give now, seqnos like 0=1200,1=1100, or a file that can be read";
            Failure::Wrong(format!("--until {}: {error}: {what}", logline::value(text)))
        })?
    };
    let wrong = |error| Failure::Wrong(format!("--until {}: {error}", logline::value(text)));
    if let Ok(checkpoint) = Checkpoint::from_json(&content)
        && checkpoint.bucket != args.bucket
    {
        let (its, asked) = (logline::value(&checkpoint.bucket), logline::value(&args.bucket));
        let what = format!("it is a checkpoint of bucket {its}, not of {asked}: give another file");
        return Err(Failure::Wrong(format!("--until {}: {what}", logline::value(text))));
    }
    targets(&content).map(Until::At).map_err(wrong)
}

/// The checkpoint to go on from, or whose other vBuckets stay in the file, if any.
fn read_checkpoint(args: &TailArgs) -> Result<Option<Checkpoint>, Failure> {
    let Some(path) = &args.checkpoint else {
        if args.from == Some(From::Checkpoint) {
            let text = "--from checkpoint needs --checkpoint FILE";
            return Err(Failure::Wrong(text.to_owned()));
        }
        return Ok(None);
    };
    let wrong = |text: String| Failure::Wrong(format!("checkpoint {}: {text}", path.display()));
    match std::fs::read_to_string(path) {
        Ok(text) => {
            Checkpoint::from_json(&text).map(Some).map_err(|error| wrong(error.to_string()))
        }
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound
                && args.from != Some(From::Checkpoint) =>
        {
            Ok(None)
        }
        Err(error) => Err(wrong(format!("{error}: give the file of an earlier run, or --from"))),
    }
}

type Tracks = (BTreeMap<VbId, (Track, End)>, BTreeMap<VbId, Track>);

fn tracks(
    args: &TailArgs,
    checkpoint: Option<Checkpoint>,
    filter: &Filter,
    until: Option<&Until>,
    found: &Found,
) -> Result<Tracks, Failure> {
    let path = args.checkpoint.as_deref().unwrap_or(Path::new(""));
    let is_anew = matches!(args.from, Some(From::Now | From::Start));
    let is_resumed = checkpoint.is_some() && !is_anew;
    let mut known = match checkpoint {
        Some(checkpoint) => same(checkpoint, args, filter, path)?,
        None => BTreeMap::new(),
    };
    let wanted: Vec<VbId> = match (&args.vb, until) {
        (Some(set), Some(Until::At(seqnos))) => {
            if let Some(vb) = set.iter().find(|vb| !seqnos.contains_key(vb)) {
                let text = "which --until does not name: give its seqno too, or leave it out";
                return Err(Failure::Wrong(format!("--vb has {vb}, {text}")));
            }
            set.iter().collect()
        }
        (Some(set), _) => set.iter().collect(),
        (None, Some(Until::At(seqnos))) => seqnos.keys().copied().collect(),
        (None, _) => {
            let of_file = known.keys().filter(|_| is_resumed);
            let mut all: Vec<_> = found.seqnos.keys().chain(of_file).copied().collect();
            all.sort_unstable();
            all.dedup();
            all
        }
    };
    let mut vbs = BTreeMap::new();
    for vb in wanted {
        let high = found.seqnos.get(&vb).copied().unwrap_or_default();
        let uuid = found.uuids.get(&vb).copied();
        let is_new = args.from != Some(From::Start) && !is_resumed && high > Seqno::ZERO;
        let track = match (known.remove(&vb).filter(|_| is_resumed), uuid) {
            (Some(track), _) => track,
            (None, Some(uuid)) if is_new => Track::at(high, uuid),
            (None, None) if is_new => {
                let text = "the node does not say its branch (stats vbucket-seqno), which --from \
                            now needs: give --from start";
                return Err(Failure::Failed(format!("{vb}: {text}")));
            }
            // What came to the node since the checkpoint was never shown.
            (None, _) => Track::start(),
        };
        let end = match until {
            None => End::Never,
            Some(Until::Now) => End::Now(high),
            // It names all that is wanted.
            Some(Until::At(seqnos)) => End::At(seqnos.get(&vb).copied().unwrap_or_default()),
        };
        vbs.insert(vb, (track, end));
    }
    Ok((vbs, known))
}

/// The tracks of a checkpoint, if it is of the same bucket and filter.
fn same(
    checkpoint: Checkpoint,
    args: &TailArgs,
    filter: &Filter,
    path: &Path,
) -> Result<BTreeMap<VbId, Track>, Failure> {
    let wrong =
        |text: String| Err(Failure::Wrong(format!("checkpoint {}: {text}", path.display())));
    if checkpoint.bucket != args.bucket {
        let (its, asked) = (logline::value(&checkpoint.bucket), logline::value(&args.bucket));
        return wrong(format!("it is of bucket {its}, not of {asked}: give another file"));
    }
    if checkpoint.filter != *filter {
        let its = serde_json::to_string(&checkpoint.filter).unwrap_or_default();
        let text = "with another filter changes before it would be missing: give the same --key \
                    and --collection, or another file";
        return wrong(format!("it was written with the filter {its}: {text}"));
    }
    Ok(checkpoint.tracks)
}

/// The id of a collection, in hexadecimal.
async fn collection(client: &mut Client, name: &str) -> Result<String, Failure> {
    let wrong =
        |text: String| Failure::Wrong(format!("--collection {}: {text}", logline::value(name)));
    if let Some(id) = name.strip_prefix("0x") {
        let id = u32::from_str_radix(id, 16)
            .map_err(|error| wrong(format!("{error}: give an id like 0x8")))?;
        return Ok(format!("{id:x}"));
    }
    let path = if name.contains('.') { name.to_owned() } else { format!("_default.{name}") };
    let taken = logline::value(&path);
    let request = FrameBuilder::request(Opcode::COLLECTIONS_GET_ID).value(path.as_bytes());
    let response = client.call(request).await.map_err(|error| Failure::of(&error))?;
    match response.status {
        Status::SUCCESS => {}
        status @ (Status::UNKNOWN_COMMAND | Status::NOT_SUPPORTED) => {
            let text = "the node cannot look up names of collections: give the id, such as 0x8";
            return Err(wrong(format!("taken as the name {taken}, refused with {status}: {text}")));
        }
        status => {
            let text = "give SCOPE.COLLECTION as the node has it, or the id, such as 0x8";
            return Err(wrong(format!("taken as the name {taken}, refused with {status}: {text}")));
        }
    }
    // The uid of the manifest, then the id.
    let id = response.extras.get(8..12).and_then(|id| id.try_into().ok()).map(u32::from_be_bytes);
    let malformed = || Failure::Failed(format!("the node answered {name} without an id"));
    id.map(|id| format!("{id:x}")).ok_or_else(malformed)
}
