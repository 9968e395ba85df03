//! File names, sizes and content of every format.

use lob_metrics::{Artifact, HistoryEntry, Reading, Run};
use lob_report::{
    Beside, Format, Rendered, ReportError, pull_request_summary, render_all, render_all_beside,
    render_all_with_baseline,
};

use crate::text;

fn names(files: &[Rendered]) -> Vec<&str> {
    files.iter().map(|f| f.file_name.as_str()).collect()
}

#[test]
fn every_format_has_its_file() {
    let mut run = lob_fixtures::sample_run();
    let heatmap = run.scenarios[1].artifacts[0].clone();
    run.scenarios[0].artifacts.push(heatmap);
    let files = render_all(&run, &Format::ALL).expect("the sample renders");
    let found = names(&files);
    for expected in [
        "run.json",
        "benchmark_results.json",
        "comprehensive_benchmark_results.json",
        "memory_profile.json",
        "suites/load_raw.json",
        "suites/load_report.md",
        "suites/load_plots.png",
        "report.html",
        "reports/performance_report.html",
        "report.md",
        "reports/performance_summary.md",
        "optimization_recommendations.txt",
        "regression_test_results.log",
        "junit.xml",
        "performance_charts.png",
        "latency.png",
        "memory.png",
        "throughput.png",
        "training_performance.png",
        "scalability_analysis.png",
        "hardware_optimization.png",
        "plots/training_performance.png",
        "plots/scalability_analysis.png",
        "plots/hardware_optimization.png",
        "performance_charts.svg",
        "latency.svg",
        "memory.svg",
        "throughput.svg",
        "training_performance.svg",
        "scalability_analysis.svg",
        "hardware_optimization.svg",
        "depth_image.png",
        "depth_image_2.png",
    ] {
        assert_eq!(found.iter().filter(|n| **n == expected).count(), 1, "{expected} in {found:?}");
    }
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    std::fs::create_dir_all(&folder).expect("the target folder is ours");
    for file in &files {
        if file.file_name.ends_with(".png") {
            assert_eq!(&file.bytes[1..4], b"PNG", "{}", file.file_name);
        }
        if file.file_name.ends_with(".json") {
            let read: Result<serde_json::Value, _> = serde_json::from_slice(&file.bytes);
            assert!(read.is_ok_and(|v| v.is_object()), "{}", file.file_name);
        }
        let path = folder.join(&file.file_name);
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder"))
            .expect("the target folder is ours");
        std::fs::write(path, &file.bytes).expect("the target folder is ours");
    }
    let read = Run::from_json(std::str::from_utf8(&files[0].bytes).expect("JSON is UTF-8"));
    assert!(read.expect("run.json reads back") == run, "run.json differs");
}

#[test]
fn formats_are_known_by_name() {
    for (name, expected) in [("html", Format::Html), (" MD", Format::Md), ("junit", Format::Junit)]
    {
        assert_eq!(name.parse::<Format>().expect(name), expected);
    }
    let unknown = "pdf".parse::<Format>().expect_err("pdf is no format");
    assert!(unknown.to_string().contains("`pdf`"), "{unknown}");
}

#[test]
fn a_run_without_content_says_so_in_words() {
    let mut run = lob_fixtures::sample_run();
    run.scenarios.clear();
    run.targets.clear();
    run.recommendations.clear();
    run.inputs.clear();
    let page = text(&run, Format::Html);
    for words in [
        "No targets were set",
        "no profiler scope",
        "no measurement names a limit",
        "No file was read",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(text(&run, Format::Md).contains("no profiler scope"));
    let files = render_all(&run, &[Format::Png]).expect("pictures of words");
    assert_eq!(files.len(), 7 + 3);
    for file in render_all(&run, &[Format::Svg]).expect("pictures of words") {
        let svg = String::from_utf8(file.bytes).expect("SVG is UTF-8");
        assert!(svg.contains("Not measured: "), "{}", file.file_name);
    }
    let log = render_all(&run, &[Format::Txt]).expect("texts render").remove(1);
    assert!(String::from_utf8_lossy(&log.bytes).contains("NOT TESTED, no baseline was given"));
}

#[test]
fn every_face_says_what_changed_since_the_baseline() {
    let run = lob_fixtures::sample_run();
    let mut base = run.clone();
    let throughput = &mut base.scenarios[2].measurements[0];
    throughput.reading =
        Reading::Measured { value: throughput.value().map(|v| 1.15 * v).unwrap(), note: None };
    base.host.fingerprint = "another machine".to_owned();
    let formats = [Format::Html, Format::Md, Format::Txt];
    let files = render_all_with_baseline(&run, Some(&base), &formats).expect("the sample renders");
    for (name, words) in [
        ("report.html", "1 regression</span>"),
        ("report.html", "comes from another machine"),
        ("report.md", "**Since the baseline:** 1 metric is worse"),
        ("reports/performance_summary.md", "1 metric is worse"),
        ("regression_test_results.log", "result: FAIL"),
        ("regression_test_results.log", "FAIL        pass          -13.0 %  load.samples_per_s"),
        ("comparison.md", "# 1 regression"),
    ] {
        let file = files.iter().find(|f| f.file_name == name).expect(name);
        let text = String::from_utf8_lossy(&file.bytes);
        assert!(text.contains(words), "{name}: {words}");
    }
}

#[test]
fn a_history_is_drawn_and_its_change_of_level_named() {
    let run = lob_fixtures::sample_run();
    let mut history = Vec::new();
    for i in 0..24_u32 {
        let mut earlier = run.clone();
        let m = &mut earlier.scenarios[2].measurements[0];
        let level = if i < 12 { 1.0 } else { 0.9 };
        m.reading = Reading::Measured {
            value: m.value().map(|v| v * level * (1.0 + f64::from(i % 3) / 1000.0)).unwrap(),
            note: None,
        };
        history.push(HistoryEntry::of(&earlier));
    }
    let beside = Beside { history: &history, ..Beside::default() };
    let files = render_all_beside(&run, &beside, &[Format::Html, Format::Md]).expect("renders");
    for (name, words) in [
        ("report.html", "1 metric changed its level"),
        ("report.html", "-10.0 % worse since 2026-11-21"),
        ("history.md", "| `load.shuffled load.samples_per_s` |"),
        ("history.md", "(run 13 of 24)"),
    ] {
        let file = files.iter().find(|f| f.file_name == name).expect(name);
        let text = String::from_utf8_lossy(&file.bytes);
        assert!(text.contains(words), "{name}: {words}");
    }
    let alone = Beside { history: &history[..1], ..Beside::default() };
    let files = render_all_beside(&run, &alone, &[Format::Md]).expect("renders");
    let file = files.iter().find(|f| f.file_name == "history.md").expect("history.md");
    assert!(String::from_utf8_lossy(&file.bytes).contains("no earlier run"));
}

#[test]
fn a_pull_request_holds_the_summary_of_any_run() {
    let run = lob_fixtures::sample_run();
    let mut base = run.clone();
    let throughput = &mut base.scenarios[2].measurements[0];
    throughput.reading =
        Reading::Measured { value: throughput.value().map(|v| 2.0 * v).unwrap(), note: None };
    let text = pull_request_summary(&run, Some(&base)).expect("comparable");
    assert!(
        text.contains("| `load.samples_per_s` | `load.shuffled` |") && text.contains("-50.0 %")
    );
    let mut huge = run.clone();
    let scenario = huge.scenarios[0].clone();
    huge.scenarios.extend((0..2000).map(|_| scenario.clone()));
    assert!(pull_request_summary(&huge, None).expect("renders").len() < 65_536);
}

#[test]
fn a_heat_map_that_does_not_fit_is_an_error_with_its_name() {
    let mut run = lob_fixtures::sample_run();
    run.scenarios.truncate(2);
    if let Artifact::Heatmap { rows, .. } = &mut run.scenarios[1].artifacts[0] {
        *rows += 1;
    }
    let error = render_all(&run, &[Format::Png]).expect_err("403 rows have too few values");
    assert!(
        matches!(&error, ReportError::Chart { chart, .. } if chart == "depth_image.png"),
        "{error}"
    );
    assert!(text(&run, Format::Html).contains("Cannot be drawn"));
}

/// Rows in order, a whisker where there is an interval, a line where there is a reference.
#[test]
fn estimates_are_a_table_with_their_intervals() {
    let run = lob_fixtures::sample_run();
    let html = text(&run, Format::Html);
    let table = html.split("Accuracy of a linear probe").nth(1).expect("the table is there");
    let table = table.split("</figure>").next().expect("it ends");
    assert!(table.contains("reference 0.333") && table.contains("<td>contrastive</td>"));
    assert!(table.contains(">0.410</td>") && table.contains("0.370 – 0.450"), "{table}");
    assert_eq!((table.matches("<rect").count(), table.matches("<circle").count()), (2, 3));
    assert_eq!(table.matches("<path").count(), 3);
    let md = text(&run, Format::Md);
    assert!(md.contains("| movement | raw | 0.470 [0.450, 0.490] | 0.333 |"), "{md}");
    assert!(md.contains("| regime | raw | 0.520 | 0.333 |"));
}

#[test]
fn a_huge_run_stays_below_two_megabytes() {
    let mut run = lob_fixtures::sample_run();
    let scope = run.scenarios[0].scopes[1].clone();
    let measurement = run.scenarios[0].measurements[0].clone();
    for i in 0..10_000 {
        let mut scope = scope.clone();
        scope.path = format!("convert/file_{i}");
        run.scenarios[0].scopes.push(scope);
        let mut measurement = measurement.clone();
        measurement.metric = format!("grid.point_{i}");
        run.scenarios[2].measurements.push(measurement);
    }
    for scenario in &mut run.scenarios {
        for artifact in &mut scenario.artifacts {
            if let Artifact::Intervals { groups, .. } = artifact {
                groups.extend(vec![groups[0].clone(); 10_000]);
            }
        }
    }
    let page = text(&run, Format::Html);
    assert!(page.len() <= 2 * 1024 * 1024, "{} bytes", page.len());
    assert!(page.contains("are left to run.json"));
}

#[test]
fn no_file_prints_a_number_that_is_none() {
    let mut run = lob_fixtures::sample_run();
    run.elapsed_s = f64::NAN;
    // A picture's base 64 may spell anything.
    run.scenarios[1].artifacts.clear();
    run.overhead.profiler_share = Some(f64::NAN);
    for scenario in &mut run.scenarios {
        scenario.elapsed_s = f64::NAN;
        for m in &mut scenario.measurements {
            m.reading = Reading::Measured { value: f64::NAN, note: None };
            m.ci95 = Some([f64::NAN, f64::INFINITY]);
            m.share_of_limit = Some(f64::NAN);
        }
        for scope in &mut scenario.scopes {
            scope.self_s = f64::NAN;
            scope.p99_s = f64::NAN;
        }
        for series in &mut scenario.timeline {
            series.values.fill(f64::NAN);
        }
        for artifact in &mut scenario.artifacts {
            if let Artifact::Intervals { groups, .. } = artifact {
                groups[0].reference = Some(f64::NAN);
                groups[0].rows[0].value = f64::NAN;
                groups[0].rows[1].ci95 = Some([f64::NAN, 1.0]);
            }
        }
    }
    for format in [Format::Html, Format::Md, Format::Txt, Format::Junit] {
        let text = text(&run, format);
        let page_without_script = text.split("<script>").next().expect("a split has a first part");
        let none = |w: &str| ["nan", "inf", "infinity"].contains(&w.to_lowercase().as_str());
        let mut words = page_without_script.split(|c: char| !c.is_alphanumeric());
        assert_eq!(words.find(|w| none(w)), None, "{format:?}");
        assert!(
            format == Format::Junit || text.to_lowercase().contains("not measured"),
            "{format:?}"
        );
    }
}

#[test]
fn a_busy_machine_is_said_before_anything_else_and_bounds_the_shares() {
    let faces = |run: &Run| -> Vec<String> {
        let files = render_all(run, &[Format::Html, Format::Md, Format::Txt]).expect("it renders");
        let wanted = |f: &&Rendered| {
            ["report.html", "report.md", "optimization_recommendations.txt"]
                .contains(&f.file_name.as_str())
        };
        let text = |f: &Rendered| String::from_utf8(f.bytes.clone()).expect("text is UTF-8");
        files.iter().filter(wanted).map(text).collect()
    };
    let mut run = lob_fixtures::sample_run();
    assert!(
        faces(&run).iter().all(|text| !text.contains("was busy") && !text.contains("at most "))
    );
    let others = |share| {
        let (unit, neutral) = (lob_metrics::Unit::Fraction, lob_metrics::Direction::Neutral);
        lob_metrics::Measurement::measured(lob_metrics::OTHERS_CPU, unit, neutral, &[share])
    };
    run.scenarios[0].measurements.push(others(0.05));
    assert!(faces(&run).iter().all(|text| !text.contains("was busy")), "a twentieth is nothing");
    run.scenarios[0].measurements.pop();
    run.scenarios[0].measurements.push(others(0.42));
    for measurement in run.scenarios.iter_mut().flat_map(|s| &mut s.measurements) {
        measurement.share_is_at_most = measurement.share_of_limit.is_some();
    }
    for text in faces(&run) {
        let said = text.find("The machine was busy: other programs used 42 %").expect("it is said");
        let verdict = text.to_lowercase().find("class=\"verdict");
        assert!(verdict.is_none_or(|verdict| said < verdict), "first on the page");
        let share = text.find("at most ").expect("shares are bounds");
        assert!(said < share);
    }
}
