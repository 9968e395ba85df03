//! How ranks meet: each says who it is, and rank 0 lets all of them go at once.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::wire::{Peer, read_by, write_by};
use super::{GRACE, JoinPlan};
use crate::{RankError, RankList};

/// First bytes of a greeting; the last one is the version of the protocol.
const GREETING: [u8; 8] = *b"lobrank\x01";

const GREETING_LEN: usize = 16;

/// Time for a stranger's connection to say who it is.
const GREETING_TIME: Duration = Duration::from_secs(2);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Longest reason of a refusal.
const MAX_REASON: usize = 1024;

pub(super) fn listen(address: &str) -> Result<TcpListener, RankError> {
    let failed = |source| RankError::Listen { address: address.to_owned(), source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Waits until every other rank has come, and lets them all start.
pub(super) fn welcome(plan: &JoinPlan, listener: &TcpListener) -> Result<Vec<Peer>, RankError> {
    let begun = Instant::now();
    let deadline = begun + plan.join_timeout;
    let mut joined: Vec<Option<Peer>> = (1..plan.world_size).map(|_| None).collect();
    let failed = |source| RankError::Listen { address: plan.coordinator.clone(), source };
    while joined.iter().any(Option::is_none) {
        match listener.accept() {
            Ok((stream, _)) => admit(plan, stream, &mut joined, deadline),
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            // A connection that broke before it was taken up says nothing about the others.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
        if Instant::now() < deadline {
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
        let written = write_by(&mut peer.stream, &[0], Instant::now() + GRACE);
        written.map_err(|e| RankError::Lost { rank: peer.rank, reason: e.to_string() })?;
    }
    Ok(peers)
}

/// Takes a connection up if it is a rank that is still missing, and tells it why otherwise.
fn admit(plan: &JoinPlan, mut stream: TcpStream, joined: &mut [Option<Peer>], deadline: Instant) {
    let mut greeting = [0; GREETING_LEN];
    let patience = deadline.min(Instant::now() + GREETING_TIME);
    let is_ready = stream.set_nonblocking(false).and_then(|()| stream.set_nodelay(true)).is_ok();
    if !is_ready
        || read_by(&mut stream, &mut greeting, patience).is_err()
        || greeting[..7] != GREETING[..7]
    {
        // A stranger: it gets no answer and keeps nobody waiting.
        return;
    }
    if greeting[7] != GREETING[7] {
        return refuse(&mut stream, "it runs another version of this program");
    }
    let number = |at: usize| {
        let bytes = u32::from_le_bytes(std::array::from_fn(|i| greeting[at + i]));
        usize::try_from(bytes).unwrap_or(usize::MAX)
    };
    let (world_size, rank) = (number(8), number(12));
    if world_size != plan.world_size {
        let reason =
            format!("it was started with a world size of {world_size}, not {}", plan.world_size);
        return refuse(&mut stream, &reason);
    }
    let Some(place) = rank.checked_sub(1).and_then(|at| joined.get_mut(at)) else {
        return refuse(&mut stream, "there is one rank 0");
    };
    // A rank that gave up and was started again takes its old place.
    if place.as_ref().is_some_and(|peer| !peer.is_gone()) {
        return refuse(&mut stream, "there is one already; each rank has a number of its own");
    }
    *place = Some(Peer::new(rank, stream));
}

fn refuse(stream: &mut TcpStream, reason: &str) {
    let reason = &reason.as_bytes()[..reason.len().min(MAX_REASON)];
    let length = u16::try_from(reason.len()).unwrap_or(u16::MAX);
    let answer = [&[1][..], &length.to_le_bytes(), reason].concat();
    // Whoever is refused may be gone already.
    drop(write_by(stream, &answer, Instant::now() + GREETING_TIME));
}

/// Connects to rank 0, trying until it listens, and waits for its word to start.
pub(super) fn find(plan: &JoinPlan) -> Result<Peer, RankError> {
    let begun = Instant::now();
    let deadline = begun + plan.join_timeout;
    let not_found = |reason: String| RankError::NoCoordinator {
        address: plan.coordinator.clone(),
        waited_s: begun.elapsed().as_secs_f64(),
        reason,
    };
    let mut stream = loop {
        match connect(&plan.coordinator, deadline) {
            Ok(stream) => break stream,
            Err(error) if Instant::now() >= deadline => return Err(not_found(error.to_string())),
            Err(_) => std::thread::sleep(PAUSE),
        }
    };
    let mut greeting = GREETING.to_vec();
    for number in [plan.world_size, plan.rank] {
        greeting.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    }
    let answer = write_by(&mut stream, &greeting, deadline)
        .and_then(|()| answer(&mut stream, deadline + GRACE));
    match answer {
        Ok(None) => Ok(Peer::new(0, stream)),
        Ok(Some(reason)) => Err(RankError::Refused { rank: plan.rank, reason }),
        Err(error) => Err(not_found(match error.kind() {
            ErrorKind::TimedOut => "it did not say that all ranks are there".into(),
            ErrorKind::UnexpectedEof => "it closed the connection".into(),
            _ => error.to_string(),
        })),
    }
}

fn connect(address: &str, deadline: Instant) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        let left = deadline.saturating_duration_since(Instant::now());
        match TcpStream::connect_timeout(&address, left.max(Duration::from_millis(1))) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// `None` to start, or why not.
fn answer(stream: &mut TcpStream, deadline: Instant) -> std::io::Result<Option<String>> {
    let mut kind = [0];
    read_by(stream, &mut kind, deadline)?;
    if kind == [0] {
        return Ok(None);
    }
    let mut length = [0; 2];
    read_by(stream, &mut length, deadline)?;
    let mut reason = vec![0; usize::from(u16::from_le_bytes(length)).min(MAX_REASON)];
    read_by(stream, &mut reason, deadline)?;
    Ok(Some(String::from_utf8_lossy(&reason).into_owned()))
}
