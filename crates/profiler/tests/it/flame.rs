//! The flame graph in a browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use lob_fixtures::evidence::skipped;
use lob_scope::ScopeStat;

/// Clicks and presses keys as a person would, and writes down what has become of the picture.
const DRIVER: &str = r#"<pre id="result"></pre><script>
var log = [], out = document.getElementById("result");
window.addEventListener("error", function (e) { out.textContent += "[error " + e.message + "]"; });
var svg = document.querySelector("svg.flame-graph"), foot = svg.querySelector(".foot");
var boxes = Array.from(svg.querySelectorAll("g.f"));
var named = function (n) { return boxes.find(function (g) { return g.dataset.n === n; }); };
var rect = function (n, a) { return Number(named(n).querySelector("rect").getAttribute(a)); };
var seen = function () {
  return boxes.filter(function (g) { return g.style.display !== "none"; })
    .map(function (g) { return g.dataset.n; }).join(",");
};
var key = function (k) { svg.dispatchEvent(new KeyboardEvent("keydown", { key: k, bubbles: true })); };
var say = function (what, value) { log.push("[" + what + "=" + value + "]"); };
say("all", seen());
named("b").dispatchEvent(new MouseEvent("click", { bubbles: true }));
say("zoomed", seen()); say("wide", rect("b", "width") === rect("main", "width"));
key("Escape"); say("back", seen());
window.prompt = function () { return "LEAF"; };
key("/"); say("found", foot.textContent);
key("Escape");
var before = rect("main", "y") - rect("leaf", "y");
key("i"); say("turned", before === rect("leaf", "y") - rect("main", "y")); key("i");
key("ArrowDown"); key("ArrowDown"); key("ArrowRight"); say("keys", foot.textContent.split(":")[0]);
key("Enter"); say("entered", seen());
named("main").dispatchEvent(new MouseEvent("mouseenter"));
say("hover", foot.textContent.split(" (")[0]);
say("hostile", boxes.some(function (g) { return g.dataset.n === "<b>\"x'&"; }));
say("requests", performance.getEntriesByType("resource").length);
out.textContent += log.join("");
</script>"#;

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

fn scope(path: &str, total_s: f64) -> ScopeStat {
    ScopeStat {
        path: path.to_owned(),
        calls: 1,
        total_s,
        self_s: 0.0,
        min_s: total_s,
        max_s: total_s,
        p50_s: total_s,
        p95_s: total_s,
        p99_s: total_s,
    }
}

#[test]
fn a_flame_graph_zooms_searches_and_turns_in_a_browser() {
    let Some(browser) = chromium() else {
        return skipped(
            "no Chromium found; `apt-get install chromium`, or name one in LOB_CHROMIUM",
        );
    };
    let scopes = [
        scope("main", 10.0),
        scope("main/a", 6.0),
        scope("main/a/leaf", 2.0),
        scope("main/b", 3.0),
        scope("main/b/inner", 3.0),
        scope("main/<b>\"x'&", 1.0),
    ];
    let svg = lob_profiler::flame_graph_svg(&scopes, "<title> & \"more\"");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flame");
    std::fs::create_dir_all(&folder).unwrap();
    let page = folder.join("flame.html");
    let html = format!("<!doctype html><meta charset=\"utf-8\"><body>{svg}{DRIVER}</body>");
    std::fs::write(&page, html).unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"])
        .args(["--disable-dev-shm-usage", "--disable-extensions"])
        .arg(format!("--user-data-dir={}", folder.join("user").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = dom.split("<pre id=\"result\">").nth(1).unwrap_or("the driver did not finish");
    let found = found.split("</pre>").next().unwrap_or(found);
    for expected in [
        "[zoomed=main,b,inner]",
        "[wide=true]",
        "[found=“LEAF”: 1 boxes, 20.0 %]",
        "[turned=true]",
        "[keys=main/b]",
        "[entered=main,b,inner]",
        "[hover=main: 10.0 s]",
        "[hostile=true]",
        "[requests=0]",
    ] {
        assert!(
            found.contains(expected),
            "{expected} in {}",
            found.split("</pre>").next().unwrap()
        );
    }
    assert!(!found.contains("[error"), "{found}");
}
