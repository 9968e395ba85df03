//! Prices to steps, against exact integer arithmetic.

use lob_depth::{DepthError, PriceStep};
use proptest::prelude::*;

/// Nearest multiple, ties to even, in 128 bits.
fn expected(px: i64, step: i64) -> i128 {
    let (px, step) = (i128::from(px), i128::from(step));
    let (floor, remainder) = (px.div_euclid(step), px.rem_euclid(step));
    match (2 * remainder).cmp(&step) {
        std::cmp::Ordering::Less => floor,
        std::cmp::Ordering::Equal => floor + floor.rem_euclid(2),
        std::cmp::Ordering::Greater => floor + 1,
    }
}

fn check(px: i64, step: i64) {
    let found = PriceStep::new(step).expect("positive").to_steps(px);
    let steps = expected(px, step);
    match found {
        Ok(found) => assert_eq!(i128::from(found), steps, "{px} / {step}"),
        Err(error) => {
            assert_eq!(error, DepthError::PriceRange { price: px, step });
            assert!(steps.unsigned_abs() >= (1 << 31) - 1, "{px} / {step}");
        }
    }
}

#[test]
fn ties_go_to_even() {
    for (px, steps) in [
        (0, 0),
        (5_000, 0),
        (5_001, 1),
        (15_000, 2),
        (25_000, 2),
        (24_999, 2),
        (-5_000, 0),
        (-5_001, -1),
        (-15_000, -2),
        (-25_000, -2),
        (659_955_000, 65_996),
    ] {
        assert_eq!(PriceStep::new(10_000).and_then(|step| step.to_steps(px)), Ok(steps), "{px}");
    }
}

#[test]
fn extremes() {
    for step in [1, 2, 3, 1 << 32, (1 << 32) + 1, 1 << 33, i64::MAX / 2, i64::MAX - 1, i64::MAX] {
        for px in [0, 1, -1, step, -step, step / 2, i64::MAX - 1, i64::MIN, i64::MIN + 1] {
            check(px, step);
        }
    }
    let one = PriceStep::new(1).expect("positive");
    assert_eq!(one.to_steps(2_147_483_646), Ok(2_147_483_646));
    assert!(one.to_steps(2_147_483_648).is_err() && one.to_steps(-2_147_483_648).is_err());
    assert_eq!(PriceStep::new(i64::MAX).expect("positive").to_price(2), i64::MAX);
    assert!(PriceStep::new(0).is_err() && PriceStep::new(-1).is_err());
}

#[test]
fn decimal_text() {
    for (text, step, shown) in [
        ("0.25", 250_000_000, "0.25"),
        (".25", 250_000_000, "0.25"),
        ("0.00001", 10_000, "0.00001"),
        ("1e-5", 10_000, "0.00001"),
        ("2.5E1", 25_000_000_000, "25"),
        ("1e-9", 1, "0.000000001"),
        ("10e-10", 1, "0.000000001"),
        ("0.2500000000000", 250_000_000, "0.25"),
        ("5", 5_000_000_000, "5"),
    ] {
        let parsed: PriceStep = text.parse().expect(text);
        assert_eq!((parsed.get(), parsed.to_string().as_str()), (step, shown), "{text}");
    }
    for text in [
        "",
        ".",
        "0",
        "-0.25",
        "+1",
        "1e-10",
        "0.25x",
        "1e",
        "e5",
        "9e99",
        "1e2147483647",
        "nan",
        "0x1",
    ] {
        assert!(text.parse::<PriceStep>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn equals_exact_division(steps in -4_000_000_000_i64..4_000_000_000, step in 1_i64..2_000_000_000, off in -3_i64..=3) {
        check(steps * step + off, step);
        check(steps * step + step / 2 + off, step);
    }

    #[test]
    fn any_price_is_exact_or_refused(px in any::<i64>(), step in 1..=i64::MAX) {
        check(px, step);
    }

    #[test]
    fn text_round_trip(step in 1..=i64::MAX) {
        let step = PriceStep::new(step).expect("positive");
        prop_assert_eq!(step.to_string().parse(), Ok(step));
    }
}
