//! The page of a profile.

use lob_metrics::{
    Artifact, Cell, Column, Direction, Finding, Lane, Measurement, Run, Severity, Status, Timeline,
    Unit,
};
use lob_report::{Beside, Format, render_all, render_all_beside};

const HOSTILE: &str = "</script><b>\u{202e}`|\"'";

/// A profile of a program with a hostile name.
pub(crate) fn profile() -> Run {
    let mut run = lob_fixtures::sample_run();
    run.title = format!("Profile of {HOSTILE}");
    run.targets.clear();
    run.recommendations.clear();
    run.scenarios.truncate(1);
    let scenario = &mut run.scenarios[0];
    scenario.id = "command".to_owned();
    scenario.suite = "profile".to_owned();
    scenario.title = HOSTILE.to_owned();
    scenario.scopes.clear();
    scenario.config = [("bound".to_owned(), "stream".into())].into();
    let lower = Direction::LowerIsBetter;
    scenario.measurements = vec![
        Measurement::measured("command.wall_time", Unit::Seconds, lower, &[2.5]),
        Measurement::measured("command.peak_process_rss", Unit::Bytes, lower, &[1.5e6]),
        Measurement::unavailable("command.instructions", Unit::Count, lower, HOSTILE),
    ];
    let finding = |severity, text: &str| Finding { severity, text: text.to_owned() };
    scenario.findings = vec![
        finding(Severity::Info, "I/O-bound: sleeps in pipes 90 % of the time: `a` in read(0)"),
        finding(Severity::Info, "quiet"),
        finding(Severity::Warning, &format!("leak: {HOSTILE}")),
    ];
    scenario.timeline = vec![Timeline {
        metric: "rss".to_owned(),
        unit: Unit::Bytes,
        t_s: vec![0.0, 1.0, 2.0],
        values: vec![1e6, 2e6, 1.5e6],
    }];
    scenario.artifacts = vec![
        Artifact::Lanes {
            title: "Threads over time".to_owned(),
            class_names: vec!["runs".to_owned(), "stream".to_owned()],
            lanes: vec![Lane {
                name: HOSTILE.to_owned(),
                from_s: 0.0,
                to_s: vec![0.5, 2.5],
                class: vec![0, 1],
            }],
        },
        Artifact::Table {
            title: "Threads and what they did".to_owned(),
            headings: vec![
                Column::new("Thread", None),
                Column::new("Share", Some(Unit::Fraction)),
                Column::new("Nothing", Some(Unit::Seconds)),
            ],
            cells: vec![vec![HOSTILE.into(), 0.5.into(), Cell::Unknown]],
        },
    ];
    run
}

fn file(run: &Run, beside: &Beside<'_>, format: Format) -> String {
    let files = render_all_beside(run, beside, &[format]).expect("texts can be drawn");
    String::from_utf8(files[0].bytes.clone()).expect("texts are UTF-8")
}

#[test]
fn a_profile_has_three_files_and_no_part_of_a_benchmark() {
    let run = profile();
    let names: Vec<String> =
        render_all(&run, &Format::ALL).unwrap().into_iter().map(|file| file.file_name).collect();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(sorted, ["report.html", "report.md", "run.json"]);
    for format in [Format::Html, Format::Md] {
        let text = file(&run, &Beside::default(), format);
        for foreign in ["Passed", "Slowest stage", "Targets", "baseline was", "Bottleneck"] {
            assert!(!text.contains(foreign), "{format:?}: {foreign}");
        }
        assert!(text.contains("Waits for streams"), "{format:?}");
        assert!(text.find("warning").unwrap() < text.find("quiet").unwrap(), "loudest first");
    }
}

#[test]
fn a_failed_program_is_no_success() {
    let mut run = profile();
    run.scenarios[0].status = Status::Failed;
    run.scenarios[0].reason = Some("`x` ended with signal: 9".to_owned());
    for format in [Format::Html, Format::Md] {
        let text = file(&run, &Beside::default(), format);
        assert!(text.contains("Failed") && text.contains("signal: 9"), "{format:?}");
    }
}

#[test]
fn the_page_shows_the_parts_and_links_to_the_files_beside_it() {
    let run = profile();
    let graph = "<svg class=\"flame-graph\"></svg>";
    let files = [("trace.json", "for ui.perfetto.dev"), ("flame.svg", "alone")];
    let beside = Beside { flame_graph: Some(graph), files: &files, ..Beside::default() };
    let page = file(&run, &beside, Format::Html);
    assert!(page.contains(graph));
    for id in ["limit", "flame", "threads", "waits", "memory", "measured", "files", "machine"] {
        assert!(page.contains(&format!("<section id=\"{id}\"")), "{id}");
        assert!(page.contains(&format!("<a href=\"#{id}\">")), "{id}");
    }
    assert!(page.contains("href=\"trace.json\"") && page.contains("href=\"flame.svg\""));
    assert_eq!(page.matches("<script>").count(), 1, "names hold no markup");
    assert!(!page.contains("</script><b>"));
    // A part without content has no heading.
    let bare = file(&run, &Beside::default(), Format::Html);
    assert!(!bare.contains("<section id=\"flame\"") && !bare.contains("#functions"));
    // One too large for the page stands beside it.
    let large = format!("<svg>{}</svg>", "x".repeat(2_000_000));
    let beside = Beside { flame_graph: Some(&large), files: &files, ..Beside::default() };
    let page = file(&run, &beside, Format::Html);
    assert!(page.len() < 2_000_000 && page.contains("too large for this page"));
}

#[test]
fn the_document_of_a_profile_reads_back() {
    let run = profile();
    assert_eq!(Run::from_json(&run.to_json().unwrap()).unwrap(), run);
}
