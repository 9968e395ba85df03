//! Writing and reading store files through the public interface.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small made-up numbers")]

mod damage;
mod made;
mod round_trip;
mod walk;
