//! One connection: a request, an answer, and a time limit over both.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::request::{self, FAILED, NOTHING_HERE, Refusal, Request, TOO_LARGE, TOO_SLOW};
use super::{Reply, Shared};
use crate::timestamp;

/// Reads a client may need for its request; the time to look at each is bounded with them.
const MAX_READS: usize = 256;
/// What is still read of a client after the answer, so that it is not lost to a reset.
const MAX_LINGER: Duration = Duration::from_millis(500);
const MAX_LINGER_BYTES: usize = 64 << 10;

/// Serves a connection to its end.
pub(super) fn serve(mut stream: TcpStream, shared: &Shared) {
    let deadline = Instant::now() + shared.limits.connection_time;
    let request = match read_request(&mut stream, deadline, shared) {
        Ok(Some(request)) => request,
        // It left, or never said anything we could answer.
        Ok(None) => return,
        Err(refusal) => {
            refuse(&mut stream, refusal, false, deadline, shared);
            return linger(&mut stream, deadline);
        }
    };
    // A handler that panics half-way answers nothing; what it shares is its own to keep whole.
    let answer = || {
        let reply = (shared.handler)(&request.path)?;
        Some(if request.openmetrics { reply.preferring_openmetrics() } else { reply })
    };
    let made = catch_unwind(AssertUnwindSafe(answer));
    match made {
        Ok(Some(reply)) => {
            shared.answered.fetch_add(1, Ordering::Relaxed);
            // A client that went away is no concern of ours.
            let _ = send(&mut stream, &reply, request.head_only, deadline);
        }
        Ok(None) => refuse(&mut stream, NOTHING_HERE, request.head_only, deadline, shared),
        Err(_) => refuse(&mut stream, FAILED, request.head_only, deadline, shared),
    }
    linger(&mut stream, deadline);
}

/// Tells a client, without waiting for it, that too many others are here.
pub(super) fn turn_away(stream: &TcpStream) {
    let reply = Reply::text(503, "too many connections; try again\n");
    let head = head(&reply);
    // Best effort: the client is told by the closed connection anyway.
    let _ = stream.set_nonblocking(true);
    let mut stream = stream;
    let _ = stream.write(format!("{head}{}", reply.body).as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read(&mut [0; 4096]);
}

fn refuse(
    stream: &mut TcpStream,
    refusal: Refusal,
    head_only: bool,
    deadline: Instant,
    shared: &Shared,
) {
    shared.refused.fetch_add(1, Ordering::Relaxed);
    let reply = Reply::text(refusal.status, format!("{}\n", refusal.why));
    // One that took too long may have a moment to hear about it.
    let deadline = deadline.max(Instant::now() + Duration::from_millis(200));
    let _ = send(stream, &reply, head_only, deadline);
}

fn read_request(
    stream: &mut TcpStream,
    deadline: Instant,
    shared: &Shared,
) -> Result<Option<Request>, Refusal> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 2048];
    for _ in 0..MAX_READS {
        if stream.set_read_timeout(Some(left(deadline).ok_or(TOO_SLOW)?)).is_err() {
            return Ok(None);
        }
        let room = shared.limits.max_head_bytes.saturating_sub(bytes.len());
        if room == 0 {
            return Err(TOO_LARGE);
        }
        let take = room.min(chunk.len());
        match stream.read(&mut chunk[..take]) {
            Ok(0) => return Ok(None),
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if timed_out(&error) => return Err(TOO_SLOW),
            Err(_) => return Ok(None),
        }
        if let Some(request) = request::parse(&bytes, shared.on_loopback)? {
            return Ok(Some(request));
        }
    }
    Err(TOO_SLOW)
}

fn send(
    stream: &mut TcpStream,
    reply: &Reply,
    head_only: bool,
    deadline: Instant,
) -> io::Result<()> {
    let mut text = head(reply);
    if !head_only {
        text.push_str(&reply.body);
    }
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let left = left(deadline).ok_or(io::ErrorKind::TimedOut)?;
        stream.set_write_timeout(Some(left))?;
        match stream.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => rest = &rest[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn head(reply: &Reply) -> String {
    let reason = match reply.status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    };
    let extra = match reply.status {
        405 => "Allow: GET, HEAD\r\n",
        503 => "Retry-After: 1\r\n",
        _ => "",
    };
    format!(
        "HTTP/1.1 {} {reason}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\
         Connection: close\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n{extra}\r\n",
        reply.status,
        timestamp::http_date(timestamp::now()),
        reply.content_type,
        reply.body.len(),
    )
}

/// Closes our half and reads what the client still sends: a connection closed over unread bytes is
/// reset, and the client may lose the answer.
fn linger(stream: &mut TcpStream, deadline: Instant) {
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let until = Instant::now() + MAX_LINGER;
    let until = until.min(deadline.max(Instant::now() + MAX_LINGER / 5));
    let (mut chunk, mut total) = ([0; 4096], 0);
    while let Some(left) = left(until) {
        if stream.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match stream.read(&mut chunk) {
            Ok(n) if n > 0 && total < MAX_LINGER_BYTES => total += n,
            _ => return,
        }
    }
}

/// Time left, if any; a timeout of zero would mean none.
fn left(deadline: Instant) -> Option<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    (left >= Duration::from_millis(1)).then_some(left)
}

fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
