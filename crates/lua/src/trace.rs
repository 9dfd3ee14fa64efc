//! Frames of a script where an uncaught error is raised.

use crisol_core::{Frame, Trace};
use mlua::debug::Debug;
use mlua::{Lua, Result, Value};

use crate::clock::Clock;

/// Chunk name of the prelude, whose functions are not part of a trace.
pub(crate) const PRELUDE: &str = "=prelude";

/// Maximum number of stack levels to inspect. Host functions may lie between two functions of a script.
const MAX_LEVELS: usize = 4 * Trace::MAX_FRAMES;

/// Records the running functions for the failure that an error becomes. Lua calls it where the error is
/// raised.
pub(crate) fn record_frames(lua: &Lua, error: Value) -> Result<Value> {
    let clock = Clock::of(lua)?;
    clock.record_frames(frames(lua, clock.method()));
    Ok(error)
}

/// Returns the running functions of the script, innermost first.
fn frames(lua: &Lua, method: Option<&str>) -> Vec<Frame> {
    let mut seen: Vec<ScriptFrame> = Vec::new();
    for level in 0..MAX_LEVELS {
        match lua.inspect_stack(level, ScriptFrame::of) {
            Some(one) if seen.len() < Trace::MAX_FRAMES => seen.extend(one),
            Some(_) => break,
            None => {
                // The host calls this function by a name that the script's code does not show.
                let outermost = seen.last_mut().filter(|outermost| outermost.is_called);
                if let (Some(outermost), Some(method)) = (outermost, method) {
                    outermost.name.get_or_insert_with(|| method.to_owned());
                }
                break;
            }
        }
    }
    seen.iter().map(ScriptFrame::frame).collect()
}

/// A running function of a script.
struct ScriptFrame {
    /// Name that the caller uses, if there is one.
    name: Option<String>,
    file: String,
    /// Current line, and first line of the function.
    lines: [usize; 2],
    /// True if the caller is still on the stack, which is not so after a tail call.
    is_called: bool,
}

impl ScriptFrame {
    fn of(debug: &Debug<'_>) -> Option<Self> {
        let source = debug.source();
        let file =
            source.source.as_deref().filter(|file| *file != PRELUDE && source.what != "C")?;
        let names = debug.names();
        let name = match source.what {
            "main" => Some("main chunk".to_owned()),
            _ => names.name.map(|name| match names.name_what {
                Some("metamethod") => format!("metamethod {name}"),
                _ => name.into_owned(),
            }),
        };
        let file = match file.strip_prefix(['=', '@']) {
            Some(file) => file.to_owned(),
            // A chunk without a name, for which Lua shows the text.
            None => source.short_src.unwrap_or_default().into_owned(),
        };
        let lines = [debug.current_line(), source.line_defined].map(Option::unwrap_or_default);
        Some(Self { name, file, lines, is_called: !debug.is_tail_call() })
    }

    fn frame(&self) -> Frame {
        let [line, begins] = self.lines;
        let nameless = || format!("<function at line {begins}>");
        let name = self.name.clone().unwrap_or_else(nameless);
        Frame::new(&name, &self.file, &line.to_string())
    }
}
