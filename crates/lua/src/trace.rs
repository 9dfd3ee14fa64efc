//! Frames of a script where an error is raised that nobody catches.

use crisol_core::{Frame, Trace};
use mlua::debug::Debug;
use mlua::{Lua, Result, Value};

use crate::gate::Clock;

/// The prelude's own chunk: its functions are none of the script.
pub(crate) const PRELUDE: &str = "=prelude";

/// Levels of the stack that are looked at: between two functions of a script there may be some of the host.
const MAX_LEVELS: usize = 4 * Trace::MAX_FRAMES;

/// Notes which functions run, for the failure that an error becomes. Lua calls it where the error is raised.
pub(crate) fn note(lua: &Lua, error: Value) -> Result<Value> {
    let clock = Clock::of(lua)?;
    clock.note(frames(lua, clock.method()));
    Ok(error)
}

/// The functions of the script that run, the innermost first.
fn frames(lua: &Lua, method: Option<&str>) -> Vec<Frame> {
    let mut seen: Vec<Seen> = Vec::new();
    for level in 0..MAX_LEVELS {
        match lua.inspect_stack(level, Seen::of) {
            Some(one) if seen.len() < Trace::MAX_FRAMES => seen.extend(one),
            Some(_) => break,
            None => {
                // The host calls it by a name that the script's code does not show.
                let outermost = seen.last_mut().filter(|outermost| outermost.is_called);
                if let (Some(outermost), Some(method)) = (outermost, method) {
                    outermost.name.get_or_insert_with(|| method.to_owned());
                }
                break;
            }
        }
    }
    seen.iter().map(Seen::frame).collect()
}

/// A function of a script that runs.
struct Seen {
    /// The name that its caller has it by, if any.
    name: Option<String>,
    file: String,
    /// Line that runs, and line that the function begins at.
    lines: [usize; 2],
    /// Whether what called it is still there: not after a tail call.
    is_called: bool,
}

impl Seen {
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
            // A chunk without a name, which Lua calls by its text.
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
