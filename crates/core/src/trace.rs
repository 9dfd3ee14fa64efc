//! Reason of a guest's failure, with the functions on its stack.

use std::fmt;

use crate::message::{one_line, printable, shorten};

/// Maximum number of characters of a name in a frame.
const LONGEST_NAME: usize = 200;

/// A function on the stack.
///
/// Names of functions and files come from the guest, so they are shortened and shown without control characters. A
/// name can therefore not start a new line or imitate another frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    function: String,
    place: String,
}

impl Frame {
    /// Creates a frame of `function` in `file`. `position` is the host's own text, `line:column` or an offset.
    /// Either part of the place may be empty.
    #[must_use]
    pub fn new(function: &str, file: &str, position: &str) -> Self {
        let file = shown(file);
        let place = match (file.as_str(), position) {
            ("", "") => "an unknown place".to_owned(),
            ("", position) => position.to_owned(),
            (_, "") => file,
            _ => format!("{file}:{position}"),
        };
        Self { function: shown(function), place }
    }

    /// Name of the function.
    #[must_use]
    pub fn function(&self) -> &str {
        &self.function
    }
}

fn shown(name: &str) -> String {
    // Shortened first, because a name may be as large as the guest.
    printable(&shorten(name, LONGEST_NAME)).into_owned()
}

/// Reason of a guest's failure, with the functions on its stack. The displayed text has the reason on its first
/// line and one frame on each further line, innermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    reason: String,
    frames: Vec<Frame>,
}

impl Trace {
    /// Maximum number of frames in a trace.
    pub const MAX_FRAMES: usize = 64;

    /// Creates a trace; the innermost frame is the first. The reason is reduced to one line of bounded length.
    #[must_use]
    pub fn new(reason: &str, mut frames: Vec<Frame>) -> Self {
        frames.truncate(Self::MAX_FRAMES);
        Self { reason: one_line(reason), frames }
    }

    /// The reason, without the frames.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Frames of the stack, innermost first.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The frames as displayed, each after a line break.
    #[must_use]
    pub fn frames_shown(&self) -> String {
        let shown = |(at, Frame { function, place }): (usize, &Frame)| {
            format!("\n{at:>5}: {function} at {place}")
        };
        self.frames.iter().enumerate().map(shown).collect()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.reason, self.frames_shown())
    }
}

impl std::error::Error for Trace {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_is_one_line_with_any_name() {
        let forged = "a\n    1: innocent at \u{1b}[2J\u{2028}";
        let frames = vec![Frame::new(forged, "b\nc", "1:2"), Frame::new("d", "", "0x1f")];
        let trace = Trace::new("no\nmore", frames);
        assert_eq!(
            trace.to_string(),
            "no\\u{a}more\n    \
             0: a\u{fffd}    1: innocent at \u{fffd}[2J\u{fffd} at b\u{fffd}c:1:2\n    \
             1: d at 0x1f"
        );
    }

    #[test]
    fn a_name_is_cut_and_its_line_number_is_not() {
        let frame = Frame::new(&"x".repeat(1_000), &"y".repeat(1_000), "7");
        assert_eq!(frame.function().chars().count(), LONGEST_NAME + 1);
        assert!(frame.place.ends_with("y…:7"), "{}", frame.place);
        assert_eq!(Frame::new("f", "", "").place, "an unknown place");
        assert_eq!(Frame::new("f", "a", "").place, "a");
    }

    #[test]
    fn a_trace_is_bounded() {
        let frames = vec![Frame::new("f", "a", "1"); 100];
        let trace = Trace::new(&"x".repeat(1 << 20), frames);
        assert_eq!(trace.frames().len(), Trace::MAX_FRAMES);
        assert!(trace.reason().len() < 10_000);
    }
}
