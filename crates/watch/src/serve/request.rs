//! What a client wants, if it can be made out.

/// A request worth answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// Path without its query, such as `/metrics`.
    pub(super) path: String,
    /// Whether only the headers are wanted.
    pub(super) head_only: bool,
    /// Whether OpenMetrics is preferred to plain text.
    pub(super) openmetrics: bool,
}

/// A request that is answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) why: &'static str,
}

/// Headers a request may have.
const MAX_HEADERS: usize = 64;

const fn refusal(status: u16, why: &'static str) -> Refusal {
    Refusal { status, why }
}

pub(super) const TOO_LARGE: Refusal = refusal(431, "the request is too large");
pub(super) const TOO_SLOW: Refusal = refusal(408, "the request took too long");
pub(super) const FAILED: Refusal = refusal(500, "the page could not be made");
pub(super) const NOTHING_HERE: Refusal = refusal(404, "there is nothing here");

/// Reads the head of a request; `None` when more is to come. `own_host` says that the host must be
/// named by an address or as `localhost`.
pub(super) fn parse(bytes: &[u8], own_host: bool) -> Result<Option<Request>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(TOO_LARGE),
        Err(httparse::Error::Version) => {
            return Err(refusal(505, "only HTTP/1.0 and HTTP/1.1 are spoken here"));
        }
        Err(_) => return Err(refusal(400, "this is no HTTP request")),
    }
    let head_only = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Err(refusal(405, "only GET and HEAD are answered")),
    };
    let hosts: Vec<&[u8]> = request
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("host"))
        .map(|header| header.value)
        .collect();
    match hosts[..] {
        [] if request.version == Some(0) => {}
        [host] if !own_host || names_this_machine(host) => {}
        [_] => return Err(refusal(421, "name this host by its address or as localhost")),
        _ => return Err(refusal(400, "one Host header is needed")),
    }
    let target = request.path.unwrap_or("");
    let path = target.split(['?', '#']).next().unwrap_or("");
    if !path.starts_with('/') {
        return Err(refusal(400, "the request names no path"));
    }
    let accepted: Vec<&str> = request
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("accept"))
        .filter_map(|header| std::str::from_utf8(header.value).ok())
        .collect();
    let openmetrics = prefers_openmetrics(&accepted.join(","));
    Ok(Some(Request { path: path.to_owned(), head_only, openmetrics }))
}

/// Whether an Accept header names OpenMetrics, and plain text with no greater weight (RFC 9110,
/// 12.5.1).
fn prefers_openmetrics(accept: &str) -> bool {
    let weight_of = |media_type: &str| {
        let named = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            parts.next().filter(|name| name.eq_ignore_ascii_case(media_type))?;
            let q = parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
            q.map_or(Some(1.0), |q| q.parse::<f64>().ok())
        });
        named.reduce(f64::max).unwrap_or(0.0)
    };
    let openmetrics = weight_of("application/openmetrics-text");
    openmetrics > 0.0 && openmetrics >= weight_of("text/plain")
}

/// Whether a Host header is an address or `localhost`, with or without a port.
fn names_this_machine(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let host = host.trim();
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && !name.ends_with(':') => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn status(text: &str) -> u16 {
        match parse(text.as_bytes(), true) {
            Ok(Some(_)) => 200,
            Ok(None) => 0,
            Err(refusal) => refusal.status,
        }
    }

    #[test]
    fn requests_are_told_apart() {
        for (text, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n", 200),
            ("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
            ("GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n", 200),
            ("GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 200),
            ("GET / HTTP/1.0\r\n\r\n", 200),
            ("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", 421),
            ("GET / HTTP/1.1\r\nHost: 127.0.0.1.example\r\n\r\n", 421),
            ("GET / HTTP/1.1\r\nHost: localhost:x\r\n\r\n", 421),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
            ("GET / HTTP/2.0\r\n\r\n", 505),
            ("\u{16}\u{3}\u{1}", 400),
            ("GET / HTTP/1.1\r\nHost: loc", 0),
            ("", 0),
        ] {
            assert_eq!(status(text), expected, "{text:?}");
        }
        let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "a: b\r\n".repeat(100));
        assert_eq!(status(&many), 431);
        let query = parse(b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", true).unwrap().unwrap();
        assert_eq!(query.path, "/metrics");
    }

    #[test]
    fn the_weights_of_accept_are_weighed() {
        // As Prometheus 2.45 asks.
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (prometheus, true),
            ("application/openmetrics-text", true),
            ("text/plain, Application/OpenMetrics-Text; q=0.9", false),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=x", false),
            ("text/plain;q=0.5,application/openmetrics-text;q=0.5", true),
            ("text/html,*/*", false),
            ("", false),
        ] {
            assert_eq!(prefers_openmetrics(accept), expected, "{accept}");
        }
        let request = format!("GET /metrics HTTP/1.0\r\naccept: {prometheus}\r\n\r\n");
        assert!(parse(request.as_bytes(), true).unwrap().unwrap().openmetrics);
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, true);
            let mut almost = b"GET / HTTP/1.1\r\nHost: ".to_vec();
            almost.extend(&bytes);
            almost.extend(b"\r\n\r\n");
            let _ = parse(&almost, true);
        }
    }
}
