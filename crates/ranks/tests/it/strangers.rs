//! Who gets in and who does not.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use lob_ranks::{Collective, JoinKey, JoinPlan, TcpRanks};

use super::{free_address, plan};

const START: u8 = 0;
const REFUSED: u8 = 1;
const CHALLENGE: u8 = 2;
const ADMITTED: u8 = 3;

fn key(byte: u8) -> Option<JoinKey> {
    Some(JoinKey::new([byte; 32]).unwrap())
}

fn host(plan: JoinPlan) -> JoinHandle<TcpRanks> {
    std::thread::spawn(move || TcpRanks::join(&plan).unwrap())
}

/// A connection to whoever listens, once somebody does.
fn connected(address: &str) -> TcpStream {
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return stream,
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// A greeting of protocol 2.
fn greeting(world_size: u8, rank: u8, has_key: bool, nonce: u8) -> Vec<u8> {
    let numbers = [world_size, 0, 0, 0, rank, 0, 0, 0, has_key.into()];
    [&b"lobrank\x02"[..], &numbers, &[nonce; 32]].concat()
}

/// The next word of rank 0, with what comes with it.
fn said(stream: &mut TcpStream, proof: bool) -> (u8, Vec<u8>) {
    let mut kind = [9];
    stream.read_exact(&mut kind).unwrap();
    let mut rest = match kind[0] {
        CHALLENGE => vec![0; 32],
        ADMITTED if proof => vec![0; 32],
        _ => Vec::new(),
    };
    stream.read_exact(&mut rest).unwrap();
    if kind == [REFUSED] {
        stream.read_to_end(&mut rest).unwrap();
    }
    (kind[0], rest)
}

fn refusal(stream: &mut TcpStream) -> String {
    let (kind, rest) = said(stream, false);
    assert_eq!(kind, REFUSED);
    String::from_utf8_lossy(&rest).into_owned()
}

/// Fault 9 of the review: twelve silent sockets held rank 0 up for 24 s, 150 of them for the whole
/// default of 300 s.
#[test]
fn silent_strangers_keep_nobody_waiting() {
    let address = free_address();
    let keyed = |rank| JoinPlan { key: key(1), ..plan(rank, 2, &address) };
    let host = host(keyed(0));
    // More than are listened to at once, from before the rank comes to after it has left. Some say
    // half a greeting, some stay after they were challenged.
    let words: [&[u8]; 3] = [b"", b"lobra", &greeting(2, 1, true, 7)];
    let silent: Vec<TcpStream> = (0..150)
        .map(|i| {
            let mut stream = connected(&address);
            stream.write_all(words[i % 3]).unwrap();
            stream
        })
        .collect();
    // Far below what one after the other would take, far above what it takes.
    let short = JoinPlan { join_timeout: Duration::from_secs(20), ..keyed(1) };
    let mut guest = TcpRanks::join(&short).unwrap();
    let mut host = host.join().unwrap();
    let sum = std::thread::spawn(move || {
        let mut values = [1.0];
        host.all_reduce_sum(&mut values).map(|()| values)
    });
    let mut values = [2.0];
    guest.all_reduce_sum(&mut values).unwrap();
    assert_eq!((values, sum.join().unwrap().unwrap()), ([3.0], [3.0]));
    drop(silent);
}

#[test]
fn strangers_and_wrong_ranks_do_not_get_in() {
    let address = free_address();
    let host = host(plan(0, 3, &address));
    let mut stranger = connected(&address);
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    // It gets no answer: the end of the stream, or a reset for what was not read.
    let mut answer = Vec::new();
    drop(stranger.read_to_end(&mut answer));
    assert!(answer.is_empty(), "{answer:?}");
    let mut older = connected(&address);
    older.write_all(b"lobrank\x01\x03\0\0\0\x01\0\0\0").unwrap();
    assert!(refusal(&mut older).contains("another version"));
    for rank in [1, 3] {
        let error = TcpRanks::join(&plan(rank, 4, &address)).unwrap_err().to_string();
        let expected = format!("rank 0 refused rank {rank}: it was started with a world size of 4");
        assert!(error.starts_with(&expected), "{error}");
    }
    let keyed = JoinPlan { key: key(1), ..plan(1, 3, &address) };
    let error = TcpRanks::join(&keyed).unwrap_err().to_string();
    assert!(error.ends_with("it has a join key and rank 0 has none"), "{error}");
    let greet = |rank: u8| {
        let mut stream = connected(&address);
        stream.write_all(&greeting(3, rank, false, 5)).unwrap();
        stream
    };
    let admitted = |stream: &mut TcpStream| {
        assert_eq!(said(stream, false).0, CHALLENGE);
        assert_eq!(said(stream, false).0, ADMITTED);
    };
    // A rank that went away before all were there makes room for its successor; a third one with
    // its number does not get in.
    let mut first = greet(1);
    admitted(&mut first);
    drop(first);
    let mut second = greet(1);
    admitted(&mut second);
    assert!(refusal(&mut greet(1)).contains("there is one already"));
    assert!(refusal(&mut greet(0)).contains("there is one rank 0"));
    let last = plan(2, 3, &address);
    let last = std::thread::spawn(move || TcpRanks::join(&last).unwrap());
    assert_eq!(said(&mut second, false).0, START);
    drop(last.join().unwrap());
    drop(host.join().unwrap());
}

#[test]
fn who_does_not_have_the_key_does_not_join() {
    let address = free_address();
    let keyed = |rank, byte| JoinPlan { key: key(byte), ..plan(rank, 2, &address) };
    let host = host(keyed(0, 1));
    let refused = |plan: &JoinPlan| TcpRanks::join(plan).unwrap_err().to_string();
    assert!(refused(&keyed(1, 2)).ends_with("rank 1: it has another join key"));
    let without = refused(&plan(1, 2, &address));
    assert!(without.ends_with("rank 0 has a join key and it has none"), "{without}");
    // Whoever says that it has a key, and then proves nothing.
    for proof in [[0; 32], [255; 32]] {
        let mut stream = connected(&address);
        stream.write_all(&greeting(2, 1, true, 9)).unwrap();
        assert_eq!(said(&mut stream, true).0, CHALLENGE);
        stream.write_all(&proof).unwrap();
        assert!(refusal(&mut stream).contains("another join key"));
    }
    // The one that has it joins in spite of all of them.
    let guest = TcpRanks::join(&keyed(1, 1)).unwrap();
    let mut host = host.join().unwrap();
    drop(guest);
    assert!(host.all_reduce_sum(&mut [1.0]).is_err());
}

/// Passes everything on between a rank and rank 0, and gives what the rank said.
fn overheard(address: &str, key: Option<JoinKey>) -> Vec<u8> {
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = between.local_addr().unwrap().to_string();
    let guest = JoinPlan { key, ..plan(1, 2, &near) };
    let guest = std::thread::spawn(move || TcpRanks::join(&guest).map(drop));
    let (mut from, _) = between.accept().unwrap();
    let mut to = connected(address);
    let mut heard = vec![0; 49];
    from.read_exact(&mut heard).unwrap();
    to.write_all(&heard).unwrap();
    let (kind, challenge) = said(&mut to, true);
    assert_eq!(kind, CHALLENGE);
    from.write_all(&[&[kind][..], &challenge].concat()).unwrap();
    let mut proof = vec![0; 32];
    from.read_exact(&mut proof).unwrap();
    // It never arrives.
    drop((from, to, between));
    drop(guest);
    [heard, proof].concat()
}

#[test]
fn what_was_overheard_lets_nobody_in() {
    let address = free_address();
    let keyed = |rank| JoinPlan { key: key(1), ..plan(rank, 2, &address) };
    let host = host(keyed(0));
    let heard = overheard(&address, key(1));
    let mut replay = connected(&address);
    replay.write_all(&heard[..49]).unwrap();
    assert_eq!(said(&mut replay, true).0, CHALLENGE);
    replay.write_all(&heard[49..]).unwrap();
    assert!(refusal(&mut replay).contains("another join key"));
    let guest = TcpRanks::join(&keyed(1)).unwrap();
    drop((guest, host.join().unwrap()));
}

#[test]
fn a_false_rank_0_gets_no_rank() {
    // It knows the protocol and not the key: it sends the proof back, or none.
    for is_mirror in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let guest = JoinPlan { key: key(1), ..plan(1, 2, &address) };
        let guest = std::thread::spawn(move || TcpRanks::join(&guest).unwrap_err().to_string());
        let (mut stream, _) = listener.accept().unwrap();
        let mut greeting = [0; 49];
        stream.read_exact(&mut greeting).unwrap();
        stream.write_all(&[&[CHALLENGE][..], &[7; 32]].concat()).unwrap();
        let mut proof = [0; 32];
        stream.read_exact(&mut proof).unwrap();
        match is_mirror {
            true => stream.write_all(&[&[ADMITTED][..], &proof].concat()).unwrap(),
            false => stream.write_all(&[START]).unwrap(),
        }
        let message = guest.join().unwrap();
        assert!(message.contains("is not rank 0 of this run or has another join key"), "{message}");
    }
}

#[test]
fn without_a_key_only_this_machine_is_reached() {
    for address in ["0.0.0.0:0", "192.0.2.7:29400", "[::]:0", "[2001:db8::1]:29400"] {
        for rank in [0, 1] {
            let error = TcpRanks::join(&plan(rank, 2, address)).unwrap_err().to_string();
            let expected =
                format!("`{address}` can be reached from other machines, and there is no");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
    // With one rank 0 listens on all addresses of this machine.
    let port = free_address().split(':').nth(1).unwrap().to_owned();
    let keyed = |rank, at: &str| JoinPlan { key: key(3), ..plan(rank, 2, &format!("{at}:{port}")) };
    let host = host(keyed(0, "0.0.0.0"));
    let guest = TcpRanks::join(&keyed(1, "127.0.0.1")).unwrap();
    drop((guest, host.join().unwrap()));
}
