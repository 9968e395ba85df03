//! Python's functions in the place of the interpreter's loop.

use super::super::space::Place;

/// What an address of the C stack is to Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Role {
    /// The loop that runs functions: stands for those it was running.
    Loop,
    /// Another part of the interpreter.
    Interpreter,
    /// Anything else.
    Other,
}

/// Puts Python's functions into a C stack; both innermost first. `groups` holds the functions of
/// each entry into the loop. Returns whether the two fit, and whether the stack is now whole.
///
/// A C stack that is cut short gets its outer part from Python. What the interpreter does between
/// two of its loops is left out; what it does inside the innermost one stays, and so does
/// everything of libraries. Where the two do not fit, because Python has gone on, its functions are
/// taken alone: they are a sample of a moment later, and as good.
pub(in super::super) fn merge(
    native: &mut Vec<Place>,
    whole: bool,
    role: impl Fn(Place) -> Role,
    groups: &[Vec<Place>],
) -> (bool, bool) {
    let loops = native.iter().filter(|place| role(**place) == Role::Loop).count();
    if groups.is_empty() {
        return (loops == 0, whole);
    }
    if loops == 0 && whole {
        // It had left Python, or had not entered it, when the sample was taken.
        return (false, whole);
    }
    let fits = if whole { loops == groups.len() } else { loops <= groups.len() };
    let mut rest = groups.iter();
    let (mut out, mut seen) = (Vec::with_capacity(native.len()), 0);
    for place in native.drain(..) {
        match role(place) {
            Role::Loop => {
                seen += 1;
                // At the last loop nothing else will take the groups that are left.
                let take = if fits {
                    1
                } else if seen == loops {
                    groups.len()
                } else {
                    0
                };
                rest.by_ref().take(take).for_each(|group| out.extend_from_slice(group));
            }
            Role::Interpreter if seen > 0 => {}
            _ if fits || seen == loops => out.push(place),
            _ => {}
        }
    }
    if !whole {
        rest.for_each(|group| out.extend_from_slice(group));
    }
    *native = out;
    (fits, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images: 1 the interpreter, whose addresses below 10 are the loop; 2 a library; 9 Python.
    fn role((image, address): Place) -> Role {
        match image {
            1 if address < 10 => Role::Loop,
            1 => Role::Interpreter,
            _ => Role::Other,
        }
    }

    const LOOP: Place = (1, 5);
    const GLUE: Place = (1, 50);
    const LIBRARY: Place = (2, 7);

    fn merged(native: &[Place], whole: bool, groups: &[&[u64]]) -> (Vec<Place>, bool, bool) {
        let groups: Vec<Vec<Place>> =
            groups.iter().map(|group| group.iter().map(|n| (9, *n)).collect()).collect();
        let mut native = native.to_vec();
        let (fits, whole) = merge(&mut native, whole, role, &groups);
        (native, fits, whole)
    }

    #[test]
    fn functions_stand_where_the_loop_that_runs_them_stood() {
        let found = merged(&[LIBRARY, LOOP, GLUE, LIBRARY, LOOP, GLUE], true, &[&[1, 2], &[3]]);
        assert_eq!(found, (vec![LIBRARY, (9, 1), (9, 2), LIBRARY, (9, 3)], true, true));
        // What the interpreter does for the innermost function stays.
        let found = merged(&[GLUE, LOOP], true, &[&[1]]);
        assert_eq!(found, (vec![GLUE, (9, 1)], true, true));
    }

    #[test]
    fn python_gives_cut_stacks_their_outer_part() {
        let found = merged(&[LIBRARY, LOOP], false, &[&[1], &[2], &[3]]);
        assert_eq!(found, (vec![LIBRARY, (9, 1), (9, 2), (9, 3)], true, true));
        let found = merged(&[LIBRARY], false, &[&[1]]);
        assert_eq!(found, (vec![LIBRARY, (9, 1)], true, true));
    }

    #[test]
    fn where_python_has_gone_on_its_functions_are_taken_alone() {
        // It has called another function meanwhile.
        let found = merged(&[LIBRARY, LOOP, LIBRARY], true, &[&[1], &[2]]);
        assert_eq!(found, (vec![(9, 1), (9, 2), LIBRARY], false, true));
        // It has returned.
        let found = merged(&[LIBRARY, LOOP, GLUE, LOOP, LIBRARY], true, &[&[2]]);
        assert_eq!(found, (vec![(9, 2), LIBRARY], false, true));
        assert_eq!(merged(&[LIBRARY], true, &[&[1]]), (vec![LIBRARY], false, true));
        assert_eq!(merged(&[LIBRARY, LOOP], true, &[]), (vec![LIBRARY, LOOP], false, true));
        assert_eq!(merged(&[LIBRARY], false, &[]), (vec![LIBRARY], true, false));
    }
}
