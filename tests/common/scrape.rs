//! The metrics page of a data node or a sidecar, and other pages that need no token.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// The text of the page at `address`, host and port.
pub fn scrape(address: &str) -> String {
    page(address, "/metrics")
}

/// The body of any page.
pub fn page(address: &str, path: &str) -> String {
    ask(address, &format!("GET {path}"), "", "")
}

/// The answer to a POST with this token.
pub fn post(address: &str, path: &str, token: &str, body: &str) -> String {
    let bearer = format!("Authorization: Bearer {token}\r\n");
    ask(address, &format!("POST {path}"), &bearer, body)
}

fn ask(address: &str, what: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{what} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, page) = answer.split_once("\r\n\r\n").unwrap();
    page.to_owned()
}
