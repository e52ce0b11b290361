//! A server as a process: this program as a data node, or memcached, which are killed when dropped;
//! or another data node, which is left alone.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kvnode::{BucketOptions, Durability, Node, NodeConfig};
use mcbp::VbState;
use relay::Secret;

use crate::connection::{Connection, Login};

/// The default number of vBuckets of a bucket.
pub(crate) const VBUCKETS: u16 = 1024;
pub(crate) const BUCKET: &str = "default";
/// The second bucket of a node that has one.
pub(crate) const SECOND: &str = "second";
pub(crate) const USER: &str = "bench";
pub(crate) const PASSWORD: &str = "bench";
/// The text before the address of a node, on its own line.
const LISTENING: &str = "listening on ";
/// The clock ticks of Linux in /proc.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a server may take to come up.
const START_WAIT: Duration = Duration::from_secs(120);
/// The pause between two checks.
const LOOK_PAUSE: Duration = Duration::from_millis(2);
/// An upper bound of what memcached needs for an item in addition to its value.
const MEMCACHED_ITEM_BYTES: u64 = 160;

/// When a data node acknowledges a write; as its configuration spells it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, clap::ValueEnum)]
pub(crate) enum Mode {
    MemoryFirst,
    #[default]
    Buffered,
    Synced,
}

impl Mode {
    pub(crate) const ALL: [Self; 3] = [Self::MemoryFirst, Self::Buffered, Self::Synced];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::MemoryFirst => "memory-first",
            Self::Buffered => "buffered",
            Self::Synced => "synced",
        }
    }
}

/// The options of a data node.
#[derive(Clone, Copy, Default, Debug, clap::Args)]
pub(crate) struct Setting {
    /// When it acknowledges a write; for --serve
    #[arg(long, hide = true, value_enum, default_value_t)]
    pub(crate) mode: Mode,
    /// Begin with replicas; for --serve
    #[arg(long, hide = true)]
    pub(crate) replica: bool,
    /// Serve a second bucket too; for --serve
    #[arg(long, hide = true)]
    pub(crate) second: bool,
    /// Memory of a data node in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    pub(crate) quota_mib: u64,
}

/// A server's process, as far as it is known.
enum Process {
    Ours(Child),
    /// Another's on this machine.
    Of(u32),
    Elsewhere,
}

/// Another data node, which is measured beside ours.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Beside {
    /// Address of another data node with the same vBuckets, which is measured beside ours
    #[arg(long = "beside", value_name = "HOST:PORT")]
    address: Option<SocketAddr>,
    /// Its process, if it is on this machine: for the processor time
    #[arg(long = "beside-pid", value_name = "PID", requires = "address")]
    pid: Option<u32>,
    /// User there
    #[arg(long = "beside-user", value_name = "NAME", default_value = "Administrator")]
    user: String,
    /// Password there
    #[arg(long = "beside-password", value_name = "TEXT", default_value = "password")]
    password: String,
    /// Bucket there, whose documents are overwritten
    #[arg(long = "beside-bucket", value_name = "NAME", default_value = BUCKET)]
    bucket: String,
}

impl Beside {
    /// Whether `server` is that node.
    pub(crate) fn is(&self, server: &Server) -> bool {
        self.address == Some(server.address)
    }
}

/// See the module.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// Of a data node, which knows vBuckets too.
    pub(crate) login: Option<Login>,
    pub(crate) setting: Setting,
    pub(crate) folder: PathBuf,
    process: Process,
}

/// Runs a data node until the standard input ends.
pub(crate) fn serve(folder: &Path, setting: Setting) -> io::Result<()> {
    let mut bucket = BucketOptions::new(BUCKET);
    bucket.set_quota(setting.quota_mib << 20);
    bucket.durability = match setting.mode {
        Mode::Synced => Durability::Synced,
        Mode::Buffered | Mode::MemoryFirst => Durability::Buffered,
    };
    bucket.memory_first = setting.mode == Mode::MemoryFirst;
    bucket.initial_state = Some(if setting.replica { VbState::Replica } else { VbState::Active });
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let second =
        setting.second.then(|| BucketOptions { name: SECOND.to_owned(), ..bucket.clone() });
    let mut config = NodeConfig::new(listen, folder, bucket, USER, Secret::new(PASSWORD));
    config.buckets.extend(second);
    let node = Node::start(config).map_err(io::Error::other)?;
    println!("{LISTENING}{}", node.address());
    io::stdin().read_to_end(&mut Vec::new())?;
    node.shutdown().map_err(io::Error::other)
}

impl Login {
    /// The user of our own nodes.
    fn here() -> Self {
        let [user, password, bucket] = [USER, PASSWORD, BUCKET].map(str::to_owned);
        Self { user, password, bucket }
    }
}

impl Server {
    /// Starts a data node on `folder`, which may have data; it is ready when this returns.
    pub(crate) fn node(folder: &Path, setting: Setting) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--serve").arg(folder).arg("--quota-mib").arg(setting.quota_mib.to_string());
        command.args(["--mode", setting.mode.name()]);
        command.args(setting.replica.then_some("--replica"));
        command.args(setting.second.then_some("--second"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let address = line.trim_end().strip_prefix(LISTENING).and_then(|text| text.parse().ok());
        let address = address.ok_or_else(|| io::Error::other("the node did not start"))?;
        let (name, folder) = (setting.mode.name().to_owned(), folder.to_owned());
        let (login, process) = (Some(Login::here()), Process::Ours(child));
        let node = Self { name, address, login, setting, folder, process };
        node.until_it_answers()?;
        Ok(node)
    }

    /// The program `kvnode` beside this one, on `folder` and `port`, 0 for any free one; `state` is
    /// that of its vBuckets when they are new. Ready when this returns.
    pub(crate) fn kvnode(folder: &Path, state: &str, port: u16) -> io::Result<Self> {
        let beside = |extension: &str| folder.with_extension(extension);
        std::fs::write(beside("password"), PASSWORD)?;
        // Written by an earlier start.
        let _absent = std::fs::remove_file(beside("port"));
        let mut command = Command::new(program("kvnode")?);
        command.arg("--listen").arg(format!("127.0.0.1:{port}")).arg("--data").arg(folder);
        command.arg("--bucket").arg(format!("{BUCKET}:{VBUCKETS}")).args(["--state", state]);
        command.args(["--username", USER]).arg("--password-file").arg(beside("password"));
        command.arg("--port-file").arg(beside("port")).stderr(File::create(beside("log"))?);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let name = format!("kvnode {}", folder.display());
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let setting = Setting { mode: Mode::Synced, ..Setting::default() };
        let (login, process) = (Some(Login::here()), Process::Ours(child));
        let folder = folder.to_owned();
        let mut node = Self { name, address, login, setting, folder, process };
        let port = wait_for(START_WAIT, "the port of kvnode", || {
            let text = std::fs::read_to_string(beside("port")).ok()?;
            text.strip_suffix('\n')?.parse().ok()
        })?;
        node.address.set_port(port);
        node.until_it_answers()?;
        Ok(node)
    }

    /// A connection that may ask for documents.
    pub(crate) fn connect(&self) -> io::Result<Connection> {
        Connection::open(self.address, self.login.as_ref())
    }

    /// The same to documents of `bucket`.
    pub(crate) fn connect_to(&self, bucket: &str) -> io::Result<Connection> {
        let login = self.login.clone().map(|login| Login { bucket: bucket.to_owned(), ..login });
        Connection::open(self.address, login.as_ref())
    }

    /// The other node that was asked for.
    pub(crate) fn beside(beside: &Beside) -> io::Result<Option<Self>> {
        let Some(address) = beside.address else { return Ok(None) };
        let Beside { user, password, bucket, .. } = beside.clone();
        let (name, login) = (address.to_string(), Some(Login { user, password, bucket }));
        let process = beside.pid.map_or(Process::Elsewhere, Process::Of);
        let (folder, setting) = (PathBuf::new(), Setting::default());
        let server = Self { name, address, login, setting, folder, process };
        server.until_it_answers()?;
        Ok(Some(server))
    }

    /// Its process, if this program started it.
    fn child(&mut self) -> io::Result<&mut Child> {
        match &mut self.process {
            Process::Ours(child) => Ok(child),
            _ => Err(io::Error::other("it was not started here")),
        }
    }

    fn pid(&self) -> Option<u32> {
        match &self.process {
            Process::Ours(child) => Some(child.id()),
            Process::Of(pid) => Some(*pid),
            Process::Elsewhere => None,
        }
    }

    /// What the kernel says of it in /proc, if it is on this machine.
    fn proc(&self, file: &str) -> Option<io::Result<String>> {
        self.pid().map(|pid| std::fs::read_to_string(format!("/proc/{pid}/{file}")))
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill_9(&mut self) -> io::Result<()> {
        let child = self.child()?;
        child.kill()?;
        child.wait().map(drop)
    }

    /// Starts memcached with room for the documents.
    pub(crate) fn memcached(documents: u64, value: usize) -> io::Result<Self> {
        let bytes = documents * (value as u64 + MEMCACHED_ITEM_BYTES);
        let room_mib = (bytes >> 20) + 256;
        // The port was free a moment ago, and is unlikely to be in use since.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new("memcached");
        command.args(["-l", "127.0.0.1", "-U", "0", "-B", "binary", "-u", "nobody", "-t", "2"]);
        command.args(["-p", &address.port().to_string(), "-m", &room_mib.to_string()]);
        let child = command.stdin(Stdio::null()).spawn()?;
        let name = "memcached".to_owned();
        let (folder, setting) = (PathBuf::new(), Setting::default());
        let process = Process::Ours(child);
        let server = Self { name, address, login: None, setting, folder, process };
        server.until_it_answers()?;
        Ok(server)
    }

    /// Stops the node, or kills it, and starts it again. Returns how long it took from its start to
    /// its first answer.
    pub(crate) fn restart(self, clean: bool) -> io::Result<(Self, Duration)> {
        let setting = self.setting;
        self.restart_as(setting, clean)
    }

    /// Like [`Server::restart`], with other options.
    pub(crate) fn restart_as(
        mut self,
        setting: Setting,
        clean: bool,
    ) -> io::Result<(Self, Duration)> {
        let child = self.child()?;
        if clean {
            drop(child.stdin.take());
        } else {
            child.kill()?;
        }
        child.wait()?;
        let began = Instant::now();
        let node = Self::node(&self.folder, setting)?;
        Ok((node, began.elapsed()))
    }

    /// Its peak memory, in MiB; `None` if it is not on this machine.
    pub(crate) fn peak_mib(&self) -> io::Result<Option<f64>> {
        self.memory_mib("VmHWM:")
    }

    /// Its memory now, in MiB.
    pub(crate) fn resident_mib(&self) -> io::Result<f64> {
        Ok(self.memory_mib("VmRSS:")?.unwrap_or_default())
    }

    fn memory_mib(&self, field: &str) -> io::Result<Option<f64>> {
        let Some(status) = self.proc("status").transpose()? else { return Ok(None) };
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.trim_end_matches("kB").trim().parse::<f64>().ok());
        let mib = kib.map(|kib| kib / 1024.0);
        mib.map(Some).ok_or_else(|| io::Error::other(format!("no {field} of the process")))
    }

    /// Its processor time so far, with a resolution of 10 ms; `None` if it is not on this machine.
    pub(crate) fn cpu_seconds(&self) -> io::Result<Option<f64>> {
        Ok(self.proc("stat").transpose()?.map(|stat| cpu_of(&stat)))
    }

    /// The same of a node that this program has started.
    pub(crate) fn own_cpu_seconds(&self) -> io::Result<f64> {
        let unknown = || io::Error::other("its processor time is not known");
        self.cpu_seconds()?.ok_or_else(unknown)
    }

    /// How many bytes it has written to disk so far, as counted by the kernel.
    pub(crate) fn written_bytes(&self) -> io::Result<u64> {
        let counts = self.proc("io").transpose()?.unwrap_or_default();
        let written = counts.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        let written = written.and_then(|number| number.parse().ok());
        written.ok_or_else(|| io::Error::other("the kernel does not count written bytes"))
    }

    fn until_it_answers(&self) -> io::Result<()> {
        let deadline = Instant::now() + START_WAIT;
        loop {
            let answered = TcpStream::connect(self.address)
                .and_then(|_| self.connect())
                .and_then(|mut connection| connection.is_ready());
            match answered {
                Ok(true) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                _ => std::thread::sleep(LOOK_PAUSE),
            }
        }
    }
}

/// The path of a program that was built together with this one.
pub(crate) fn program(name: &str) -> io::Result<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name(name);
    beside.canonicalize().map_err(|error| {
        io::Error::other(format!("{}: cargo build --release: {error}", beside.display()))
    })
}

/// Calls `look` until it returns a value; fails with `what` after `patience`.
pub(crate) fn wait_for<T>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> Option<T>,
) -> io::Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = look() {
            return Ok(value);
        }
        if Instant::now() > deadline {
            return Err(io::Error::other(format!("not within {patience:?}: {what}")));
        }
        std::thread::sleep(LOOK_PAUSE);
    }
}

/// The processor time of a process so far, with a resolution of 10 ms.
pub(crate) fn cpu_seconds(child: &Child) -> io::Result<f64> {
    Ok(cpu_of(&std::fs::read_to_string(format!("/proc/{}/stat", child.id()))?))
}

/// The processor time in a file `stat` of /proc, in seconds.
fn cpu_of(stat: &str) -> f64 {
    // After the name, which may have spaces, user and system time are the 12th and 13th field.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    let ticks: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / TICKS_PER_SECOND
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has exited already.
        if let Process::Ours(child) = &mut self.process {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}
