//! The page in headless Chromium: no error, no request, and its controls work.

use std::path::{Path, PathBuf};
use std::process::Command;

use lob_metrics::{Direction, Measurement, Run, Unit};
use lob_report::Format;

use crate::{evidence::skipped, text};

/// Clicks through the page and leaves what it found in the document.
const DRIVER: &str = include_str!("driver.js");

const LISTENER: &str = r#"<script>window.__errors = [];
addEventListener("error", (event) => window.__errors.push(event.message));
addEventListener("securitypolicyviolation", (event) => window.__errors.push("blocked " + event.blockedURI));
console.error = (...words) => window.__errors.push(words.join(" "));</script><title>"#;

fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("LOB_CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

fn run(browser: &Path, profile: &Path, arguments: &[&str], page: &Path) -> String {
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--no-first-run",
        ])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--disable-extensions", "--mute-audio"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser was found and can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The sample with figures of a process, which the page folds away.
fn with_process_figures() -> Run {
    let mut run = lob_fixtures::sample_run();
    let (unit, lower) = (Unit::Bytes, Direction::LowerIsBetter);
    let peak = Measurement::measured("convert.bins.peak_rss", unit, lower, &[9.2e7]);
    run.scenarios[0].measurements.push(peak);
    run
}

#[track_caller]
fn chromium_or_say_so() -> Option<PathBuf> {
    let browser = chromium();
    if browser.is_none() {
        skipped("no Chromium found; `apt-get install chromium`, or name one in LOB_CHROMIUM");
    }
    browser
}

/// Opens the page with the driver in it and returns what that found.
fn drive(browser: &Path, profile: &Path, page: &str, path: &Path) -> String {
    let driven = page.replacen("<title>", LISTENER, 1).replacen(
        "</body>",
        &format!("<script>{DRIVER}</script></body>"),
        1,
    );
    std::fs::write(path, driven).expect("the target folder is ours");
    let dom = run(browser, profile, &["--dump-dom", "--window-size=1280,900"], path);
    dom.split("<pre id=\"result\">").nth(1).unwrap_or("the driver did not finish").to_owned()
}

/// `cargo xtask check` makes a real run and names its page in `LOB_REPORT_PAGE`.
#[test]
fn the_page_of_a_real_run_works_in_a_browser() {
    let Some(path) = std::env::var_os("LOB_REPORT_PAGE") else {
        println!("no page in LOB_REPORT_PAGE: a later step of `cargo xtask check` runs this test");
        return;
    };
    let Some(browser) = chromium_or_say_so() else { return };
    let page = std::fs::read_to_string(&path).expect("LOB_REPORT_PAGE can be read");
    let profile = tempfile::tempdir().expect("a temporary folder");
    let driven = Path::new(env!("CARGO_TARGET_TMPDIR")).join("real_driven.html");
    let found = drive(&browser, profile.path(), &page, &driven);
    for expected in
        ["sort=true", "filter=true", "theme=true", "zoom=true", "requests=0", "errors=none"]
    {
        assert!(found.contains(&format!("[{expected}]")), "{expected} in {found}");
    }
}

#[test]
fn the_page_works_in_a_browser() {
    let Some(browser) = chromium_or_say_so() else { return };
    let profile = tempfile::tempdir().expect("a temporary folder");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&out).expect("the target folder is ours");
    let page = text(&with_process_figures(), Format::Html);
    let found = drive(&browser, profile.path(), &page, &out.join("driven.html"));
    let plain_path = out.join("report.html");
    std::fs::write(&plain_path, page).expect("the target folder is ours");
    for expected in [
        "sort=true",
        "sort_numbers=true",
        "filter=true",
        "kind=1",
        "theme=true",
        "zoom=true",
        "log=true",
        "keys=yes",
        "fold=true,false",
        "flame=true",
        "overflow=0",
        "requests=0",
        "errors=none",
    ] {
        assert!(found.contains(&format!("[{expected}]")), "{expected} in {found}");
    }

    let dark = page_dark(&plain_path, &out);
    // Pictures are kept beside the page for people to look at.
    for (name, size, path) in [
        ("first_screen.png", "1280,900", &plain_path),
        ("phone.png", "500,900", &plain_path),
        ("dark.png", "1280,900", &dark),
    ] {
        let picture = out.join(name);
        let screenshot = format!("--screenshot={}", picture.display());
        let size = format!("--window-size={size}");
        run(&browser, profile.path(), &[&screenshot, &size], path);
        let bytes = std::fs::read(&picture).expect("the browser wrote the screenshot");
        assert!(bytes.len() > 20_000, "{name}: {} bytes are too few for a page", bytes.len());
    }
    let printed = out.join("print.pdf");
    let pdf = format!("--print-to-pdf={}", printed.display());
    run(&browser, profile.path(), &["--no-pdf-header-footer", &pdf], &plain_path);
    let bytes = std::fs::read(&printed).expect("the browser wrote the PDF");
    assert!(bytes.starts_with(b"%PDF") && bytes.len() > 20_000, "{} bytes", bytes.len());
}

/// Counts errors and what stands out of the page, and switches the theme.
const SMALL_DRIVER: &str = r#"
const before = document.documentElement.dataset.theme;
document.getElementById("theme").click();
const after = document.documentElement.dataset.theme;
const result = document.createElement("pre");
result.id = "result";
const out = document.documentElement.scrollWidth - document.documentElement.clientWidth;
result.textContent = `[theme=${before !== after}][overflow=${out}][errors=${window.__errors.join("; ") || "none"}]`;
document.body.append(result);
"#;

#[test]
fn the_page_of_a_profile_works_in_a_browser() {
    let Some(browser) = chromium_or_say_so() else { return };
    let profile = tempfile::tempdir().expect("a temporary folder");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&out).expect("the target folder is ours");
    let page = text(&crate::profile::profile(), Format::Html);
    let path = out.join("profile.html");
    let driven = page.replacen("<title>", LISTENER, 1).replacen(
        "</body>",
        &format!("<script>{SMALL_DRIVER}</script></body>"),
        1,
    );
    std::fs::write(&path, driven).expect("the target folder is ours");
    for size in ["1280,900", "500,900"] {
        let size = format!("--window-size={size}");
        let dom = run(&browser, profile.path(), &["--dump-dom", &size], &path);
        let found = dom.split("<pre id=\"result\">").nth(1).unwrap_or("the driver did not finish");
        for expected in ["theme=true", "overflow=0", "errors=none"] {
            assert!(found.contains(&format!("[{expected}]")), "{size}: {expected} in {found}");
        }
    }
}

/// The page with the dark theme chosen.
fn page_dark(plain: &Path, out: &Path) -> PathBuf {
    let page = std::fs::read_to_string(plain).expect("the page was written");
    let path = out.join("dark.html");
    let dark = page.replacen("<html lang=\"en\">", "<html lang=\"en\" data-theme=\"dark\">", 1);
    std::fs::write(&path, dark).expect("the target folder is ours");
    path
}
