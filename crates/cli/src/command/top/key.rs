//! Keys as terminals send them.

/// What Ctrl-C sends where the terminal makes no signal of it.
const CTRL_C: u8 = 3;
pub(super) const ESCAPE: u8 = 0x1b;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Sort,
    Scroll(Scroll),
}

/// By how much the lines move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scroll {
    Lines(isize),
    Pages(isize),
    Home,
    End,
}

/// Keys as terminals send them (ECMA-48 cursor keys, and those of vi). Sequences nobody knows are
/// passed over; a lone Escape is one byte.
pub(super) fn keys(mut bytes: &[u8]) -> Vec<Key> {
    let mut out = Vec::new();
    while let [first, rest @ ..] = bytes {
        bytes = rest;
        if *first == ESCAPE {
            let [b'[' | b'O', after @ ..] = rest else {
                out.push(Key::Quit);
                continue;
            };
            let end = after.iter().position(|byte| (0x40..=0x7e).contains(byte));
            let Some(end) = end else { break };
            out.extend(sequence(&after[..=end]).map(Key::Scroll));
            bytes = &after[end + 1..];
            continue;
        }
        out.extend(match first {
            b'q' | b'Q' | &CTRL_C => Some(Key::Quit),
            b's' | b'S' => Some(Key::Sort),
            b'j' => Some(Key::Scroll(Scroll::Lines(1))),
            b'k' => Some(Key::Scroll(Scroll::Lines(-1))),
            b' ' => Some(Key::Scroll(Scroll::Pages(1))),
            b'g' => Some(Key::Scroll(Scroll::Home)),
            b'G' => Some(Key::Scroll(Scroll::End)),
            _ => None,
        });
    }
    out
}

/// What stands behind `Esc [`.
fn sequence(bytes: &[u8]) -> Option<Scroll> {
    match bytes {
        b"A" => Some(Scroll::Lines(-1)),
        b"B" => Some(Scroll::Lines(1)),
        b"5~" => Some(Scroll::Pages(-1)),
        b"6~" => Some(Scroll::Pages(1)),
        b"H" | b"1~" | b"7~" => Some(Scroll::Home),
        b"F" | b"4~" | b"8~" => Some(Scroll::End),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_terminals_send() {
        let scroll = Key::Scroll;
        for (bytes, expected) in [
            (&b"q"[..], vec![Key::Quit]),
            (b"\x03", vec![Key::Quit]),
            (b"\x1b", vec![Key::Quit]),
            (b"\x1b\x1b", vec![Key::Quit, Key::Quit]),
            (b"\x1b[A\x1b[B", vec![scroll(Scroll::Lines(-1)), scroll(Scroll::Lines(1))]),
            (b"\x1bOA", vec![scroll(Scroll::Lines(-1))]),
            (b"\x1b[5~s", vec![scroll(Scroll::Pages(-1)), Key::Sort]),
            (b"\x1b[6~", vec![scroll(Scroll::Pages(1))]),
            (b"\x1b[HG", vec![scroll(Scroll::Home), scroll(Scroll::End)]),
            // Unknown, cut short, or no key at all.
            (b"\x1b[1;5Dx\x1b[", vec![]),
            (b"\xff\x00", vec![]),
        ] {
            assert_eq!(keys(bytes), expected, "{bytes:?}");
        }
    }
}
