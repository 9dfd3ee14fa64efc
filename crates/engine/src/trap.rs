//! The trap of a guest as people read it: its reason, and where it happened.
//!
//! Names of functions, modules and files are the guest's own, so each is shown without control characters and cut.

use std::fmt;

use crisol_core::{printable, shorten};
use wasmtime::{FrameInfo, FrameSymbol, WasmBacktrace};

/// Frames of a guest's stack that a trap has at most.
pub(crate) const MAX_FRAMES: usize = 64;

/// Characters of a name.
const LONGEST_NAME: usize = 200;

/// What wasmtime's own traps begin with.
const WASM_TRAP: &str = "wasm trap: ";

/// Functions that a panic, an abort and the start of a program go through, by how their names begin.
const MACHINERY: [&str; 18] = [
    "__rust_",
    "__rustc",
    "alloc::alloc::handle_alloc_error",
    "alloc::raw_vec::handle_error",
    "core::cell::panic_already_",
    "core::option::expect_failed",
    "core::option::unwrap_failed",
    "core::panicking::",
    "core::result::unwrap_failed",
    "core::slice::index::slice_",
    "core::str::slice_error_fail",
    "panic_abort::",
    "rust_begin_unwind",
    "rust_panic",
    "std::panicking::",
    "std::process::abort",
    "std::rt::",
    "std::sys::",
];

/// Why and where a guest trapped. Displayed, the first line is the reason and each further one a frame, the innermost
/// first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trapped {
    reason: String,
    frames: Vec<Frame>,
}

/// A function that was running.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    /// Demangled.
    function: String,
    /// `file:line:column`, or the offset in the module where the guest carries no line numbers.
    place: String,
}

impl Trapped {
    pub(crate) fn of(error: &wasmtime::Error) -> Self {
        let trace = error.downcast_ref::<WasmBacktrace>();
        let shown = trace.map(ToString::to_string);
        // The innermost cause is the trap itself; what stands around it says more about it.
        let mut causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        causes.retain(|cause| Some(cause) != shown.as_ref());
        let trap = causes.iter().position(|cause| cause.starts_with(WASM_TRAP));
        if let Some(trap) = trap.map(|at| causes.remove(at)) {
            causes.insert(0, trap.trim_start_matches(WASM_TRAP).to_owned());
        }
        causes.dedup();
        let reason = printable(&causes.join(": ")).into_owned();
        let frames = trace.into_iter().flat_map(WasmBacktrace::frames);
        Self { reason, frames: without_machinery(frames.flat_map(frames_of).collect()) }
    }

    /// The trap alone, without its frames.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether a function stands twice in the trace.
    pub(crate) fn is_recursive(&self) -> bool {
        let mut seen = std::collections::HashSet::new();
        !self.frames.iter().all(|frame| seen.insert(&frame.function))
    }
}

impl fmt::Display for Trapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        for (at, Frame { function, place }) in self.frames.iter().enumerate() {
            write!(f, "\n{at:>5}: {function} at {place}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Trapped {}

/// The functions of one frame of machine code: with debug information also those that were inlined there.
fn frames_of(frame: &FrameInfo) -> Vec<Frame> {
    let whole = match frame.func_name() {
        Some(name) => demangled(name),
        None => format!("<function {}>", frame.func_index()),
    };
    let place = match (frame.module().name(), frame.module_offset()) {
        (Some(module), Some(offset)) => format!("{}:{offset:#x}", short(module)),
        (None, Some(offset)) => format!("{offset:#x}"),
        (Some(module), None) => short(module),
        (None, None) => "an unknown place".to_owned(),
    };
    if frame.symbols().is_empty() {
        return vec![Frame { function: whole, place }];
    }
    let one = |symbol: &FrameSymbol| Frame {
        function: symbol.name().map_or_else(|| whole.clone(), demangled),
        place: line(symbol).unwrap_or_else(|| place.clone()),
    };
    frame.symbols().iter().map(one).collect()
}

fn line(symbol: &FrameSymbol) -> Option<String> {
    let file = short(symbol.file()?);
    Some(match (symbol.line(), symbol.column()) {
        (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
        (Some(line), None) => format!("{file}:{line}"),
        _ => file,
    })
}

/// A name as its source has it: of Rust without the hash that tells builds apart.
fn demangled(name: &str) -> String {
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return short(&format!("{rust:#}"));
    }
    // Anything that is no symbol of C++ may be read as one of its types.
    let is_symbol = name.starts_with("_Z");
    let plain = || cpp_demangle::Symbol::new(name).ok()?.demangle().ok();
    short(&is_symbol.then(plain).flatten().unwrap_or_else(|| name.to_owned()))
}

fn short(name: &str) -> String {
    shorten(&printable(name), LONGEST_NAME).into_owned()
}

/// The frames that are somebody's own code; all of them where none is.
fn without_machinery(frames: Vec<Frame>) -> Vec<Frame> {
    let is_own = |frame: &Frame| {
        let name = frame.function.trim_start_matches('<');
        name != "abort" && !MACHINERY.iter().any(|start| name.starts_with(start))
    };
    if !frames.iter().any(is_own) {
        return frames;
    }
    frames.into_iter().filter(is_own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(names: &[&str]) -> Vec<Frame> {
        let frame =
            |name: &&str| Frame { function: demangled(name), place: "src/lib.rs:1".to_owned() };
        names.iter().map(frame).collect()
    }

    #[test]
    fn the_machinery_of_a_panic_is_left_out_unless_there_is_nothing_else() {
        let names = [
            "abort",
            "__rust_start_panic",
            "_RNvCs691rhTbG0Ee_7___rustc10rust_panic",
            "_ZN3std9panicking20rust_panic_with_hook17h0123456789abcdefE",
            "_ZN4core9panicking9panic_fmt17h0123456789abcdefE",
            "_ZN5guest5inner17h0123456789abcdefE",
            "_ZN3std2rt10lang_start17h0123456789abcdefE",
        ];
        let shown = without_machinery(frames(&names));
        assert_eq!(shown, frames(&["guest::inner"]));
        let all = without_machinery(frames(&names[..2]));
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn a_name_stays_within_its_line() {
        assert_eq!(demangled("a\u{1b}[2J\nERROR\u{2028}"), "a\u{fffd}[2J\u{fffd}ERROR\u{fffd}");
        assert_eq!(demangled(&"x".repeat(1_000)).chars().count(), LONGEST_NAME + 1);
        assert_eq!(demangled("_Z1fi"), "f(int)");
    }

    #[test]
    fn each_frame_has_a_line() {
        let mut trapped = Trapped { reason: "out of bounds".into(), frames: frames(&["a", "b"]) };
        assert!(!trapped.is_recursive());
        assert_eq!(
            trapped.to_string(),
            "out of bounds\n    0: a at src/lib.rs:1\n    1: b at src/lib.rs:1"
        );
        trapped.frames.extend(frames(&["a"]));
        assert!(trapped.is_recursive());
    }
}
