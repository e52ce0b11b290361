//! Sockets, handshake and byte pump of one replication link.
