//! A small HTTP server for metrics: few requests, all of them suspect.

mod connection;
mod request;
mod scrape;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::WatchError;
use crate::prometheus::{OPENMETRICS, openmetrics_text};

pub use scrape::scrape;

/// Media type of the Prometheus text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How long the server waits for requests under way when it is stopped, before it cuts them off.
const GRACE: Duration = Duration::from_millis(500);
/// Pause after a failed accept, which may fail again at once (no file handles left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a [`MetricsServer`] grants its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections served at the same time; one more is answered with 503.
    pub max_connections: usize,
    /// Bytes of a request up to the empty line behind its headers; more is answered with 431.
    pub max_head_bytes: usize,
    /// Time for a connection from its beginning to its end, however slow the client.
    pub connection_time: Duration,
}

impl Default for ServerLimits {
    /// 32 connections, 8 KiB, 5 seconds.
    fn default() -> Self {
        Self {
            max_connections: 32,
            max_head_bytes: 8 << 10,
            connection_time: Duration::from_secs(5),
        }
    }
}

/// What the handler of a [`MetricsServer`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status code, such as 200.
    pub status: u16,
    /// Media type of the body.
    pub content_type: &'static str,
    /// Body.
    pub body: String,
}

impl Reply {
    /// A page of metrics in the Prometheus text format, which a server also sends as OpenMetrics to
    /// clients that prefer it.
    #[must_use]
    pub fn prometheus(body: String) -> Self {
        Self { status: 200, content_type: PROMETHEUS, body }
    }

    /// The same page as OpenMetrics; any other reply as it is.
    fn preferring_openmetrics(self) -> Self {
        if self.content_type != PROMETHEUS {
            return self;
        }
        Self { content_type: OPENMETRICS, body: openmetrics_text(&self.body), ..self }
    }

    /// An HTML page. It may hold inline styles; scripts and anything from elsewhere are forbidden
    /// to it by its headers.
    #[must_use]
    pub fn html(body: String) -> Self {
        Self { status: 200, content_type: "text/html; charset=utf-8", body }
    }

    /// Plain text with any status.
    #[must_use]
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }
}

/// How a [`MetricsServer`] has fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerCounts {
    /// Requests the handler answered.
    pub answered: u64,
    /// Connections turned away because too many were open.
    pub turned_away: u64,
    /// Requests refused: malformed, too large, too slow, or not to be answered.
    pub refused: u64,
}

/// Serves pages over HTTP/1.1 from a thread of its own and one more per open connection.
///
/// GET and HEAD only; a connection serves one request. A server on a loopback address answers
/// only requests that name the host by an address or as `localhost`, so that no web page can read
/// it through a name of its own (DNS rebinding). Dropping it stops it.
///
/// ```
/// use lob_watch::{MetricsServer, Reply, ServerLimits};
/// let pages = |path: &str| (path == "/metrics").then(|| Reply::prometheus("up 1\n".to_owned()));
/// let server = MetricsServer::start("127.0.0.1:0".parse()?, ServerLimits::default(), pages)?;
/// let text = lob_watch::scrape(&server.address().to_string(), "/metrics")?;
/// assert_eq!(text, "up 1\n");
/// server.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

type Handler = dyn Fn(&str) -> Option<Reply> + Send + Sync;

struct Shared {
    limits: ServerLimits,
    handler: Box<Handler>,
    on_loopback: bool,
    stopping: AtomicBool,
    answered: AtomicU64,
    turned_away: AtomicU64,
    refused: AtomicU64,
    open: Mutex<Open>,
    closed: Condvar,
}

/// Connections being served.
#[derive(Default)]
struct Open {
    next: u64,
    streams: Vec<(u64, Option<TcpStream>)>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl MetricsServer {
    /// Listens on `address` (port 0 takes any free one) and answers with what `handler` makes of a
    /// path such as `/metrics`; what it has nothing for is 404, and its panic is 500.
    ///
    /// # Errors
    /// [`WatchError::Listen`] where the address is in use or not ours.
    pub fn start(
        address: SocketAddr,
        limits: ServerLimits,
        handler: impl Fn(&str) -> Option<Reply> + Send + Sync + 'static,
    ) -> Result<Self, WatchError> {
        let failed = |source| WatchError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            limits,
            handler: Box::new(handler),
            on_loopback: bound.ip().is_loopback(),
            stopping: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            open: Mutex::default(),
            closed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let body = move || accept_all(&listener, &theirs);
        let thread = std::thread::Builder::new().name("lob-http".to_owned()).spawn(body);
        Ok(Self { address: bound, shared, thread: Some(thread.map_err(failed)?) })
    }

    /// The address listened on, with the port that was found.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it has fared so far.
    #[must_use]
    pub fn counts(&self) -> ServerCounts {
        ServerCounts {
            answered: self.shared.answered.load(Ordering::Relaxed),
            turned_away: self.shared.turned_away.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
        }
    }

    /// Stops listening, gives requests under way half a second and cuts off the rest.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shared.stopping.store(true, Ordering::Release);
        // The thread sleeps in `accept`; a connection wakes it. Should that fail, it is because
        // others are connecting, and they wake it as well.
        let _ = TcpStream::connect_timeout(&reachable(self.address), Duration::from_secs(1));
        // A panic in it has been reported on standard error already.
        let _ = thread.join();
        let open = self.shared.open();
        let busy = |open: &mut Open| !open.streams.is_empty();
        let waited = self.shared.closed.wait_timeout_while(open, GRACE, busy);
        let (open, _) = waited.unwrap_or_else(PoisonError::into_inner);
        for (_, stream) in &open.streams {
            // One that has closed meanwhile needs no cutting off.
            let _ = stream.as_ref().map(|stream| stream.shutdown(std::net::Shutdown::Both));
        }
        let limit = self.shared.limits.connection_time + GRACE;
        let waited = self.shared.closed.wait_timeout_while(open, limit, busy);
        drop(waited);
    }
}

/// Where a connection from here reaches a listener on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn accept_all(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::Acquire) {
            return;
        }
        match accepted {
            Ok((stream, _)) => admit(stream, shared),
            Err(_) => std::thread::sleep(ACCEPT_PAUSE),
        }
    }
}

fn admit(stream: TcpStream, shared: &Arc<Shared>) {
    let Some(seat) = Seat::take(shared, &stream) else {
        shared.turned_away.fetch_add(1, Ordering::Relaxed);
        connection::turn_away(&stream);
        return;
    };
    let serve = move || connection::serve(stream, &seat.shared);
    // Without a thread the connection closes unanswered, and its seat with it.
    let _ = std::thread::Builder::new().name("lob-http-client".to_owned()).spawn(serve);
}

/// A place among the open connections; dropping it frees it.
struct Seat {
    shared: Arc<Shared>,
    number: u64,
}

impl Seat {
    fn take(shared: &Arc<Shared>, stream: &TcpStream) -> Option<Self> {
        let mut open = shared.open();
        if open.streams.len() >= shared.limits.max_connections {
            return None;
        }
        let number = open.next;
        open.next += 1;
        open.streams.push((number, stream.try_clone().ok()));
        drop(open);
        Some(Self { shared: Arc::clone(shared), number })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.open().streams.retain(|(number, _)| *number != self.number);
        self.shared.closed.notify_all();
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        // A list of connections is never half-changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
