//! Inputs that hold the same market: one of them is taken, and a doubt is an error.
//!
//! Headers tell which inputs can share a record (dataset, instruments, time). Only those are read
//! to their end and compared by their records, so a folder of days costs its headers alone.

mod earlier;
mod header;
mod profile;
mod relation;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

pub(crate) use self::header::Promise;
use self::{
    earlier::Gone,
    profile::Profile,
    relation::{Relation, Side, relation},
};
use crate::{
    ConvertConfig, ConvertError, DuplicateKind, DuplicateSummary, Progress, inputs::Input,
    summary::InputOutcome,
};

/// Inputs of which each record is held by one only.
#[derive(Debug, Default)]
pub(crate) struct Parted {
    pub(crate) inputs: Vec<Input>,
    pub(crate) left_out: Vec<DuplicateSummary>,
    /// What the store holds in place of inputs that were left out.
    pub(crate) taken_over: Vec<InputOutcome>,
    /// Pairs of which it cannot be told which is right; their inputs are not among the others.
    pub(crate) doubts: Vec<ConvertError>,
}

/// An input of this run, or of an earlier one that is still there.
struct Node {
    path: PathBuf,
    promise: Option<Promise>,
    /// Which of the earlier ones it is.
    earlier: Option<usize>,
    profile: Option<Profile>,
}

/// Parts the inputs of a run from each other and from what the store holds already, which is in
/// `earlier` with absolute paths of outputs.
///
/// # Errors
/// The run is cancelled, or two inputs differ and it cannot be told which is right, unless
/// `keep_going` is set.
pub(crate) fn part(
    inputs: Vec<Input>,
    promises: Vec<Option<Promise>>,
    earlier: &[InputOutcome],
    config: &ConvertConfig,
    progress: &dyn Progress,
) -> Result<Parted, ConvertError> {
    if config.keep_duplicates || inputs.len() + earlier.len() < 2 {
        return Ok(Parted { inputs, ..Parted::default() });
    }
    let (mut nodes, gone) = earlier::nodes(earlier, &inputs, &promises);
    let n_earlier = nodes.len();
    nodes.extend(inputs.iter().zip(promises).map(|(input, promise)| Node {
        path: input.path.clone(),
        promise,
        earlier: None,
        profile: None,
    }));
    let mut sorter = Sorter { nodes, config, progress, losers: Vec::new(), doubts: Vec::new() };
    sorter.compare()?;
    sorter.compare_gone(&gone, &inputs, n_earlier, earlier)?;
    let mut parted = sorter.finish(inputs, n_earlier, earlier);
    if !config.keep_going && !parted.doubts.is_empty() {
        return Err(parted.doubts.swap_remove(0));
    }
    parted.left_out.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(parted)
}

/// Reads the headers of inputs and notes what source each is a delivery of. `None` for what is no
/// file of books: its conversion says why.
///
/// # Errors
/// The run is cancelled.
pub(crate) fn promises(
    inputs: &mut [Input],
    progress: &dyn Progress,
) -> Result<Vec<Option<Promise>>, ConvertError> {
    let mut promises = Vec::with_capacity(inputs.len());
    let mut n_of: BTreeMap<String, u32> = BTreeMap::new();
    for input in &mut *inputs {
        if progress.is_cancelled() {
            return Err(ConvertError::Interrupted);
        }
        let promise = Promise::read(&input.path);
        if let Some(Promise { source, .. }) = &promise {
            *n_of.entry(source.clone()).or_default() += 1;
            input.source = Some(source.clone());
        }
        promises.push(promise);
    }
    for input in inputs {
        let n = input.source.as_ref().and_then(|source| n_of.get(source));
        input.is_one_of_several = n.is_some_and(|n| *n > 1);
    }
    Ok(promises)
}

/// An input that another one stands for.
struct Loser {
    at: usize,
    of: Winner,
    why: DuplicateKind,
}

#[derive(Clone, Copy)]
enum Winner {
    Node(usize),
    /// An earlier input that is gone, by its place among the earlier ones.
    Gone(usize),
}

struct Sorter<'a> {
    /// Earlier ones first.
    nodes: Vec<Node>,
    config: &'a ConvertConfig,
    progress: &'a dyn Progress,
    losers: Vec<Loser>,
    doubts: Vec<(Vec<usize>, ConvertError)>,
}

impl Sorter<'_> {
    fn has_lost(&self, at: usize) -> bool {
        self.losers.iter().any(|loser| loser.at == at)
    }

    /// Pairs that may share a record by their headers, in order of the first.
    fn candidates(&self) -> Vec<(usize, usize)> {
        let mut by_start: Vec<(usize, &Promise)> = self
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(at, node)| Some((at, node.promise.as_ref()?)))
            .collect();
        by_start.sort_by_key(|(_, promise)| promise.window.0);
        let mut pairs = Vec::new();
        let mut open: Vec<(usize, &Promise)> = Vec::new();
        for (at, promise) in by_start {
            open.retain(|(_, other)| other.window.1 > promise.window.0);
            for (other, _) in open.iter().filter(|(_, other)| other.may_meet(promise)) {
                let (first, second) = (at.min(*other), at.max(*other));
                // What is in the store was parted when it came there.
                if self.nodes[second].earlier.is_none() {
                    pairs.push((first, second));
                }
            }
            open.push((at, promise));
        }
        pairs.sort_unstable();
        pairs
    }

    fn read_profile(&mut self, at: usize) -> Result<(), ConvertError> {
        let (node, config) = (&mut self.nodes[at], self.config);
        let Some(promise) = &node.promise else { return Ok(()) };
        let is_wanted = |id| promise.is_wanted(id, config);
        node.profile = Profile::read(&node.path, promise.window, is_wanted, self.progress)?;
        Ok(())
    }

    fn compare(&mut self) -> Result<(), ConvertError> {
        let pairs = self.candidates();
        let concerned: BTreeSet<usize> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        for at in concerned {
            self.read_profile(at)?;
        }
        let mut others = Vec::new();
        for (a, b) in pairs {
            if self.has_lost(a) || self.has_lost(b) {
                continue;
            }
            let relation = self.relation(a, b)?;
            match relation {
                Relation::None => {}
                Relation::Copy => self.lose(b, a, DuplicateKind::Copy),
                Relation::Part(Side::First) if self.nodes[a].earlier.is_none() => {
                    self.lose(a, b, DuplicateKind::Part);
                }
                Relation::Part(Side::Second) => self.lose(b, a, DuplicateKind::Part),
                other => others.push((a, b, other)),
            }
        }
        // Only between those that no other holds.
        for (a, b, relation) in others {
            if self.has_lost(a) || self.has_lost(b) {
                continue;
            }
            let is_earlier = self.nodes[a].earlier.is_some();
            match relation {
                Relation::OtherSchema { covers: [first, second], taken } => match taken {
                    Side::First if first => self.lose(b, a, DuplicateKind::OtherSchema),
                    Side::Second if second && !is_earlier => {
                        self.lose(a, b, DuplicateKind::OtherSchema);
                    }
                    _ if first => self.lose(b, a, DuplicateKind::OtherSchema),
                    _ if second && !is_earlier => self.lose(a, b, DuplicateKind::OtherSchema),
                    _ => self.doubt(a, b, "one is mbo, the other mbp-10, and neither is known to hold all of the other"),
                },
                Relation::Part(_) => {
                    self.doubt(a, b, "the first is in the store and only a part of the second");
                }
                _ => self.doubt(a, b, "each has records that the other lacks"),
            }
        }
        Ok(())
    }

    fn relation(&self, a: usize, b: usize) -> Result<Relation, ConvertError> {
        let [first, second] = [a, b].map(|at| (&*self.nodes[at].path, &self.nodes[at].profile));
        let ((a, Some(first)), (b, Some(second))) = (first, second) else {
            return Ok(Relation::None);
        };
        relation((a, first), (b, second), self.progress)
    }

    fn lose(&mut self, at: usize, of: usize, why: DuplicateKind) {
        self.losers.push(Loser { at, of: Winner::Node(of), why });
    }

    fn doubt(&mut self, a: usize, b: usize, why: &str) {
        let met = match (&self.nodes[a].profile, &self.nodes[b].profile) {
            (Some(first), Some(second)) => relation::met(first, second),
            _ => Vec::new(),
        };
        let ids: BTreeSet<u32> = met.iter().map(|key| key.instrument_id).collect();
        let error = ConvertError::SameMarket {
            first: self.nodes[a].path.clone(),
            second: self.nodes[b].path.clone(),
            what: self.names(b, &ids),
            why: why.to_owned(),
        };
        self.doubts.push((vec![a, b], error));
    }

    /// `ESM4 (id 5)`, or that and how many more.
    fn names(&self, at: usize, ids: &BTreeSet<u32>) -> String {
        let name = |id: &u32| match &self.nodes[at].promise {
            Some(promise) => promise.name(*id),
            None => format!("instrument {id}"),
        };
        let Some(first) = ids.first().map(name) else { return "the same instruments".to_owned() };
        match ids.len() - 1 {
            0 => first,
            more => format!("{first} and {more} more"),
        }
    }

    /// Compares with what the store was made of and is not at hand: by the fingerprint of the
    /// records, and by the times of the rows.
    fn compare_gone(
        &mut self,
        gone: &[Gone],
        inputs: &[Input],
        n_earlier: usize,
        earlier: &[InputOutcome],
    ) -> Result<(), ConvertError> {
        for (n, input) in inputs.iter().enumerate() {
            let at = n_earlier + n;
            for gone in gone.iter().filter(|gone| gone.concerns.contains(&n)) {
                if self.has_lost(at) {
                    break;
                }
                let outcome = &earlier[gone.at];
                if self.nodes[at].profile.is_none() {
                    self.read_profile(at)?;
                }
                let Some(profile) = &self.nodes[at].profile else { continue };
                if outcome.input.fingerprint.as_ref() == Some(&profile.fingerprint) {
                    let (of, why) = (Winner::Gone(gone.at), DuplicateKind::Copy);
                    self.losers.push(Loser { at, of, why });
                    continue;
                }
                let ids = earlier::met(outcome, profile);
                if !ids.is_empty() {
                    let error = ConvertError::SameMarket {
                        first: outcome.input.path.clone(),
                        second: input.path.clone(),
                        what: self.names(at, &ids),
                        why: "the first is in the store, and its file is not beside the inputs \
                              to compare; name it among them, or keep both with \
                              --keep-duplicates"
                            .to_owned(),
                    };
                    self.doubts.push((vec![at], error));
                }
            }
        }
        Ok(())
    }

    fn finish(self, inputs: Vec<Input>, n_earlier: usize, earlier: &[InputOutcome]) -> Parted {
        let mut parted = Parted::default();
        let mut taken_over = BTreeMap::new();
        for loser in &self.losers {
            let of = self.winner(loser.of);
            let (of, in_store) = match of {
                Winner::Node(at) => {
                    let node = &self.nodes[at];
                    taken_over.extend(node.earlier.map(|at| (at, node.path.clone())));
                    (node.path.clone(), node.earlier.is_some())
                }
                Winner::Gone(at) => {
                    let path = earlier[at].input.path.clone();
                    taken_over.insert(at, path.clone());
                    (path, true)
                }
            };
            let path = self.nodes[loser.at].path.clone();
            parted.left_out.push(DuplicateSummary { path, of, why: loser.why, in_store });
        }
        for (at, path) in taken_over {
            let mut outcome = earlier[at].clone();
            outcome.input.path = path;
            outcome.input.resumed = true;
            parted.taken_over.push(outcome);
        }
        let in_doubt: BTreeSet<usize> = self.doubts.iter().flat_map(|(at, _)| at.clone()).collect();
        let stays =
            |n: &usize| !self.has_lost(n_earlier + n) && !in_doubt.contains(&(n_earlier + n));
        parted.inputs = inputs
            .into_iter()
            .enumerate()
            .filter(|(n, _)| stays(n))
            .map(|(_, input)| input)
            .collect();
        parted.doubts = self.doubts.into_iter().map(|(_, error)| error).collect();
        parted
    }

    /// The one that was taken in the end.
    fn winner(&self, mut of: Winner) -> Winner {
        while let Winner::Node(at) = of
            && let Some(loser) = self.losers.iter().find(|loser| loser.at == at)
        {
            of = loser.of;
        }
        of
    }
}

/// Size of a file, if it is there.
fn bytes(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|file| file.len())
}
