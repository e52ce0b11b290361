//! The effective configuration as a few lines of text, without secrets.

use std::fmt;

use super::{Admin, Config, MapSource, Node};

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "node      {}", self.node)?;
        for producer in &self.producers {
            writeln!(f, "producer  {producer}")?;
        }
        if let Some(source) = source(&self.source) {
            writeln!(f, "maps      from {source}")?;
        }
        for bucket in &self.buckets {
            let connections = bucket.connections.count();
            write!(f, "bucket    {}, connections per producer: {connections}", bucket.name)?;
            for (producer, set) in bucket.desired.producers() {
                write!(f, ", from {producer}: {set}")?;
            }
            writeln!(f)?;
        }
        let token = if self.admin.token.is_some() { "with a token" } else { "without a token" };
        let Admin { listen, ready_percent, .. } = &self.admin;
        writeln!(f, "admin     {listen} {token}, ready with {ready_percent} % of the streams")?;
        let level = self.log.level.map_or("default", |level| level.as_str());
        let format = self.log.format.unwrap_or_default().name();
        writeln!(f, "log       level {}, format {format}", level.to_lowercase())?;
        writeln!(f, "capture   ring of {} bytes for each link", self.capture_ring)?;
        let limits = &self.limits;
        write!(f, "limits    connect {:?}, setup {:?}, ", limits.connect, limits.setup)?;
        write!(f, "close {:?}, data move {:?}, ", limits.close, limits.data_move)?;
        write!(f, "stall {:?}, lag every {:?}, ", limits.stall, limits.lag_interval)?;
        write!(f, "once idle {:?}, drain {:?}, ", limits.once_idle, limits.drain)?;
        write!(f, "shutdown {:?}, ", limits.shutdown)?;
        write!(f, "retry {:?} to {:?}, ", limits.retry_min, limits.retry_max)?;
        writeln!(f, "loop {} in {:?}", limits.loop_failures, limits.loop_window)?;
        let rate = self.verify.rate;
        match self.verify.interval {
            Some(every) => writeln!(f, "verify    every {every:?}, at most {rate} bytes/s")?,
            None => writeln!(f, "verify    on request, at most {rate} bytes/s")?,
        }
        let Some(embedded) = &self.embedded else { return Ok(()) };
        for node in &embedded.nodes {
            write!(f, "embedded  {} on {}, bucket {}, ", node.name, node.listen, node.bucket)?;
            write!(f, "{} {} vBuckets, ", node.vbuckets, node.state)?;
            let directory = embedded.directory.join(&node.name);
            writeln!(f, "{} sample documents, data in {}", node.documents, directory.display())?;
        }
        Ok(())
    }
}

/// Where the desired maps come from; `None` for the file itself.
fn source(source: &MapSource) -> Option<String> {
    match source {
        MapSource::File => None,
        MapSource::Etcd(etcd) => Some(format!("etcd at {}", etcd.endpoints.join(", "))),
        MapSource::Cluster(cluster) => {
            let hosts: Vec<_> = cluster.address.hosts.iter().map(ToString::to_string).collect();
            let tls = if cluster.tls.is_some() { ", over TLS" } else { "" };
            let (hosts, user) = (hosts.join(", "), &cluster.username);
            Some(format!("the cluster at {hosts} as {user}{tls}"))
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(node) => {
                write!(f, "{} at {} as {}", node.name, node.address, node.username)?;
                match &node.tls {
                    Some(tls) => write!(f, ", over TLS as {}", tls.server_name()),
                    None => Ok(()),
                }
            }
            Self::Embedded(name) => write!(f, "{name} in this process"),
        }
    }
}
