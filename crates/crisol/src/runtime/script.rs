//! Lua scripts that call functions of an app.

use std::time::Instant;

use crisol_core::{CallContext, Caller, Value};
use crisol_lua::{Call, EntryPoint, Failure, Module, Program, Sink};

use super::handle::Runtime;

/// A Lua script for [`Runtime::run_script`], which can call functions of the app.
pub struct Script {
    /// Name in errors.
    pub name: String,
    /// Source text.
    pub source: String,
    /// Arguments, which the script reads as `...`.
    pub args: Vec<Value>,
    /// Receiver of the lines that it prints or logs.
    pub sink: Sink,
    /// Deadline; none for no limit.
    pub deadline: Option<Instant>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Runs a Lua script in a sandbox with all modules and returns its result. All its calls run in the generation that
    /// is current at its start.
    ///
    /// # Errors
    /// See [`Failure`]; `nil, err` is [`Failure::Returned`].
    pub async fn run_script(&self, script: Script) -> Result<Value, Failure> {
        let Script { name, source, args, sink, deadline } = script;
        let program = Program::new(name, source, EntryPoint::Script, sink)
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
