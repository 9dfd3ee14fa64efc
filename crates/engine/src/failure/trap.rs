//! Traps of guests as traces: reason and frames, with demangled names.

use std::collections::HashSet;

use crisol_core::{Frame, Trace};
use wasmtime::{FrameInfo, FrameSymbol, WasmBacktrace};

/// Prefix of wasmtime's own trap messages.
const WASM_TRAP: &str = "wasm trap: ";

/// Name prefixes of the functions behind panics, aborts and the start of a program.
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

/// Builds the trace of a trap: its reason and its frames.
pub(crate) fn trace(error: &wasmtime::Error) -> Trace {
    let trace = error.downcast_ref::<WasmBacktrace>();
    let shown = trace.map(ToString::to_string);
    // The innermost cause is the trap itself and comes first; the outer ones add context.
    let mut causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.retain(|cause| Some(cause) != shown.as_ref());
    let trap = causes.iter().position(|cause| cause.starts_with(WASM_TRAP));
    if let Some(trap) = trap.map(|at| causes.remove(at)) {
        causes.insert(0, trap.trim_start_matches(WASM_TRAP).to_owned());
    }
    // Some errors repeat their source's text.
    causes.dedup_by(|cause, before| before.ends_with(cause.as_str()));
    let frames = trace.into_iter().flat_map(WasmBacktrace::frames);
    Trace::new(&causes.join(": "), without_machinery(frames.flat_map(frames_of).collect()))
}

/// Returns true if a function occurs twice in a trace.
pub(crate) fn is_recursive(trace: &Trace) -> bool {
    let mut seen = HashSet::new();
    !trace.frames().iter().all(|frame| seen.insert(frame.function()))
}

/// The functions of one machine-code frame, including inlined ones if debug information is present.
fn frames_of(frame: &FrameInfo) -> Vec<Frame> {
    let whole = match frame.func_name() {
        Some(name) => demangled(name),
        None => format!("<function {}>", frame.func_index()),
    };
    let module = frame.module().name().unwrap_or_default();
    let offset = frame.module_offset().map(|offset| format!("{offset:#x}")).unwrap_or_default();
    if frame.symbols().is_empty() {
        return vec![Frame::new(&whole, module, &offset)];
    }
    let one = |symbol: &FrameSymbol| {
        let function = symbol.name().map_or_else(|| whole.clone(), demangled);
        match symbol.file() {
            Some(file) => Frame::new(&function, file, &position(symbol)),
            None => Frame::new(&function, module, &offset),
        }
    };
    frame.symbols().iter().map(one).collect()
}

fn position(symbol: &FrameSymbol) -> String {
    match (symbol.line(), symbol.column()) {
        (Some(line), Some(column)) => format!("{line}:{column}"),
        (Some(line), None) => line.to_string(),
        _ => String::new(),
    }
}

/// Demangles a name; Rust names lose their hash.
fn demangled(name: &str) -> String {
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}");
    }
    // Only symbols begin with `_Z`; the demangler also accepts bare C++ types, such as `i`.
    let is_symbol = name.starts_with("_Z");
    let plain = || cpp_demangle::Symbol::new(name).ok()?.demangle().ok();
    is_symbol.then(plain).flatten().unwrap_or_else(|| name.to_owned())
}

/// Removes the frames of panic and start-up code, or none if no others remain.
fn without_machinery(frames: Vec<Frame>) -> Vec<Frame> {
    let is_own = |frame: &Frame| {
        let name = frame.function().trim_start_matches('<');
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
        names.iter().map(|name| Frame::new(&demangled(name), "src/lib.rs", "1")).collect()
    }

    #[test]
    fn panic_frames_are_hidden_unless_all_are() {
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
    fn names_are_as_their_sources_have_them() {
        assert_eq!(demangled("_Z1fi"), "f(int)");
        assert_eq!(demangled("_ZN5guest5inner17h0123456789abcdefE"), "guest::inner");
        assert_eq!(demangled("plain"), "plain");
    }

    /// An error that repeats its source's text, like errors of other crates.
    #[derive(Debug)]
    struct Outer(std::fmt::Error);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "in `f`: {}", self.0)
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn repeated_cause_is_shown_once() {
        let error = Outer(std::fmt::Error);
        let text = error.to_string();
        assert_eq!(trace(&wasmtime::Error::new(error)).reason(), text);
    }

    #[test]
    fn a_trace_is_recursive_where_a_function_stands_twice() {
        let trace = |names: &[&str]| Trace::new("stack", frames(names));
        assert!(!is_recursive(&trace(&["a", "b"])));
        assert!(is_recursive(&trace(&["a", "b", "a"])));
    }
}
