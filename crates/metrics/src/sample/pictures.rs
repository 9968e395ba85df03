//! Small data of every kind but the depth image.

use crate::stats::SplitMix64;
use crate::{Artifact, IntervalGroup, IntervalRow};

pub(super) fn learning() -> Vec<Artifact> {
    let x: Vec<f64> = (0..80).map(f64::from).collect();
    let mut rng = SplitMix64::new(31);
    let y = x.iter().map(|t| 1.2 + 2.3 * (-t / 22.0).exp() + 0.12 * rng.next_f64()).collect();
    let n = 150;
    let class: Vec<u32> = (0..n).map(|i| i % 3).collect();
    let mut place = |offset: f64| -> Vec<f64> {
        class.iter().map(|c| offset * f64::from(*c) + rng.next_f64() + rng.next_f64()).collect()
    };
    let (px, py) = (place(1.3), place(-0.9));
    let line = Artifact::Line {
        title: "InfoNCE loss".to_owned(),
        x_label: "step".to_owned(),
        y_label: "loss".to_owned(),
        x,
        y,
    };
    let scatter = Artifact::Scatter {
        title: "Embeddings by movement class".to_owned(),
        x_label: "first principal component".to_owned(),
        y_label: "second principal component".to_owned(),
        x: px,
        y: py,
        class,
        class_names: ["down", "flat", "up"].map(str::to_owned).to_vec(),
    };
    let row = |name: &str, value: f64, reach: Option<f64>| IntervalRow {
        name: name.to_owned(),
        value,
        ci95: reach.map(|reach| [value - reach, value + reach]),
    };
    let movement = [row("contrastive", 0.41, Some(0.04)), row("raw", 0.47, Some(0.02))];
    let group = |name: &str, rows: &[IntervalRow]| IntervalGroup {
        name: name.to_owned(),
        reference: Some(0.333),
        rows: rows.to_vec(),
    };
    let intervals = Artifact::Intervals {
        title: "Accuracy of a linear probe".to_owned(),
        x_label: "accuracy".to_owned(),
        groups: vec![group("movement", &movement), group("regime", &[row("raw", 0.52, None)])],
    };
    vec![line, scatter, intervals]
}
