//! The table of the data node: sets and gets beside other servers, starts, backfills, operations on
//! parts of documents.

use std::io;
use std::path::Path;
use std::time::Instant;

use crate::load::{Kind, Load, Shape};
use crate::report::Report;
use crate::server::{Mode, Server, Setting, VBUCKETS};
use crate::{Arguments, backfill, disk, load, subdoc};

/// Measures it all, or the part that is asked for.
pub(crate) fn measure(arguments: &Arguments) -> io::Result<()> {
    let folder = bench::temporary(arguments.folder.as_deref())?;
    let node = |mode: Mode| {
        let setting = Setting { mode, ..arguments.setting };
        Server::node(&folder.path().join(mode.name()), setting)
    };
    let mut servers = arguments.modes.iter().copied().map(node).collect::<io::Result<Vec<_>>>()?;
    servers.extend(Server::beside(&arguments.beside)?);
    match Server::memcached(arguments.documents, arguments.value) {
        Ok(memcached) => servers.push(memcached),
        Err(error) => println!("memcached is left out: {error}"),
    }
    for server in &servers {
        let began = Instant::now();
        load::fill(server, arguments.documents, arguments.value)?;
        let rate = arguments.documents as f64 / began.elapsed().as_secs_f64();
        println!("{}: {} documents at {rate:.0}/s", server.name, arguments.documents);
    }
    let mut report = Report::default();
    for round in 1..=arguments.rounds {
        println!("round {round} of {}", arguments.rounds);
        sets_and_gets(arguments, &servers, &mut report)?;
        floor(arguments, folder.path(), &servers, &mut report)?;
    }
    for server in &servers {
        if let Some(mib) = server.peak_mib()? {
            report.add("peak RSS, MiB", &server.name, mib);
        }
    }
    if arguments.is_part() {
        print!("{report}");
        return Ok(());
    }
    if let Some(beside) = servers.iter().find(|server| arguments.beside.is(server)) {
        for _ in 0..arguments.rounds {
            whole_backfill(arguments, beside, &mut report)?;
        }
    }
    let mut buffered = servers.into_iter().filter(|it| it.name == Mode::Buffered.name());
    if let Some(buffered) = buffered.next() {
        from_disk(arguments, buffered, &mut report)?;
    }
    let parts = Server::node(&folder.path().join("parts"), arguments.setting)?;
    sub_documents(arguments, &parts, &mut report)?;
    print!("{report}");
    let Some(folder) = &arguments.write_docs else { return Ok(()) };
    let Arguments { documents, rounds, seconds, .. } = arguments;
    let quota = arguments.setting.quota_mib;
    let heading = format!(
        "`cargo xtask bench node --documents {documents} --rounds {rounds} --seconds {seconds} \
         --quota-mib {quota}`\non {}.\n",
        bench::machine()
    );
    bench::docs::put(folder, "node-bench", &format!("{heading}\n{}", report.table()))
}

fn sets_and_gets(arguments: &Arguments, servers: &[Server], report: &mut Report) -> io::Result<()> {
    // Reads do not depend on when writes are acknowledged: one of our nodes is enough.
    let reads = arguments.modes.iter().max_by_key(|&&mode| mode == Mode::Buffered);
    let is_other = |server: &&Server| {
        let is_ours = Mode::ALL.iter().any(|mode| mode.name() == server.name);
        is_ours && reads.is_none_or(|mode| mode.name() != server.name)
    };
    let is_measured = |kind, server: &&Server| match kind {
        Kind::Get => !is_other(server),
        Kind::Persisted => arguments.beside_persisted && arguments.beside.is(server),
        _ => true,
    };
    for kind in [Kind::Set, Kind::Persisted, Kind::Get] {
        for &shape in &arguments.shapes {
            for server in servers.iter().filter(|server| is_measured(kind, server)) {
                add(report, &arguments.load(kind, shape), server)?;
            }
        }
    }
    Ok(())
}

/// Runs a load and adds what it tells.
fn add(report: &mut Report, load: &Load, server: &Server) -> io::Result<()> {
    let &Load { kind, connections, depth, .. } = load;
    let shape = Shape::new(connections, depth);
    let outcome = load.run(server)?;
    report.add(&format!("{kind}s/s, {shape}"), &server.name, outcome.rate);
    if let Some(cpu_us) = outcome.cpu_us {
        report.add(&format!("CPU us a {kind}, {shape}"), &server.name, cpu_us);
    }
    Ok(())
}

/// What a synced set cannot do without: a round trip, and a sync of what it writes.
fn floor(
    arguments: &Arguments,
    folder: &Path,
    servers: &[Server],
    report: &mut Report,
) -> io::Result<()> {
    let alone = Shape::new(1, 1);
    let synced = servers.iter().find(|server| server.name == Mode::Synced.name());
    let Some(synced) = synced.filter(|_| arguments.shapes.contains(&alone)) else { return Ok(()) };
    let load = arguments.load(Kind::Get, alone);
    let trip = load.run(synced)?.rate.recip();
    // Its row and the one that it replaces.
    let sync = disk::sync_seconds(folder, 2 * arguments.value, load.time)?;
    let name = format!("one sync and one round trip, 1/s, {alone}");
    report.add(&name, &synced.name, (trip + sync).recip());
    Ok(())
}

/// Lookups and changes of parts of documents, and gets of the same documents.
fn sub_documents(arguments: &Arguments, node: &Server, report: &mut Report) -> io::Result<()> {
    let documents = arguments.documents.min(subdoc::DOCUMENTS_MAX);
    subdoc::fill(node, documents, arguments.value)?;
    for _ in 0..arguments.rounds {
        for kind in [Kind::Whole, Kind::Lookup, Kind::Counter] {
            for shape in Shape::ALL {
                add(report, &Load { documents, ..arguments.load(kind, shape) }, node)?;
            }
        }
    }
    Ok(())
}

/// Reads everything over DCP.
fn whole_backfill(arguments: &Arguments, node: &Server, report: &mut Report) -> io::Result<()> {
    let began = Instant::now();
    let read = backfill::read_all(node, VBUCKETS)?;
    let seconds = began.elapsed().as_secs_f64();
    if read.documents < arguments.documents {
        let text = format!("{} documents came of {}", read.documents, arguments.documents);
        return Err(io::Error::other(text));
    }
    report.add("backfill, MB/s", &node.name, read.bytes as f64 / 1e6 / seconds);
    report.add("backfill, documents/s", &node.name, read.documents as f64 / seconds);
    Ok(())
}

/// Starts the node after some writes, cleanly stopped and killed, and reads everything over
/// DCP.
fn from_disk(arguments: &Arguments, mut node: Server, report: &mut Report) -> io::Result<()> {
    for _ in 0..arguments.rounds {
        for (name, clean) in
            [("start after a clean stop, s", true), ("start after a kill, s", false)]
        {
            // The journal is replayed.
            arguments.load(Kind::Set, Shape::new(16, 64)).run(&node)?;
            let began;
            (node, began) = node.restart(clean)?;
            report.add(name, &node.name, began.as_secs_f64());
        }
        whole_backfill(arguments, &node, report)?;
    }
    if let Some(mib) = node.peak_mib()? {
        report.add("peak RSS of the last start, MiB", &node.name, mib);
    }
    Ok(())
}
