//! One conversion over the machine: a writer alone, or shards that take turns.

use std::{path::PathBuf, sync::Arc, thread};

use lob_convert::{ConvertConfig, ConvertError, ConvertSummary, Shard, convert_on};

use crate::{machine::Machine, process};

/// How a conversion is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) n_writers: usize,
    pub(crate) resume: bool,
    pub(crate) keep_going: bool,
}

type Outcome = Result<ConvertSummary, ConvertError>;

/// Converts what is delivered: one writer alone, or shards that take turns.
pub(crate) fn run(
    machine: &Arc<Machine>,
    inputs: &[PathBuf],
    config: &ConvertConfig,
    manner: Manner,
) -> Vec<Outcome> {
    let Manner { n_writers, resume, keep_going } = manner;
    let processes = process::start(machine, n_writers);
    thread::scope(|scope| {
        let threads: Vec<_> = processes
            .into_iter()
            .zip(0..)
            .map(|((id, fs), index)| {
                let shard = (n_writers > 1).then_some(Shard { index, count: n_writers });
                let config = ConvertConfig { shard, resume, keep_going, ..config.clone() };
                scope.spawn(move || {
                    // Also after a panic: others wait for their turn.
                    let _end = End(machine, id);
                    convert_on(&fs, inputs, &config, &())
                })
            })
            .collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect()
    })
}

struct End<'a>(&'a Machine, u64);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}
