//! Plays both recorded nodes to a sidecar, which is this program in a process of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mcbp::dcp::stream_flags;
use mcbp::{Feature, Side};
use relay::LINK_FEATURES;
use tempfile::TempDir;

use super::host::Host;
use super::player::Player;
use super::recording::Conversation;
use super::script::{Role, asked_for, script};
use super::shape::Compare;
use super::wire::play;

/// The bucket where the recording names none.
const BUCKET: &str = "default";
/// How long the sidecar may take to start and connect, beyond the time for one answer.
const START: Duration = Duration::from_secs(20);

/// How often it is asked whether the sidecar still runs.
const WATCH: Duration = Duration::from_millis(100);
/// The last lines of a sidecar that ended, which are told.
const SAID_LINES: usize = 20;

/// What a run found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// How the sidecar differs.
    pub(crate) differences: Vec<String>,
    /// Frames that came as recorded.
    pub(crate) matched: u64,
    /// The warnings and errors that the sidecar logged.
    pub(crate) log: Vec<String>,
}

/// Plays every conversation, one after the other.
///
/// # Errors
/// The recording cannot be played, or the sidecar cannot be started.
pub(crate) async fn run(
    conversations: &[Conversation],
    compare: Compare,
    wait: Duration,
) -> Result<Found, String> {
    let wanted = wanted(conversations)?;
    let host = async |side| {
        Host::start(features(conversations, side))
            .await
            .map_err(|error| format!("no port: {error}"))
    };
    let (mut consumer, mut producer) = (host(Side::Consumer).await?, host(Side::Producer).await?);
    let folder = TempDir::new().map_err(|error| format!("no temporary folder: {error}"))?;
    let bucket = conversations.iter().flat_map(|one| one.openings.values());
    let bucket = bucket.map(|opening| &*opening.bucket).find(|name| !name.is_empty());
    let text =
        configuration(&consumer.address, &producer.address, bucket.unwrap_or(BUCKET), &wanted);
    let started = Sidecar::start(folder.path(), &text);
    let mut sidecar = started.map_err(|error| format!("the sidecar cannot be started: {error}"))?;
    let mut found = Found::default();
    for (at, conversation) in conversations.iter().enumerate() {
        let both = async {
            // Both at once: a sidecar that opens neither is waited for once.
            tokio::join!(consumer.next(START + wait), producer.next(START + wait))
        };
        let both = tokio::select! {
            both = both => both,
            status = sidecar.ended() => return Err(ended(&status, folder.path())),
        };
        let (Some(mut to_consumer), Some(mut to_producer)) = both else {
            let after = (START + wait).as_secs();
            let text = format!("the sidecar opens no pair of connections in {after} s");
            if at == 0 {
                let said = warnings(&folder.path().join("log")).join("; ");
                return Err(format!("{text}: {said}"));
            }
            found.differences.push(text);
            break;
        };
        let none = BTreeMap::new();
        let player = |side| Player::new(script(conversation, side, Role::Node), compare, "sidecar");
        let mut of_consumer = player(Side::Consumer);
        let mut of_producer = player(Side::Producer);
        tokio::join!(
            play(&mut of_consumer, &mut to_consumer, wait, &none),
            play(&mut of_producer, &mut to_producer, wait, &none)
        );
        for (at, player) in [(Side::Consumer, of_consumer), (Side::Producer, of_producer)] {
            found.matched += player.matched;
            let differences = player.differences.into_iter();
            found.differences.extend(differences.map(|text| format!("at the {at}: {text}")));
        }
    }
    drop(sidecar);
    found.log = warnings(&folder.path().join("log"));
    Ok(found)
}

/// The vBuckets that the sidecar adds, ascending.
fn wanted(conversations: &[Conversation]) -> Result<Vec<u16>, String> {
    let mut wanted: Vec<u16> = Vec::new();
    for (vb, flags) in conversations.iter().flat_map(asked_for) {
        if flags & stream_flags::TAKEOVER != 0 {
            let text = "is a takeover, which a sidecar begins only when it is told to; \
                        use --against machine";
            return Err(format!("the ADD_STREAM of {vb} {text}"));
        }
        wanted.push(vb.0);
    }
    if wanted.is_empty() {
        return Err("the recording has no ADD_STREAM to the consumer: nothing to replicate".into());
    }
    wanted.sort_unstable();
    wanted.dedup();
    Ok(wanted)
}

/// What the recorded node granted; all of a link where that is not in the recording.
fn features(conversations: &[Conversation], side: Side) -> Vec<Feature> {
    let mut recorded = conversations.iter().filter_map(|one| one.openings.get(&side));
    let granted = recorded.find(|opening| !opening.features.is_empty());
    granted.map_or_else(|| LINK_FEATURES.to_vec(), |opening| opening.features.clone())
}

fn configuration(consumer: &str, producer: &str, bucket: &str, vbs: &[u16]) -> String {
    let vbs = vbs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let node = |name: &str, address: &str| {
        toml::toml! { username = "replay"
        password = "replay" }
        .into_iter()
        .chain([("name".to_owned(), name.into()), ("address".to_owned(), address.into())])
        .collect::<toml::Table>()
    };
    let mut whole = toml::toml! {
        [admin]
        listen = "127.0.0.1:0"
        // A retry within a conversation would not be part of it.
        [limits]
        retry_ms_min = 5000
        retry_ms_max = 5000
    };
    let bucket = toml::Table::from_iter([
        ("name".to_owned(), bucket.into()),
        (
            "replicate".to_owned(),
            toml::Table::from_iter([("producer".to_owned(), vbs.into())]).into(),
        ),
    ]);
    let list = |table: toml::Table| toml::Value::Array(vec![table.into()]);
    whole.insert("node".to_owned(), node("consumer", consumer).into());
    whole.insert("producer".to_owned(), list(node("producer", producer)));
    whole.insert("bucket".to_owned(), list(bucket));
    whole.to_string()
}

/// Why there is no sidecar any more, with its own words.
fn ended(status: &str, folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    let said = text.lines().filter(|line| !line.trim().is_empty());
    let last: Vec<&str> = said.rev().take(SAID_LINES).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    format!("the sidecar that is started for it ended ({status}); it said:\n{}", last.join("\n"))
}

/// The warnings and errors of a log in logfmt, each once, without their times.
fn warnings(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let mut seen = Vec::new();
    for line in text.lines() {
        let Some((_, rest)) = line
            .split_once(" level=")
            .filter(|(_, rest)| rest.starts_with("WARN ") || rest.starts_with("ERROR "))
        else {
            continue;
        };
        let said = rest.split_once(" msg=").map_or(rest, |(_, said)| said).to_owned();
        if !seen.contains(&said) {
            seen.push(said);
        }
    }
    seen
}

/// A running sidecar, which ends with this value.
struct Sidecar(Child);

impl Sidecar {
    fn start(folder: &Path, configuration: &str) -> io::Result<Self> {
        let file = folder.join("proxy.toml");
        std::fs::write(&file, configuration)?;
        let log = File::create(folder.join("log"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.current_dir(folder).arg("--config").arg(&file).args(["--log-format", "logfmt"]);
        // What the caller's sidecar is told by its environment is not meant for this one.
        for (name, _) in std::env::vars_os() {
            let is_ours = name.to_string_lossy().starts_with("DCP_PROXY_");
            if is_ours || name == "NOTIFY_SOCKET" || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Ok(Self(command.spawn()?))
    }

    /// Waits until it ends by itself; says how.
    async fn ended(&mut self) -> String {
        loop {
            match self.0.try_wait() {
                Ok(None) => tokio::time::sleep(WATCH).await,
                Ok(Some(status)) => return status.to_string(),
                Err(error) => return error.to_string(),
            }
        }
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // It has nothing that a clean stop would keep.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
