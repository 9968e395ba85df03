use serde::{Deserialize, Serialize};

use crate::{ContrastiveError, Rng};

/// What a value becomes when bid and ask change places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirror {
    /// It stays: a spread, a total size, a speed.
    Keep,
    /// It changes its sign: a price change, an imbalance, depth of asks minus bids.
    Negate,
}

/// How the values of a window lie, for augmentation and convolutions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// Steps of channels: all channels of the first step, then of the second.
    Series {
        /// Steps of a window.
        n_steps: usize,
        /// What each channel becomes when the sides change places.
        channels: Vec<Mirror>,
    },
    /// Planes of price rows of bins, row 0 the highest price, as depth images are.
    Image {
        /// What the values of each plane become; its rows are reversed as well.
        planes: Vec<Mirror>,
        /// Price rows of a plane.
        n_rows: usize,
        /// Bins of a row.
        n_bins: usize,
    },
}

impl Layout {
    /// A series whose channels do not know bid and ask.
    #[must_use]
    pub fn series(n_steps: usize, n_channels: usize) -> Self {
        Self::Series { n_steps, channels: vec![Mirror::Keep; n_channels] }
    }

    /// Values of a window.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Series { n_steps, channels } => n_steps * channels.len(),
            Self::Image { planes, n_rows, n_bins } => planes.len() * n_rows * n_bins,
        }
    }

    /// Whether a window has no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn axes(&self) -> Axes {
        match self {
            Self::Series { n_steps, channels } => Axes {
                n_steps: *n_steps,
                step_stride: channels.len(),
                n_tracks: channels.len(),
                track_stride: 1,
            },
            Self::Image { planes, n_rows, n_bins } => Axes {
                n_steps: *n_bins,
                step_stride: 1,
                n_tracks: planes.len() * n_rows,
                track_stride: *n_bins,
            },
        }
    }

    /// Exchanges bid and ask in place; twice is nothing.
    pub fn flip_sides(&self, window: &mut [f32]) {
        match self {
            Self::Series { channels, .. } => {
                for step in window.chunks_exact_mut(channels.len().max(1)) {
                    for (x, mirror) in step.iter_mut().zip(channels) {
                        if *mirror == Mirror::Negate {
                            *x = -*x;
                        }
                    }
                }
            }
            Self::Image { planes, n_rows, n_bins } => {
                for (plane, mirror) in window.chunks_exact_mut(n_rows * n_bins).zip(planes) {
                    for row in 0..n_rows / 2 {
                        let (upper, lower) = plane.split_at_mut((n_rows - 1 - row) * n_bins);
                        upper[row * n_bins..][..*n_bins].swap_with_slice(&mut lower[..*n_bins]);
                    }
                    if *mirror == Mirror::Negate {
                        plane.iter_mut().for_each(|x| *x = -*x);
                    }
                }
            }
        }
    }
}

/// Where a window's values of one moment and of one channel or price row lie.
#[derive(Debug, Clone, Copy)]
struct Axes {
    n_steps: usize,
    step_stride: usize,
    n_tracks: usize,
    track_stride: usize,
}

impl Axes {
    fn at(&self, step: usize, track: usize) -> usize {
        step * self.step_stride + track * self.track_stride
    }
}

/// Random changes that leave a window's meaning, applied to both views of a pair.
///
/// Each view of each step has a random stream of its own, so that a batch does not depend on the
/// order it is made in. Nothing here reverses or permutes time: a market read backwards is none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Standard deviation of noise added to each value, in units of the (standardised) input.
    pub jitter: f32,
    /// Standard deviation of the logarithm of a gain for the whole window.
    pub scale: f32,
    /// Largest share of neighbouring steps set to 0, `0..1`.
    pub time_mask: f32,
    /// Smallest share of neighbouring steps kept, `0..=1`, and stretched to the whole window; 1
    /// keeps all.
    pub crop: f32,
    /// Largest shift of the price level: whole price rows of an image (the outermost row is
    /// repeated), an offset for all values of a series.
    pub level_shift: f32,
    /// Probability of exchanging bid and ask, in both views of a pair alike.
    pub side_flip: f32,
}

impl Default for Augment {
    fn default() -> Self {
        Self::none()
    }
}

impl Augment {
    /// No change at all.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            jitter: 0.0,
            scale: 0.0,
            time_mask: 0.0,
            crop: 1.0,
            level_shift: 0.0,
            side_flip: 0.0,
        }
    }

    /// Gentle changes of every kind but the price level: what the commands use.
    #[must_use]
    pub const fn gentle() -> Self {
        Self {
            jitter: 0.1,
            scale: 0.1,
            time_mask: 0.1,
            crop: 0.9,
            level_shift: 0.0,
            side_flip: 0.5,
        }
    }

    /// Whether anything can change.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::none()
    }

    pub(crate) fn validate(&self) -> Result<(), ContrastiveError> {
        let checks = [
            ("augment.jitter", self.jitter, 0.0, f32::MAX),
            ("augment.scale", self.scale, 0.0, 4.0),
            ("augment.time_mask", self.time_mask, 0.0, 0.99),
            ("augment.crop", self.crop, 0.01, 1.0),
            ("augment.level_shift", self.level_shift, 0.0, 1e6),
            ("augment.side_flip", self.side_flip, 0.0, 1.0),
        ];
        for (name, value, low, high) in checks {
            if !(low..=high).contains(&value) {
                return Err(ContrastiveError::config(
                    name,
                    "0 or more; at most 0.99 (time_mask), 0.01..=1 (crop), at most 1 (side_flip) \
                     or 4 (scale)",
                    value,
                ));
            }
        }
        Ok(())
    }

    /// Whether the pair that `rng` belongs to has its sides exchanged.
    pub fn flips(&self, rng: &mut Rng) -> bool {
        self.side_flip > 0.0 && rng.unit_f32() < self.side_flip
    }

    /// Changes one window; `flip` is the pair's draw of [`flips`](Self::flips). `spare` is memory
    /// to work in.
    ///
    /// # Panics
    /// When `window` does not have the length of `layout`.
    pub fn apply(
        &self,
        layout: &Layout,
        window: &mut [f32],
        flip: bool,
        rng: &mut Rng,
        spare: &mut Vec<f32>,
    ) {
        assert_eq!(window.len(), layout.len(), "a window has the length of its layout");
        if window.is_empty() {
            return;
        }
        if self.crop < 1.0 {
            self.crop(layout.axes(), window, rng, spare);
        }
        if flip {
            layout.flip_sides(window);
        }
        if self.level_shift > 0.0 {
            self.shift_level(layout, window, rng, spare);
        }
        if self.scale > 0.0 {
            let gain = (self.scale * rng.normal_f32()).exp();
            window.iter_mut().for_each(|x| *x *= gain);
        }
        if self.jitter > 0.0 {
            window.iter_mut().for_each(|x| *x += self.jitter * rng.normal_f32());
        }
        if self.time_mask > 0.0 {
            self.mask(layout.axes(), window, rng);
        }
    }

    fn crop(&self, axes: Axes, window: &mut [f32], rng: &mut Rng, spare: &mut Vec<f32>) {
        let n = axes.n_steps;
        let share = self.crop + (1.0 - self.crop) * rng.unit_f32();
        let kept = part(n, share).clamp(2.min(n), n);
        let first = rng.below(n - kept + 1);
        if kept == n {
            return;
        }
        spare.clear();
        spare.extend_from_slice(window);
        for step in 0..n {
            let (left, weight) = position(step, n, kept);
            let right = (left + 1).min(kept - 1);
            for track in 0..axes.n_tracks {
                let a = spare[axes.at(first + left, track)];
                let b = spare[axes.at(first + right, track)];
                window[axes.at(step, track)] = a + weight * (b - a);
            }
        }
    }

    fn mask(&self, axes: Axes, window: &mut [f32], rng: &mut Rng) {
        let longest = part(axes.n_steps, self.time_mask);
        let masked = rng.below(longest + 1);
        let first = rng.below(axes.n_steps - masked + 1);
        for step in first..first + masked {
            for track in 0..axes.n_tracks {
                window[axes.at(step, track)] = 0.0;
            }
        }
    }

    fn shift_level(
        &self,
        layout: &Layout,
        window: &mut [f32],
        rng: &mut Rng,
        spare: &mut Vec<f32>,
    ) {
        let draw = 2.0 * rng.unit_f32() - 1.0;
        match layout {
            Layout::Series { .. } => {
                window.iter_mut().for_each(|x| *x += draw * self.level_shift);
            }
            Layout::Image { n_rows, n_bins, .. } => {
                #[expect(clippy::cast_possible_truncation, reason = "a few rows")]
                let rows = (draw * self.level_shift).round() as isize;
                let last = n_rows.saturating_sub(1);
                spare.clear();
                spare.extend_from_slice(window);
                let planes = window.chunks_exact_mut(n_rows * n_bins);
                for (to, from) in planes.zip(spare.chunks_exact(n_rows * n_bins)) {
                    for (row, to) in to.chunks_exact_mut(*n_bins).enumerate() {
                        let source = row.saturating_add_signed(-rows).min(last);
                        to.copy_from_slice(&from[source * n_bins..][..*n_bins]);
                    }
                }
            }
        }
    }
}

/// `share` of `n`, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a window's length"
)]
fn part(n: usize, share: f32) -> usize {
    ((n as f32 * share).round() as usize).min(n)
}

/// Where step `step` of `n` falls among `kept` steps stretched over them: the step to its left
/// and the weight of the one to its right.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "positions in a window"
)]
fn position(step: usize, n: usize, kept: usize) -> (usize, f32) {
    let at = step as f32 * (kept - 1) as f32 / (n - 1).max(1) as f32;
    let left = (at as usize).min(kept - 1);
    (left, at - left as f32)
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "small test numbers")]
mod tests {
    use super::*;
    use crate::Rng;
    use proptest::prelude::*;

    fn image() -> Layout {
        Layout::Image { planes: vec![Mirror::Negate, Mirror::Keep], n_rows: 5, n_bins: 3 }
    }

    fn series() -> Layout {
        Layout::Series { n_steps: 12, channels: vec![Mirror::Negate, Mirror::Keep] }
    }

    fn ramp(layout: &Layout) -> Vec<f32> {
        (0..layout.len()).map(|i| i as f32 + 1.0).collect()
    }

    fn applied(augment: Augment, layout: &Layout, window: &[f32], seed: u64) -> Vec<f32> {
        let mut out = window.to_vec();
        let mut rng = Rng::new(seed);
        let flip = augment.flips(&mut rng);
        augment.apply(layout, &mut out, flip, &mut rng, &mut Vec::new());
        out
    }

    proptest! {
        #[test]
        fn flipping_twice_is_nothing(
            values in proptest::collection::vec(-1e6_f32..1e6, 30), rows in 1_usize..7,
        ) {
            let planes = vec![Mirror::Negate, Mirror::Keep];
            let odd = Layout::Image { planes, n_rows: rows, n_bins: 2 };
            for layout in [image(), odd] {
                let mut window = values[..layout.len().min(30)].to_vec();
                window.resize(layout.len(), 1.0);
                let before = window.clone();
                layout.flip_sides(&mut window);
                layout.flip_sides(&mut window);
                prop_assert_eq!(&window, &before);
            }
            let mut window = values[..24].to_vec();
            series().flip_sides(&mut window);
            prop_assert!(window.iter().zip(&values).skip(1).step_by(2).all(|(a, b)| a == b));
            prop_assert!(window.iter().zip(&values).step_by(2).all(|(a, b)| *a == -b));
        }

        #[test]
        fn the_same_stream_gives_the_same_window_and_another_one_another(seed in 0_u64..1000) {
            for layout in [series(), image()] {
                let window = ramp(&layout);
                let all = Augment { level_shift: 1.0, ..Augment::gentle() };
                let once = applied(all, &layout, &window, seed);
                prop_assert_eq!(&once, &applied(all, &layout, &window, seed));
                prop_assert_ne!(&once, &applied(all, &layout, &window, seed + 1));
                prop_assert_eq!(&window, &applied(Augment::none(), &layout, &window, seed));
            }
        }

        #[test]
        fn each_change_does_what_it_says(seed in 0_u64..300) {
            let layout = series();
            let window = ramp(&layout);

            let masked = applied(Augment { time_mask: 0.5, ..Augment::none() }, &layout, &window, seed);
            let steps: Vec<bool> = masked.chunks(2).map(|step| step == [0.0, 0.0]).collect();
            let n_masked = steps.iter().filter(|&&m| m).count();
            prop_assert!(n_masked <= 6);
            prop_assert!(steps.chunk_by(|a, b| a == b).filter(|run| run[0]).count() <= 1);
            let kept = masked.iter().zip(&window).filter(|(a, _)| **a != 0.0);
            prop_assert!(kept.clone().count() == 2 * (12 - n_masked));
            prop_assert!(kept.clone().all(|(a, b)| a == b));

            let scaled = applied(Augment { scale: 0.3, ..Augment::none() }, &layout, &window, seed);
            let gain = scaled[0] / window[0];
            prop_assert!(gain > 0.0);
            prop_assert!(scaled.iter().zip(&window).all(|(a, b)| (a / b / gain - 1.0).abs() < 1e-5));

            let cropped = applied(Augment { crop: 0.3, ..Augment::none() }, &layout, &window, seed);
            prop_assert!(cropped.iter().all(|x| (1.0..=24.0).contains(x)));
            // A ramp stays an even ramp: each channel rises by the same amount everywhere.
            let rise = cropped[2] - cropped[0];
            prop_assert!((0.4..=2.0001).contains(&rise), "{rise}");
            prop_assert!(cropped.windows(3).all(|w| (w[2] - w[0] - rise).abs() < 1e-4));

            let moved = applied(Augment { level_shift: 2.0, ..Augment::none() }, &layout, &window, seed);
            let offset = moved[0] - window[0];
            prop_assert!(offset.abs() <= 2.0);
            prop_assert!(moved.iter().zip(&window).all(|(a, b)| (a - b - offset).abs() < 1e-5));
        }

        #[test]
        fn an_image_moves_by_whole_rows(seed in 0_u64..100) {
            let layout = image();
            let window = ramp(&layout);
            let shift = Augment { level_shift: 2.0, ..Augment::none() };
            let moved = applied(shift, &layout, &window, seed);
            let matches = |by: isize| {
                (0..5_usize).all(|row| {
                    let from = row.saturating_add_signed(-by).min(4);
                    moved[row * 3..row * 3 + 3] == window[from * 3..from * 3 + 3]
                        && moved[15 + row * 3..][..3] == window[15 + from * 3..][..3]
                })
            };
            prop_assert!((-2..=2).any(matches), "{moved:?}");
        }
    }

    #[test]
    fn an_image_is_mirrored_about_its_middle_row() {
        let mut window = ramp(&image());
        image().flip_sides(&mut window);
        assert_eq!(&window[..3], &[-13.0, -14.0, -15.0]);
        assert_eq!(&window[6..9], &[-7.0, -8.0, -9.0]);
        assert_eq!(&window[15..18], &[28.0, 29.0, 30.0]);
    }

    #[test]
    fn jitter_has_the_deviation_asked_for() {
        let layout = Layout::series(5000, 1);
        let jitter = Augment { jitter: 0.5, ..Augment::none() };
        let out = applied(jitter, &layout, &vec![0.0; 5000], 4);
        let variance: f32 = out.iter().map(|x| x * x).sum::<f32>() / 5000.0;
        assert!((variance - 0.25).abs() < 0.02, "{variance}");
    }

    #[test]
    fn settings_out_of_range_are_named() {
        for (augment, name) in [
            (Augment { crop: 0.0, ..Augment::none() }, "augment.crop"),
            (Augment { side_flip: 1.1, ..Augment::none() }, "augment.side_flip"),
            (Augment { jitter: f32::NAN, ..Augment::none() }, "augment.jitter"),
            (Augment { time_mask: 1.0, ..Augment::none() }, "augment.time_mask"),
        ] {
            let message = augment.validate().unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{name}` is ")), "{message}");
        }
        assert!(Augment::gentle().validate().is_ok() && Augment::none().is_none());
    }
}
