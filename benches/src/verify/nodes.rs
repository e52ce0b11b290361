//! Two data nodes with equal documents and one history: the second one has a copy of the folder of
//! the first.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mcbp::kv::StoreExtras;
use mcbp::{FrameBuilder, Opaque, Opcode, VbId};
use relay::{Client, Deadlines, Endpoint, Login, Secret};

use crate::Fallible;

pub(crate) const BUCKET: &str = "default";
pub(crate) const USER: &str = "bench";
pub(crate) const PASSWORD: &str = "verify-bench";
/// As many as a usual bucket has.
pub(crate) const VBUCKETS: u16 = 1024;
const WINDOW: usize = 512;
/// How long a node may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both nodes. Killed when dropped.
pub(crate) struct Nodes {
    pub(crate) addresses: [String; 2],
    _children: [Running; 2],
}

impl Nodes {
    pub(crate) async fn start(
        programs: &Path,
        folder: &Path,
        documents: u64,
        value: usize,
    ) -> Fallible<Self> {
        fs::write(folder.join("password"), PASSWORD)?;
        let (mut first, address) = Running::start(programs, folder, "a").await?;
        fill(&endpoint(&address), documents, value).await?;
        first.stop()?;
        let (from, to) = (folder.join("a"), folder.join("b"));
        let copied = Command::new("cp").arg("-r").args([from, to]).status()?;
        if !copied.success() {
            return Err(format!("cp -r: {copied}").into());
        }
        let (a, a_address) = Running::start(programs, folder, "a").await?;
        let (b, b_address) = Running::start(programs, folder, "b").await?;
        Ok(Self { addresses: [a_address, b_address], _children: [a, b] })
    }

    pub(crate) fn endpoint(&self, node: usize) -> Fallible<Endpoint> {
        let address = self.addresses.get(node).ok_or("there are two nodes")?;
        Ok(endpoint(address))
    }
}

fn endpoint(address: &str) -> Endpoint {
    Endpoint::new(address, address, USER, Secret::new(PASSWORD))
}

struct Running(Child);

impl Running {
    async fn start(programs: &Path, folder: &Path, name: &str) -> Fallible<(Self, String)> {
        let port_file = folder.join(format!("{name}.port"));
        if port_file.exists() {
            fs::remove_file(&port_file)?;
        }
        let mut command = Command::new(programs.join("kvnode"));
        command.args(["--listen", "127.0.0.1:0", "--username", USER, "--state", "active"]);
        command.arg("--bucket").arg(format!("{BUCKET}:{VBUCKETS}"));
        command.arg("--data").arg(folder.join(name)).arg("--port-file").arg(&port_file);
        command.arg("--password-file").arg(folder.join("password")).env("RUST_LOG", "error");
        let running = Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let port = fs::read_to_string(&port_file).unwrap_or_default();
            if let Some(port) = port.strip_suffix('\n') {
                let address = format!("127.0.0.1:{port}");
                if connect(&endpoint(&address)).await.is_ok() {
                    return Ok((running, address));
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(format!("kvnode did not start within {PATIENCE:?}").into())
    }

    /// A clean stop, so that no branch of history begins at the next start.
    fn stop(&mut self) -> Fallible<()> {
        Command::new("kill").arg(self.0.id().to_string()).status()?;
        let status = self.0.wait()?;
        if status.success() { Ok(()) } else { Err(format!("kvnode: {status}").into()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has exited already.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

async fn connect(endpoint: &Endpoint) -> Result<Client, relay::LinkError> {
    let (agent, deadlines) = ("verify-bench", Deadlines::default());
    Client::connect(endpoint, Login { bucket: Some(BUCKET), agent, features: &[], deadlines }).await
}

async fn fill(endpoint: &Endpoint, documents: u64, bytes: usize) -> Fallible<()> {
    let mut client = connect(endpoint).await?;
    let (extras, mut number, mut refused) = (StoreExtras::default().encode(), 0, 0);
    let mut value = vec![0; bytes];
    let next = |opaque: Opaque, out: &mut BytesMut| {
        if number == documents {
            return false;
        }
        fastrand::fill(&mut value);
        let vb = VbId(u16::try_from(number % u64::from(VBUCKETS)).unwrap_or_default());
        let key = format!("document-{number}");
        let set = FrameBuilder::request(Opcode::SET).vbucket(vb).opaque(opaque).extras(&extras);
        set.key(key.as_bytes()).value(&value).write(out);
        number += 1;
        true
    };
    let count = |_, frame: &mcbp::Frame<'_>| {
        refused += u64::from(!frame.header.status().is_success());
    };
    client.pipeline(WINDOW, next, count).await?;
    if refused > 0 {
        return Err(format!("{refused} documents were refused").into());
    }
    Ok(())
}
