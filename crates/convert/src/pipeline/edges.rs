//! The classes of an instrument's movements.

use lob_depth::{DepthError, class_edges, classify, train_prefix};
use lob_store::LabelMeta;

use crate::{ClassEdges, ConvertConfig, Instrument, edges::id::edges_id};

/// Inner edges with the outermost ones.
fn outermost(inner: impl Iterator<Item = f64>) -> Vec<f64> {
    std::iter::once(f64::NEG_INFINITY).chain(inner).chain([f64::INFINITY]).collect()
}

/// A number rounded to 24 significant bits, to even ones where it lies between two.
fn rounded(number: f64) -> f64 {
    const BITS: u32 = f64::MANTISSA_DIGITS - f32::MANTISSA_DIGITS;
    let bits = number.to_bits();
    let half = (1 << (BITS - 1)) - 1 + (bits >> BITS & 1);
    f64::from_bits((bits + half) >> BITS << BITS)
}

/// The first `part` of `n`, at least 1 and at most all.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a count"
)]
fn part_of(n: usize, part: f64) -> usize {
    ((n as f64 * part) as usize).clamp(1, n)
}

/// The sample standard deviation (ddof 1); 0 of a single number.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
pub(crate) fn standard_deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if n < 2.0 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (n - 1.0)).sqrt()
}

/// Class edges of an instrument, outermost ones included, and what they are fitted on.
pub(super) struct Edges {
    edges: Option<Vec<f64>>,
    fitted_on: String,
}

impl Edges {
    /// The edges for finite movements in time order, of which every `stride`th is given, of an
    /// instrument in a dataset.
    pub(super) fn fit(
        movements: &[f64],
        stride: u64,
        config: &ConvertConfig,
        (dataset, instrument): (&str, &Instrument),
    ) -> Result<Self, DepthError> {
        let classes = config.label.classes;
        let symbol = instrument.name();
        if let Some(found) = config.class_edges.fitted(dataset, instrument) {
            let edges = if found.is_flat() {
                // Coinciding edges put that one movement into the middle class.
                vec![found.range.0; classes as usize + 1]
            } else {
                outermost(found.edges.iter().copied())
            };
            return Ok(Self { edges: Some(edges), fitted_on: found.origin() });
        }
        let given = config.class_edges.given(&symbol);
        match (&config.class_edges, given) {
            (ClassEdges::Fit | ClassEdges::Volatility(_), _) => {}
            (ClassEdges::Pips(pips), Some(inner)) => {
                let fitted_on = format!("given: {pips:?} pips of 1e-4 of the price");
                return Ok(Self { edges: Some(outermost(inner.into_iter())), fitted_on });
            }
            (_, Some(inner)) => {
                let edges = Some(outermost(inner.into_iter()));
                return Ok(Self { edges, fitted_on: "given".to_owned() });
            }
            (_, None) => {
                let fitted_on = format!("given, but not for `{symbol}`");
                return Ok(Self { edges: None, fitted_on });
            }
        }
        if movements.is_empty() {
            return Ok(Self { edges: None, fitted_on: "no movement".to_owned() });
        }
        let train = match config.fit_part {
            None => train_prefix(movements, classes),
            Some(part) => &movements[..part_of(movements.len(), part)],
        };
        let mut fitted_on = format!(
            "first {} of {} movements of the instrument in this input",
            train.len(),
            movements.len()
        );
        if stride > 1 {
            fitted_on = format!("{fitted_on}, taking every {stride}th");
        }
        if let ClassEdges::Volatility(multiples) = &config.class_edges {
            let fitted_on =
                format!("{multiples:?} times the standard deviation of the {fitted_on}");
            let deviation = standard_deviation(train);
            let edges = if deviation > 0.0 {
                outermost(multiples.iter().map(|multiple| multiple * deviation))
            } else {
                // Flat prices: coinciding edges put them into the middle class.
                vec![train[0]; classes as usize + 1]
            };
            return Ok(Self { edges: Some(edges), fitted_on });
        }
        Ok(Self { edges: Some(class_edges(train, classes)?), fitted_on })
    }

    /// Whether there are classes, or nothing that could have one.
    pub(super) fn is_missing(&self) -> bool {
        self.edges.is_none() && self.fitted_on.starts_with("given")
    }

    pub(super) fn class(&self, movement: f64) -> Option<i32> {
        let edges = self.edges.as_ref()?;
        movement.is_finite().then(|| classify(movement, edges))
    }

    /// A movement as files of ticks hold it: rounded to 24 significant bits, half the bytes of all of
    /// them, unless that would be of another class than `label`.
    pub(super) fn shortened(&self, movement: f64, label: Option<i32>) -> f64 {
        let short = rounded(movement);
        let is_between = |label: i32| {
            let (edges, label) = (self.edges.as_ref()?, usize::try_from(label).ok()?);
            Some(*edges.get(label)? <= short && short < *edges.get(label + 1)?)
        };
        // Nearly always, and cheaper than the search for its class.
        let is_same = label.and_then(is_between) == Some(true) || self.class(short) == label;
        if short.is_finite() && is_same { short } else { movement }
    }

    /// Counters of all classes; none without edges.
    pub(super) fn counters(&self, config: &ConvertConfig) -> Vec<u64> {
        vec![0; if self.edges.is_some() { config.label.classes as usize } else { 0 }]
    }

    /// A short name of the inner edges, to tell whether files have the same.
    pub(super) fn id(&self) -> Option<String> {
        edges_id(self.inner())
    }

    fn inner(&self) -> &[f64] {
        let edges = self.edges.as_deref().unwrap_or_default();
        edges.get(1..edges.len().saturating_sub(1)).unwrap_or_default()
    }

    pub(super) fn meta(&self, config: &ConvertConfig) -> LabelMeta {
        LabelMeta {
            lookback: config.label.lookback.into(),
            lookforward: config.label.lookforward.into(),
            offset: config.label.offset.into(),
            classes: if self.edges.is_some() { config.label.classes } else { 0 },
            edges: self.inner().to_vec(),
            fitted_on: self.fitted_on.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_possible_truncation, reason = "that is the rounding meant")]
    #![expect(clippy::float_cmp, reason = "exact roundings")]

    use super::*;

    #[test]
    fn rounding_is_that_of_single_precision() {
        for n in 0..2_000_u32 {
            let number = (f64::from(n) - 700.0) * 1.234_567_890_123e-8 / 3.0;
            assert_eq!(rounded(number), f64::from(number as f32), "{number}");
        }
        assert!((rounded(1e-300) / 1e-300 - 1.0).abs() < 1e-7, "small numbers keep their digits");
        assert!(rounded(f64::MAX).is_infinite());
    }

    #[test]
    fn a_rounded_movement_is_of_the_class_that_it_was() {
        let third = 1.0 / 3.0;
        let edges = Edges {
            edges: Some(vec![f64::NEG_INFINITY, third, f64::INFINITY]),
            fitted_on: String::new(),
        };
        for movement in [third, third.next_down(), third.next_up(), 0.3, 0.4, -0.1, f64::MAX] {
            let label = edges.class(movement);
            let short = edges.shortened(movement, label);
            assert_eq!(edges.class(short), label, "{movement}");
            assert!((short - movement).abs() <= movement.abs() * 2.0_f64.powi(-24));
        }
        assert_eq!(edges.shortened(0.4, Some(1)), f64::from(0.4_f32));
        let near = [third.next_down(), third];
        let kept = near.map(|movement| edges.shortened(movement, edges.class(movement)));
        assert_ne!(kept[0], kept[1], "one of the two is kept as it is");
    }
}
