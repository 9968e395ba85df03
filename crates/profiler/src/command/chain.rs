//! Who waits for whom: from the first thread of the program to what it waits for in the end.

use std::collections::{BTreeMap, BTreeSet};

use super::doing::{Doing, Ends};
use super::thread::Thread;
use super::tree::Member;

/// Weight of every thread that may be waited for, beside the share of its life it ran.
const BASE: f64 = 0.002;
/// Additional weight of the one that is waited for by name.
const NAMED: f64 = 0.02;

/// Longest chain followed.
const MAX_DEPTH: usize = 100;

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
    /// Processes whose threads are looked at already, or children: once each, however many wait for
    /// any of them.
    spread: BTreeSet<(u32, bool)>,
    depth: usize,
}

impl<'a> Chain<'a> {
    pub(super) fn new(threads: &'a BTreeMap<(u32, u32), &'a Thread>, members: &[Member]) -> Self {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for member in members {
            children.entry(member.parent).or_default().push(member.pid);
        }
        Self { threads, children, seen: BTreeSet::new(), spread: BTreeSet::new(), depth: 0 }
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
        if self.depth >= MAX_DEPTH || !self.seen.insert(key) {
            return found;
        }
        let pid = key.0;
        self.depth += 1;
        // Another thread has begun with all of this process, and goes on with its children.
        let is_among_others = self.spread.contains(&(pid, true))
            && matches!(wait.ends, Ends::Thread(_) | Ends::AnyThread);
        match wait.ends {
            Ends::Outside | Ends::Holder => found.strong.push(answer(thread, wait.doing)),
            Ends::Thread(tid) => {
                found.add(self.of((pid, tid)).favoured());
                found.add(self.threads_of(pid));
            }
            Ends::AnyThread => found.add(self.threads_of(pid)),
            Ends::Process(child) => found.add(self.of((child, child)).favoured()),
            Ends::AnyProcess => {}
        }
        if found.strong.is_empty() && !is_among_others {
            found.add(self.children_of(pid));
        }
        if found.strong.is_empty() && wait.ends == Ends::AnyProcess {
            found.add(self.threads_of(pid));
        }
        self.depth -= 1;
        if !found.strong.is_empty() {
            return found;
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
        if !self.spread.insert((pid, false)) {
            return Answers::default();
        }
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

#[cfg(test)]
mod tests {
    use super::super::doing::Wait;
    use super::*;

    const ROOT: u32 = 1;

    /// Threads by process, number, what they wait for, who ends that, and the process at the other
    /// end of it; processes by number and parent. Returns who answers, and with what.
    fn answers(
        threads: &[(u32, u32, Doing, Ends, Option<u32>)],
        members: &[(u32, u32)],
    ) -> Vec<(u32, Doing)> {
        let example = |(pid, tid, doing, ends, peer): &(u32, u32, Doing, Ends, Option<u32>)| {
            let wait = Wait { peer: *peer, ..Wait::new(*doing, *ends, "") };
            ((*pid, *tid), Thread::example(*pid, *tid, Some(wait), 0.0))
        };
        let threads: BTreeMap<_, _> = threads.iter().map(example).collect();
        let threads: BTreeMap<_, _> = threads.iter().map(|(key, t)| (*key, t)).collect();
        let members: Vec<Member> =
            members.iter().map(|(pid, parent)| Member::example(*pid, *parent)).collect();
        let found = Chain::new(&threads, &members).answers(ROOT);
        found.iter().map(|answer| (answer.thread.tid, answer.doing)).collect()
    }

    #[test]
    fn a_thread_that_joins_waits_for_the_joined_one_and_for_no_idle_one() {
        use Doing::{Lock, Stream};
        let found = answers(
            &[
                (1, 1, Lock, Ends::Thread(2), None),
                (1, 2, Stream, Ends::Outside, None),
                (1, 3, Lock, Ends::AnyThread, None),
                (1, 4, Lock, Ends::AnyThread, None),
            ],
            &[(1, 0)],
        );
        assert_eq!(found, [(2, Stream)]);
    }

    #[test]
    fn where_all_wait_for_each_other_that_is_said() {
        use Doing::Lock;
        let all = [
            (1, 1, Lock, Ends::AnyThread, None),
            (1, 2, Lock, Ends::AnyThread, None),
            (1, 3, Lock, Ends::Thread(1), None),
        ];
        assert_eq!(answers(&all, &[(1, 0)]), [(1, Lock)]);
        // Also in a circle over processes, and with a member that is gone.
        let circle = [
            (1, 1, Doing::Child, Ends::Process(9), None),
            (2, 2, Doing::Child, Ends::AnyProcess, None),
        ];
        assert_eq!(answers(&circle, &[(1, 2), (2, 1)]), [(1, Doing::Child)]);
    }

    #[test]
    fn of_a_pipeline_the_source_counts() {
        use Doing::{Child, Stream, Timer};
        let found = answers(
            &[
                (1, 1, Child, Ends::AnyProcess, None),
                (2, 2, Timer, Ends::Outside, None),
                (3, 3, Stream, Ends::Outside, Some(2)),
                (4, 4, Stream, Ends::Outside, Some(3)),
            ],
            &[(1, 0), (2, 1), (3, 1), (4, 1)],
        );
        assert_eq!(found, [(2, Timer)]);
        // Two that wait for each other both count.
        let pair = [
            (1, 1, Child, Ends::AnyProcess, None),
            (2, 2, Stream, Ends::Outside, Some(3)),
            (3, 3, Stream, Ends::Outside, Some(2)),
        ];
        assert_eq!(answers(&pair, &[(1, 0), (2, 1), (3, 1)]).len(), 2);
    }

    #[test]
    fn signals_and_timeouts_count_where_nothing_else_does() {
        use Doing::{Child, Disk, Signal};
        let helper = (2, 2, Signal, Ends::AnyProcess, None);
        let both = [(1, 1, Signal, Ends::AnyProcess, None), helper];
        assert_eq!(answers(&both[..1], &[(1, 0)]), [(1, Signal)]);
        let busy =
            [(1, 1, Child, Ends::AnyProcess, None), helper, (3, 3, Disk, Ends::Outside, None)];
        assert_eq!(answers(&busy, &[(1, 0), (2, 1), (3, 1)]), [(3, Disk)]);
        let wait = Wait { is_timed: true, ..Wait::new(Doing::Lock, Ends::AnyThread, "") };
        let alone = Thread::example(1, 1, Some(wait), 0.0);
        let threads = BTreeMap::from([((1, 1), &alone)]);
        let found = Chain::new(&threads, &[Member::example(1, 0)]).answers(ROOT);
        assert_eq!(found[0].doing, Doing::Timer);
    }

    #[test]
    fn a_thread_never_seen_waiting_gives_no_answer() {
        let wait = Wait::new(Doing::Lock, Ends::Thread(2), "");
        let (main, other) =
            (Thread::example(1, 1, Some(wait), 0.0), Thread::example(1, 2, None, 0.5));
        let threads = BTreeMap::from([((1, 1), &main), ((1, 2), &other)]);
        assert!(Chain::new(&threads, &[Member::example(1, 0)]).answers(ROOT).is_empty());
    }

    #[test]
    fn an_idle_thread_does_not_ask_for_children_while_another_works() {
        use Doing::{Lock, Stream, Timer};
        let found = answers(
            &[
                (1, 1, Lock, Ends::AnyThread, None),
                (1, 2, Lock, Ends::AnyThread, None),
                (1, 3, Stream, Ends::Outside, None),
                (2, 2, Timer, Ends::Outside, None),
            ],
            &[(1, 0), (2, 1)],
        );
        assert_eq!(found, [(3, Stream)]);
        // Without that other, it is the child that counts.
        let found = answers(
            &[(1, 1, Lock, Ends::AnyThread, None), (2, 2, Timer, Ends::Outside, None)],
            &[(1, 0), (2, 1)],
        );
        assert_eq!(found, [(2, Timer)]);
    }

    #[test]
    fn thousands_of_threads_are_followed_once_each() {
        let threads: Vec<_> =
            (1..5000).map(|tid| (1, tid, Doing::Lock, Ends::AnyThread, None)).collect();
        assert_eq!(answers(&threads, &[(1, 0)]), [(1, Doing::Lock)]);
        let joins: Vec<_> =
            (1..5000).map(|tid| (1, tid, Doing::Lock, Ends::Thread(tid + 1), None)).collect();
        assert_eq!(answers(&joins, &[(1, 0)]), [(1, Doing::Lock)]);
    }
}
