use proptest::prelude::*;

use super::*;
use crate::day::DAY_NS;

fn never() -> bool {
    false
}

fn stated(id: u32, start: u64, end: u64, symbol: &str) -> Stated {
    Stated { id, start, end, symbol: symbol.into() }
}

fn symbol(map: &SymbolMap, id: u32, ts: u64) -> Option<&str> {
    map.find(id, ts).symbol.map(|symbol| &**symbol)
}

/// A map taken in one by one, and the number of intervals that this touched.
fn taken_in(intervals: impl Iterator<Item = (u64, u64)>) -> (SymbolMap, usize) {
    let (mut map, mut touched) = (SymbolMap::default(), 0);
    for (n, (start, end)) in intervals.enumerate() {
        touched += map.insert(5, start, end, n.to_string().into()).touched;
    }
    (map, touched)
}

#[test]
fn work_and_size_are_linear_whatever_the_order() {
    const N: u64 = 60_000;
    let check = |name: &str, intervals: &mut dyn Iterator<Item = (u64, u64)>| {
        let (map, touched) = taken_in(intervals);
        assert!(touched as u64 <= 2 * N, "{name}: {touched} intervals touched");
        assert!(map.spans.len() as u64 <= 2 * N + 1, "{name}: {} intervals", map.spans.len());
    };
    check("falling", &mut (0..N).rev().map(|n| (n, n + 1)));
    check("rising", &mut (0..N).map(|n| (n, n + 1)));
    check("falling and overlapping", &mut (0..N).rev().map(|n| (n, n + N)));
    check("nested", &mut (0..N).map(|n| (n, 2 * N - n)));
    check("all of the time", &mut (0..N).map(|_| (0, u64::MAX)));
    check("holes", &mut (0..N).map(|n| if n == 0 { (0, u64::MAX) } else { (2 * n, 2 * n + 1) }));
    // As a header or a `symbology.json` states them: at once, and sorted.
    let falling = (0..N).rev().map(|n| stated(5, n * DAY_NS, (n + 1) * DAY_NS, "A"));
    let map = SymbolMap::of_stated(falling.collect(), Faults::default(), &never).unwrap();
    assert!(map.spans.len() as u64 == N && map.faults.is_empty());
}

#[test]
fn cancelling_is_heard_while_a_map_is_built() {
    let asked = std::cell::Cell::new(0);
    let is_cancelled = || {
        asked.set(asked.get() + 1);
        asked.get() == 3
    };
    let many = (0..60_000).map(|n| stated(5, n, n + 1, "A")).collect();
    let result = SymbolMap::of_stated(many, Faults::default(), &is_cancelled);
    assert!(matches!(result, Err(ConvertError::Interrupted)));
    assert_eq!(asked.get(), 3);
}

proptest! {
    /// Against a list that is gone through from its end: the last statement that covers it holds.
    #[test]
    fn the_last_statement_holds(
        list in prop::collection::vec((0..3_u32, 0..20_u64, 1..9_u64, 0..4_usize), 0..40)
    ) {
        const NAMES: [&str; 4] = ["A", "B", "C", "D"];
        let mut map = SymbolMap::default();
        for (id, start, length, name) in &list {
            map.insert(*id, *start, start + length, NAMES[*name].into());
        }
        for id in 0..3 {
            for ts in 0..30 {
                let covers = |(other, start, length, _): &&(u32, u64, u64, usize)| {
                    *other == id && (*start..start + length).contains(&ts)
                };
                let expected = list.iter().rev().find(covers).map(|(.., name)| NAMES[*name]);
                let found = map.find(id, ts);
                prop_assert_eq!(found.symbol.map(|symbol| &**symbol), expected);
                prop_assert!(found.from <= ts && ts < found.until);
                // It holds all over the span it is given for.
                for ts in found.from..found.until.min(30) {
                    prop_assert_eq!(map.find(id, ts), found);
                }
            }
        }
    }
}

#[test]
fn an_overlap_is_told_with_both_symbols_and_costs_no_other() {
    let day = |n: u64| (19_814 + n) * DAY_NS;
    let list = vec![
        stated(5, day(1), day(2), "CLM4"),
        stated(5, day(0), day(3), "ESM4"),
        stated(6, day(0), day(3), "NQM4"),
        // Stated twice is no contradiction.
        stated(6, day(0), day(3), "NQM4"),
    ];
    let map = SymbolMap::of_stated(list, Faults::default(), &never).unwrap();
    let at = |id| (0..4).map(|n| symbol(&map, id, day(n))).collect::<Vec<_>>();
    assert_eq!(at(5), [Some("ESM4"), Some("CLM4"), Some("ESM4"), None]);
    assert_eq!(at(6), [Some("NQM4"), Some("NQM4"), Some("NQM4"), None]);
    let lines = map.faults.lines(|_| true);
    assert_eq!(lines.len(), 1, "{lines:?}");
    for word in ["ESM4", "CLM4", "instrument id 5", "2024-04-02"] {
        assert!(lines[0].contains(word), "{lines:?}");
    }
    // Told to whoever wants one of the two, and to nobody else.
    assert_eq!(map.faults.lines(|name| name == "ESM4").len(), 1);
    assert_eq!(map.faults.lines(|name| name == "CLM4").len(), 1);
    assert_eq!(map.faults.lines(|name| name == "NQM4").len(), 0);
}

#[test]
fn faults_are_told_for_a_few_symbols_and_counted_for_the_rest() {
    let mut faults = Faults::default();
    for n in 0..3 * FAULTS_LISTED_MAX {
        for _ in 0..2 {
            faults.note(&format!("S{n}\u{1b}"), None, || "cannot be used".to_owned());
        }
    }
    let lines = faults.lines(|_| true);
    assert_eq!(lines.len(), FAULTS_LISTED_MAX + 1);
    assert!(lines[0].contains(r"`S0\u{1b}`: cannot be used (and 1 more"), "{}", lines[0]);
    assert_eq!(lines.last().unwrap(), "80 more faults in mappings of other symbols");
}

mod symbology {
    use super::*;

    fn map(text: &str) -> Option<SymbolMap> {
        serde_json::from_str::<Symbology>(text).unwrap().map(&never).unwrap()
    }

    #[test]
    fn both_directions_map_ids() {
        let day = |days: u64| days * DAY_NS + 5;
        for text in [
            r#"{"result":{"ESM4":[{"d0":"2024-04-01","d1":"2024-04-03","s":"17"}],
                "ESU4":[{"d0":"2024-04-03","d1":"2024-04-04","s":"17"},
                        {"d0":"2024-04-01","d1":"2024-04-02","s":""}]},
                "stype_in":"raw_symbol","stype_out":"instrument_id"}"#,
            r#"{"result":{"17":[{"d0":"2024-04-01","d1":"2024-04-03","s":"ESM4"},
                {"d0":"2024-04-03","d1":"2024-04-04","s":"ESU4"}]},
                "stype_in":"instrument_id","stype_out":"raw_symbol"}"#,
        ] {
            let map = map(text).unwrap();
            let get = |days| symbol(&map, 17, day(days));
            // 2024-04-01 is day 19,814.
            assert_eq!(get(19_813), None);
            assert_eq!((get(19_814), get(19_815)), (Some("ESM4"), Some("ESM4")));
            assert_eq!((get(19_816), get(19_817)), (Some("ESU4"), None));
            assert!(map.faults.is_empty());
        }
        assert!(map(r#"{"result":{},"stype_in":"continuous","stype_out":"raw_symbol"}"#).is_none());
    }

    #[test]
    fn what_cannot_be_used_is_told_and_costs_its_symbol_alone() {
        for (entry, word) in [
            (r#"{"d0":"2024-04-01","d1":"2024-04-02","s":"notanid"}"#, "`notanid`"),
            (r#"{"d0":"2024-13-01","d1":"2024-04-02","s":"1"}"#, "2024-13-01"),
            (r#"{"d0":"2024-04-03","d1":"2024-04-02","s":"1"}"#, "after its end"),
            (r#"{"d0":"2024-04-01","d1":"2024-04-02","s":1}"#, "`s`"),
            (r#"{"d0":"2024-04-01","s":"1"}"#, "`d1`"),
            ("7", "`d0`"),
        ] {
            let map = map(&format!(
                r#"{{"result":{{"BAD":[{entry}],
                "GOOD":[{{"d0":"2024-04-01","d1":"2024-04-02","s":"17"}}]}},
                "stype_in":"raw_symbol","stype_out":"instrument_id"}}"#
            ))
            .unwrap();
            assert_eq!(symbol(&map, 17, 19_814 * DAY_NS), Some("GOOD"), "{entry}");
            assert_eq!(symbol(&map, 1, 19_814 * DAY_NS), None, "{entry}");
            let lines = map.faults.lines(|_| true);
            assert_eq!(lines.len(), 1, "{entry}: {lines:?}");
            assert!(lines[0].contains("`BAD`") && lines[0].contains(word), "{lines:?}");
        }
    }
}
