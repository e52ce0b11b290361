//! Runs a sidecar under a low, steady load for a long time: frames of all sizes over several links,
//! one of which is cut at intervals and must recover. Fails if the sidecar grows.

mod watch;

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mcbp::Side;

use crate::frames::mutations;
use crate::load::{Outlet, consume};
use crate::peers::{Nodes, Opened, Peer};
use crate::process::Process;
use crate::socket::PATIENCE;
use crate::ways::{Way, Workshop};
use crate::{Fallible, STREAMS};
use watch::{Sight, Work, judge};

/// Sizes of frames, in turns of about the same number of bytes; the last exceeds any buffer.
const FRAMES_BYTES: [usize; 6] = [64, 256, 1024, 16_384, 1 << 20, 4 << 20];
/// The pause between two samples of the sidecar.
const SIGHT_PAUSE: Duration = Duration::from_secs(5);
/// After how many samples a line is printed: once a minute.
const SIGHTS_IN_LINE: usize = 12;
/// The pause between two checks of the clock.
const TICK: Duration = Duration::from_millis(50);

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 60.0)]
    minutes: f64,
    /// Number of links, 1 to 64
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    links: u16,
    /// Megabytes per second, all links together
    #[arg(long, value_name = "MB", default_value_t = 40.0)]
    rate: f64,
    /// Seconds between two cuts of a link
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    cut: f64,
    /// Memory in MiB by which the sidecar may grow from the first quarter to the last (medians)
    #[arg(long, value_name = "MIB", default_value_t = 1.0)]
    growth: f64,
    /// The sidecar to watch [default: the one in the folder of this program]
    #[arg(long)]
    proxy: Option<PathBuf>,
}

/// The state shared by the threads of the load.
struct Load {
    chunks: Vec<Vec<u8>>,
    /// Bytes per second of one link.
    bytes_per_s: f64,
    streams_per_link: u16,
    received: AtomicU64,
    ended: AtomicU64,
    /// Connections with open streams, which may be cut, in their order of opening.
    open: Mutex<BTreeMap<u64, TcpStream>>,
}

/// Watches for the requested time, prints the samples, and judges them.
pub(crate) fn run(arguments: &Arguments) -> Fallible<()> {
    let workshop = Workshop::new(arguments.proxy.as_deref())?;
    let nodes = Nodes::start(None)?;
    let streams = STREAMS / arguments.links * arguments.links;
    let load = Arc::new(Load {
        chunks: FRAMES_BYTES.iter().map(|&bytes| mutations(bytes)).collect::<Fallible<_>>()?,
        bytes_per_s: arguments.rate * 1e6 / f64::from(arguments.links),
        streams_per_link: streams / arguments.links,
        received: AtomicU64::new(0),
        ended: AtomicU64::new(0),
        open: Mutex::default(),
    });
    let process = workshop.sidecar(Way::DcpProxy, nodes.addresses, arguments.links, streams)?;
    let (sights, work) = watch(arguments, &load, &nodes, &process)?;
    println!("{}", judge(&sights, work, (arguments.growth * f64::from(1 << 20)) as u64)?);
    Ok(())
}

/// Accepts connections of the sidecar, cuts links, and takes samples, until the time is over.
fn watch(
    arguments: &Arguments,
    load: &Arc<Load>,
    nodes: &Nodes,
    process: &Process,
) -> Fallible<(Vec<Sight>, Work)> {
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(arguments.minutes * 60.0);
    let cut_pause = Duration::from_secs_f64(arguments.cut);
    let (mut next_sight, mut next_cut) = (began + SIGHT_PAUSE, began + cut_pause);
    let (mut sights, mut work, mut number) = (Vec::new(), Work::default(), 0);
    let mut all_open = began;
    while Instant::now() < end {
        if let Ok(opened) = nodes.opened.recv_timeout(TICK) {
            load.serve(opened, number);
            number += 1;
        }
        let now = Instant::now();
        if load.open_count() == 2 * usize::from(arguments.links) {
            all_open = now;
        } else if now > all_open + PATIENCE {
            return Err(format!("a link was not open again within {PATIENCE:?}").into());
        }
        if now >= next_cut {
            work.cuts += u64::from(load.cut());
            next_cut = now + cut_pause;
        }
        if now >= next_sight {
            sights.push(Sight::of(process)?);
            next_sight += SIGHT_PAUSE;
            work.bytes = load.received.load(Ordering::Relaxed);
            work.ended = load.ended.load(Ordering::Relaxed);
            work.processor = process.processor_time()?;
            if let (0, Some(sight)) = (sights.len() % SIGHTS_IN_LINE, sights.last()) {
                println!("{:>5.0} s: {sight}; {work}", began.elapsed().as_secs_f64());
            }
        }
    }
    Ok((sights, work))
}

impl Load {
    /// Serves a connection in its own thread until it ends.
    fn serve(self: &Arc<Self>, opened: Opened, number: u64) {
        let load = Arc::clone(self);
        thread::spawn(move || {
            // Connections end by cuts; `judge` compares both numbers.
            let _ = load.connection(opened, number);
            load.open().remove(&number);
            load.ended.fetch_add(1, Ordering::Relaxed);
        });
    }

    fn connection(&self, opened: Opened, number: u64) -> Fallible<()> {
        let side = opened.side;
        let peer = opened.set_up(self.streams_per_link)?;
        self.open().insert(number, peer.socket.stopper()?);
        match side {
            Side::Consumer => consume(peer, &self.received),
            Side::Producer => self.produce(peer),
        }
    }

    /// Writes at the given rate until the connection ends.
    fn produce(&self, peer: Peer) -> Fallible<()> {
        let (began, mut sent) = (Instant::now(), 0);
        let mut outlet = Outlet::new(peer);
        for chunk in self.chunks.iter().cycle() {
            let due = Duration::from_secs_f64(sent as f64 / self.bytes_per_s);
            thread::sleep(due.saturating_sub(began.elapsed()));
            outlet.send(chunk)?;
            sent += chunk.len();
        }
        Ok(())
    }

    /// Cuts one of the open connections; returns false if there is none.
    fn cut(&self) -> bool {
        let open = self.open();
        let Some(socket) = open.values().nth(fastrand::usize(..open.len().max(1))) else {
            return false;
        };
        // An error means that it has ended already.
        socket.shutdown(Shutdown::Both).is_ok()
    }

    fn open_count(&self) -> usize {
        self.open().len()
    }

    fn open(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
