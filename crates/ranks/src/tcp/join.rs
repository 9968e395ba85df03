//! How rank 0 meets the others: it greets many at once, and lets them all go together.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::greeting::{
    ADMITTED, CHALLENGE, GREETING_LEN, Greeting, MAGIC, NONCE_LEN, PROOF_LEN, REFUSED, START, Side,
    nonce,
};
use super::wire::{Peer, write_by};
use super::{GRACE, JoinPlan};
use crate::{RankError, RankList};

/// Time for a connection to say who it is, and to prove it.
const GREETING_TIME: Duration = Duration::from_secs(10);

/// Connections that may be about to say who they are at the same time. One more takes the place of
/// the one that has been silent for longest.
const MAX_GREETINGS: usize = 64;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Time to write an answer, which fits any socket's buffer.
const ANSWER_TIME: Duration = Duration::from_millis(200);

/// Longest reason of a refusal.
pub(super) const MAX_REASON: usize = 1024;

/// Where rank 0 is. Without a key only this machine may reach it.
pub(super) fn addresses(plan: &JoinPlan) -> Result<std::io::Result<Vec<SocketAddr>>, RankError> {
    let found = match plan.coordinator.to_socket_addrs() {
        Ok(found) => found.collect::<Vec<_>>(),
        Err(error) => return Ok(Err(error)),
    };
    let is_open = |address: &SocketAddr| !address.ip().to_canonical().is_loopback();
    if plan.key.is_none() && found.iter().any(is_open) {
        return Err(RankError::NoKey { address: plan.coordinator.clone() });
    }
    Ok(Ok(found))
}

pub(super) fn listen(plan: &JoinPlan) -> Result<TcpListener, RankError> {
    let failed = |source| RankError::Listen { address: plan.coordinator.clone(), source };
    let addresses = addresses(plan)?.map_err(failed)?;
    let listener = TcpListener::bind(&addresses[..]).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Waits until every other rank has come, and lets them all start.
pub(super) fn welcome(plan: &JoinPlan, listener: &TcpListener) -> Result<Vec<Peer>, RankError> {
    let begun = Instant::now();
    let deadline = begun + plan.join_timeout;
    let mut joined: Vec<Option<Peer>> = (1..plan.world_size).map(|_| None).collect();
    // In the order in which they came.
    let mut greetings: Vec<Newcomer> = Vec::new();
    let failed = |source| RankError::Listen { address: plan.coordinator.clone(), source };
    loop {
        let is_idle = match listener.accept() {
            Ok((stream, _)) => {
                if greetings.len() == MAX_GREETINGS {
                    greetings.remove(0);
                }
                greetings.extend(Newcomer::new(stream)?);
                false
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => true,
            // A connection that broke before it was taken up says nothing about the others.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => false,
            Err(error) if error.kind() == ErrorKind::Interrupted => false,
            Err(error) => return Err(failed(error)),
        };
        let waiting = std::mem::take(&mut greetings);
        greetings.extend(waiting.into_iter().filter_map(|one| one.listen(plan, &mut joined)));
        if joined.iter().all(Option::is_some) {
            break;
        }
        if Instant::now() < deadline {
            if is_idle {
                std::thread::sleep(PAUSE);
            }
            continue;
        }
        let missing = joined.iter().zip(1..).filter(|(peer, _)| peer.is_none());
        let error = RankError::NotJoined {
            address: listener.local_addr().map_err(failed)?,
            ranks: RankList(missing.map(|(_, rank)| rank).collect()),
            world_size: plan.world_size,
            waited_s: begun.elapsed().as_secs_f64(),
        };
        for peer in joined.iter_mut().flatten() {
            refuse(&mut peer.stream, &error.to_string());
        }
        return Err(error);
    }
    let mut peers: Vec<Peer> = joined.into_iter().flatten().collect();
    for peer in &mut peers {
        let written = write_by(&mut peer.stream, &[START], Instant::now() + GRACE);
        written.map_err(|e| RankError::Lost { rank: peer.rank, reason: e.to_string() })?;
    }
    Ok(peers)
}

/// A connection that has not yet said who it is, or not proved it.
struct Newcomer {
    stream: TcpStream,
    until: Instant,
    challenge: [u8; NONCE_LEN],
    /// Its greeting, and its proof once it was challenged.
    heard: [u8; GREETING_LEN + PROOF_LEN],
    n_heard: usize,
    is_challenged: bool,
}

impl Newcomer {
    /// `None` for a connection that is gone already.
    fn new(stream: TcpStream) -> Result<Option<Self>, RankError> {
        let is_ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).is_ok();
        let newcomer = Self {
            stream,
            until: Instant::now() + GREETING_TIME,
            challenge: nonce()?,
            heard: [0; GREETING_LEN + PROOF_LEN],
            n_heard: 0,
            is_challenged: false,
        };
        Ok(is_ready.then_some(newcomer))
    }

    /// Takes in what has come, without waiting for more. `None` once it has joined or was sent
    /// away.
    fn listen(mut self, plan: &JoinPlan, joined: &mut [Option<Peer>]) -> Option<Self> {
        loop {
            let wanted = if self.is_challenged { self.heard.len() } else { GREETING_LEN };
            match self.stream.read(&mut self.heard[self.n_heard..wanted]) {
                Ok(0) => return None,
                Ok(n) => self.n_heard += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return (Instant::now() < self.until).then_some(self);
                }
                Err(_) => return None,
            }
            let magic = &self.heard[..self.n_heard.min(MAGIC.len())];
            let (name, version) = magic.split_at(magic.len().min(MAGIC.len() - 1));
            if name != &MAGIC[..name.len()] {
                // A stranger gets no answer.
                return None;
            }
            if version.first().is_some_and(|version| *version != MAGIC[7]) {
                return self.sent_away("it runs another version of this program");
            }
            if self.n_heard < wanted {
                continue;
            }
            match (self.is_challenged, &plan.key) {
                (false, _) => {
                    if let Some(reason) = self.misfit(plan, joined) {
                        return self.sent_away(&reason);
                    }
                    let challenge = [&[CHALLENGE][..], &self.challenge].concat();
                    self.is_challenged = true;
                    if !answer(&mut self.stream, &challenge) {
                        return None;
                    }
                    if plan.key.is_none() {
                        return self.admit(&[ADMITTED], plan, joined);
                    }
                }
                (true, Some(key)) => {
                    let (greeting, proof) = self.said();
                    if !Side::Guest.has_proved(key, &greeting, &self.challenge, &proof) {
                        return self.sent_away("it has another join key");
                    }
                    let own = Side::Host.prove(key, &greeting, &self.challenge)?;
                    let admitted = [&[ADMITTED][..], &own].concat();
                    return self.admit(&admitted, plan, joined);
                }
                (true, None) => return None,
            }
        }
    }

    fn said(&self) -> ([u8; GREETING_LEN], [u8; PROOF_LEN]) {
        let (greeting, proof) = self.heard.split_at(GREETING_LEN);
        (std::array::from_fn(|i| greeting[i]), std::array::from_fn(|i| proof[i]))
    }

    /// Why it cannot be one of the ranks that are still missing.
    fn misfit(&self, plan: &JoinPlan, joined: &[Option<Peer>]) -> Option<String> {
        let Greeting { world_size, rank, has_key, .. } = Greeting::decode(&self.said().0);
        if world_size != plan.world_size {
            let own = plan.world_size;
            return Some(format!("it was started with a world size of {world_size}, not {own}"));
        }
        if has_key != plan.key.is_some() {
            let (with, without) = if has_key { ("it", "rank 0") } else { ("rank 0", "it") };
            return Some(format!("{with} has a join key and {without} has none"));
        }
        let Some(place) = rank.checked_sub(1).and_then(|at| joined.get(at)) else {
            return Some("there is one rank 0".into());
        };
        // A rank that gave up and was started again takes its old place.
        let is_taken = place.as_ref().is_some_and(|peer| !peer.is_gone());
        is_taken.then(|| "there is one already; each rank has a number of its own".into())
    }

    /// Gives it the place of its rank.
    fn admit(mut self, words: &[u8], plan: &JoinPlan, joined: &mut [Option<Peer>]) -> Option<Self> {
        // Another one may have come while this one proved who it is.
        if let Some(reason) = self.misfit(plan, joined) {
            return self.sent_away(&reason);
        }
        let rank = Greeting::decode(&self.said().0).rank;
        let place = rank.checked_sub(1).and_then(|at| joined.get_mut(at))?;
        let is_there =
            answer(&mut self.stream, words) && self.stream.set_nonblocking(false).is_ok();
        if is_there {
            *place = Some(Peer::new(rank, self.stream));
        }
        None
    }

    fn sent_away(mut self, reason: &str) -> Option<Self> {
        refuse(&mut self.stream, reason);
        None
    }
}

/// Says something short; whether it could be said.
fn answer(stream: &mut TcpStream, words: &[u8]) -> bool {
    write_by(stream, words, Instant::now() + ANSWER_TIME).is_ok()
}

fn refuse(stream: &mut TcpStream, reason: &str) {
    let reason = &reason.as_bytes()[..reason.len().min(MAX_REASON)];
    let length = u16::try_from(reason.len()).unwrap_or(u16::MAX);
    // Whoever is refused may be gone already.
    answer(stream, &[&[REFUSED][..], &length.to_le_bytes(), reason].concat());
}
