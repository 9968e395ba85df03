//! The metrics server over real sockets, with clients that mean well and others.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lob_watch::{
    MetricsServer, ProductionMonitor, ProfilerConfig, Reply, ServerLimits, SystemMonitor,
    metrics_page, parse_prometheus_text, scrape,
};

const QUICK: ServerLimits = ServerLimits {
    max_connections: 4,
    max_head_bytes: 1024,
    connection_time: Duration::from_secs(1),
};

fn server(limits: ServerLimits) -> MetricsServer {
    let pages = |path: &str| match path {
        "/metrics" => Some(Reply::prometheus("# TYPE up gauge\nup 1\n".to_owned())),
        "/large" => Some(Reply::text(200, "x".repeat(16 << 20))),
        "/panic" => std::panic::resume_unwind(Box::new("on purpose")),
        _ => None,
    };
    MetricsServer::start("127.0.0.1:0".parse().unwrap(), limits, pages).unwrap()
}

fn connect(server: &MetricsServer) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Everything the server says until it closes; a reset counts as the end.
fn answer(stream: &mut TcpStream) -> String {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the server neither answers nor closes: {error}"),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ask(server: &MetricsServer, request: &[u8]) -> String {
    let mut stream = connect(server);
    // The server may refuse, and close, before all is written.
    let _ = stream.write_all(request);
    answer(&mut stream)
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("")
}

fn still_serves(server: &MetricsServer) {
    let text = scrape(&server.address().to_string(), "/metrics").unwrap();
    assert_eq!(parse_prometheus_text(&text).unwrap()[0].name, "up");
}

#[test]
fn pages_and_errors_have_their_status_and_headers() {
    let server = server(QUICK);
    let get = |path: &str| {
        ask(&server, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
    };
    let page = get("/metrics");
    assert_eq!(status(&page), "200");
    for header in [
        "Content-Type: text/plain; version=0.0.4; charset=utf-8",
        "Content-Length: 21",
        "Connection: close",
        "X-Content-Type-Options: nosniff",
        "Content-Security-Policy: default-src 'none'",
        "Date: ",
    ] {
        assert!(page.contains(header), "{header} in {page}");
    }
    assert!(page.ends_with("\r\n\r\n# TYPE up gauge\nup 1\n"));
    let head = ask(&server, b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.contains("Content-Length: 21") && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(status(&get("/nothing")), "404");
    assert_eq!(status(&get("/panic")), "500");
    let post = ask(&server, b"POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(status(&post) == "405" && post.contains("Allow: GET, HEAD"), "{post}");
    let rebound = ask(&server, b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert!(status(&rebound) == "421" && !rebound.contains("up 1"), "{rebound}");
    still_serves(&server);
    let counts = server.counts();
    assert_eq!((counts.answered, counts.refused), (3, 4));
}

#[test]
fn openmetrics_is_sent_to_who_asks_for_it() {
    let server = server(QUICK);
    let get = |accept: &str| {
        let head = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n";
        ask(&server, format!("{head}Accept: {accept}\r\n\r\n").as_bytes())
    };
    let page = get("application/openmetrics-text; version=1.0.0,text/plain;q=0.5");
    let kind = "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(page.contains(kind), "{page}");
    assert!(page.ends_with("\r\n\r\n# TYPE up gauge\nup 1\n# EOF\n"), "{page}");
    let plain = get("text/plain");
    assert!(plain.contains("version=0.0.4") && !plain.contains("EOF"), "{plain}");
    let html = ask(
        &server,
        b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text\r\n\r\n",
    );
    assert!(html.contains(kind) && html.ends_with("\r\n\r\n"), "{html}");
}

#[test]
fn malformed_requests_are_refused_and_the_answer_arrives() {
    let server = server(QUICK);
    for (request, expected) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], "400"),
        (b"GET\r\n\r\n", "400"),
        (b"GET /metrics HTTP/1.1\r\nHost localhost\r\n\r\n", "400"),
        (b"GET /metrics HTTP/1.1\r\n\r\n", "400"),
        (b"GET /metrics HTTP/9.9\r\n\r\n", "505"),
        (b"\0\0\0\0\0\0\0\0", "400"),
    ] {
        let answer = ask(&server, request);
        assert_eq!(status(&answer), expected, "{request:?}: {answer}");
    }
    still_serves(&server);
}

#[test]
fn huge_headers_are_cut_short() {
    let server = server(QUICK);
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "y".repeat(1 << 20));
    let answer = ask(&server, long.as_bytes());
    // The client may be reset while it is still writing; a megabyte was never taken in.
    assert!(answer.is_empty() || status(&answer) == "431", "{answer}");
    let many =
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "a: b\r\n".repeat(100));
    assert_eq!(status(&ask(&server, many.as_bytes())), "431");
    let path = format!("GET /{} HTTP/1.1\r\n", "p".repeat(1100));
    assert_eq!(status(&ask(&server, path.as_bytes())), "431");
    still_serves(&server);
}

#[test]
fn slow_and_silent_clients_are_let_go() {
    let server = server(QUICK);
    // One says nothing, one a byte at a time, one half a request; all hold their end open.
    let mut silent = connect(&server);
    let mut half = connect(&server);
    half.write_all(b"GET /metrics HTTP/1.1\r\nHost: loc").unwrap();
    let mut slow = connect(&server);
    for byte in b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: a" {
        if slow.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    for (name, stream) in [("silent", &mut silent), ("half", &mut half), ("slow", &mut slow)] {
        let answer = answer(stream);
        assert!(answer.is_empty() || status(&answer) == "408", "{name}: {answer}");
    }
    still_serves(&server);
    assert!(server.counts().refused >= 2, "{:?}", server.counts());
}

#[test]
fn a_client_that_does_not_read_is_let_go() {
    let server = server(QUICK);
    let mut lazy: Vec<TcpStream> = (0..QUICK.max_connections).map(|_| connect(&server)).collect();
    for stream in &mut lazy {
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    }
    // Their seats come free though none of them has read a byte.
    let until = Instant::now() + Duration::from_secs(20);
    while scrape(&server.address().to_string(), "/metrics").is_err() {
        assert!(Instant::now() < until, "the seats are still taken");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(lazy);
}

#[test]
fn a_closed_half_is_still_answered_and_a_reset_forgotten() {
    let server = server(QUICK);
    let mut stream = connect(&server);
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(status(&answer(&mut stream)), "200");
    for _ in 0..50 {
        let mut stream = connect(&server);
        let _ = stream.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
        drop(stream);
    }
    let until = Instant::now() + Duration::from_secs(20);
    while scrape(&server.address().to_string(), "/metrics").is_err() {
        assert!(Instant::now() < until, "the seats are still taken");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn one_connection_too_many_is_told_so() {
    let limits = ServerLimits { connection_time: Duration::from_secs(30), ..QUICK };
    let server = server(limits);
    let taken: Vec<TcpStream> = (0..limits.max_connections).map(|_| connect(&server)).collect();
    let until = Instant::now() + Duration::from_secs(20);
    // The seats are taken as soon as the server has accepted them.
    loop {
        let mut stream = connect(&server);
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = answer(&mut stream);
        if answer.is_empty() || status(&answer) == "503" {
            break;
        }
        assert!(Instant::now() < until, "{answer}");
    }
    assert!(server.counts().turned_away >= 1);
    drop(taken);
    let until = Instant::now() + Duration::from_secs(20);
    while scrape(&server.address().to_string(), "/metrics").is_err() {
        assert!(Instant::now() < until, "the seats are still taken");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn stopping_frees_the_port_though_clients_hang_on() {
    let limits = ServerLimits { connection_time: Duration::from_secs(3600), ..QUICK };
    let server = server(limits);
    let address: SocketAddr = server.address();
    let mut hanging = connect(&server);
    hanging.write_all(b"GET /").unwrap();
    server.stop();
    assert_eq!(answer(&mut hanging), "");
    assert!(TcpStream::connect(address).is_err());
    let again = MetricsServer::start(address, limits, |_: &str| None);
    assert_eq!(again.unwrap().address(), address);
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let server = server(QUICK);
    let again = MetricsServer::start(server.address(), QUICK, |_: &str| None);
    let error = again.unwrap_err().to_string();
    assert!(error.contains(&server.address().to_string()) && error.contains("port"), "{error}");
}

#[test]
fn the_whole_page_keeps_the_rules_while_everything_moves() {
    let config = ProfilerConfig::builder().system_interval(0.005).build().unwrap();
    let system = Arc::new(SystemMonitor::start(&config));
    let requests = Arc::new(ProductionMonitor::default());
    assert!(!system.wait_for_values().is_empty());
    let (theirs, their_requests) = (Arc::clone(&system), Arc::clone(&requests));
    let pages = move |path: &str| {
        (path == "/metrics")
            .then(|| Reply::prometheus(metrics_page(Some(&theirs), &[&their_requests], &[])))
    };
    let address = "127.0.0.1:0".parse().unwrap();
    let server = MetricsServer::start(address, ServerLimits::default(), pages).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (writer_stop, writer) = (Arc::clone(&stop), Arc::clone(&requests));
    let busy = std::thread::spawn(move || {
        let mut n = 0u64;
        while !writer_stop.load(Ordering::Relaxed) {
            writer.record(&format!("kind {}\n\"\\", n % 5), Duration::from_micros(n % 5000));
            n += 1;
        }
    });
    for _ in 0..20 {
        let text = scrape(&server.address().to_string(), "/metrics").unwrap();
        let families = parse_prometheus_text(&text).unwrap();
        let named = |name: &str| families.iter().any(|family| family.name == name);
        assert!(named("lob_request_sla_seconds") && named("lob_alert_active"), "{text}");
        assert!(named("lob_cpu_busy_ratio") || named("lob_sensor_unavailable_info"), "{text}");
    }
    stop.store(true, Ordering::Relaxed);
    busy.join().unwrap();
    let report = system.report();
    assert!(
        report
            .sensors
            .iter()
            .all(|(_, _, mean, max)| mean.is_finite() && *mean <= max + 1e-9 * max.abs())
    );
}
