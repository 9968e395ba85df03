//! One HTTP/1.1 request (RFC 9112): a POST with a body, answered by a status.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::ProfilerError;

const DEFAULT_PORT: u16 = 4318;
const DEFAULT_PATH: &str = "/v1/traces";
/// Bytes of the answer looked at: its status, and the beginning of an explanation.
const ANSWER_BYTES: u64 = 4096;

/// Where to send to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    host: String,
    port: u16,
    path: String,
}

impl Endpoint {
    pub(super) fn parse(text: &str) -> Result<Self, ProfilerError> {
        let wrong = |reason: &str| ProfilerError::Export {
            endpoint: text.to_owned(),
            reason: format!("{reason}; give it as `http://HOST:4318/v1/traces`"),
        };
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(wrong("only plain `http://` endpoints are supported"));
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, DEFAULT_PATH),
        };
        let bracketed = authority.ends_with(']');
        let (host, port) = match authority.rsplit_once(':').filter(|_| !bracketed) {
            Some((host, port)) => (host, port.parse().map_err(|_| wrong("the port is no number"))?),
            None => (authority, DEFAULT_PORT),
        };
        // An address of IPv6 is written in brackets, and looked up without.
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let printable = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if host.is_empty() || !printable(host) || !printable(path) {
            return Err(wrong("the host or the path is missing or odd"));
        }
        Ok(Self { host: host.to_owned(), port, path: path.to_owned() })
    }

    pub(super) fn post(&self, body: &str, timeout: Duration) -> Result<(), ProfilerError> {
        let answer = self.exchange(body, timeout).map_err(|e| self.failed(e.to_string()))?;
        let status = answer.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
        match status.and_then(|status| status.parse::<u16>().ok()) {
            Some(200..=299) => Ok(()),
            Some(status) => {
                let said = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body.trim());
                Err(self.failed(format!("answered with status {status} {said}")))
            }
            None => Err(self.failed("did not answer in HTTP".to_owned())),
        }
    }

    fn failed(&self, reason: String) -> ProfilerError {
        let Self { host, port, path } = self;
        ProfilerError::Export { endpoint: format!("http://{host}:{port}{path}"), reason }
    }

    fn exchange(&self, body: &str, timeout: Duration) -> std::io::Result<String> {
        let mut stream = self.connect(timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {host}:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.path,
            self.port,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// The first address of the host that answers.
    fn connect(&self, timeout: Duration) -> std::io::Result<TcpStream> {
        let mut last = None;
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| std::io::Error::other("the host has no address")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read() {
        let endpoint = |host: &str, port, path: &str| Endpoint {
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        };
        for (text, expected) in [
            ("http://localhost", endpoint("localhost", 4318, "/v1/traces")),
            ("http://10.0.0.1:99/a/b", endpoint("10.0.0.1", 99, "/a/b")),
            ("http://[::1]:99", endpoint("::1", 99, "/v1/traces")),
            ("http://[::1]/x", endpoint("::1", 4318, "/x")),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap(), expected, "{text}");
        }
        for text in [
            "https://localhost",
            "localhost:4318",
            "http://",
            "http://h:no",
            "http://a b/",
            "http://h/\r\nX: y",
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.contains("http://HOST"), "{error}");
        }
    }
}
