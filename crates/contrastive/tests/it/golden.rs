//! Golden values from f64 numpy, checked by their makers against torch autograd.

use burn_tensor::{Bool, Tensor, TensorData};
use lob_contrastive::loss::{
    Scale, decoupled, info_nce, info_nce_with_negatives, normalise, nt_xent, plain, sig_lip,
    sup_con, symmetric_info_nce,
};
use serde_json::Value;

use crate::{Back, evidence, gradient, leaf, value};

fn load() -> Value {
    let text = std::fs::read_to_string(evidence::golden("contrastive/cases.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn rows(v: &Value) -> Vec<Vec<f32>> {
    let row = |r: &Value| r.as_array().unwrap().iter().map(number).collect();
    v.as_array().unwrap().iter().map(row).collect()
}

fn number(v: &Value) -> f32 {
    v.as_f64().unwrap() as f32
}

/// `|d| <= 1e-4 · max|g| + 1e-6 / (tau · smallest row norm)`.
fn check_gradient(name: &str, found: &[f32], expected: &Value, z: &[Vec<f32>], tau: f32) {
    let expected: Vec<f32> = rows(expected).concat();
    let largest = expected.iter().fold(0.0_f32, |m, g| m.max(g.abs()));
    let norm = |row: &Vec<f32>| row.iter().map(|x| x * x).sum::<f32>().sqrt();
    let smallest = z.iter().map(norm).filter(|&n| n > 1e-12).fold(f32::INFINITY, f32::min);
    let limit = 1e-4 * largest + 1e-6 / (tau * smallest);
    assert_eq!(found.len(), expected.len(), "{name}");
    let width = z[0].len();
    for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
        if norm(&z[i / width]) <= 1e-12 {
            assert!(*f == 0.0, "{name}: a zero row gets no gradient, not {f}");
        } else {
            assert!((f - e).abs() <= limit, "{name} at {i}: {f} instead of {e} (± {limit})");
        }
    }
}

fn check_loss(name: &str, found: f32, expected: &Value) {
    let expected = number(expected);
    let limit = 1e-5 * expected.abs().max(1.0);
    assert!((found - expected).abs() <= limit, "{name}: {found} instead of {expected}");
}

struct Case<'a> {
    name: &'a str,
    za: Vec<Vec<f32>>,
    zp: Vec<Vec<f32>>,
    labels: Vec<i64>,
    queue: Vec<Vec<f32>>,
}

impl Case<'_> {
    /// The loss `kind` of the golden file.
    fn loss(
        &self,
        kind: &str,
        za: Tensor<Back, 2>,
        zp: Tensor<Back, 2>,
        s: &Scale<Back>,
    ) -> Tensor<Back, 1> {
        let queue = || leaf(&self.queue).detach();
        match kind {
            "infonce" => info_nce(za, zp, s, None).mean(),
            "infonce, plain" => plain::info_nce(za, zp, s, None).mean(),
            "symmetric, plain" => plain::symmetric_info_nce(za, zp, s, None).mean(),
            "ntxent, plain" => plain::nt_xent(za, zp, s, None).mean(),
            "infonce_masked_same_label, plain" => {
                plain::info_nce(za, zp, s, Some(self.same_label())).mean()
            }
            "infonce_reverse" => info_nce(zp, za, s, None).mean(),
            "symmetric" => symmetric_info_nce(za, zp, s, None).mean(),
            "ntxent" => nt_xent(za, zp, s, None).mean(),
            "supcon" => {
                let labels = [self.labels.clone(), self.labels.clone()].concat();
                sup_con(Tensor::cat(vec![za, zp], 0), &labels, s).loss
            }
            "dcl" => decoupled(za, zp, s, None).mean(),
            "infonce_masked_same_label" => info_nce(za, zp, s, Some(self.same_label())).mean(),
            "moco_queue" => info_nce_with_negatives(za, zp, queue(), s, false).mean(),
            "inbatch_plus_queue" => info_nce_with_negatives(za, zp, queue(), s, true).mean(),
            other => panic!("unknown kind `{other}`"),
        }
    }

    fn same_label(&self) -> Tensor<Back, 2, Bool> {
        let n = self.labels.len();
        let same = |at: usize| at / n != at % n && self.labels[at / n] == self.labels[at % n];
        let mask: Vec<bool> = (0..n * n).map(same).collect();
        Tensor::from_data(TensorData::new(mask, [n, n]), &Default::default())
    }

    fn check(&self, kind: &str, tau: f32, entry: &Value) {
        let name = format!("{} {kind} tau {tau}", self.name);
        let (za, zp) = (leaf(&self.za), leaf(&self.zp));
        let s = Tensor::<Back, 1>::from_floats([-tau.ln()], &Default::default()).require_grad();
        let loss = self.loss(kind, za.clone(), zp.clone(), &Scale::Learned(s.clone()));
        check_loss(&name, value(&loss), &entry["loss"]);
        let gradients = loss.backward();
        check_gradient(&name, &gradient(&za, &gradients), &entry["d_za"], &self.za, tau);
        check_gradient(&name, &gradient(&zp, &gradients), &entry["d_zp"], &self.zp, tau);
        if let Some(d_tau) = entry["d_tau"].as_f64() {
            let d_s: Vec<f32> = s.grad(&gradients).unwrap().into_data().into_vec().unwrap();
            let expected = -tau * d_tau as f32;
            let limit = 1e-4 * expected.abs().max(1.0);
            assert!((d_s[0] - expected).abs() < limit, "{name}: dL/ds {} for {expected}", d_s[0]);
        }
        let fixed = self.loss(kind, leaf(&self.za), leaf(&self.zp), &Scale::Fixed(tau));
        check_loss(&name, value(&fixed), &entry["loss"]);
    }
}

#[test]
fn every_loss_and_gradient() {
    let golden = load();
    let mut n_checked = 0;
    for (name, case) in golden["cases"].as_object().unwrap() {
        let input = Case {
            name,
            za: rows(&case["za"]),
            zp: rows(&case["zp"]),
            labels: case["labels"]
                .as_array()
                .unwrap()
                .iter()
                .map(|l| l.as_i64().unwrap())
                .collect(),
            queue: rows(&golden["queue"]),
        };
        for (tau, kinds) in case["loss"].as_object().unwrap() {
            let tau: f32 = tau.parse().unwrap();
            for (kind, entry) in kinds.as_object().unwrap() {
                if entry.is_null() || entry["loss"].is_null() {
                    continue;
                }
                input.check(kind, tau, entry);
                n_checked += 1;
                if ["infonce", "symmetric", "ntxent", "infonce_masked_same_label"]
                    .contains(&kind.as_str())
                {
                    input.check(&format!("{kind}, plain"), tau, entry);
                }
            }
        }
    }
    assert!(n_checked > 100, "{n_checked}");
}

#[test]
fn sigmoid_loss() {
    let golden = load();
    for (name, case) in golden["cases"].as_object().unwrap() {
        let entry = &case["siglip"];
        if entry.is_null() {
            continue;
        }
        let (raw_a, raw_p) = (rows(&case["za"]), rows(&case["zp"]));
        let (za, zp) = (leaf(&raw_a), leaf(&raw_p));
        let one = |key: &str| {
            Tensor::<Back, 1>::from_floats([number(&entry[key])], &Default::default())
                .require_grad()
        };
        let (t, b) = (one("t"), one("b"));
        let loss = sig_lip(za.clone(), zp.clone(), t.clone(), b.clone(), None);
        check_loss(name, value(&loss), &entry["loss"]);
        let gradients = loss.backward();
        let tau = 1.0 / number(&entry["t"]);
        check_gradient(name, &gradient(&za, &gradients), &entry["d_za"], &raw_a, tau);
        check_gradient(name, &gradient(&zp, &gradients), &entry["d_zp"], &raw_p, tau);
        for (tensor, key) in [(&t, "d_t"), (&b, "d_b")] {
            let found: Vec<f32> = tensor.grad(&gradients).unwrap().into_data().into_vec().unwrap();
            let expected = number(&entry[key]);
            assert!((found[0] - expected).abs() < 1e-4 * expected.abs().max(1.0), "{name} {key}");
        }
    }
}

#[test]
fn supervised_single_view_skips_lone_anchors() {
    let golden = load();
    let mut n_checked = 0;
    for (name, case) in golden["cases"].as_object().unwrap() {
        let Some(by_tau) = case["supcon_single"]["taus"].as_object() else { continue };
        for (tau, entry) in by_tau {
            let tau: f32 = tau.parse().unwrap();
            let raw = rows(&case["za"]);
            let z = leaf(&raw);
            let labels: Vec<i64> = case["supcon_single"]["labels"]
                .as_array()
                .unwrap()
                .iter()
                .map(|l| l.as_i64().unwrap())
                .collect();
            let result = sup_con(z.clone(), &labels, &Scale::Fixed(tau));
            check_loss(name, value(&result.loss), &entry["loss"]);
            let gradients = result.loss.backward();
            check_gradient(name, &gradient(&z, &gradients), &entry["d_z"], &raw, tau);
            n_checked += 1;
        }
    }
    assert!(n_checked > 4, "{n_checked}");
}

#[test]
fn normalised_rows_have_length_one() {
    let rows = vec![vec![3.0, 4.0], vec![0.0, 0.0], vec![3e19, -4e19], vec![3e-30, 4e-30]];
    let out: Vec<f32> = normalise(leaf(&rows)).into_data().into_vec().unwrap();
    for (found, expected) in out.iter().zip([0.6, 0.8, 0.0, 0.0, 0.6, -0.8]) {
        assert!((found - expected).abs() < 1e-6, "{out:?}");
    }
    assert!(out[6..].iter().all(|x| x.abs() < 1e-15));
}
