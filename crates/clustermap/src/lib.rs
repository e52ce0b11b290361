//! The map of a Couchbase cluster: which nodes there are, and which has the active copy of which
//! vBucket.
//!
//! The rules are pure: no sockets, no clock, no chance.
//!
//! - `address`: a connection string such as `couchbase://host1,host2`, and `host:port`
//! - `srv`: DNS SRV records that name the nodes to begin with; `resolv_conf`: which name servers
//!   are asked for them
//! - `written`: the JSON of a map as nodes send it; `node`: how a node in it is reached
//! - `map`: a checked map, and what is to be replicated by it
//! - `revision`: which of two maps is newer

mod address;
mod map;
mod node;
mod resolv_conf;
mod revision;
mod srv;
mod written;

pub use address::{Address, AddressError, ConnectionString, HOSTS_MAX};
pub use map::{MAP_BYTES_MAX, Map, MapError, NODES_MAX, Wanted};
pub use node::{Network, Node};
pub use resolv_conf::{ResolvConf, nameserver};
pub use revision::{Revision, Seen};
pub use srv::{SrvAnswer, SrvQuery};
