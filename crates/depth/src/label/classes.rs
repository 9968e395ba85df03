//! Classes of movements, bounded by quantiles.

use crate::DepthError;

/// Most classes a label may have.
pub const CLASSES_MAX: u32 = 255;
/// Movements a class must have in the first half of the data for that half to be the training
/// part, as in the reference.
const TRAIN_PER_CLASS: usize = 10;

pub(super) fn check_classes(classes: u32) -> Result<(), DepthError> {
    if (2..=CLASSES_MAX).contains(&classes) {
        return Ok(());
    }
    Err(DepthError::InvalidLabel {
        reason: format!("`{classes}` classes are not in `2..={CLASSES_MAX}`"),
    })
}

/// The part of the movements, in time order, that class edges are fitted on: the first half, or
/// all of them where that half has fewer than ten for each class.
#[must_use]
pub fn train_prefix(movements: &[f64], classes: u32) -> &[f64] {
    let half = movements.len() / 2;
    let enough = (classes as usize).saturating_mul(TRAIN_PER_CLASS);
    if half < enough { movements } else { &movements[..half] }
}

/// The `classes + 1` edges of equally filled classes: quantiles of `train` by linear
/// interpolation (type 7 of Hyndman and Fan 1996). Where edges coincide, equally wide classes
/// from the least to the largest movement instead. If all movements are equal, so are the edges,
/// and [`classify`] puts that movement in the middle class.
///
/// # Errors
/// [`DepthError::InvalidLabel`] without movements, with one that is not finite, or with a number
/// of classes outside 2..=[`CLASSES_MAX`].
pub fn class_edges(train: &[f64], classes: u32) -> Result<Vec<f64>, DepthError> {
    check_classes(classes)?;
    if train.is_empty() || train.iter().any(|x| !x.is_finite()) {
        return Err(DepthError::InvalidLabel {
            reason: format!(
                "class edges need at least 1 finite movement, found `{}` of `{}`",
                train.iter().filter(|x| x.is_finite()).count(),
                train.len()
            ),
        });
    }
    let mut sorted = train.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let spaced =
        |i: u32| if i == classes { 1.0 } else { f64::from(i) * (1.0 / f64::from(classes)) };
    let edges: Vec<f64> = (0..=classes).map(|i| quantile(&sorted, spaced(i))).collect();
    if edges.windows(2).all(|pair| pair[0] < pair[1]) {
        return Ok(edges);
    }
    let (least, largest) = (sorted[0], sorted[sorted.len() - 1]);
    let width = (largest - least) / f64::from(classes);
    Ok((0..=classes)
        .map(|i| if i == classes { largest } else { least + f64::from(i) * width })
        .collect())
}

/// Quantile `q` of sorted numbers, type 7. Interpolates from the nearer neighbour, so that it is
/// exact at both.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an index between 0 and the length"
)]
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len() - 1;
    let position = q * last as f64;
    let below = (position.floor() as usize).min(last);
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    let weight = position - below as f64;
    if weight < 0.5 { low + (high - low) * weight } else { high - (high - low) * (1.0 - weight) }
}

/// The class of a movement: the number of inner edges not above it, so that a movement equal to
/// an edge goes up. Movements outside the edges belong to the end classes.
///
/// Where first and last edge are equal, because prices were flat, a movement equal to them is in
/// the middle class. `edges` are ascending, at least two, and the movement is a number, as
/// [`class_edges`] and [`super::movements`] give them.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "few classes")]
pub fn classify(movement: f64, edges: &[f64]) -> i32 {
    let (Some((first, rest)), n_classes) = (edges.split_first(), edges.len().saturating_sub(1))
    else {
        return 0;
    };
    let Some((last, inner)) = rest.split_last() else { return 0 };
    if first >= last && first <= &movement && &movement <= last {
        return (n_classes / 2) as i32;
    }
    inner.partition_point(|edge| *edge <= movement) as i32
}
