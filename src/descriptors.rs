//! Whether the process may open as many files as it needs, told before anything starts: what runs
//! without descriptors fails later, in places that cannot say why.

use rustix::process::{Resource, getrlimit};

use crate::config::Config;

/// Timers, wake-ups and signals of the runtimes, logs, files of secrets, and connections to the
/// admin API.
const BASE: usize = 64;
/// The files and connections of an embedded node.
const PER_EMBEDDED_NODE: usize = 256;

/// The limit of open files is too low.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the limit of open files is {limit}, and this configuration needs {needed}: raise it with \
     ulimit -n, or LimitNOFILE= of systemd"
)]
pub struct TooFew {
    /// The limit of this process.
    pub limit: usize,
    /// How many the configuration needs.
    pub needed: usize,
}

/// Checks the limit of open files against the configuration.
///
/// # Errors
/// [`TooFew`]. Where the limit is unknown, it is taken as enough.
pub fn check(config: &Config) -> Result<(), TooFew> {
    // Not from /proc, which takes a descriptor itself.
    let limit = getrlimit(Resource::Nofile).current;
    compare(limit.and_then(|limit| usize::try_from(limit).ok()), needed(config))
}

fn compare(limit: Option<usize>, needed: usize) -> Result<(), TooFew> {
    match limit {
        Some(limit) if limit < needed => Err(TooFew { limit, needed }),
        _ => Ok(()),
    }
}

/// Two connections for each link, one to each node that is polled, and the base.
fn needed(config: &Config) -> usize {
    let of_buckets = config.buckets.iter().map(|bucket| {
        let producers = bucket.desired.producers().len();
        let links = producers * usize::from(bucket.connections.count());
        2 * links + producers + 1
    });
    let embedded = config.embedded.as_ref().map_or(0, |embedded| embedded.nodes.len());
    BASE + of_buckets.sum::<usize>() + PER_EMBEDDED_NODE * embedded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_descriptors_are_told_with_what_is_needed() {
        let text = "[node]\nname = \"beta\"\naddress = \"127.0.0.1:1\"\nusername = \"u\"\n\
                    password = \"p\"\n[[producer]]\nname = \"alpha\"\naddress = \"127.0.0.1:2\"\n\
                    username = \"u\"\npassword = \"p\"\n[[bucket]]\nname = \"default\"\n\
                    connections = 64\nreplicate = { alpha = \"0-7\" }\n";
        let config = crate::config::parse("proxy.toml".as_ref(), text, &|_| None);
        let needed = needed(&config.unwrap_or_else(|error| panic!("{error}")));
        assert_eq!(needed, BASE + 130);
        let error = compare(Some(193), needed).unwrap_err();
        assert_eq!(error, TooFew { limit: 193, needed });
        assert!(error.to_string().starts_with("the limit of open files is 193, and this"));
        assert_eq!(compare(Some(194), needed), Ok(()));
        assert_eq!(compare(None, needed), Ok(()), "unlimited");
    }
}
