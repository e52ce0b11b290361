//! DNS SRV records that name the nodes of a cluster (RFC 2782): the query, and what an answer says.
//!
//! Answers come from strangers: whatever they hold, they give nodes or an error.

use domain::base::iana::Rcode;
use domain::base::{Message, MessageBuilder, Name, ParsedName, Rtype};
use domain::rdata::Srv;

use crate::address::{Address, HOSTS_MAX};

/// A query for the SRV records of one name.
#[derive(Clone, Debug)]
pub struct SrvQuery(Message<Vec<u8>>);

/// What a name server answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SrvAnswer {
    /// The targets of the records, by priority, then by weight; at most [`HOSTS_MAX`].
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
    /// A text, where this is no name of DNS: a part of it has more than 63 bytes.
    pub fn new(name: &str, id: u16) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("{name} is no name of DNS: {error}");
        let name: Name<Vec<u8>> = name.parse().map_err(|error| wrong(&error))?;
        let target = Vec::new();
        let mut builder = MessageBuilder::from_target(target).map_err(|error| wrong(&error))?;
        builder.header_mut().set_id(id);
        builder.header_mut().set_rd(true);
        let mut builder = builder.question();
        builder.push((name, Rtype::SRV)).map_err(|error| wrong(&error))?;
        Ok(Self(builder.into_message()))
    }

    /// The query as it is sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Reads a message. `None` where it does not answer this query: it is no answer, or its id or
    /// question are others.
    #[must_use]
    pub fn answer(&self, message: &[u8]) -> Option<SrvAnswer> {
        let message = Message::from_slice(message).ok().filter(|it| it.is_answer(&self.0))?;
        let header = message.header();
        Some(match header.rcode() {
            Rcode::NXDOMAIN => SrvAnswer::Nothing,
            Rcode::NOERROR if header.tc() => SrvAnswer::Truncated,
            Rcode::NOERROR => nodes(message).unwrap_or_else(SrvAnswer::Failed),
            code => SrvAnswer::Failed(format!("it answers {code}")),
        })
    }
}

/// The nodes of an answer. The owner of a record is not looked at: the name may be an alias, whose
/// end the name server has looked up.
fn nodes(message: &Message<[u8]>) -> Result<SrvAnswer, String> {
    let malformed = |error: &dyn std::fmt::Display| format!("its answer is malformed: {error}");
    let mut found: Vec<(u16, u16, Address)> = Vec::new();
    let mut unusable = None;
    let answers = message.answer().map_err(|error| malformed(&error))?;
    for record in answers.limit_to_in::<Srv<ParsedName<&[u8]>>>() {
        let record = record.map_err(|error| malformed(&error))?;
        let srv = record.data();
        if srv.target().is_root() {
            continue;
        }
        match Address::new(&srv.target().to_string(), srv.port()) {
            Ok(node) => {
                // A higher weight is a larger share of the clients. Of equal ones, the name server
                // says which comes first.
                let rank = (srv.priority(), u16::MAX - srv.weight());
                let at = found.partition_point(|it| (it.0, it.1) <= rank);
                found.insert(at, (rank.0, rank.1, node));
                found.truncate(HOSTS_MAX);
            }
            Err(error) => unusable = Some(error.to_string()),
        }
    }
    let nodes: Vec<_> = found.into_iter().map(|(_, _, node)| node).collect();
    match unusable {
        Some(error) if nodes.is_empty() => Err(format!("no record has a usable host: {error}")),
        None if nodes.is_empty() => Ok(SrvAnswer::Nothing),
        _ => Ok(SrvAnswer::Nodes(nodes)),
    }
}
