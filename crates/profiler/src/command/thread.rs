//! One thread of the program over time: how long it ran, had no CPU, and what it waited for.

use std::collections::BTreeMap;

use lob_scope::procfs;

use super::call::Call;
use super::descriptor::Process;
use super::doing::{Doing, Ends, Wait, by_function, uninterruptible};

/// Kinds of waits kept apart for a thread; more are added to the last.
const MAX_WAITS: usize = 24;

/// Nanoseconds on a CPU and nanoseconds ready without one, since the thread began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) run_ns: u64,
    pub(super) ready_ns: u64,
    /// Times it got a CPU: unchanged, it has slept on.
    turns: u64,
}

impl Account {
    fn read(pid: u32, tid: u32) -> Option<Self> {
        let text = procfs::read(format!("/proc/{pid}/task/{tid}/schedstat")).ok()?;
        let [run_ns, ready_ns, turns] = procfs::numbers(&text)?;
        Some(Self { run_ns, ready_ns, turns })
    }
}

/// What was done in the time between two looks, in shares of it that add up to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Step {
    pub(super) ran: f64,
    pub(super) ready: f64,
    pub(super) waited: f64,
}

impl Step {
    fn of(before: Account, after: Account, passed_s: f64) -> Self {
        let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 * 1e-9;
        let (ran, ready) =
            (seconds(before.run_ns, after.run_ns), seconds(before.ready_ns, after.ready_ns));
        // The accounts are a moment older or younger than the clock.
        let whole = passed_s.max(ran + ready).max(1e-9);
        let (ran, ready) = (ran / whole, ready / whole);
        Self { ran, ready, waited: (1.0 - ran - ready).max(0.0) }
    }
}

/// A thread as it was seen so far.
#[derive(Debug, Clone)]
pub(super) struct Thread {
    pub(super) pid: u32,
    pub(super) tid: u32,
    pub(super) name: String,
    account: Account,
    /// State letter at the last look.
    state: char,
    /// What it waits for, or waited for last if it runs.
    pub(super) wait: Option<Wait>,
    pub(super) step: Step,
    /// Seconds since the program was started.
    pub(super) first_s: f64,
    pub(super) last_s: f64,
    pub(super) ran_s: f64,
    pub(super) ready_s: f64,
    pub(super) waits: BTreeMap<(Doing, String), f64>,
    /// Seconds of waiting before the first wait was seen.
    unplaced_s: f64,
}

impl Thread {
    /// Looks at a thread for the first time, at `t_s`; it is counted from `since_s` on. What an old
    /// one did before does not count.
    pub(super) fn found(
        tid: u32,
        since_s: f64,
        t_s: f64,
        process: &mut Process<'_>,
        is_old: bool,
    ) -> Option<Self> {
        let account = Account::read(process.pid, tid);
        let mut thread = Self {
            pid: process.pid,
            tid,
            name: String::new(),
            account: account.filter(|_| is_old).unwrap_or_default(),
            state: 'R',
            wait: None,
            step: Step::default(),
            first_s: since_s,
            last_s: since_s,
            ran_s: 0.0,
            ready_s: 0.0,
            waits: BTreeMap::new(),
            unplaced_s: 0.0,
        };
        thread.look(account.unwrap_or_default(), t_s, process).then_some(thread)
    }

    /// Looks again; `false` if it has ended.
    pub(super) fn look_again(&mut self, t_s: f64, process: &mut Process<'_>) -> bool {
        let account = Account::read(self.pid, self.tid);
        match account {
            // It has not run since: it sleeps where it slept.
            Some(account) if account == self.account && self.is_asleep() => {
                self.add(Step { ran: 0.0, ready: 0.0, waited: 1.0 }, t_s);
                true
            }
            // The number belongs to another thread now.
            Some(account) if account.run_ns < self.account.run_ns => false,
            account => self.look(account.unwrap_or(self.account), t_s, process),
        }
    }

    /// A thread that lived for a second, of which it ran for a while, and waits now.
    #[cfg(test)]
    pub(super) fn example(pid: u32, tid: u32, wait: Option<Wait>, ran_s: f64) -> Self {
        Self {
            pid,
            tid,
            name: format!("t{tid}"),
            account: Account::default(),
            state: 'S',
            wait,
            step: Step { ran: 0.0, ready: 0.0, waited: 1.0 },
            first_s: 0.0,
            last_s: 1.0,
            ran_s,
            ready_s: 0.0,
            waits: BTreeMap::new(),
            unplaced_s: 0.0,
        }
    }

    fn is_asleep(&self) -> bool {
        !matches!(self.state, 'R' | 'D') && self.wait.is_some()
    }

    fn look(&mut self, account: Account, t_s: f64, process: &mut Process<'_>) -> bool {
        let folder = format!("/proc/{}/task/{}", self.pid, self.tid);
        let Ok(stat) = procfs::read(format!("{folder}/stat")) else { return false };
        let Some((name, state)) = name_and_state(&stat) else { return false };
        if state == 'X' {
            return false;
        }
        name.clone_into(&mut self.name);
        self.state = state;
        let step = Step::of(self.account, account, t_s - self.last_s);
        self.account = account;
        if state != 'R'
            && let Some(wait) = wait(&folder, state, process)
        {
            self.wait = Some(wait);
        }
        self.add(step, t_s);
        true
    }

    fn add(&mut self, step: Step, t_s: f64) {
        let passed_s = (t_s - self.last_s).max(0.0);
        self.last_s = t_s;
        self.step = step;
        self.ran_s += step.ran * passed_s;
        self.ready_s += step.ready * passed_s;
        match &self.wait {
            None => self.unplaced_s += step.waited * passed_s,
            Some(wait) => {
                let key = (wait.doing, wait.what.clone());
                let key = match self.waits.last_key_value() {
                    Some((last, _)) if self.waits.len() >= MAX_WAITS => last.clone(),
                    _ => key,
                };
                *self.waits.entry(key).or_default() += step.waited * passed_s;
            }
        }
    }

    /// What it mostly does now.
    pub(super) fn doing(&self) -> Doing {
        let Step { ran, ready, waited } = self.step;
        if waited >= ran.max(ready) {
            self.wait.as_ref().map_or(Doing::Other, |wait| wait.doing)
        } else if ran >= ready {
            Doing::Running
        } else {
            Doing::Ready
        }
    }

    pub(super) fn lived_s(&self) -> f64 {
        self.last_s - self.first_s
    }

    /// The longest of its waits, in words.
    pub(super) fn most(&self) -> Option<String> {
        let most = self.waits.iter().max_by(|a, b| a.1.total_cmp(b.1))?;
        Some(most.0.1.clone())
    }

    /// Seconds by what was done; they add up to the time it lived.
    pub(super) fn seconds(&self) -> BTreeMap<Doing, f64> {
        let mut out = BTreeMap::from([(Doing::Running, self.ran_s), (Doing::Ready, self.ready_s)]);
        let placed: f64 = self.waits.values().sum();
        // Unseen waits are taken to be as the seen ones.
        let scale = if placed > 0.0 { 1.0 + self.unplaced_s / placed } else { 1.0 };
        for ((doing, _), seconds) in &self.waits {
            *out.entry(*doing).or_default() += seconds * scale;
        }
        if placed <= 0.0 {
            *out.entry(Doing::Other).or_default() += self.unplaced_s;
        }
        out
    }
}

/// Name and state letter of a `stat` line; the name may hold spaces and parentheses.
fn name_and_state(stat: &str) -> Option<(&str, char)> {
    let (head, fields) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    Some((name, fields.trim_start().chars().next()?))
}

/// What a sleeping thread waits for; `None` if it has woken up since.
fn wait(folder: &str, state: char, process: &mut Process<'_>) -> Option<Wait> {
    let function = || procfs::read(format!("{folder}/wchan")).unwrap_or_default();
    match state {
        'T' | 't' => return Some(Wait::outside(Doing::Stopped, "stopped")),
        // The first thread has ended, others go on.
        'Z' => return Some(Wait::new(Doing::Other, Ends::AnyThread, "ended")),
        _ => {}
    }
    let text = procfs::read(format!("{folder}/syscall")).unwrap_or_default();
    if text.starts_with("running") {
        return None;
    }
    let call = Call::parse(&text);
    if state == 'D' {
        return Some(uninterruptible(&function(), call.is_some_and(|call| call.is_clone())));
    }
    let Some(mut wait) = call.and_then(|call| call.wait(process)) else {
        return Some(by_function(&function()));
    };
    if let Some(file) = &wait.stream {
        let reads = !wait.what.starts_with("write") && !wait.what.starts_with("send");
        wait.peer = process.streams.peer(process.pid, file, reads, process.all);
    }
    Some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_states_are_read_past_odd_names() {
        assert_eq!(name_and_state("1 (a) b (c) S 1 2"), Some(("a) b (c", 'S')));
        assert_eq!(name_and_state("1 (x) "), None);
        assert_eq!(name_and_state(""), None);
    }

    #[test]
    fn the_time_between_two_looks_is_shared_out_and_adds_up() {
        let account = |run_ns, ready_ns| Account { run_ns, ready_ns, turns: 0 };
        let step = Step::of(account(0, 0), account(20_000_000, 30_000_000), 0.1);
        assert!((step.ran - 0.2).abs() < 1e-9 && (step.ready - 0.3).abs() < 1e-9);
        assert!((step.waited - 0.5).abs() < 1e-9);
        // A clock read too early gives no more than the whole.
        let late = Step::of(account(0, 0), account(200_000_000, 0), 0.1);
        assert!((late.ran - 1.0).abs() < 1e-9 && late.waited.abs() < 1e-9, "{late:?}");
    }
}
