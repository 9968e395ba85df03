//! Windows beside their nearest neighbours, with what came after: what an embedding calls alike.

use std::collections::HashMap;

use lob_metrics::{Artifact, NamedCurve};

use crate::evaluate::{Rows, dot, normalised, read_windows};
use crate::{ContrastiveError, Device, Embedder, Layout, Prepared, TrainedModel, WindowScratch};

/// Most training windows that neighbours are looked for among.
const MAX_KNOWN: usize = 5000;

/// Paths of the mid through `queries` windows of the test part, evenly spread in time, each beside
/// its `neighbours` nearest training windows by cosine of their embeddings, which share no bin with
/// each other. Mids are in price steps from that at the end of the window (bin 0); what came after
/// is drawn as far as the next window reaches. Nothing for other inputs than bins of a store.
///
/// # Errors
/// A window cannot be read or embedded.
pub fn gallery(
    prepared: &Prepared,
    model: &TrainedModel,
    (queries, neighbours): (usize, usize),
    device: Device,
) -> Result<Vec<Artifact>, ContrastiveError> {
    let Layout::Series { channels, .. } = prepared.whole.layout() else { return Ok(Vec::new()) };
    // Generated signals have no price.
    if prepared.data.is_none() {
        return Ok(Vec::new());
    }
    let paths = Paths::new(prepared, channels.len());
    let split = &prepared.split;
    let whole = |part: &[usize]| -> Vec<usize> {
        part.iter().copied().filter(|&idx| paths.after(idx).is_some()).collect()
    };
    let (known, asked) = (whole(&split.train), whole(&split.test));
    let known: Vec<usize> =
        known.iter().copied().step_by(known.len().div_ceil(MAX_KNOWN).max(1)).collect();
    let step = asked.len() / (queries + 1);
    let asked: Vec<usize> = (1..=queries).filter_map(|i| asked.get(i * step).copied()).collect();
    if known.is_empty() || asked.is_empty() {
        return Ok(Vec::new());
    }
    let mut embedder = Embedder::new(model, device)?;
    let of_known = embeddings(prepared, &mut embedder, &known, model.embedding_dim())?;
    let of_asked = embeddings(prepared, &mut embedder, &asked, model.embedding_dim())?;
    let mut out = Vec::new();
    for (number, (idx, own)) in asked.iter().zip(of_asked.iter()).enumerate() {
        let mut curves = vec![paths.curve(*idx, "the window".to_owned())?];
        let mut near: Vec<(f32, usize)> =
            of_known.iter().zip(&known).map(|(other, &at)| (dot(own, other), at)).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut taken: Vec<usize> = Vec::new();
        for (cosine, at) in near {
            if taken.len() == neighbours {
                break;
            }
            if taken.iter().all(|&other| paths.is_apart(at, other)) {
                taken.push(at);
                curves.push(paths.curve(at, format!("neighbour, cosine {cosine:.2}"))?);
            }
        }
        out.push(Artifact::Curves {
            title: format!("Window {} and what the model calls alike", number + 1),
            x_label: "bins after the window's end".to_owned(),
            y_label: "mid, price steps".to_owned(),
            log_x: false,
            curves,
        });
    }
    Ok(out)
}

/// Paths of the mid through windows of bins.
struct Paths<'a> {
    prepared: &'a Prepared,
    n_channels: usize,
    /// Window by file and first row.
    at: HashMap<(usize, u64), usize>,
}

impl<'a> Paths<'a> {
    fn new(prepared: &'a Prepared, n_channels: usize) -> Self {
        let places = prepared.origins.iter().enumerate();
        let at = places.map(|(idx, place)| ((place.file, place.row), idx)).collect();
        Self { prepared, n_channels, at }
    }

    /// The window that begins where this one ends.
    fn after(&self, idx: usize) -> Option<usize> {
        let place = &self.prepared.origins[idx];
        self.at.get(&(place.file, place.row + self.prepared.window as u64)).copied()
    }

    fn is_apart(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.prepared.origins[a], &self.prepared.origins[b]);
        a.file != b.file || a.row.abs_diff(b.row) >= self.prepared.window as u64
    }

    /// Changes of the mid from bin to bin: the first channel, as it was before it was scaled.
    fn changes(&self, idx: usize) -> Result<Vec<f64>, ContrastiveError> {
        let whole = &self.prepared.whole;
        let (mut scratch, mut window) = (WindowScratch::default(), vec![0.0; whole.n_inputs()]);
        whole.window(idx, &mut scratch, &mut window)?;
        let (mean, inverse) = self.prepared.scale.first().copied().unwrap_or((0.0, 0.0));
        let change = |x: &f32| if inverse == 0.0 { 0.0 } else { f64::from(x / inverse + mean) };
        Ok(window.iter().step_by(self.n_channels).map(change).collect())
    }

    fn curve(&self, idx: usize, name: String) -> Result<NamedCurve, ContrastiveError> {
        let before = self.changes(idx)?;
        let after = self.after(idx).map_or(Ok(Vec::new()), |next| self.changes(next))?;
        let (mut x, mut y) = (vec![0.0], vec![0.0]);
        // Backwards from the end of the window, then on from there.
        for change in before.iter().skip(1).rev() {
            x.insert(0, x[0] - 1.0);
            y.insert(0, y[0] - change);
        }
        let mut last = (0.0, 0.0);
        for change in after {
            last = (last.0 + 1.0, last.1 + change);
            x.push(last.0);
            y.push(last.1);
        }
        Ok(NamedCurve::plain(name, x, y))
    }
}

/// Embeddings of length one.
fn embeddings(
    prepared: &Prepared,
    embedder: &mut Embedder,
    windows: &[usize],
    dim: usize,
) -> Result<Rows, ContrastiveError> {
    let windows = read_windows(&*prepared.whole, windows)?;
    let mut values = vec![0.0; windows.len() * dim];
    embedder.embed_into(&windows.values, &mut values)?;
    Ok(normalised(&Rows { dim, values }))
}
