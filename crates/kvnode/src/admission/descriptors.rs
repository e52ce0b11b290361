//! How many connections the process has descriptors for.

use log::warn;
use logline::value;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the process itself: its listeners, its log, its runtime, probes of the metrics.
const OF_PROCESS: u64 = 128;
/// For the store of a bucket: the engine keeps up to 900 tables open, and value files come on top.
const OF_BUCKET: u64 = 1024;
/// Below this and [`LEAST_OF_BUCKET`] a node does not start, or serves nobody.
const LEAST_OF_PROCESS: u64 = 32;
/// The files of a bucket that is empty, and some connections.
const LEAST_OF_BUCKET: u64 = 32;

/// Raises the soft limit of descriptors of this process to the hard one. A failure is logged, and
/// the limit stays. To be called by the program, once.
pub fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if let Err(error) = raised {
        let error = value(error);
        warn!("the limit of descriptors cannot be raised limit={current:?} error={error}");
    }
}

/// The limit of descriptors leaves no room for a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the limit of open files is {limit}, and a node needs {needed} at least (buckets: {buckets}): \
     raise it with ulimit -n, or LimitNOFILE= of systemd"
)]
pub struct TooFewDescriptors {
    /// The limit of this process.
    pub limit: u64,
    /// The least that these buckets need; with data they need more.
    pub needed: u64,
    /// How many buckets there are.
    pub buckets: u64,
}

/// Checks that the limit of descriptors allows a node with so many buckets to start. Where it is
/// unknown, it is taken as enough.
///
/// # Errors
/// [`TooFewDescriptors`].
pub(crate) fn check(buckets: usize) -> Result<(), TooFewDescriptors> {
    least(buckets as u64, getrlimit(Resource::Nofile).current)
}

fn least(buckets: u64, limit: Option<u64>) -> Result<(), TooFewDescriptors> {
    let needed = LEAST_OF_PROCESS + LEAST_OF_BUCKET * buckets;
    match limit {
        Some(limit) if limit < needed => Err(TooFewDescriptors { limit, needed, buckets }),
        _ => Ok(()),
    }
}

/// How many connections there may be: at most `wanted`, and no more than leave the store its
/// descriptors. A warning says so where that is less.
pub(crate) fn connections(wanted: usize, buckets: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let given = within(wanted, buckets, limit);
    if given < wanted {
        let limit = limit.unwrap_or(u64::MAX);
        warn!(
            "fewer connections than connections_max, for want of descriptors: raise the hard \
             limit (LimitNOFILE) connections={given} connections_max={wanted} descriptors={limit}"
        );
    }
    given
}

/// The reserve is at most half of the limit: a node with few descriptors serves a few connections.
fn within(wanted: usize, buckets: usize, limit: Option<u64>) -> usize {
    let Some(limit) = limit else { return wanted };
    let reserve = (OF_PROCESS + OF_BUCKET * buckets as u64).min(limit / 2);
    wanted.min(usize::try_from(limit - reserve).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_descriptors_are_told_with_what_is_needed() {
        assert_eq!((least(1, Some(64)), least(1, None)), (Ok(()), Ok(())));
        let error = least(2, Some(95)).unwrap_err();
        assert_eq!(error, TooFewDescriptors { limit: 95, needed: 96, buckets: 2 });
        let text = error.to_string();
        assert!(text.starts_with("the limit of open files is 95, and a node needs"), "{text}");
        assert!(text.contains("needs 96 at least (buckets: 2)"), "{text}");
    }

    #[test]
    fn connections_leave_the_store_its_descriptors() {
        for (wanted, buckets, limit, expected) in [
            (4096, 1, None, 4096),
            (4096, 1, Some(524_288), 4096),
            (4096, 1, Some(4096), 4096 - 1152),
            (4096, 3, Some(8192), 4096),
            (4096, 1, Some(1024), 512),
            (60, 1, Some(1024), 60),
            (4096, 1, Some(0), 1),
        ] {
            assert_eq!(within(wanted, buckets, limit), expected, "{wanted} {buckets} {limit:?}");
        }
    }
}
