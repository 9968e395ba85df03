//! Rows on their way to encoded row groups in the spool, on a thread of their own where that helps.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, channel, sync_channel},
    thread::{self, JoinHandle},
};

use lob_store::{StoreError, TickEncoder, TickGroup, TickLog};

use super::{
    super::spool::{Block, Spool},
    rows::LogPool,
};
use crate::ConvertError;

/// Row groups that wait for the thread beside the one it encodes.
const WAITING_MAX: usize = 1;

/// Encodes row groups in the order in which they are given. What they become does not depend on
/// where that is done.
#[derive(Debug)]
pub(super) struct Encoding {
    place: Place,
    n_given: usize,
    /// Row groups that are encoded, by the order in which they were given; taken ones are `None`.
    done: Vec<Option<(TickGroup, Block)>>,
    /// Memory of rows that are encoded, for new ones.
    pub(super) logs: LogPool,
}

#[derive(Debug)]
enum Place {
    Here(Box<TickEncoder>),
    Thread(Helper),
}

/// A row group that was given to an [`Encoding`].
#[derive(Debug)]
pub(super) struct Ticket(usize);

/// The thread that encodes. Dropping this ends it.
#[derive(Debug)]
struct Helper {
    jobs: Option<SyncSender<(Vec<TickLog>, String)>>,
    encoded: Receiver<Encoded>,
    thread: Option<JoinHandle<()>>,
}

/// A row group, its bytes, and the logs it was made of.
#[derive(Debug)]
struct Encoded {
    group: Result<TickGroup, StoreError>,
    bytes: Vec<u8>,
    logs: Vec<TickLog>,
}

impl Encoding {
    /// Encodes where it is asked to, or on a thread of its own.
    pub(super) fn new(encoder: TickEncoder, on_thread: bool) -> io::Result<Self> {
        let place = if on_thread {
            Place::Thread(Helper::start(encoder)?)
        } else {
            Place::Here(Box::new(encoder))
        };
        Ok(Self { place, n_given: 0, done: Vec::new(), logs: LogPool::default() })
    }

    /// Takes the rows of a row group.
    pub(super) fn give(
        &mut self,
        logs: Vec<TickLog>,
        symbol: &str,
        spool: &mut Spool,
    ) -> Result<Ticket, ConvertError> {
        let encoded = match &mut self.place {
            Place::Here(encoder) => vec![encode(encoder, logs, symbol)],
            Place::Thread(helper) => {
                let jobs = helper.jobs.as_ref();
                let sent = jobs.map(|jobs| jobs.send((logs, symbol.to_owned())));
                if !matches!(sent, Some(Ok(()))) {
                    return Err(stopped(spool));
                }
                helper.encoded.try_iter().collect()
            }
        };
        self.n_given += 1;
        encoded.into_iter().try_for_each(|encoded| self.keep(encoded, spool))?;
        Ok(Ticket(self.n_given - 1))
    }

    /// The row group, and where its bytes are in the spool.
    pub(super) fn take(
        &mut self,
        Ticket(at): Ticket,
        spool: &mut Spool,
    ) -> Result<(TickGroup, Block), ConvertError> {
        loop {
            if let Some(group) = self.done.get_mut(at).and_then(Option::take) {
                return Ok(group);
            }
            let encoded = match &mut self.place {
                Place::Thread(helper) => helper.encoded.recv().ok(),
                Place::Here(_) => None,
            };
            self.keep(encoded.ok_or_else(|| stopped(spool))?, spool)?;
        }
    }

    fn keep(&mut self, encoded: Encoded, spool: &mut Spool) -> Result<(), ConvertError> {
        let Encoded { group, bytes, logs } = encoded;
        self.logs.give(logs);
        self.done.push(Some((group?, spool.put(&bytes)?)));
        Ok(())
    }
}

impl Helper {
    fn start(mut encoder: TickEncoder) -> io::Result<Self> {
        let (jobs, given) = sync_channel::<(Vec<TickLog>, String)>(WAITING_MAX);
        let (to_encoded, encoded) = channel();
        let work = move || {
            let _scope = lob_scope::scope("encode_ahead");
            for (logs, symbol) in given {
                if to_encoded.send(encode(&mut encoder, logs, &symbol)).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("lob-encode".to_owned()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), encoded, thread: Some(thread) })
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Without a sender the thread ends after the row groups it was given.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // Its panic has been reported as an error of encoding.
            drop(thread.join());
        }
    }
}

fn encode(encoder: &mut TickEncoder, logs: Vec<TickLog>, symbol: &str) -> Encoded {
    let _scope = lob_scope::scope("encode");
    let mut bytes = Vec::new();
    let group = encoder.encode(&logs, symbol, &mut bytes);
    Encoded { group, bytes, logs }
}

fn stopped(spool: &Spool) -> ConvertError {
    let source = io::Error::other("the encoding thread stopped before the end");
    ConvertError::io(spool.path(), "encode rows for")(source)
}
