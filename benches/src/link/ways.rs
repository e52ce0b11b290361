//! The ways between producer and consumer: direct, haproxy, dcp-proxy. Each is started for every
//! measurement, so that its memory is that of one measurement.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use clap::ValueEnum;
use tempfile::TempDir;
use tokio_rustls::rustls::ServerConfig;

use crate::Fallible;
use crate::process::Process;
use crate::socket::{certificate, listen};

/// A way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, ValueEnum)]
pub(crate) enum Way {
    /// The consumer is connected to the producer directly.
    Direct,
    /// haproxy in TCP mode, with its defaults.
    Haproxy,
    /// The same with buffers of 256 KiB.
    HaproxyLarge,
    /// The same with splice forced, and default buffers.
    HaproxySplice,
    /// haproxy in TCP mode with TLS to the producer, with its defaults.
    HaproxyTls,
    /// The same with buffers of 256 KiB.
    HaproxyLargeTls,
    /// dcp-proxy.
    DcpProxy,
    /// dcp-proxy, with TLS to the producer.
    DcpProxyTls,
}

impl Way {
    pub(crate) const ALL: &[Self] = &[
        Self::Direct,
        Self::Haproxy,
        Self::HaproxyLarge,
        Self::HaproxySplice,
        Self::DcpProxy,
        Self::HaproxyTls,
        Self::HaproxyLargeTls,
        Self::DcpProxyTls,
    ];

    /// The name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "no proxy",
            Self::Haproxy => "haproxy, defaults",
            Self::HaproxyLarge => "haproxy, 256 KiB buffers",
            Self::HaproxySplice => "haproxy, splice forced",
            Self::HaproxyTls => "haproxy, TLS, defaults",
            Self::HaproxyLargeTls => "haproxy, TLS, 256 KiB buffers",
            Self::DcpProxy => "dcp-proxy",
            Self::DcpProxyTls => "dcp-proxy, TLS",
        }
    }

    /// Whether it speaks the protocol, and therefore sets up streams.
    pub(crate) const fn is_sidecar(self) -> bool {
        matches!(self, Self::DcpProxy | Self::DcpProxyTls)
    }

    /// Whether it speaks TLS to the producer.
    pub(crate) const fn is_encrypted(self) -> bool {
        matches!(self, Self::HaproxyTls | Self::HaproxyLargeTls | Self::DcpProxyTls)
    }

    /// What a sidecar is compared with: haproxy at its fastest, with TLS for the one that has it.
    pub(crate) const fn rival(self) -> Option<Self> {
        match self {
            Self::DcpProxy => Some(Self::HaproxyLarge),
            Self::DcpProxyTls => Some(Self::HaproxyLargeTls),
            _ => None,
        }
    }

    const fn is_haproxy(self) -> bool {
        !matches!(self, Self::Direct | Self::DcpProxy | Self::DcpProxyTls)
    }

    const fn has_large_buffers(self) -> bool {
        matches!(self, Self::HaproxyLarge | Self::HaproxyLargeTls)
    }
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Shared by all measurements: a folder for configurations, a certificate, the programs.
pub(crate) struct Workshop {
    folder: TempDir,
    proxy: PathBuf,
    has_haproxy: bool,
    /// The certificate of the producer, for ways with TLS.
    pub(crate) tls: Arc<ServerConfig>,
}

impl Workshop {
    pub(crate) fn new(proxy: Option<&Path>) -> Fallible<Self> {
        let folder = tempfile::tempdir()?;
        let (pem, tls) = certificate()?;
        fs::write(folder.path().join("ca.pem"), pem)?;
        let beside =
            || Ok::<_, std::io::Error>(std::env::current_exe()?.with_file_name("dcp-proxy"));
        let proxy = proxy.map_or_else(beside, |path| Ok(path.to_owned()))?;
        let has_haproxy = haproxy_version().is_some();
        if !has_haproxy {
            eprintln!("haproxy is not installed: skipped");
        }
        let missing = |_| format!("{} is missing: cargo build --release", proxy.display());
        // An absolute path, because it is started in another folder.
        let proxy = proxy.canonicalize().map_err(missing)?;
        Ok(Self { folder, proxy, has_haproxy, tls })
    }

    /// Whether this way can be measured here.
    pub(crate) const fn has(&self, way: Way) -> bool {
        self.has_haproxy || !way.is_haproxy()
    }

    /// Starts haproxy between a free port, which is returned, and `producer`.
    pub(crate) fn haproxy(
        &self,
        way: Way,
        producer: SocketAddr,
    ) -> Fallible<(Process, SocketAddr)> {
        let (listener, address) = listen()?;
        drop(listener);
        let buffers = if way.has_large_buffers() { "tune.bufsize 262144" } else { "" };
        let tls = if way.is_encrypted() { self.haproxy_tls() } else { String::new() };
        let splice = match way {
            Way::HaproxySplice => "option splice-request\n  option splice-response",
            _ => "",
        };
        let text = format!(
            "global\n  maxconn 1000\n  {buffers}\n\
             defaults\n  mode tcp\n  {splice}\n\
             \x20 timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n\
             listen link\n  bind {address}\n  server producer {producer} {tls}\n"
        );
        let path = self.folder.path().join("haproxy.cfg");
        fs::write(&path, text)?;
        // Its messages at the start would be printed between the figures.
        let mut command = Command::new("haproxy");
        let process = Process::start(command.arg("-db").arg("-f").arg(path).stderr(Stdio::null()))?;
        Ok((process, address))
    }

    /// Checks chain and name, as dcp-proxy does. haproxy compares names of hosts alone.
    fn haproxy_tls(&self) -> String {
        let ca = self.folder.path().join("ca.pem");
        format!("ssl verify required verifyhost localhost ca-file {}", ca.display())
    }

    /// Starts dcp-proxy between two nodes, with `streams` over `links`.
    pub(crate) fn sidecar(
        &self,
        way: Way,
        (consumer, producer): (SocketAddr, SocketAddr),
        links: u16,
        streams: u16,
    ) -> Fallible<Process> {
        let login = "username = \"bench\"\npassword = \"bench\"\n";
        let tls = if way.is_encrypted() { "tls = { ca = \"ca.pem\" }\n" } else { "" };
        let mut text = format!("[node]\nname = \"beta\"\naddress = \"{consumer}\"\n{login}");
        write!(text, "[[producer]]\nname = \"alpha\"\naddress = \"{producer}\"\n{login}{tls}")?;
        write!(text, "[[bucket]]\nname = \"default\"\nconnections = {links}\n")?;
        writeln!(text, "replicate = {{ alpha = \"0-{}\" }}", streams.saturating_sub(1))?;
        text += "[admin]\nlisten = \"127.0.0.1:0\"\n";
        fs::write(self.folder.path().join("proxy.toml"), text)?;
        Process::start(
            Command::new(&self.proxy).current_dir(self.folder.path()).env("RUST_LOG", "error"),
        )
    }
}

/// The version of haproxy.
pub(crate) fn haproxy_version() -> Option<String> {
    let output = Command::new("haproxy").arg("-v").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(2).map(str::to_owned)
}
