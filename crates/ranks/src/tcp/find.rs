//! How the other ranks find rank 0.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::greeting::{
    ADMITTED, CHALLENGE, GREETING_LEN, Greeting, NONCE_LEN, PROOF_LEN, REFUSED, START, Side, nonce,
};
use super::join::{MAX_REASON, addresses};
use super::wire::{Peer, read_by, write_by};
use super::{GRACE, JoinPlan};
use crate::RankError;

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Why an attempt to join came to nothing.
enum Failed {
    /// Rank 0 may be there in a moment, or have had too many at once to listen to.
    ForNow(std::io::Error),
    /// There is no point in another one.
    ForGood(RankError),
    /// It was let in and then lost.
    Later(std::io::Error),
}

impl From<RankError> for Failed {
    fn from(error: RankError) -> Self {
        Self::ForGood(error)
    }
}

/// Connects to rank 0, trying until it lets this rank in, and waits for its word to start.
pub(super) fn find(plan: &JoinPlan) -> Result<Peer, RankError> {
    let begun = Instant::now();
    let deadline = begun + plan.join_timeout;
    let not_found = |error: std::io::Error| RankError::NoCoordinator {
        address: plan.coordinator.clone(),
        waited_s: begun.elapsed().as_secs_f64(),
        reason: match error.kind() {
            ErrorKind::TimedOut => "it did not say that all ranks are there".into(),
            ErrorKind::UnexpectedEof => "it closed the connection".into(),
            _ => error.to_string(),
        },
    };
    loop {
        match attempt(plan, deadline) {
            Ok(stream) => return Ok(Peer::new(0, stream)),
            Err(Failed::ForNow(error)) if Instant::now() >= deadline => {
                return Err(not_found(error));
            }
            Err(Failed::ForNow(_)) => std::thread::sleep(PAUSE),
            Err(Failed::ForGood(error)) => return Err(error),
            Err(Failed::Later(error)) => return Err(not_found(error)),
        }
    }
}

fn attempt(plan: &JoinPlan, deadline: Instant) -> Result<TcpStream, Failed> {
    let addresses = addresses(plan)?.map_err(Failed::ForNow)?;
    let mut stream = connect(&addresses, deadline).map_err(Failed::ForNow)?;
    let greeting = Greeting {
        world_size: plan.world_size,
        rank: plan.rank,
        has_key: plan.key.is_some(),
        nonce: nonce()?,
    };
    let greeting = greeting.encode();
    write_by(&mut stream, &greeting, deadline).map_err(Failed::ForNow)?;
    let challenge: [u8; NONCE_LEN] = said(plan, &mut stream, CHALLENGE, deadline, Failed::ForNow)?;
    match &plan.key {
        None => {
            let _: [u8; 0] = said(plan, &mut stream, ADMITTED, deadline, Failed::ForNow)?;
        }
        Some(key) => prove(plan, key, &mut stream, &greeting, &challenge, deadline)?,
    }
    let _: [u8; 0] = said(plan, &mut stream, START, deadline + GRACE, Failed::Later)?;
    Ok(stream)
}

/// Proves that this rank has the key, and makes sure that rank 0 has it too.
fn prove(
    plan: &JoinPlan,
    key: &crate::JoinKey,
    stream: &mut TcpStream,
    greeting: &[u8; GREETING_LEN],
    challenge: &[u8; NONCE_LEN],
    deadline: Instant,
) -> Result<(), Failed> {
    let stranger = || RankError::Stranger { address: plan.coordinator.clone() };
    let proof = Side::Guest.prove(key, greeting, challenge).ok_or_else(stranger)?;
    write_by(stream, &proof, deadline).map_err(Failed::ForNow)?;
    let proof: [u8; PROOF_LEN] = said(plan, stream, ADMITTED, deadline, Failed::ForNow)?;
    if Side::Host.has_proved(key, greeting, challenge, &proof) {
        Ok(())
    } else {
        Err(stranger().into())
    }
}

fn connect(addresses: &[SocketAddr], deadline: Instant) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        match TcpStream::connect_timeout(address, left.max(Duration::from_millis(1))) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What comes with the next word of rank 0, which must be the one expected or a refusal.
fn said<const N: usize>(
    plan: &JoinPlan,
    stream: &mut TcpStream,
    expected: u8,
    deadline: Instant,
    failed: fn(std::io::Error) -> Failed,
) -> Result<[u8; N], Failed> {
    let mut kind = [0];
    read_by(stream, &mut kind, deadline).map_err(failed)?;
    if kind == [REFUSED] {
        let mut length = [0; 2];
        read_by(stream, &mut length, deadline).map_err(failed)?;
        let mut reason = vec![0; usize::from(u16::from_le_bytes(length)).min(MAX_REASON)];
        read_by(stream, &mut reason, deadline).map_err(failed)?;
        let reason = String::from_utf8_lossy(&reason).into_owned();
        return Err(Failed::ForGood(RankError::Refused { rank: plan.rank, reason }));
    }
    if kind != [expected] {
        return Err(Failed::ForGood(RankError::Stranger { address: plan.coordinator.clone() }));
    }
    let mut rest = [0; N];
    read_by(stream, &mut rest, deadline).map_err(failed)?;
    Ok(rest)
}
