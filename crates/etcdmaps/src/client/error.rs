//! Why a call of etcd failed; the texts name the member, the step and what to do.

use std::error::Error as _;
use std::fmt::Write as _;
use std::future::Future;
use std::time::Duration;

/// The longest text of an error that is repeated, in bytes.
const TEXT_BYTES_MAX: usize = 400;

/// Why a call of etcd failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EtcdError {
    /// The files of passwords or certificates cannot be used.
    #[error("TLS of etcd: {text}")]
    Tls {
        /// What is wrong with which file.
        text: String,
    },
    /// A member did not answer in time.
    #[error(
        "etcd at {endpoint} did not {step} within {} s: is it running, is it reachable?",
        .limit.as_secs()
    )]
    Slow {
        /// The member.
        endpoint: String,
        /// What it was to do.
        step: &'static str,
        /// The deadline.
        limit: Duration,
    },
    /// A member refused, or the connection failed.
    #[error("etcd at {endpoint} failed to {step}: {text}")]
    Failed {
        /// The member.
        endpoint: String,
        /// What it was to do.
        step: &'static str,
        /// The error, and what to do.
        text: String,
    },
    /// A lease has expired, or was revoked.
    #[error("etcd at {endpoint} does not know the lease any more")]
    LeaseLost {
        /// The member.
        endpoint: String,
    },
    /// There are more keys than a cluster can have.
    #[error(
        "etcd has more than {max} keys under {prefix}: delete those that are not maps of buckets"
    )]
    TooMany {
        /// The most that are read.
        max: usize,
        /// What they begin with.
        prefix: String,
    },
    /// No member could be used.
    #[error("{0}")]
    All(String),
}

/// Waits for a call until its deadline. Calls of the library are large futures, so they are boxed.
pub(super) fn within<'a, T>(
    endpoint: &'a str,
    step: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, etcd_client::Error>> + 'a,
) -> impl Future<Output = Result<T, EtcdError>> {
    let call = Box::pin(call);
    async move {
        let endpoint = || endpoint.to_owned();
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if is_of_lease(&error) => {
                Err(EtcdError::LeaseLost { endpoint: endpoint() })
            }
            Ok(Err(error)) => {
                Err(EtcdError::Failed { endpoint: endpoint(), step, text: explained(&error) })
            }
            Err(_) => Err(EtcdError::Slow { endpoint: endpoint(), step, limit }),
        }
    }
}

fn is_of_lease(error: &etcd_client::Error) -> bool {
    match error {
        etcd_client::Error::LeaseKeepAliveError(text) => text == "lease not found",
        etcd_client::Error::GRpcStatus(status) => {
            status.message() == "etcdserver: requested lease not found"
        }
        _ => false,
    }
}

/// The error, what caused it, and what to do about it.
pub(super) fn explained(error: &etcd_client::Error) -> String {
    let mut text = match error {
        etcd_client::Error::GRpcStatus(status) => status.message().to_owned(),
        other => other.to_string(),
    };
    let mut cause = match error {
        etcd_client::Error::GRpcStatus(status) => status.source(),
        etcd_client::Error::TransportError(error) => error.source(),
        other => other.source(),
    };
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors repeat the text of what caused them.
        if !text.contains(&more) {
            _ = write!(text, ": {more}");
        }
        cause = error.source();
    }
    let text = logline::capped(text, TEXT_BYTES_MAX);
    match hint(&text) {
        Some(hint) => format!("{text}: {hint}"),
        None => text,
    }
}

fn hint(text: &str) -> Option<&'static str> {
    const HINTS: [(&str, &str); 6] = [
        ("invalid user ID or password", "see username and password of [desired] etcd"),
        ("user name is empty", "etcd has authentication on: give username and password"),
        (
            "permission denied",
            "grant the user read of <prefix>/maps/ and readwrite of <prefix>/status/",
        ),
        ("authentication is not enabled", "leave out username and password, or enable it in etcd"),
        ("Connection refused", "is etcd running at this address?"),
        ("database space exceeded", "compact and defragment etcd, then disarm its alarm"),
    ];
    HINTS.iter().find(|(part, _)| text.contains(part)).map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    //! The texts of errors.

    use super::*;

    #[test]
    fn a_hint_follows_what_etcd_said_and_the_text_is_bounded() {
        let error = |text: String| explained(&etcd_client::Error::WatchError(text));
        assert_eq!(
            error("etcdserver: permission denied".to_owned()),
            "watch error: etcdserver: permission denied: grant the user read of <prefix>/maps/ \
             and readwrite of <prefix>/status/"
        );
        assert!(error("x".repeat(100_000)).len() < 500);
    }
}
