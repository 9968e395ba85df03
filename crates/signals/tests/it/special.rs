use lob_signals::{
    Indicator, Momentum, RateOfChange, Rsi, bollinger, ema, ewma_volatility, macd, momentum,
    rate_of_change, rsi, sma, volatility,
};
use proptest::prelude::*;

/// Prices with gaps, infinities, zeros and flat stretches.
fn prices() -> impl Strategy<Value = Vec<f64>> {
    let price = prop_oneof![
        8 => 1.0..1e5,
        2 => Just(100.0),
        1 => Just(f64::NAN),
        1 => Just(0.0),
        1 => Just(f64::INFINITY),
    ];
    proptest::collection::vec(price, 0..100)
}

fn same(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
}

fn streamed(mut twin: impl Indicator, prices: &[f64]) -> Vec<f64> {
    prices.iter().map(|&p| twin.update(p)).collect()
}

proptest! {
    #[test]
    fn no_value_is_infinite_and_bounds_hold(prices in prices(), period in 2_usize..12) {
        let finite_or_null = |values: &[f64]| values.iter().all(|x| !x.is_infinite());
        let rsi = rsi(&prices, period).unwrap();
        prop_assert!(rsi.iter().all(|x| x.is_nan() || (0.0..=100.0).contains(x)));
        for series in [
            momentum(&prices, period).unwrap(),
            rate_of_change(&prices, period).unwrap(),
            sma(&prices, period).unwrap(),
            ema(&prices, period).unwrap(),
            volatility(&prices, period).unwrap(),
            ewma_volatility(&prices, 0.94).unwrap(),
            bollinger(&prices, period, 2.0).unwrap().iter().map(|b| b.upper).collect(),
            macd(&prices, period, period + 3, 4).unwrap().iter().map(|m| m.histogram).collect(),
        ] {
            prop_assert_eq!(series.len(), prices.len());
            prop_assert!(finite_or_null(&series), "{:?}", series);
        }
        prop_assert!(volatility(&prices, period).unwrap().iter().all(|x| x.is_nan() || *x >= 0.0));
    }

    #[test]
    fn streaming_equals_batch(prices in prices(), period in 1_usize..12) {
        prop_assert!(same(&streamed(Rsi::new(period).unwrap(), &prices), &rsi(&prices, period).unwrap()));
        prop_assert!(same(&streamed(Momentum::new(period).unwrap(), &prices), &momentum(&prices, period).unwrap()));
        prop_assert!(same(&streamed(RateOfChange::new(period).unwrap(), &prices), &rate_of_change(&prices, period).unwrap()));
    }

    /// The definition itself, without any running sum.
    #[test]
    fn rsi_matches_its_definition(prices in proptest::collection::vec(1.0_f64..1e4, 3..80), period in 1_usize..9) {
        let out = rsi(&prices, period).unwrap();
        let changes: Vec<f64> = prices.windows(2).map(|w| w[1] - w[0]).collect();
        for i in period..prices.len() {
            let n = period as f64;
            let smooth = |pick: fn(f64) -> f64| {
                let seed = changes[..period].iter().map(|&c| pick(c)).sum::<f64>() / n;
                changes[period..i].iter().fold(seed, |m, &c| (m * (n - 1.0) + pick(c)) / n)
            };
            let (gain, loss) = (smooth(|c| c.max(0.0)), smooth(|c| (-c).max(0.0)));
            let expected = 100.0 - 100.0 / (1.0 + gain / loss);
            prop_assert!((out[i] - expected).abs() < 1e-8, "{} {}", out[i], expected);
        }
    }

    #[test]
    fn volatility_matches_two_passes(prices in proptest::collection::vec(90.0_f64..110.0, 3..120), period in 2_usize..20) {
        let out = volatility(&prices, period).unwrap();
        let returns: Vec<f64> = prices.windows(2).map(|w| (w[1] / w[0]).ln()).collect();
        for i in period..prices.len() {
            let window = &returns[i - period..i];
            let mean = window.iter().sum::<f64>() / period as f64;
            let var = window.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (period - 1) as f64;
            prop_assert!((out[i] - var.sqrt()).abs() < 1e-10);
        }
    }
}

/// Ten million steps would show a drifting running sum; the refresh keeps it at round-off.
#[test]
fn running_sums_do_not_drift() {
    let prices: Vec<f64> =
        (0..200_000_u32).map(|i| f64::from((i * 7919) % 1013) * 1e3 + 0.1).collect();
    let period = 50;
    let last = sma(&prices, period).unwrap()[prices.len() - 1];
    let exact = prices[prices.len() - period..].iter().sum::<f64>() / period as f64;
    assert!((last - exact).abs() <= 1e-12 * exact, "{last} {exact}");
}
