//! DNS SRV records that name the nodes of a cluster (RFC 2782): the query, and what an answer says.
//!
//! Answers come from strangers: whatever they hold, they give nodes or an error.

use domain::base::iana::Rcode;
use domain::base::wire::ParseError;
use domain::base::{Message, ParsedName};
use domain::rdata::Srv;

use crate::address::{Address, HOSTS_MAX};

/// Type SRV and class IN, at the end of a question.
const SRV_IN: [u8; 4] = [0, 33, 0, 1];
/// The length of the header, which a question follows.
const HEADER_BYTES: usize = 12;

/// A query for the SRV records of one name.
#[derive(Clone, Debug)]
pub struct SrvQuery(Vec<u8>);

/// What a name server answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SrvAnswer {
    /// The targets of the records, by priority, then by weight, each once; at most [`HOSTS_MAX`].
    Nodes(Vec<Address>),
    /// There are no such records, or they say that the service is not there.
    Nothing,
    /// The message has no room for the answer: ask over TCP.
    Truncated,
    /// This server does not know, with its reason; another one may.
    Failed(String),
}

impl SrvQuery {
    /// Returns a query for `name`, which is written in full. Nobody should be able to guess `id`.
    ///
    /// # Errors
    /// A text, where this is no name of DNS: a part of it is empty or has more than 63 bytes.
    pub fn new(name: &str, id: u16) -> Result<Self, String> {
        // Recursion is desired, and there is one question.
        let mut bytes = [id, 0x0100, 1, 0, 0, 0].map(u16::to_be_bytes).concat();
        for part in name.strip_suffix('.').unwrap_or(name).split('.') {
            let length = u8::try_from(part.len()).ok().filter(|length| (1..=63).contains(length));
            let Some(length) = length else {
                let allowed = "its parts between dots have 1 to 63 bytes";
                return Err(format!("{name} is no name of DNS: {allowed}"));
            };
            bytes.push(length);
            bytes.extend(part.as_bytes());
        }
        bytes.push(0);
        bytes.extend(SRV_IN);
        Ok(Self(bytes))
    }

    /// The query as it is sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads a message. `None` where it does not answer this query: it is no answer, or its id or
    /// question are others.
    #[must_use]
    pub fn answer(&self, message: &[u8]) -> Option<SrvAnswer> {
        let message = Message::from_slice(message).ok()?;
        let header = message.header();
        let is_ours = header.qr() && self.0.starts_with(&header.id().to_be_bytes());
        let is_it = is_ours && (self.is_repeated(message) || is_failure(message));
        is_it.then(|| match header.rcode() {
            Rcode::NXDOMAIN => SrvAnswer::Nothing,
            Rcode::NOERROR if header.tc() => SrvAnswer::Truncated,
            Rcode::NOERROR => match nodes(message) {
                Ok(answer) => answer,
                Err(_) => SrvAnswer::Failed("its answer is malformed".to_owned()),
            },
            code => SrvAnswer::Failed(format!("it answers {code}")),
        })
    }

    /// Whether this message repeats the question. Upper and lower case are one name; no number of a
    /// question is that of a letter.
    fn is_repeated(&self, message: &Message<[u8]>) -> bool {
        let question = self.0.get(HEADER_BYTES..).unwrap_or_default();
        let repeated = message.as_slice().get(HEADER_BYTES..self.0.len()).unwrap_or_default();
        message.header_counts().qdcount() == 1 && repeated.eq_ignore_ascii_case(question)
    }
}

/// The nodes of an answer. The owner of a record is not looked at: the name may be an alias, whose
/// end the name server has looked up.
fn nodes(message: &Message<[u8]>) -> Result<SrvAnswer, ParseError> {
    let mut found = Vec::new();
    let mut unusable = None;
    for record in message.answer()?.limit_to_in::<Srv<ParsedName<&[u8]>>>() {
        let record = record?;
        let srv = record.data();
        if srv.target().is_root() {
            continue;
        }
        match Address::new(&srv.target().to_string().to_ascii_lowercase(), srv.port()) {
            Ok(node) => {
                // A higher weight is a larger share of the clients. Of equal ones, the name server
                // says which comes first.
                let rank = (srv.priority(), u16::MAX - srv.weight());
                place(&mut found, rank, node);
            }
            Err(error) => unusable = Some(error.to_string()),
        }
    }
    let nodes: Vec<_> = found.into_iter().map(|(_, node)| node).collect();
    Ok(match unusable {
        Some(error) if nodes.is_empty() => {
            SrvAnswer::Failed(format!("no record has a usable host: {error}"))
        }
        None if nodes.is_empty() => SrvAnswer::Nothing,
        _ => SrvAnswer::Nodes(nodes),
    })
}

/// Whether this says, without a question, that a query failed: a server that cannot or will not
/// read a query does not repeat it.
fn is_failure(message: &Message<[u8]>) -> bool {
    let rcode = message.header().rcode();
    let says_why = rcode != Rcode::NOERROR && rcode != Rcode::NXDOMAIN;
    says_why && message.header_counts().qdcount() == 0
}

/// Adds a node to those in the order of their ranks. One that is there already keeps the better
/// rank of both: a node that does not answer costs a deadline each time it is tried.
fn place(found: &mut Vec<((u16, u16), Address)>, rank: (u16, u16), node: Address) {
    if let Some(at) = found.iter().position(|it| it.1 == node) {
        if found.get(at).is_some_and(|it| it.0 <= rank) {
            return;
        }
        found.remove(at);
    }
    let at = found.partition_point(|it| it.0 <= rank);
    found.insert(at, (rank, node));
    found.truncate(HOSTS_MAX);
}
