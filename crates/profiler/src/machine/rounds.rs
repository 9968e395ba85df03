//! Repetitions in rounds, on one thread and on all.

use std::sync::Barrier;
use std::time::Instant;

use super::disk;

/// Rounds the probes take turns in. Each makes one repetition of each method a round at least.
pub(super) const ROUNDS: usize = 9;
/// Rounds after which a method that is far behind is tried no more.
const TRIALS: usize = 2;
/// How near to the best a method has to be by then.
const NEAR: f64 = 0.85;

/// One probe: pieces of work that can be done by several methods, one after the other on one thread
/// or shared out among all.
pub(super) struct Probe<P, M> {
    pieces: Vec<P>,
    /// Work of one piece.
    amount: f64,
    alone: Trials<M>,
    together: Trials<M>,
    next: usize,
    /// The best piece stands for all: they differ only in where their pages lie.
    alike: bool,
}

/// The rates of the rounds of each method, and those of the methods that were too slow to go on.
struct Trials<M> {
    running: Vec<(M, Vec<f64>)>,
    stopped: Vec<(M, Vec<f64>)>,
}

/// The best round of the best method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Best<M> {
    pub(super) method: M,
    /// Amount of work per second.
    pub(super) rate: f64,
    /// Distance between the quartiles of its rounds over the rate.
    pub(super) spread: f64,
}

impl<P: Send, M: Copy + Send> Probe<P, M> {
    pub(super) fn new(pieces: Vec<P>, amount: f64, methods: &[M]) -> Self {
        Self {
            pieces,
            amount,
            alone: Trials::new(methods),
            together: Trials::new(methods),
            next: 0,
            alike: false,
        }
    }

    /// The same, of whose pieces the best stands for all.
    pub(super) fn alike(self) -> Self {
        Self { alike: true, ..self }
    }

    /// A probe of the same pieces, which [`Self::borrow_pieces`] brings.
    pub(super) fn take_amount(&mut self, other: &Self) {
        (self.amount, self.alike) = (other.amount, other.alike);
    }

    /// Takes over the other probe's pieces.
    pub(super) fn borrow_pieces(&mut self, other: &mut Self) {
        self.pieces = std::mem::take(&mut other.pieces);
        self.next = 0;
    }

    pub(super) fn pieces(self) -> Vec<P> {
        self.pieces
    }

    /// A round on one thread: every method gets its part of `seconds`.
    ///
    /// A repetition is about a millisecond or two: sustained work, and yet short enough to fit
    /// between the turns of other programs, which can only make it slower. So the best repetition
    /// of each piece counts. Pieces are added up where one alone might be served by a cache; where
    /// all lie in the cache the best stands for all, since it is luck how well pages fit it.
    pub(super) fn one_thread(&mut self, seconds: f64, run: impl Fn(&mut P, M)) {
        let slice_s = seconds / self.alone.running.len() as f64;
        for (method, rates) in &mut self.alone.running {
            let mut best = vec![f64::INFINITY; self.pieces.len()];
            let start = Instant::now();
            loop {
                let from = Instant::now();
                run(&mut self.pieces[self.next], *method);
                // A coarse clock may show no time at all; a nanosecond keeps the rate finite.
                let took_s = from.elapsed().as_secs_f64().max(1e-9);
                best[self.next] = best[self.next].min(took_s);
                self.next = (self.next + 1) % self.pieces.len();
                if start.elapsed().as_secs_f64() >= slice_s {
                    break;
                }
            }
            rates.push(if self.alike {
                self.amount / best.iter().copied().fold(f64::INFINITY, f64::min)
            } else {
                rate_of(&best, self.amount)
            });
        }
        self.alone.stop_the_slow();
    }

    /// A round on `threads` threads at once, each with pieces of its own: all work done over the
    /// time from the common start until the last thread has ended.
    pub(super) fn all_threads(
        &mut self,
        threads: usize,
        seconds: f64,
        run: impl Fn(&mut P, M) + Sync,
    ) {
        let slice_s = seconds / self.together.running.len() as f64;
        let share = self.pieces.len().div_ceil(threads);
        for (method, rates) in &mut self.together.running {
            let parts: Vec<&mut [P]> = self.pieces.chunks_mut(share).collect();
            let begin = Barrier::new(parts.len());
            let done: Vec<(f64, f64)> = std::thread::scope(|spawner| {
                let work = |pieces| {
                    let (begin, run, method) = (&begin, &run, *method);
                    spawner
                        .spawn(move || repeat(begin, pieces, slice_s, |piece| run(piece, method)))
                };
                let handles: Vec<_> = parts.into_iter().map(work).collect();
                handles.into_iter().filter_map(|handle| handle.join().ok()).collect()
            });
            let repetitions: f64 = done.iter().map(|(repetitions, _)| repetitions).sum();
            let took_s = done.iter().map(|(_, took_s)| *took_s).fold(0.0, f64::max);
            rates.push(repetitions * self.amount / took_s.max(1e-9));
        }
        self.together.stop_the_slow();
    }

    /// Forgets the rounds so far, which only warmed the probe up.
    pub(super) fn restart(&mut self) {
        for trials in [&mut self.alone, &mut self.together] {
            trials.running.iter_mut().for_each(|(_, rates)| rates.clear());
        }
    }

    /// On one thread, and on all. All can do what one can, whatever other programs made of it.
    pub(super) fn both(&self) -> [Option<Best<M>>; 2] {
        let (alone, together) = (self.alone.best(), self.together.best());
        let most = alone.into_iter().chain(together).max_by(|a, b| a.rate.total_cmp(&b.rate));
        [alone, most]
    }

    /// What one method reached on one thread.
    pub(super) fn alone_by(&self, method: M) -> Option<Best<M>>
    where
        M: PartialEq,
    {
        let Trials { running, stopped } = &self.alone;
        running.iter().chain(stopped).find(|(other, _)| *other == method).and_then(best_of)
    }
}

/// Repetitions and the seconds they took, from the moment when all threads were there.
fn repeat<P>(begin: &Barrier, pieces: &mut [P], seconds: f64, run: impl Fn(&mut P)) -> (f64, f64) {
    begin.wait();
    let (start, mut repetitions) = (Instant::now(), 0.0);
    loop {
        for piece in &mut *pieces {
            run(piece);
            repetitions += 1.0;
            if start.elapsed().as_secs_f64() >= seconds {
                return (repetitions, start.elapsed().as_secs_f64());
            }
        }
    }
}

/// Amount of work per second over the pieces that had a turn.
fn rate_of(times: &[f64], amount: f64) -> f64 {
    let (n, total_s) = times
        .iter()
        .filter(|seconds| seconds.is_finite())
        .fold((0.0, 0.0), |(n, sum), seconds| (n + 1.0, sum + seconds));
    amount * n / total_s
}

impl<M: Copy> Trials<M> {
    fn new(methods: &[M]) -> Self {
        let running = methods.iter().map(|method| (*method, Vec::new())).collect();
        Self { running, stopped: Vec::new() }
    }

    /// Leaves the time of methods that cannot win to those that may.
    fn stop_the_slow(&mut self) {
        if self.running.iter().all(|(_, rates)| rates.len() >= TRIALS) {
            let best = self.running.iter().map(|(_, rates)| top(rates)).fold(0.0, f64::max);
            self.stopped.extend(self.running.extract_if(.., |(_, rates)| top(rates) < NEAR * best));
        }
    }

    fn best(&self) -> Option<Best<M>> {
        let all = self.running.iter().filter_map(best_of);
        all.max_by(|a, b| a.rate.total_cmp(&b.rate))
    }
}

fn top(rates: &[f64]) -> f64 {
    rates.iter().copied().fold(0.0, f64::max)
}

fn best_of<M: Copy>((method, rates): &(M, Vec<f64>)) -> Option<Best<M>> {
    let rate = top(rates);
    let at = |q| disk::quantile(rates, q).unwrap_or(rate);
    let spread = (at(0.75) - at(0.25)) / rate;
    (rate > 0.0).then_some(Best { method: *method, rate, spread })
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "whole numbers are compared")]
mod tests {
    use super::*;

    #[test]
    fn the_best_round_of_the_best_method_counts() {
        let mut probe: Probe<u8, char> = Probe::new(vec![0, 0], 10.0, &['a', 'b', 'c']);
        probe.alone.running =
            vec![('a', vec![5.0, 7.0, 6.0]), ('b', vec![8.0, 2.0, 3.0]), ('c', vec![1.0; 3])];
        probe.alone.stop_the_slow();
        assert_eq!(probe.alone.running.len(), 2, "7 of 8 is near, 1 is not");
        assert_eq!(probe.alone_by('c').unwrap().rate, 1.0);
        let best = probe.both()[0].unwrap();
        assert_eq!((best.method, best.rate), ('b', 8.0));
        probe.restart();
        assert_eq!(probe.both(), [None, None]);
    }

    #[test]
    fn pieces_that_had_no_turn_are_left_out_of_the_rate() {
        // Two repetitions of ten in four seconds.
        assert_eq!(rate_of(&[1.0, 3.0, f64::INFINITY], 10.0), 5.0);
    }

    #[test]
    fn all_pieces_are_shared_out_and_none_twice() {
        let mut probe = Probe::new(vec![0u32; 7], 1.0, &[()]);
        probe.all_threads(3, 0.0, |piece, ()| *piece += 1);
        assert!(probe.pieces.iter().all(|n| *n <= 1));
        assert_eq!(probe.pieces.iter().filter(|n| **n == 1).count(), 3, "one repetition each");
        assert!(probe.both()[1].unwrap().rate > 0.0);
        probe.one_thread(0.0, |piece, ()| *piece += 10);
        assert_eq!(probe.pieces().iter().filter(|n| **n >= 10).count(), 1);
    }
}
