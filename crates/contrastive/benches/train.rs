//! Full training steps and the InfoNCE loss on the CPU. A slower step makes every experiment
//! longer by the same factor; a slower loss only shows at large batches.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a failed setup must stop the bench"
)]

use std::hint::black_box;
use std::sync::Arc;

use burn_autodiff::Autodiff;
use burn_flex::Flex;
use burn_tensor::{Bool, Tensor, TensorData};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lob_contrastive::loss::{Scale, info_nce, plain};
use lob_contrastive::{Device, EncoderConfig, NoisePairs, Objective, Rng, TrainConfig, train};

fn steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("train");
    group.sample_size(10);
    let cases = [
        ("simple", EncoderConfig::simple(), 16, 512),
        ("medium", EncoderConfig::medium(), 32, 1024),
        ("complex", EncoderConfig::complex(), 64, 2048),
    ];
    for (name, encoder, batch_size, n_inputs) in cases {
        let source = Arc::new(NoisePairs::new(batch_size, n_inputs, 1));
        group.throughput(Throughput::Elements(batch_size as u64));
        let id = BenchmarkId::new(format!("step/{name}"), format!("{batch_size}x{n_inputs}"));
        group.bench_function(id, |b| {
            // Steps inside one run, without its setup and closing evaluation.
            b.iter_custom(|n| {
                let config = TrainConfig {
                    steps: usize::try_from(n).unwrap() + 2,
                    batch_size,
                    encoder: encoder.clone(),
                    objective: Objective::InfoNce,
                    device: Device::Cpu,
                    ..TrainConfig::default()
                };
                let outcome = train(source.clone(), &config).unwrap();
                let seconds: f64 = outcome.step_s[2..].iter().sum();
                std::time::Duration::from_secs_f64(seconds)
            });
        });
    }
    group.finish();
}

fn loss(c: &mut Criterion) {
    type Back = Autodiff<Flex>;
    let mut group = c.benchmark_group("info_nce");
    let device = Default::default();
    for (batch, dim) in [(32_usize, 128_usize), (64, 128), (256, 128)] {
        let mut rng = Rng::new(2);
        let mut rows = || {
            let values: Vec<f32> = (0..batch * dim).map(|_| rng.normal_f32()).collect();
            TensorData::new(values, [batch, dim])
        };
        let (a, p) = (rows(), rows());
        group.throughput(Throughput::Elements(batch as u64));
        type Loss = fn(
            Tensor<Back, 2>,
            Tensor<Back, 2>,
            &Scale<Back>,
            Option<Tensor<Back, 2, Bool>>,
        ) -> Tensor<Back, 1>;
        for (name, loss) in [("closed", info_nce as Loss), ("plain", plain::info_nce as Loss)] {
            group.bench_function(BenchmarkId::new(name, format!("{batch}x{dim}")), |b| {
                b.iter(|| {
                    let za = Tensor::<Back, 2>::from_data(a.clone(), &device).require_grad();
                    let zp = Tensor::<Back, 2>::from_data(p.clone(), &device).require_grad();
                    let rows = loss(za.clone(), zp.clone(), &Scale::Fixed(0.07), None);
                    let gradients = rows.mean().backward();
                    black_box((za.grad(&gradients), zp.grad(&gradients)))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, loss, steps);
criterion_main!(benches);
