//! The text of a script and what it may use.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crisol_core::Budget;
use mlua::{Function, Table, Value as LuaValue};

use crate::allowance::Allowance;
use crate::failure::Failure;
use crate::gate::{Clock, now};
use crate::host;
use crate::state::State;

/// A module that a script may `require`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Module {
    /// `funcs`: calls to functions.
    Funcs,
    /// `json`: JSON text.
    Json,
    /// `log`: lines to the log.
    Log,
    /// `time`: the time, and waiting.
    Time,
}

impl Module {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Funcs, Self::Json, Self::Log, Self::Time];

    /// Its name in `require`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Funcs => "funcs",
            Self::Json => "json",
            Self::Log => "log",
            Self::Time => "time",
        }
    }
}

/// How much a line of output matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// From `print`.
    Print,
    /// From `log.debug`.
    Debug,
    /// From `log.info`.
    Info,
    /// From `log.warn`.
    Warn,
    /// From `log.error`.
    Error,
}

/// Takes the lines that scripts print and log.
pub type Sink = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// What of a script is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The script itself, each time it is called.
    Script,
    /// A function of the table that the script returns, or the function that it returns.
    Method(String),
}

/// The text of a script and what it may use. Cloning is cheap.
#[derive(Clone)]
pub struct Program {
    name: Arc<str>,
    source: Arc<str>,
    entry: Entry,
    modules: BTreeSet<Module>,
    max_memory_bytes: u64,
    budget: Budget,
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
    /// The script `source`, called `name` in errors, that may use no module and 256 MiB. What it prints
    /// goes to `sink`.
    pub fn new(
        name: impl Into<Arc<str>>,
        source: impl Into<Arc<str>>,
        entry: Entry,
        sink: Sink,
    ) -> Self {
        let (name, source) = (name.into(), source.into());
        let (modules, max_memory_bytes) = (BTreeSet::new(), 256 << 20);
        Self { name, source, entry, modules, max_memory_bytes, budget: Budget::unlimited(), sink }
    }

    /// What it may `require`.
    #[must_use]
    pub fn with_modules(mut self, modules: impl IntoIterator<Item = Module>) -> Self {
        self.modules = modules.into_iter().collect();
        self
    }

    /// Bytes that one state may hold.
    #[must_use]
    pub fn with_memory(mut self, max_memory_bytes: u64) -> Self {
        self.max_memory_bytes = max_memory_bytes;
        self
    }

    /// Bytes that its states may hold together with all else that shares the budget.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Bytes that one state may hold.
    #[must_use]
    pub fn max_memory_bytes(&self) -> u64 {
        self.max_memory_bytes
    }

    /// Makes a state: a Lua of its own, the script run up to its `return`, the entry found.
    ///
    /// # Errors
    /// When the text is no Lua, fails or is not done by `deadline`, or has no such function.
    pub async fn start(&self, deadline: Option<Instant>) -> Result<State, Failure> {
        let clock = Clock::new(Allowance::new(self.max_memory_bytes, &self.budget));
        let allowance = &clock.allowance;
        let lua = host::lua(&clock, &self.modules, &self.sink).map_err(Failure::Setup)?;
        allowance
            .open(&lua, self.source.len() as u64)
            .map_err(|error| allowance.failure(&error))?;
        let chunk = lua.load(&*self.source).set_name(format!("={}", self.name));
        let chunk = chunk.set_mode(mlua::chunk::ChunkMode::Text).into_function();
        let chunk = chunk.map_err(|error| allowance.failure(&error))?;
        allowance.close(&lua);
        let mut state = State::new(lua, clock, chunk);
        if let Entry::Method(method) = &self.entry {
            let returned = state.run(None, mlua::MultiValue::new(), deadline).await?;
            let function = find(&returned.into_iter().next().unwrap_or(LuaValue::Nil), method)?;
            state.set_entry(function);
        }
        Ok(state)
    }
}

impl Program {
    /// Whether a state can be made: makes one, on a thread of its own, and drops it. Blocks meanwhile.
    ///
    /// # Errors
    /// As [`Program::start`].
    pub fn check(&self, limit: Duration) -> Result<(), Failure> {
        let setup = |error: std::io::Error| Failure::Setup(mlua::Error::external(error));
        let check = || {
            let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let deadline = now().checked_add(limit);
            tokio.map_err(setup)?.block_on(self.start(deadline)).map(drop)
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("lua-check".to_owned());
            let checking = thread.spawn_scoped(scope, check).map_err(setup)?;
            let panicked = |_| Err(Failure::Raised("the check panicked".to_owned()));
            checking.join().unwrap_or_else(panicked)
        })
    }
}

/// The function that `method` means of what a script returned.
fn find(returned: &LuaValue, method: &str) -> Result<Function, Failure> {
    match returned {
        LuaValue::Function(function) => Ok(function.clone()),
        LuaValue::Table(table) => match table.raw_get(method) {
            Ok(LuaValue::Function(function)) => Ok(function),
            _ => Err(Failure::Method(missing(method, table))),
        },
        other => Err(Failure::Method(format!(
            "the script returns {} where a table of functions, or one function, was expected: end it with `return {{ {method} = {method} }}`",
            other.type_name()
        ))),
    }
}

fn missing(method: &str, table: &Table) -> String {
    let mut names: Vec<String> = table
        .clone()
        .pairs::<LuaValue, LuaValue>()
        .filter_map(Result::ok)
        .filter(|(_, value)| value.is_function())
        .filter_map(|(key, _)| key.as_string().map(|name| format!("`{}`", name.to_string_lossy())))
        .collect();
    names.sort();
    match names.as_slice() {
        [] => format!("the script returns a table without functions, so there is no `{method}`"),
        names => {
            format!("the script returns no function `{method}`; it returns {}", names.join(", "))
        }
    }
}
