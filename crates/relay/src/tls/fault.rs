//! Why TLS with a peer failed; the texts say what to change.

use std::io;
use std::time::Duration;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

/// Why there is no encrypted connection with a peer.
///
/// The text follows the name of the peer.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// No trusted authority has signed the certificate.
    #[error("shows a certificate that no authority of the ca file has signed")]
    UnknownIssuer,
    /// The certificate has expired.
    #[error("shows a certificate that has expired{}", since(*.ago))]
    Expired {
        /// How long ago, if known.
        ago: Option<Duration>,
    },
    /// The certificate is not yet valid, or a clock is wrong.
    #[error("shows a certificate that is not yet valid{}, compare the clocks", still(*.wait))]
    NotYetValid {
        /// How long until it is valid, if known.
        wait: Option<Duration>,
    },
    /// The certificate is for another name.
    #[error("shows a certificate for {presented}, not for {wanted}: see address and server_name")]
    WrongName {
        /// The expected name.
        wanted: String,
        /// The names in the certificate.
        presented: String,
    },
    /// The certificate is invalid for another reason.
    #[error("shows an invalid certificate: {why}")]
    BadCertificate {
        /// The error of rustls.
        why: CertificateError,
    },
    /// The peer requires a client certificate, and none is configured.
    #[error("requires a client certificate: configure certificate and key")]
    CertificateWanted,
    /// The peer refused our client certificate.
    #[error("refuses our client certificate ({alert:?})")]
    CertificateRefused {
        /// The alert of the peer.
        alert: AlertDescription,
    },
    /// The peer ended TLS with another alert.
    #[error("ended TLS with the alert {alert:?}{}", hint(*.alert))]
    Alert {
        /// The alert of the peer.
        alert: AlertDescription,
    },
    /// The answer to our first message is not TLS.
    #[error("does not speak TLS on this port: give its TLS port, or leave tls out")]
    NotSpoken,
    /// The peer closed the connection during the handshake.
    #[error("closed the connection during the TLS handshake: is this its TLS port?")]
    HungUp,
    /// The connection is plain, and the peer answered with TLS.
    #[error("speaks TLS on this port: give it tls, or its plain port")]
    Wanted,
    /// Another TLS error.
    #[error("TLS error: {source}")]
    Other {
        /// The error of rustls or the OS.
        source: io::Error,
    },
}

impl TlsFault {
    /// Returns the TLS fault in an error of an encrypted connection, if it is one.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        let error = error.get_ref()?.downcast_ref::<Error>()?;
        Some(match error {
            Error::InvalidCertificate(error) => certificate(error),
            Error::AlertReceived(alert) => refusal(*alert),
            Error::InvalidMessage(_) => Self::NotSpoken,
            error => Self::Other { source: io::Error::other(error.clone()) },
        })
    }

    /// Why a handshake failed.
    pub(super) fn of_handshake(source: io::Error) -> Self {
        match Self::of(&source) {
            Some(fault) => fault,
            None if hung_up(&source) => Self::HungUp,
            None => Self::Other { source },
        }
    }

    /// Whether it needs a change of configuration.
    pub(crate) const fn needs_a_person(&self) -> bool {
        !matches!(self, Self::HungUp | Self::Other { .. })
    }

    /// Whether `bytes`, received instead of a frame, begin a TLS alert: content type 21, and a
    /// major version of 3.
    pub(crate) const fn is_alert(bytes: &[u8]) -> bool {
        matches!(bytes, [0x15, 0x03, ..])
    }
}

fn hung_up(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
    kinds.contains(&error.kind())
}

fn certificate(error: &CertificateError) -> TlsFault {
    use CertificateError as E;
    match error {
        // BadSignature: an authority of the same name with another key.
        E::UnknownIssuer | E::BadSignature => TlsFault::UnknownIssuer,
        E::Expired => TlsFault::Expired { ago: None },
        E::ExpiredContext { time, not_after } => {
            TlsFault::Expired { ago: between(not_after.as_secs(), time.as_secs()) }
        }
        E::NotValidYet => TlsFault::NotYetValid { wait: None },
        E::NotValidYetContext { time, not_before } => {
            TlsFault::NotYetValid { wait: between(time.as_secs(), not_before.as_secs()) }
        }
        E::NotValidForNameContext { expected, presented } => {
            let wanted = expected.to_str().into_owned();
            TlsFault::WrongName { wanted, presented: names(presented) }
        }
        error => TlsFault::BadCertificate { why: error.clone() },
    }
}

/// Returns the names in `DnsName("a")` and `IpAddress(1.2.3.4)`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(name).trim_matches('"').to_owned()
    };
    let names: Vec<_> = presented.iter().map(bare).collect();
    if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") }
}

const fn refusal(alert: AlertDescription) -> TlsFault {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired => TlsFault::CertificateWanted,
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied
        | A::DecryptError => TlsFault::CertificateRefused { alert },
        alert => TlsFault::Alert { alert },
    }
}

/// TLS 1.2 has no alert for a missing client certificate.
const fn hint(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::HandshakeFailure => {
            ": it may require a client certificate, or support none of our ciphers"
        }
        AlertDescription::ProtocolVersion => ": it supports neither TLS 1.2 nor 1.3",
        _ => "",
    }
}

fn between(from_s: u64, to_s: u64) -> Option<Duration> {
    to_s.checked_sub(from_s).map(Duration::from_secs)
}

fn since(ago: Option<Duration>) -> String {
    ago.map(|ago| format!(" {} ago", rounded(ago))).unwrap_or_default()
}

fn still(wait: Option<Duration>) -> String {
    wait.map(|wait| format!(" for {}", rounded(wait))).unwrap_or_default()
}

fn rounded(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    let unit = units.iter().find(|(length, _)| seconds >= 2 * length);
    unit.map_or(format!("{seconds} s"), |(length, name)| format!("{} {name}", seconds / length))
}
