//! The font of the PNG files, carried along: no system font is asked for.

use std::sync::OnceLock;

use plotters::style::{FontStyle, register_font};

/// Family name the font is registered under.
pub(super) const FAMILY: &str = "chart";

/// Registers the font once a process; an error names the reason.
pub(super) fn register() -> Result<(), String> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        let font = epaint_default_fonts::UBUNTU_LIGHT;
        register_font(FAMILY, FontStyle::Normal, font).is_ok()
    });
    if *done { Ok(()) } else { Err("the embedded font was refused".to_owned()) }
}
