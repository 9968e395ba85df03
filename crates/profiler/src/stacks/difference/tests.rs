use super::*;
use crate::stacks::report::Frame;

/// A profile of stacks `NAME;NAME`, outermost first, with samples of 2 ms.
fn profile(program: &str, cpu_time_s: Option<f64>, stacks: &[(&str, u64)]) -> LineProfile {
    let frames = |names: &str| {
        let mut frames: Vec<Frame> = names
            .rsplit(';')
            .map(|name| {
                let kind = match name {
                    _ if name.starts_with("[kernel]") => FrameKind::Kernel,
                    _ if name.starts_with("lib_") => FrameKind::Library,
                    _ => FrameKind::Own,
                };
                let module = if kind == FrameKind::Own { program } else { "libx.so" };
                Frame { module: module.to_owned(), kind, ..Frame::mark(name) }
            })
            .collect();
        frames.push(Frame::mark(program));
        frames
    };
    let stacks = stacks.iter().map(|(names, count)| (frames(names), false, *count));
    LineProfile { interval_s: 0.002, cpu_time_s, ..LineProfile::new(stacks) }
}

fn base() -> LineProfile {
    profile("old", Some(2.0), &[("main;parse", 500), ("main;write;lib_put;[kernel] write", 500)])
}

fn slower() -> LineProfile {
    let stacks = [
        ("main;parse", 510),
        ("main;write;lib_put;[kernel] write", 495),
        ("main;check;lib_sum", 250),
    ];
    profile("new", Some(2.51), &stacks)
}

#[test]
fn the_function_that_took_the_extra_time_is_named() {
    let difference = Difference::of(StackTimes::of(&base()), StackTimes::of(&slower()));
    let summary = difference.summary();
    assert!(summary.starts_with("510 ms more CPU time in a launch: 2.51 s instead of 2.00 s"));
    assert!(summary.ends_with("; more of it in check (+500 ms)"), "{summary}");
    // Ten samples more of a thousand are chance, so `parse` is not accused.
    let named: Vec<(&str, Part)> =
        difference.slower().map(|f| (f.function.as_str(), f.part)).collect();
    assert_eq!(named, [("check", Part::Own), ("lib_sum", Part::Library)]);
    let of = |name: &str| difference.functions().iter().find(|f| f.function == name).unwrap();
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(near(of("write").self_s[0], 1.0) && near(of("write").total_s[1], 0.99));
    assert!(near(of("[kernel] write").self_s[0], 1.0), "apart from the function it worked for");
    assert!(near(of("main").self_s[0], 0.0) && near(of("main").total_s[1], 2.51));
    let table = difference.table();
    let rows: Vec<&str> = table.lines().filter(|line| line.ends_with("check")).collect();
    assert!(rows.len() == 1 && rows[0].contains("+500 ms"), "{table}");
    assert!(
        table.contains("kernel\n  no function differs by more than chance explains"),
        "{table}"
    );
}

#[test]
fn times_are_of_one_launch_and_the_program_may_be_called_anything() {
    let [one, other] = [base(), base()].map(|profile| StackTimes::of(&profile));
    let difference = Difference::of(StackTimes::of(&base()), one.and(other));
    assert_eq!(difference.slower().count(), 0, "{}", difference.table());
    let [before, after] = difference.launch_s();
    assert!((before - after).abs() < 1e-9);
    let renamed = profile("new", Some(2.0), &[("main;parse", 500)]);
    let parse = StackTimes::of(&renamed).stacks.into_keys().next().unwrap();
    assert!(StackTimes::of(&base()).stacks.contains_key(&parse));
}

#[test]
fn everything_twice_as_slow_is_not_the_same() {
    let twice = profile("old", None, &[("main;parse", 1000), ("main;write", 1000)]);
    let once = profile("old", None, &[("main;parse", 500), ("main;write", 500)]);
    let difference = Difference::of(StackTimes::of(&once), StackTimes::of(&twice));
    assert_eq!(difference.slower().count(), 2);
    assert!(difference.summary().starts_with("2.00 s more"), "{}", difference.summary());
}

#[test]
fn files_are_read_as_they_were_written_and_damage_is_named() {
    let text = slower().speedscope_json("a run");
    assert_eq!(StackTimes::from_speedscope(&text).unwrap(), StackTimes::of(&slower()));
    let said = |text: &str| StackTimes::from_speedscope(text).unwrap_err().to_string();
    assert!(said("").contains("no profile of speedscope's format"));
    assert!(said(&text[..text.len() / 2]).contains("no profile of speedscope's format"));
    assert!(said(r#"{"shared":{"frames":[]},"profiles":[]}"#).contains("holds no profile"));
    let odd = |samples: &str, weights: &str| {
        format!(
            r#"{{"shared":{{"frames":[{{"name":"a"}}]}},"profiles":[{{"type":"sampled",
            "unit":"seconds","samples":{samples},"weights":{weights}}}]}}"#
        )
    };
    assert!(said(&odd("[[1]]", "[0.1]")).contains("1 frames, and a sample names frame 1"));
    assert!(said(&odd("[[0]]", "[]")).contains("1 samples and 0 weights"));
    assert!(said(&odd("[[0]]", "[-1.0]")).contains("no time"));

    let folded = StackTimes::from_folded("a;b 3\na;[kernel] x 1\n\n", 0.5).unwrap();
    assert!((folded.launch_s() - 2.0).abs() < 1e-12);
    let error = StackTimes::from_folded("a;b 3\na;b\n", 0.5).unwrap_err().to_string();
    assert!(error.starts_with("line 2 does not end"), "{error}");
}

#[test]
fn the_picture_shows_both_sides() {
    let difference = Difference::of(StackTimes::of(&base()), StackTimes::of(&slower()));
    let svg = difference.flame_graph_svg("before and now");
    assert!(svg.contains("check: +500 ms in a launch, 500 ms instead of 0 s"), "{svg}");
    assert!(svg.contains("rgb(232,96,76)") && svg.contains("takes less"), "{svg}");
    let nothing = Difference::of(StackTimes::default(), StackTimes::default());
    assert!(nothing.flame_graph_svg("x").contains("no sample was taken on either side"));
    assert!(nothing.summary().contains("in no function more than chance explains"));
}
