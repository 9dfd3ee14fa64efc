//! Lua functions and scripts: states as a pool's workers, and their failures as callers know them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crisol_core::{
    Args, Budget, CallContext, CallError, Caller, EntryId, Invoke, MAX_DEPTH, ResourceLimit, Spent,
    Value,
};
use crisol_engine::Limits;
use crisol_lua::{Call, Entry, Failure, Level, Module, Program, Sink, State, Turns};
use crisol_pool::{Ask, Config, Factory, Fate, Lease, Pool, Refused, Retired};
use crisol_schema::{LuaModule, Report, Rule};
use crisol_wasi::GuestLog;
use tokio::runtime::Handle;

use crate::code::{BAD_CODE, Fault};
use crate::pooled::{Until, now};
use crate::runtime::Runtime;

/// A method that the script does not return.
const BAD_METHOD: Rule = Rule::new("bad-method");

/// One Lua function, assembled: checked, pooled, limited.
pub(crate) struct LuaFunction {
    pub(crate) id: EntryId,
    pub(crate) pool: Arc<Pool<States>>,
    max_execution: Duration,
    max_output_bytes: u64,
    log: Arc<GuestLog>,
}

/// Time that the check of a script has at least: a machine that is busy while the app loads makes no script
/// wrong.
const LEAST_CHECK: Duration = Duration::from_secs(2);

/// Makes states of one script.
pub(crate) struct States {
    program: Program,
    max_execution: Duration,
}

impl Factory for States {
    type Worker = State;
    type Error = Failure;

    async fn make(&self) -> Result<State, Failure> {
        self.program.start(now().checked_add(self.max_execution)).await
    }
}

/// What a call that ended needs to tell.
struct Ended<'a> {
    id: &'a EntryId,
    limit: Option<Duration>,
    queue: Duration,
    making: Duration,
}

impl LuaFunction {
    /// Checks the script by loading it once.
    pub(crate) fn assemble(
        id: &EntryId,
        function: &crisol_schema::LuaFunction,
        max_execution: Duration,
        limits: Limits,
        (pool, (budget, turns)): (Config, (&Budget, &Turns)),
    ) -> Result<Self, Fault> {
        // Texts in entries are called the same, so that what is wrong with many of them is one error.
        let name = function
            .source
            .file()
            .map_or_else(|| "source".to_owned(), |path| path.display().to_string());
        let entry = Entry::Method(function.method.as_str().to_owned());
        let log = Arc::new(GuestLog::new(id.clone()));
        let program = Program::new(name, function.source.text(), entry, to_log(&log))
            .with_modules(function.modules.iter().map(module))
            .with_memory(limits.max_memory_bytes);
        let text = function.source.text();
        program.check(max_execution.max(LEAST_CHECK)).map_err(|failure| {
            let (field, rule, help) = match failure {
                Failure::Method(_) => {
                    ("method", BAD_METHOD, "name a function of the table that the script returns")
                }
                _ => ("source", BAD_CODE, "make the script load: it returns a table of functions"),
            };
            let (line, message) = program.placed(&failure);
            let fault = Fault::at(field, Report::error(rule, message).help(help));
            fault.inside(line.map(|line| start_of(text, line)))
        })?;
        // Not before: whether a script loads does not depend on what else runs.
        let program = program.with_budget(budget.clone()).with_turns(turns.clone());
        Ok(Self {
            id: id.clone(),
            pool: Pool::new(States { program, max_execution }, pool),
            max_execution,
            max_output_bytes: limits.max_output_bytes,
            log,
        })
    }

    /// Makes the first states, if the pool is to begin with some.
    pub(crate) async fn warm(&self) -> Result<(), CallError> {
        let none = Duration::ZERO;
        let ended = Ended { id: &self.id, limit: None, queue: none, making: none };
        self.pool.warm().await.map(drop).map_err(|refused| ended.refused(refused, Vec::new()))
    }

    /// Arguments as values.
    pub(crate) fn read(&self, args: Args<'_>) -> Result<Vec<Value>, CallError> {
        args.into_values().map_err(|error| self.invalid(error.into()))
    }

    /// Rust arguments as values: a tuple or sequence holds them in order, `()` is none.
    pub(crate) fn write(&self, args: &impl serde::Serialize) -> Result<Vec<Value>, CallError> {
        match Value::from_serialize(args).map_err(|error| self.invalid(error.into()))? {
            Value::List(args) => Ok(args),
            Value::Null => Ok(Vec::new()),
            _ => {
                Err(self.invalid("arguments of a Lua function have an order: pass a tuple".into()))
            }
        }
    }

    /// WAVE is read by a signature, and Lua functions have none.
    pub(crate) fn has_no_wave(&self) -> CallError {
        self.invalid("a Lua function has no signature to read WAVE by: pass JSON".into())
    }

    fn invalid(&self, source: crisol_core::BoxError) -> CallError {
        CallError::InvalidInput { id: self.id.clone(), source }
    }

    /// Runs one call; what it calls in turn goes to `invoke`.
    pub(crate) async fn call(
        &self,
        invoke: Option<Arc<dyn Invoke>>,
        context: CallContext,
        args: Vec<Value>,
    ) -> Result<Value, CallError> {
        let Until { deadline, limit, .. } = Until::of(self.max_execution, &context);
        let chain = context.chain();
        if chain.depth() > MAX_DEPTH {
            return Err(CallError::TooDeep { id: self.id.clone(), allowed: MAX_DEPTH });
        }
        let held = chain.iter().filter(|ancestor| **ancestor == self.id).count();
        let ask = Ask::new().by(deadline.map(Into::into)).holding(held);
        let none = Duration::ZERO;
        let ended = Ended { id: &self.id, limit, queue: none, making: none };
        let lease = self.pool.check_out_shared(ask, |_| true).await;
        let lease =
            lease.map_err(|refused| ended.refused(refused, chain.iter().cloned().collect()))?;
        let loan = Loan(Some(lease));
        let Some(invoke) = invoke else {
            return Err(CallError::Unavailable { id: self.id.clone() });
        };
        let context = context.within(&self.id, deadline).by(Caller::Lua);
        let call = Call { invoke, context };
        let outcome = self.finish(loan, call, args, deadline, ended).await;
        self.log.tell_left_out();
        outcome
    }

    async fn finish(
        &self,
        mut loan: Loan,
        call: Call,
        args: Vec<Value>,
        deadline: Option<Instant>,
        ended: Ended<'_>,
    ) -> Result<Value, CallError> {
        let Some(lease) = &mut loan.0 else {
            return Err(CallError::Unavailable { id: self.id.clone() });
        };
        let (state, interruption) = lease.split();
        let outcome = interruption.race(state.call(call, args, deadline)).await;
        let ended = Ended { queue: lease.waited(), making: lease.making(), ..ended };
        let Some(outcome) = outcome else {
            loan.give_back(Fate::Retire(Retired::Interrupted));
            return Err(CallError::Interrupted { id: self.id.clone() });
        };
        loan.give_back(match &outcome {
            Ok(_) | Err(Failure::Answered(_)) => Fate::Reuse,
            Err(Failure::Deadline { .. }) => Fate::Retire(Retired::TimedOut),
            Err(_) => Fate::Retire(Retired::Failed),
        });
        let value = outcome.map_err(|failure| ended.failed(failure))?;
        let allowed = self.max_output_bytes;
        if size(&value) > allowed {
            let limit = ResourceLimit::Output { allowed };
            return Err(CallError::Limit { id: self.id.clone(), limit });
        }
        Ok(value)
    }
}

/// A state on loan. It goes back once no instruction of it runs any longer: until then it counts among the states of its
/// pool, whoever has left its call.
struct Loan(Option<Lease<'static, States>>);

impl Loan {
    fn give_back(mut self, fate: Fate) {
        let Some(lease) = self.0.take() else { return };
        if let Some(lease) = settle(lease, fate) {
            lease.give_back(fate);
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(lease) = self.0.take() {
            drop(settle(lease, Fate::Retire(Retired::Cancelled)));
        }
    }
}

/// Has a task give a state back that runs still, or hands the lease back.
fn settle(mut lease: Lease<'static, States>, fate: Fate) -> Option<Lease<'static, States>> {
    let tokio = Handle::try_current().ok().filter(|_| lease.worker().is_running());
    let Some(tokio) = tokio else { return Some(lease) };
    tokio.spawn(async move {
        lease.worker().settle().await;
        lease.give_back(fate);
    });
    None
}

impl Ended<'_> {
    fn failed(&self, failure: Failure) -> CallError {
        let id = self.id.clone();
        match failure {
            Failure::Answered(error) => CallError::Function { id, error: Box::new(error) },
            Failure::Deadline { running, waiting } => self.deadline(running, waiting),
            Failure::OverMemory(over) => CallError::OverMemory { id, over },
            Failure::Memory { allowed } => {
                CallError::Limit { id, limit: ResourceLimit::ScriptMemory { allowed } }
            }
            Failure::Raised(trace) => CallError::Trap { id, source: trace.into() },
            Failure::Result(text) => CallError::UnexpectedResult { id, source: text.into() },
            other => CallError::Internal { id, source: other.into() },
        }
    }

    fn refused(&self, refused: Refused<Failure>, chain: Vec<EntryId>) -> CallError {
        let id = self.id.clone();
        match refused {
            Refused::Saturated { waiting } => CallError::Saturated { id, waiting },
            Refused::TimedOut { waited, making } => {
                Ended { queue: waited, ..*self }.deadline(making, Duration::ZERO)
            }
            Refused::Draining => CallError::Unavailable { id },
            Refused::WouldDeadlock { .. } => CallError::WouldDeadlock { id, chain },
            Refused::Factory(failure) => self.failed(failure),
            other => CallError::Internal { id, source: other.into() },
        }
    }

    fn deadline(&self, guest: Duration, host: Duration) -> CallError {
        let spent = Spent { queue: self.queue, guest: self.making + guest, host };
        CallError::Deadline { id: self.id.clone(), limit: self.limit, spent }
    }
}

/// Byte at which the text of a line begins; lines are counted from 1.
fn start_of(text: &str, line: usize) -> usize {
    let lines = text.split_inclusive('\n').take(line.saturating_sub(1));
    let start: usize = lines.map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.find(|c: char| !matches!(c, ' ' | '\t')).unwrap_or_default()
}

fn module(module: &LuaModule) -> Module {
    match module {
        LuaModule::Json => Module::Json,
        LuaModule::Log => Module::Log,
        LuaModule::Time => Module::Time,
        _ => Module::Funcs,
    }
}

/// Bytes of a result: text by its length, numbers by their width, names too.
fn size(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => 8,
        Value::Text(text) => text.len() as u64,
        Value::Bytes(bytes) => bytes.len() as u64,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(pairs) => pairs.iter().map(|(key, value)| size(key) + size(value)).sum(),
    }
}

/// What a function prints goes to the log, as what other guests print does.
fn to_log(log: &Arc<GuestLog>) -> Sink {
    let log = Arc::clone(log);
    Arc::new(move |output| {
        let (level, stream) = match output.level {
            Level::Print => (tracing::Level::INFO, "stdout"),
            Level::Debug => (tracing::Level::DEBUG, "log"),
            Level::Info => (tracing::Level::INFO, "log"),
            Level::Warn => (tracing::Level::WARN, "log"),
            Level::Error => (tracing::Level::ERROR, "log"),
        };
        log.text(level, stream, output.call, output.text);
    })
}

/// A Lua script that calls functions of an app: [`Runtime::run_script`].
pub struct Script {
    /// What it is called in errors.
    pub name: String,
    /// Its text.
    pub source: String,
    /// What its `...` holds.
    pub args: Vec<Value>,
    /// Where its lines go.
    pub sink: Sink,
    /// When it must be over, if ever.
    pub deadline: Option<Instant>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Runs a Lua script in a sandbox with all modules, and gives what it returned. All its calls run in
    /// the generation that is current now.
    ///
    /// # Errors
    /// See [`ScriptError`](crate::ScriptError); `nil, err` is
    /// [`ScriptError::Answered`](crate::ScriptError::Answered).
    pub async fn run_script(&self, script: Script) -> Result<Value, Failure> {
        let Script { name, source, args, sink, deadline } = script;
        let program = Program::new(name, source, Entry::Script, sink)
            .with_modules(Module::ALL)
            .with_budget(self.0.engine.budget().clone())
            .with_turns(self.0.settings.turns.clone());
        let mut context = CallContext::new(Caller::Lua);
        if let Some(deadline) = deadline {
            context = context.with_deadline(deadline);
        }
        let call = Call { invoke: self.generation(), context };
        program.start(deadline).await?.call(call, args, deadline).await
    }
}
