//! A script's text with its modules and limits.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crisol_core::{Budget, chain};
use mlua::{Function, Lua};

use crate::chunk::Chunk;
use crate::clock::{Clock, now};
use crate::failure::Failure;
use crate::host;
use crate::memory::MemoryAccount;
use crate::modules::Module;
use crate::output::Sink;
use crate::state::State;
use crate::turn::Load;
use crate::turn_limit::TurnLimit;

/// Callable part of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryPoint {
    /// The whole script, run on each call.
    Script,
    /// A function in the table that the script returns, or the function that it returns.
    Method(String),
}

/// Maximum length of a script name that Lua shows whole in messages, and the length of the end that it shows
/// of a longer one.
const MAX_NAME: usize = 59;
const NAME_SUFFIX: usize = 56;

/// A script's text with its modules and limits. Cloning is cheap.
#[derive(Clone)]
pub struct Program {
    name: Arc<str>,
    chunk: Arc<Chunk>,
    entry: EntryPoint,
    modules: BTreeSet<Module>,
    max_memory_bytes: u64,
    budget: Budget,
    turns: TurnLimit,
    sink: Sink,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("name", &self.name)
            .field("entry", &self.entry)
            .finish_non_exhaustive()
    }
}

impl Program {
    /// Creates a program from `source`, with `name` in errors, no modules and 256 MiB of memory. Printed text
    /// goes to `sink`. Clones compile `source` once together.
    pub fn new(
        name: impl Into<Arc<str>>,
        source: impl Into<String>,
        entry: EntryPoint,
        sink: Sink,
    ) -> Self {
        let name = name.into();
        let chunk = Arc::new(Chunk::new(format!("@{name}").into(), source.into().into()));
        let (modules, max_memory_bytes) = (BTreeSet::new(), 256 << 20);
        let (budget, turns) = (Budget::unlimited(), TurnLimit::new());
        Self { name, chunk, entry, modules, max_memory_bytes, budget, turns, sink }
    }

    /// Sets the modules that the script may `require`.
    #[must_use]
    pub fn with_modules(mut self, modules: impl IntoIterator<Item = Module>) -> Self {
        self.modules = modules.into_iter().collect();
        self
    }

    /// Sets the memory limit of one state, in bytes.
    #[must_use]
    pub fn with_memory(mut self, max_memory_bytes: u64) -> Self {
        self.max_memory_bytes = max_memory_bytes;
        self
    }

    /// Sets the memory budget that the program's states share with others.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Sets the bound on turns that the program's states share with other programs.
    #[must_use]
    pub fn with_turns(mut self, turns: TurnLimit) -> Self {
        self.turns = turns;
        self
    }

    /// Returns the memory limit of one state, in bytes.
    #[must_use]
    pub fn max_memory_bytes(&self) -> u64 {
        self.max_memory_bytes
    }

    /// Creates a state: a Lua instance that has run the script up to its `return` and found the entry.
    ///
    /// # Errors
    /// Fails if the text is not valid Lua, if the script fails or does not end by `deadline`, or if it has no
    /// such function.
    pub async fn start(&self, deadline: Option<Instant>) -> Result<State, Failure> {
        let method = match &self.entry {
            EntryPoint::Script => None,
            EntryPoint::Method(method) => Some(method.clone()),
        };
        let clock = Clock::new(MemoryAccount::new(self.max_memory_bytes, &self.budget), method);
        let program = self.clone();
        let compile = Box::new(move |clock: &Arc<Clock>| program.compile(clock));
        State::load(&clock, &self.turns, Load { compile }, deadline).await
    }

    /// Creates a Lua instance and loads the script into it. The first instance compiles it.
    fn compile(&self, clock: &Arc<Clock>) -> Result<(Lua, Function), Failure> {
        let lua = host::lua(clock, &self.modules, &self.sink).map_err(Failure::Setup)?;
        let memory = &clock.memory;
        let raised = |error: mlua::Error| clock.failure(&error);
        memory.open(&lua, self.chunk.size() as u64).map_err(raised)?;
        let script = self.chunk.load(&lua).map_err(raised)?;
        Ok((lua, script))
    }

    /// Returns the script line of a failure, if it has one, and the message without that line.
    #[must_use]
    pub fn placed(&self, failure: &Failure) -> (Option<usize>, String) {
        let (text, before) = match failure {
            Failure::Syntax(text) => (text.as_str(), ""),
            Failure::Raised(trace) => (trace.reason(), "the script failed: "),
            other => return (None, chain(other)),
        };
        let (line, text) = match self.line(text) {
            Some((line, text)) => (Some(line), text),
            None => (None, text),
        };
        let frames = match failure {
            // A single frame repeats the line.
            Failure::Raised(trace) if trace.frames().len() > 1 => trace.frames_shown(),
            _ => String::new(),
        };
        (line, format!("{before}{text}{frames}"))
    }

    /// Splits a message of Lua into the script line and the rest.
    fn line<'t>(&self, text: &'t str) -> Option<(usize, &'t str)> {
        let text = match self.name.len().checked_sub(MAX_NAME) {
            None | Some(0) => text.strip_prefix(&*self.name)?,
            Some(_) => {
                let end = self.name.len().checked_sub(NAME_SUFFIX)?;
                text.strip_prefix("...")?.strip_prefix(self.name.get(end..)?)?
            }
        };
        let (line, text) = text.strip_prefix(':')?.split_once(": ")?;
        Some((line.parse().ok()?, text))
    }

    /// Checks that a state can be created: creates one on a thread of its own and drops it. Blocks until
    /// then.
    ///
    /// # Errors
    /// Fails like [`Program::start`].
    pub fn check(&self, limit: Duration) -> Result<(), Failure> {
        let setup = |error: std::io::Error| Failure::Setup(mlua::Error::external(error));
        let check = || {
            let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let tokio = tokio.map_err(setup)?;
            let deadline = now().checked_add(limit);
            let checked = tokio.block_on(self.start(deadline)).map(drop);
            // An abandoned script may still be inside an instruction.
            tokio.shutdown_background();
            checked
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("lua-check".to_owned());
            let checking = thread.spawn_scoped(scope, check).map_err(setup)?;
            let panicked = |_| Err(Failure::host("the check panicked"));
            checking.join().unwrap_or_else(panicked)
        })
    }
}
