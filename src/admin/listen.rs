//! The port of the admin API. Where it is taken, the error names who has it; the demonstration
//! takes another one, because nobody has asked for that port.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

use super::AdminError;
use crate::config::{self, Config};
use crate::holder;

/// Connections that wait to be accepted: where many come at once, each waits for a moment.
const BACKLOG: i32 = 1024;

/// Listens where the configuration says. Returns the actual address, too.
pub(super) fn bound(config: &Config) -> Result<(TcpListener, SocketAddr), AdminError> {
    let listen = config.admin.listen;
    listening(listen, config.is_demonstration() && listen == config::ADMIN_DEFAULT)
}

/// Where the port is taken and `may_differ`, any free port of the address will do.
fn listening(
    listen: SocketAddr,
    may_differ: bool,
) -> Result<(TcpListener, SocketAddr), AdminError> {
    let failed = |source: io::Error| {
        let is_taken = source.kind() == io::ErrorKind::AddrInUse;
        let holder = is_taken.then(|| holder::of(listen.port())).flatten();
        AdminError::Listen { listen, holder, source }
    };
    let listener = match bind(listen) {
        Err(error) if may_differ && error.kind() == io::ErrorKind::AddrInUse => {
            let mut any = listen;
            any.set_port(0);
            bind(any)
        }
        bound => bound,
    };
    let listener = listener.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(listen), Type::STREAM, None)?;
    // A port that another program listens on is refused all the same.
    socket.set_reuse_address(true)?;
    socket.bind(&listen.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Who has the port, where that is known, between the error and its remedy.
pub(super) fn in_words(holder: Option<&str>) -> String {
    holder.map_or_else(|| ": ".to_owned(), |holder| format!(" by {holder}: stop it, or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_another_one_of_a_demonstration_and_an_error_of_others() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = taken.local_addr().unwrap();
        let (_listener, address) = listening(listen, true).unwrap();
        assert_eq!(address.ip(), listen.ip());
        assert_ne!(address.port(), listen.port());
        let error = listening(listen, false).unwrap_err().to_string();
        let holder = format!(" by process {} (", std::process::id());
        assert!(error.contains(&holder) && error.contains(": stop it, or give another"), "{error}");
    }
}
