//! Reading a page from a metrics endpoint.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::WatchError;

const TIME: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 16 << 20;

/// Reads a page such as `/metrics` from `address` (`HOST:PORT`) over plain HTTP, within 5 seconds
/// and 16 MiB.
///
/// # Errors
/// [`WatchError::Scrape`] where nobody listens, the answer is not 200, is cut short, too long,
/// too late or no UTF-8.
pub fn scrape(address: &str, path: &str) -> Result<String, WatchError> {
    fetch(address, path).map_err(|reason| WatchError::Scrape {
        address: address.to_owned(),
        path: path.to_owned(),
        reason,
    })
}

fn fetch(address: &str, path: &str) -> Result<String, String> {
    let deadline = Instant::now() + TIME;
    let text = |error: std::io::Error| error.to_string();
    let targets = address.to_socket_addrs().map_err(text)?;
    let mut failed = "the name has no address".to_owned();
    let mut connected = None;
    for target in targets {
        match TcpStream::connect_timeout(&target, TIME) {
            Ok(stream) => {
                connected = Some(stream);
                break;
            }
            Err(error) => failed = error.to_string(),
        }
    }
    let mut stream = connected.ok_or(failed)?;
    stream.set_write_timeout(Some(TIME)).map_err(text)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(text)?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left < Duration::from_millis(1) {
            return Err("it took longer than 5 s".to_owned());
        }
        stream.set_read_timeout(Some(left)).map_err(text)?;
        match stream.read(&mut chunk).map_err(text)? {
            0 => break,
            n => bytes.extend_from_slice(&chunk[..n]),
        }
        if bytes.len() > MAX_BYTES {
            return Err("it is longer than 16 MiB".to_owned());
        }
    }
    body(&bytes)
}

fn body(bytes: &[u8]) -> Result<String, String> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let begins = match response.parse(bytes) {
        Ok(httparse::Status::Complete(begins)) => begins,
        Ok(httparse::Status::Partial) => return Err("the answer is cut short".to_owned()),
        Err(error) => return Err(format!("the answer is no HTTP: {error}")),
    };
    let body = &bytes[begins..];
    if response.code != Some(200) {
        let code = response.code.unwrap_or(0);
        let said: String = String::from_utf8_lossy(body).chars().take(200).collect();
        return Err(format!("the answer is {code}: {}", said.trim()));
    }
    let header = |name: &str| {
        let found =
            response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    if header("transfer-encoding").is_some() {
        return Err("the answer is in chunks, which are not understood here".to_owned());
    }
    let whole = header("content-length").and_then(|length| length.trim().parse::<usize>().ok());
    if whole.is_some_and(|length| length != body.len()) {
        return Err("the answer is cut short".to_owned());
    }
    String::from_utf8(body.to_vec()).map_err(|_| "the answer is no UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_good_answers_are_taken() {
        assert_eq!(body(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap(), "hi");
        for (answer, part) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", "cut short"),
            ("HTTP/1.1 404 No\r\n\r\nnothing", "404: nothing"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "chunks"),
            ("SSH-2.0", "no HTTP"),
            ("HTTP/1.1 200", "cut short"),
        ] {
            let error = body(answer.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{answer}: {error}");
        }
    }
}
