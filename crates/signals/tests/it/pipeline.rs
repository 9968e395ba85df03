use lob_signals::{
    FeatureConfig, FeatureMatrix, GateConfig, LogisticModel, N_FEATURES, Signal, SignalError,
    SignalPipeline, Stance,
};
use proptest::prelude::*;

use crate::market;

fn pipeline() -> SignalPipeline<LogisticModel> {
    let gate = GateConfig { max_position: 3, ..GateConfig::default() };
    SignalPipeline::new(FeatureConfig::default(), LogisticModel::queue_pressure(), gate).unwrap()
}

/// Signals as text: NaN probabilities compare equal.
fn text(signals: &[Signal]) -> String {
    format!("{signals:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    #[test]
    fn whole_pieces_stages_and_live_updates_agree(n in 0_usize..200, cut in 0_usize..200, seed in 0_u64..500) {
        let columns = market(n, seed);
        let quotes = columns.quotes();
        let mut p = pipeline();
        let (whole, times) = p.run(quotes).unwrap();
        prop_assert!(times.total_s() >= 0.0);

        let mut live = pipeline();
        let streamed: Vec<Signal> = quotes.iter().map(|q| live.update(q).unwrap()).collect();
        prop_assert_eq!(text(&whole), text(&streamed));

        p.reset();
        let (first, _) = p.run(quotes.first(cut)).unwrap();
        let rest: Vec<Signal> = quotes.iter().skip(cut).map(|q| p.update(q).unwrap()).collect();
        prop_assert_eq!(text(&whole), text(&[first, rest].concat()));

        let (mut features, mut probabilities, mut out) = (FeatureMatrix::default(), vec![], vec![]);
        let mut staged = pipeline();
        staged.calculate_features(quotes, &mut features);
        staged.infer(&features, &mut probabilities).unwrap();
        staged.generate_signals(&features, &probabilities, &mut out).unwrap();
        prop_assert_eq!(text(&whole), text(&out));
    }
}

#[test]
fn positions_stay_inside_the_limits_and_something_happens() {
    let columns = market(2_000, 7);
    let (signals, _) = pipeline().run(columns.quotes()).unwrap();
    assert!(signals.iter().all(|s| s.position.abs() <= 3 && s.trade.abs() <= 1));
    for stance in [Stance::Flat, Stance::Long, Stance::Short] {
        assert!(signals.iter().any(|s| s.stance == stance), "{stance:?} never taken");
    }
    // The slowest indicator (MACD, 26 + 9 - 1 quotes) decides the warm-up.
    assert!(signals[..33].iter().all(|s| s.probability.is_nan() && s.trade == 0));
    let answered = signals.iter().filter(|s| !s.probability.is_nan()).count();
    assert!(answered > 500, "{answered}");
}

#[test]
fn the_model_sees_complete_rows_only_and_its_errors_surface() {
    let columns = market(100, 3);
    let model = |features: &[f32], out: &mut [f32]| {
        assert_eq!(features.len(), out.len() * N_FEATURES);
        assert!(features.iter().all(|x| x.is_finite()));
        out.fill(1.5);
        Ok(())
    };
    let (features, gate) = (FeatureConfig::default(), GateConfig::default());
    let mut p = SignalPipeline::new(features, model, gate).unwrap();
    let error = p.run(columns.quotes()).unwrap_err();
    assert!(matches!(error, SignalError::Model(_)));
    assert_eq!(error.to_string(), "the model failed: `1.5` is no probability");
    let failing = |_: &[f32], _: &mut [f32]| Err("out of memory".into());
    let mut p = SignalPipeline::new(features, failing, gate).unwrap();
    assert_eq!(p.run(columns.quotes()).unwrap_err().to_string(), "the model failed: out of memory");
}
