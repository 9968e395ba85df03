//! Who waits for whom: from the first thread of the program to what it waits for in the end.

use std::collections::{BTreeMap, BTreeSet};

use super::doing::{Doing, Ends};
use super::thread::Thread;
use super::tree::Member;

/// Weight of every thread that may be waited for, beside the share of its life it ran.
const BASE: f64 = 0.002;
/// Additional weight of the one that is waited for by name.
const NAMED: f64 = 0.02;

/// A thread at the end of the chain and what it does there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer<'a> {
    pub(super) thread: &'a Thread,
    pub(super) doing: Doing,
    pub(super) weight: f64,
}

/// Ends of the chain: those that something outside ends, and those that end by time or signal if
/// nothing else does.
#[derive(Default)]
struct Answers<'a> {
    strong: Vec<Answer<'a>>,
    weak: Vec<Answer<'a>>,
    /// Whether a thread is among them that was never seen waiting.
    has_unknown: bool,
}

impl<'a> Answers<'a> {
    fn add(&mut self, other: Self) {
        self.strong.extend(other.strong);
        self.weak.extend(other.weak);
        self.has_unknown |= other.has_unknown;
    }

    fn favoured(mut self) -> Self {
        self.strong.iter_mut().chain(&mut self.weak).for_each(|answer| answer.weight += NAMED);
        self
    }
}

/// The living threads at one moment.
pub(super) struct Chain<'a> {
    threads: &'a BTreeMap<(u32, u32), &'a Thread>,
    children: BTreeMap<u32, Vec<u32>>,
    seen: BTreeSet<(u32, u32)>,
}

impl<'a> Chain<'a> {
    pub(super) fn new(threads: &'a BTreeMap<(u32, u32), &'a Thread>, members: &[Member]) -> Self {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for member in members {
            children.entry(member.parent).or_default().push(member.pid);
        }
        Self { threads, children, seen: BTreeSet::new() }
    }

    /// What the program with this first process waits for; nothing if it was not seen waiting.
    pub(super) fn answers(mut self, root: u32) -> Vec<Answer<'a>> {
        let mut found = self.of((root, root));
        if !self.threads.contains_key(&(root, root)) {
            // Its first process has ended; others go on.
            let leaders: Vec<_> =
                self.threads.keys().filter(|(pid, tid)| pid == tid).copied().collect();
            for key in leaders {
                found.add(self.of(key));
            }
        }
        let Answers { strong, weak, has_unknown } = found;
        let answers = if strong.is_empty() { weak } else { without_readers(strong) };
        if !answers.is_empty() || has_unknown {
            return answers;
        }
        // Everybody waits for somebody else.
        let first =
            self.threads.get(&(root, root)).copied().or(self.threads.values().next().copied());
        let itself = first.and_then(|t| Some(answer(t, t.wait.as_ref()?.doing)));
        itself.into_iter().collect()
    }

    fn of(&mut self, key: (u32, u32)) -> Answers<'a> {
        let mut found = Answers::default();
        let Some(thread) = self.threads.get(&key).copied() else { return found };
        let Some(wait) = &thread.wait else {
            found.has_unknown = true;
            return found;
        };
        if !self.seen.insert(key) {
            return found;
        }
        let pid = key.0;
        match wait.ends {
            Ends::Outside | Ends::Holder => {
                found.strong.push(answer(thread, wait.doing));
                return found;
            }
            Ends::Thread(tid) => {
                found.add(self.of((pid, tid)).favoured());
                found.add(self.threads_of(pid));
            }
            Ends::AnyThread => found.add(self.threads_of(pid)),
            Ends::Process(child) => found.add(self.of((child, child)).favoured()),
            Ends::AnyProcess => {}
        }
        if found.strong.is_empty() {
            found.add(self.children_of(pid));
        }
        if found.strong.is_empty() && wait.ends == Ends::AnyProcess {
            found.add(self.threads_of(pid));
        }
        if wait.is_timed {
            found.weak.push(answer(thread, Doing::Timer));
        } else if wait.doing == Doing::Signal {
            found.weak.push(answer(thread, Doing::Signal));
        }
        found
    }

    fn threads_of(&mut self, pid: u32) -> Answers<'a> {
        let keys: Vec<_> =
            self.threads.range((pid, 0)..=(pid, u32::MAX)).map(|(k, _)| *k).collect();
        self.each(keys)
    }

    fn children_of(&mut self, pid: u32) -> Answers<'a> {
        let children = self.children.get(&pid).cloned().unwrap_or_default();
        self.each(children.into_iter().map(|child| (child, child)).collect())
    }

    fn each(&mut self, keys: Vec<(u32, u32)>) -> Answers<'a> {
        let mut found = Answers::default();
        for key in keys {
            found.add(self.of(key));
        }
        found.strong = without_readers(found.strong);
        found
    }
}

fn answer(thread: &Thread, doing: Doing) -> Answer<'_> {
    let weight = BASE + thread.ran_s / thread.lived_s().max(1e-9);
    Answer { thread, doing, weight }
}

/// Leaves out those that wait for another one of them, over a pipe or a socket.
fn without_readers(answers: Vec<Answer<'_>>) -> Vec<Answer<'_>> {
    let pids: BTreeSet<u32> = answers.iter().map(|answer| answer.thread.pid).collect();
    let waits_within = |answer: &Answer<'_>| {
        let peer = answer.thread.wait.as_ref().and_then(|wait| wait.peer);
        peer.is_some_and(|peer| peer != answer.thread.pid && pids.contains(&peer))
    };
    if answers.iter().all(waits_within) {
        return answers;
    }
    answers.into_iter().filter(|answer| !waits_within(answer)).collect()
}
