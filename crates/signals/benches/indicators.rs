//! Values per second of each indicator and quotes per second of the pipeline. A slowdown here
//! delays every live signal and every back-test by the same factor.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a failed setup must stop the bench"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lob_signals::{
    FeatureConfig, GateConfig, LogisticModel, Quotes, SignalPipeline, bollinger, ema,
    ewma_volatility, macd, momentum, order_flow_imbalance, rate_of_change, rsi, sma, volatility,
};

/// A random walk in quarter ticks around 4000.
fn walk(n: usize) -> Vec<f64> {
    let mut state = 1_u64;
    let mut price = 16_000_i32;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            price += i32::from(state >> 62 == 3) - i32::from(state >> 62 == 0);
            f64::from(price) * 0.25
        })
        .collect()
}

fn indicators(c: &mut Criterion) {
    let mut group = c.benchmark_group("indicators");
    for n in [1_000, 10_000, 100_000] {
        let prices = walk(n);
        let ask: Vec<f64> = prices.iter().map(|p| p + 0.25).collect();
        let sizes: Vec<f64> = prices.iter().map(|p| 1.0 + (p * 4.0) % 13.0).collect();
        group.throughput(Throughput::Elements(n as u64));
        let mut bench = |name: &str, f: &dyn Fn(&[f64]) -> usize| {
            group.bench_with_input(BenchmarkId::new(name, n), &prices, |b, prices| {
                b.iter(|| f(black_box(prices)));
            });
        };
        bench("momentum", &|p| momentum(p, 10).unwrap().len());
        bench("rate_of_change", &|p| rate_of_change(p, 10).unwrap().len());
        bench("rsi", &|p| rsi(p, 14).unwrap().len());
        bench("sma", &|p| sma(p, 20).unwrap().len());
        bench("ema", &|p| ema(p, 20).unwrap().len());
        bench("macd", &|p| macd(p, 12, 26, 9).unwrap().len());
        bench("bollinger", &|p| bollinger(p, 20, 2.0).unwrap().len());
        bench("volatility", &|p| volatility(p, 20).unwrap().len());
        bench("ewma_volatility", &|p| ewma_volatility(p, 0.94).unwrap().len());
        bench("order_flow_imbalance", &|p| {
            order_flow_imbalance(Quotes::new(p, &ask, &sizes, &sizes).unwrap()).len()
        });
    }
    group.finish();
}

fn pipeline(c: &mut Criterion) {
    let mut group = c.benchmark_group("pipeline");
    let n = 10_000;
    let bid = walk(n);
    let ask: Vec<f64> = bid.iter().map(|p| p + 0.25).collect();
    let sizes: Vec<f64> = bid.iter().map(|p| 1.0 + (p * 4.0) % 13.0).collect();
    let quotes = Quotes::new(&bid, &ask, &sizes, &sizes).unwrap();
    let model = LogisticModel::queue_pressure();
    let mut pipeline =
        SignalPipeline::new(FeatureConfig::default(), model, GateConfig::default()).unwrap();
    group.throughput(Throughput::Elements(n as u64));
    group.bench_function("run/10000", |b| {
        b.iter(|| pipeline.run(black_box(quotes)).unwrap().0.len());
    });
    group.bench_function("update/10000", |b| {
        b.iter(|| {
            quotes.iter().map(|q| pipeline.update(q).unwrap().position).fold(0_i32, |a, p| a ^ p)
        });
    });
    group.finish();
}

criterion_group!(benches, indicators, pipeline);
criterion_main!(benches);
