//! `lob serve` and `lob top` as processes: over sockets, pipes and a pseudo-terminal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use lob_watch::{
    JsonLinesLog, LogLimits, ProductionMonitor, PrometheusFamily, parse_prometheus_text, scrape,
};

use crate::{evidence, json, lob, lob_fails, lob_ok, shown};

/// A server that is killed when the test ends, however it ends.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lob"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").and_then(|l| l.strip_suffix("/metrics"));
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
        Self { child, address }
    }

    fn families(&self) -> Vec<PrometheusFamily> {
        parse_prometheus_text(&scrape(&self.address, "/metrics").unwrap()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder of its own with a request log and the metrics of a training run.
fn watched_files() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (metrics, log) =
        (folder.path().join("metrics.jsonl"), folder.path().join("requests.jsonl"));
    std::fs::write(&metrics, "{\"step\": 7, \"loss\": 1.25, \"samples_per_s\": 640.5}\n").unwrap();
    let writer = JsonLinesLog::open(&log, LogLimits::default()).unwrap();
    let monitor = ProductionMonitor::default().with_log(writer);
    for ms in [10, 20, 30, 4000] {
        monitor.record("predict", std::time::Duration::from_millis(ms));
    }
    (folder, metrics, log)
}

fn value(families: &[PrometheusFamily], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let mut samples = families.iter().flat_map(|family| &family.samples);
    let fits = |key: &str, wanted: &str, labels: &std::collections::BTreeMap<String, String>| {
        labels.get(key).is_some_and(|value| value == wanted)
    };
    let found = samples.find(|sample| {
        sample.name == name && labels.iter().all(|(k, v)| fits(k, v, &sample.labels))
    });
    found.map(|sample| sample.value)
}

#[test]
fn a_scraper_sees_the_machine_the_training_and_the_requests() {
    let (_folder, metrics, log) = watched_files();
    let server = Server::start(&["--watch", shown(&metrics), "--log", shown(&log)]);
    let families = server.families();
    assert_eq!(value(&families, "lob_watch", &[("field", "loss")]), Some(1.25));
    assert_eq!(value(&families, "lob_watch", &[("field", "samples_per_s")]), Some(640.5));
    let of = [("label", "predict")];
    assert_eq!(value(&families, "lob_request_seconds_count", &of), Some(4.0));
    assert_eq!(value(&families, "lob_request_sla_violations_total", &of), Some(1.0));
    #[cfg(target_os = "linux")]
    {
        let busy = value(&families, "lob_cpu_busy_ratio", &[]).unwrap();
        assert!((0.0..=1.0).contains(&busy));
        assert!(value(&families, "lob_memory_total_bytes", &[]).unwrap() > 0.0);
    }
    // The file grows and the next page knows.
    let mut file = std::fs::OpenOptions::new().append(true).open(&metrics).unwrap();
    file.write_all(b"{\"step\": 8, \"loss\": 1.0}\n").unwrap();
    assert_eq!(value(&server.families(), "lob_watch", &[("field", "loss")]), Some(1.0));
}

#[test]
fn a_file_that_is_not_there_yet_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("later.jsonl");
    let server = Server::start(&["--watch", shown(&missing)]);
    let families = server.families();
    let info = families.iter().find(|f| f.name == "lob_file_unavailable_info").unwrap();
    assert!(info.samples[0].labels["reason"].contains("later.jsonl"));
    std::fs::write(&missing, "{\"loss\": 3}\n").unwrap();
    assert_eq!(value(&server.families(), "lob_watch", &[("field", "loss")]), Some(3.0));
}

#[test]
fn the_status_page_needs_nothing_from_elsewhere() {
    let (_folder, metrics, _log) = watched_files();
    let server = Server::start(&["--watch", shown(&metrics)]);
    assert_eq!(scrape(&server.address, "/healthz").unwrap(), "ok\n");
    let page = scrape(&server.address, "/").unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("loss"), "{page}");
    for outside in ["<script", "http://", "https://", "src=", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside} in {page}");
    }
    assert!(scrape(&server.address, "/else").unwrap_err().to_string().contains("404"));
}

#[test]
fn hostile_clients_do_not_stop_it() {
    let server = Server::start(&[]);
    let hostile = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        let _ = stream.write_all(bytes);
        stream
    };
    let silent: Vec<TcpStream> = (0..20).map(|_| hostile(b"GET /met")).collect();
    hostile(&[0; 5000]);
    hostile(b"GET /metrics HTTP/1.1\r\nHost: rebound.example\r\n\r\n");
    hostile(format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(100_000)).as_bytes());
    assert_eq!(scrape(&server.address, "/healthz").unwrap(), "ok\n");
    drop(silent);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_cleanly() {
    let mut server = Server::start(&[]);
    scrape(&server.address, "/healthz").unwrap();
    let status = Command::new("kill").arg(server.child.id().to_string()).status().unwrap();
    assert!(status.success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    server.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("1 pages served"), "{said}");
    assert!(TcpStream::connect(&server.address).is_err());
}

#[test]
fn bad_arguments_are_named() {
    let server = Server::start(&[]);
    let taken = lob_fails(&["serve", "--listen", &server.address]);
    assert!(taken.contains(&server.address), "{taken}");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("profiler.toml");
    std::fs::write(&config, "sytem_interval = 1\n").unwrap();
    let error = lob_fails(&["serve", "--listen", "127.0.0.1:0", "--config", shown(&config)]);
    assert!(error.contains("profiler.toml") && error.contains("`system_interval`"), "{error}");
    let error = lob_fails(&["top", "--once", "--interval", "0"]);
    assert!(error.contains("0.05"), "{error}");
    let error = lob_fails(&["top", "--once", "--connect", "127.0.0.1:1"]);
    assert!(error.contains("127.0.0.1:1"), "{error}");
}

/// A number above any a system gives out.
const NOBODY: &str = "4194305";

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_is_not_there_is_an_error() {
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["top", "--once"], &["top"]] {
        for pid in [NOBODY, "0", "x", "-1"] {
            let option = format!("--pid={pid}");
            let error = lob_fails(&[command, &[&option]].concat());
            assert!(error.contains(pid), "{command:?} {pid}: {error}");
        }
    }
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    let pid = child.id().to_string();
    let server = Server::start(&["--pid", &pid]);
    let up = |server: &Server| value(&server.families(), "lob_watched_up", &[("pid", &pid)]);
    assert_eq!(up(&server), Some(1.0));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(up(&server), Some(0.0));
    let families = server.families();
    assert_eq!(value(&families, "lob_watched_threads", &[]), None, "no figures of nobody");
    let info = families.iter().find(|f| f.name == "lob_watched_unavailable_info").unwrap();
    assert!(info.samples[0].labels["reason"].contains(&pid));
    assert!(lob_fails(&["top", "--once", "--pid", &pid]).contains(&pid));
}

#[test]
fn promtool_finds_nothing() {
    if Command::new("promtool").arg("--version").output().is_err() {
        evidence::skipped("promtool is not installed");
        return;
    }
    let (_folder, metrics, log) = watched_files();
    let pid = std::process::id().to_string();
    let watched = ["--watch", shown(&metrics), "--log", shown(&log), "--pid", &pid];
    let server = Server::start(&watched);
    let page = scrape(&server.address, "/metrics").unwrap();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let lints = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && lints.trim().is_empty(), "{lints}");
}

#[test]
fn top_prints_once_for_scripts() {
    let (_folder, metrics, log) = watched_files();
    let watched = ["--watch", shown(&metrics), "--log", shown(&log), "--interval", "0.05"];
    let pid = std::process::id().to_string();
    let here = json(&lob_ok(&[&["top", "--json", "--pid", &pid][..], &watched].concat()));
    let file = format!(
        "{}/metrics.jsonl",
        metrics.parent().unwrap().file_name().unwrap().to_str().unwrap()
    );
    assert_eq!(here["metrics"][format!("lob_watch{{field=\"loss\",file={file:?}}}")], 1.25);
    #[cfg(target_os = "linux")]
    {
        let cores = format!("lob_watched_cpu_seconds_total{{pid={pid:?}}}");
        assert!(here["rates_per_s"][cores].is_number(), "{here}");
        assert!(here["metrics"]["lob_cpu_busy_ratio"].is_number());
    }
    let text = lob_ok(&[&["top"][..], &watched].concat());
    assert!(text.contains("Requests") && text.contains("predict"), "{text}");
    assert!(!text.contains('\x1b'));
    for line in text.lines() {
        assert!(!line.ends_with(' ') && line.chars().count() <= 80, "{line:?}");
    }
    // The same through a server.
    let server = Server::start(&watched[..4]);
    let there =
        json(&lob_ok(&["top", "--json", "--interval", "0.05", "--connect", &server.address]));
    let count = "lob_request_seconds_count{label=\"predict\"}";
    assert_eq!(there["metrics"][count], here["metrics"][count]);
    assert!(lob(&["top", "--once", "--connect", &server.address]).status.success());
}

#[cfg(target_os = "linux")]
mod on_a_terminal {
    use std::fs::File;
    use std::os::fd::OwnedFd;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

    use super::*;

    /// `lob top` on a terminal of its own.
    fn top_on_a_terminal() -> (File, File, Child) {
        top_of_size(80, 24, &[])
    }

    fn resize(terminal: &File, columns: u16, rows: u16) {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(terminal, size).unwrap();
    }

    fn top_of_size(columns: u16, rows: u16, arguments: &[&str]) -> (File, File, Child) {
        let ours: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let theirs = File::options().read(true).write(true).open(name).unwrap();
        resize(&theirs, columns, rows);
        let child = Command::new(env!("CARGO_BIN_EXE_lob"))
            .args(["top", "--interval", "0.1"])
            .args(arguments)
            .env("LC_ALL", "C.UTF-8")
            .stdin(theirs.try_clone().unwrap())
            .stdout(theirs.try_clone().unwrap())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        (File::from(ours), theirs, child)
    }

    fn read_until(screen: &mut File, wanted: &str) -> String {
        let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let n = screen.read(&mut chunk).unwrap();
            assert!(n > 0, "the terminal closed before {wanted:?}");
            seen.extend_from_slice(&chunk[..n]);
            let text = String::from_utf8_lossy(&seen).into_owned();
            if text.contains(wanted) {
                return text;
            }
        }
    }

    fn ends_with(keys: &[u8]) {
        let (mut screen, theirs, mut child) = top_on_a_terminal();
        let before = tcgetattr(&theirs).unwrap().local_modes;
        let first = read_until(&mut screen, "q quits");
        assert!(first.contains("\x1b[?1049h") && first.contains("Machine"), "{first:?}");
        let meanwhile = tcgetattr(&theirs).unwrap().local_modes;
        assert!(!meanwhile.contains(LocalModes::ECHO));
        screen.write_all(keys).unwrap();
        read_until(&mut screen, "\x1b[?1049l");
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let after = tcgetattr(&theirs).unwrap().local_modes;
        assert!(after.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG));
        assert!(before == after || before == meanwhile, "{before:?} became {after:?}");
    }

    /// The lines of the last whole frame of what was drawn, without escape sequences.
    fn last_frame(drawn: &str) -> Vec<String> {
        let whole = &drawn[..drawn.rfind("\x1b[J").unwrap()];
        let frame = whole.rsplit("\x1b[H").next().unwrap();
        let plain = |line: &str| {
            let mut out = String::new();
            let mut rest = line;
            while let Some((before, after)) = rest.split_once('\x1b') {
                out.push_str(before);
                let end = after.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                rest = &after[end + 1..];
            }
            out + rest
        };
        // The terminal itself makes a line end of the line feed.
        frame.split('\n').map(|line| plain(line.trim_end_matches('\r'))).collect()
    }

    fn quit(screen: &mut File, child: &mut Child) {
        screen.write_all(b"q").unwrap();
        read_until(screen, "\x1b[?1049l");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }

    #[test]
    fn every_size_of_terminal_is_usable() {
        let pid = std::process::id().to_string();
        for (columns, rows) in [(60, 14), (80, 24), (200, 50), (20, 5), (40, 3)] {
            let (mut screen, _theirs, mut child) = top_of_size(columns, rows, &["--pid", &pid]);
            let first = read_until(&mut screen, "\x1b[J");
            let lines = last_frame(&first);
            assert!(lines.len() <= rows.into(), "{columns}x{rows}: {lines:?}");
            for line in &lines {
                assert!(line.chars().count() <= columns.into(), "{columns}x{rows}: {line:?}");
            }
            assert!(lines.last().unwrap().starts_with("q quits"), "{columns}x{rows}: {lines:?}");
            // Whatever does not fit is reached with keys, to the end and back.
            screen.write_all(b"G").unwrap();
            let end = read_until(&mut screen, "\x1b[J");
            assert!(rows > 20 || end.contains("unavailable") || end.contains(" of "), "{end:?}");
            screen.write_all(b"\x1b[H\x1b[6~\x1b[5~").unwrap();
            read_until(&mut screen, "\x1b[J");
            quit(&mut screen, &mut child);
        }
    }

    #[test]
    fn it_sorts_draws_over_time_and_follows_a_resize() {
        let pid = std::process::id().to_string();
        let (mut screen, theirs, mut child) = top_of_size(100, 60, &["--pid", &pid]);
        let first = read_until(&mut screen, "as listed");
        assert!(first.contains("Process") && first.contains("looks"), "{first:?}");
        screen.write_all(b"s").unwrap();
        read_until(&mut screen, "by name");
        // A share that is drawn over time, three looks later.
        let levels = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let mut drawn = String::new();
        while !levels.iter().any(|level| drawn.contains(*level)) {
            drawn = read_until(&mut screen, "\x1b[J");
        }
        resize(&theirs, 50, 12);
        loop {
            let lines = last_frame(&read_until(&mut screen, "\x1b[J"));
            if lines.len() <= 12 && lines.iter().all(|line| line.chars().count() <= 50) {
                break;
            }
        }
        quit(&mut screen, &mut child);
    }

    #[test]
    fn escape_ends_it_and_the_terminal_is_as_before() {
        ends_with(b"\x1b");
    }

    #[test]
    fn q_ends_it_and_the_terminal_is_as_before() {
        ends_with(b"xq");
    }

    #[test]
    fn ctrl_c_ends_it_and_the_terminal_is_as_before() {
        ends_with(&[3]);
    }

    #[test]
    fn a_signal_ends_it_and_the_terminal_is_as_before() {
        let (mut screen, theirs, mut child) = top_on_a_terminal();
        read_until(&mut screen, "q quits");
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        read_until(&mut screen, "\x1b[?1049l");
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(tcgetattr(&theirs).unwrap().local_modes.contains(LocalModes::ECHO));
    }
}

#[test]
fn a_loss_that_became_nan_is_shown_and_the_age_is_the_file_s() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let lines = "{\"step\": 1, \"loss\": 0.5}\n{\"step\": 2, \"loss\": NaN}\n{\"step\": 3, \"loss\": NaN}\n";
    std::fs::write(&path, lines).unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(172_800);
    std::fs::File::options().append(true).open(&path).unwrap().set_modified(long_ago).unwrap();
    let server = Server::start(&["--watch", shown(&path)]);
    let families = server.families();
    assert!(value(&families, "lob_watch", &[("field", "loss")]).unwrap().is_nan());
    assert_eq!(value(&families, "lob_watch", &[("field", "step")]), Some(3.0));
    assert_eq!(value(&families, "lob_watch_refused_total", &[]), Some(0.0));
    assert!(value(&families, "lob_watch_age_seconds", &[]).unwrap() >= 172_800.0);
    let page = scrape(&server.address, "/").unwrap();
    assert!(page.contains("<td>loss</td><td class=\"n on\">NaN</td>"), "{page}");
    let text = lob_ok(&["top", "--once", "--watch", shown(&path)]);
    assert!(text.contains("NaN") && text.contains("last written"), "{text}");
}
