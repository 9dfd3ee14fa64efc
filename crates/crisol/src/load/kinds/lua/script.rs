//! Scripts of `function.lua` entries: checked, then pooled.

use std::sync::Arc;
use std::time::Duration;

use crisol_core::EntryId;
use crisol_engine::Limits;
use crisol_lua::{EntryPoint, Failure, Level, Module, Program, Sink};
use crisol_pool::Pool;
use crisol_schema::{EntryField, LuaModule, Report, Rule};
use crisol_wasi::GuestLog;

use crate::call::{Callable, LuaFunction, Pooled, States};
use crate::load::code::BAD_CODE;
use crate::load::field_error::FieldError;
use crate::load::kinds::slice::retry;
use crate::load::loading::{Loaded, Loading};
use crate::load::pool;

/// A method that is not in the table that the script returns.
const BAD_METHOD: Rule = Rule::new("bad-method");

/// A module that this version does not have.
const UNKNOWN_MODULE: Rule = Rule::new("unknown-module");

/// Minimum time limit for the check of a script, so that a busy machine does not make a script fail.
const LEAST_CHECK: Duration = Duration::from_secs(2);

/// Loads a function, or takes it over from the generation before.
pub(super) fn load(
    function: &crisol_schema::LuaFunction,
    id: &EntryId,
    loading: &Loading<'_>,
    loaded: &mut Loaded,
) -> Result<(), FieldError> {
    let inputs = &loading.inputs;
    let fields = [EntryField::Source, EntryField::Method, EntryField::Modules];
    if !fields.iter().all(|field| inputs.is_read(id, field)) {
        return Ok(());
    }
    let callable = match loading.reused(id, |old| old.callable(id)) {
        Some(kept) => kept.clone(),
        None => Callable::Lua(Arc::new(make(function, id, loading)?)),
    };
    loaded.assembled.functions.insert(id.clone(), callable);
    let limit = inputs.defaults.max_execution(&function.limits);
    retry(id, function.retry.as_ref(), limit, loaded);
    Ok(())
}

/// Builds the function, after checking its script by loading it once.
fn make(
    function: &crisol_schema::LuaFunction,
    id: &EntryId,
    loading: &Loading<'_>,
) -> Result<LuaFunction, FieldError> {
    let (inputs, config) = (&loading.inputs, pool::config(&function.pool)?);
    let max_execution = inputs.defaults.max_execution(&function.limits);
    let Limits { max_memory_bytes, max_output_bytes, .. } =
        inputs.defaults.limits(&function.limits);
    let log = Arc::new(GuestLog::new(id.clone()));
    let modules: Result<Vec<_>, _> = function.modules.iter().map(module).collect();
    // Inline scripts share one name, so that the same error in many of them is reported as one.
    let file = function.source.file();
    let name = file.map_or_else(|| "source".to_owned(), |path| path.display().to_string());
    let method = EntryPoint::Method(function.method.as_str().to_owned());
    let program = Program::new(name, function.source.text(), method, to_log(&log))
        .with_modules(modules?)
        .with_memory(max_memory_bytes);
    check(&program, function.source.text(), max_execution)?;
    // Only after the check, whose result must not depend on other scripts.
    let program =
        program.with_budget(inputs.engine.budget().clone()).with_turns(inputs.turns.clone());
    let scripts = Pooled {
        id: id.clone(),
        limit: Some(max_execution),
        pool: Pool::new(States { program, max_execution }, config),
    };
    Ok(LuaFunction { scripts, max_output_bytes, log })
}

fn check(program: &Program, text: &str, max_execution: Duration) -> Result<(), FieldError> {
    program.check(max_execution.max(LEAST_CHECK)).map(drop).map_err(|failure| {
        let (field, rule, help) = if matches!(failure, Failure::Method(_)) {
            (EntryField::Method, BAD_METHOD, "name a function of the table that the script returns")
        } else {
            (EntryField::Source, BAD_CODE, "make the script load: it returns a table of functions")
        };
        let (line, message) = program.placed(&failure);
        let wrong = FieldError::at(field, Report::error(rule, message).help(help));
        wrong.inside(line.map(|line| start_of(text, line)))
    })
}

/// Converts a module of the schema.
///
/// # Errors
/// Fails for a module that this version does not have.
fn module(module: &LuaModule) -> Result<Module, FieldError> {
    match module {
        LuaModule::Funcs => Ok(Module::Funcs),
        LuaModule::Json => Ok(Module::Json),
        LuaModule::Log => Ok(Module::Log),
        LuaModule::Time => Ok(Module::Time),
        unknown => {
            let message = format!("unknown module {unknown:?}");
            let report = Report::error(UNKNOWN_MODULE, message).help("remove it from `modules`");
            Err(FieldError::at(EntryField::Modules, report))
        }
    }
}

/// Returns the byte offset of a line's first character after spaces and tabs; lines are counted from 1.
fn start_of(text: &str, line: usize) -> usize {
    let lines = text.split_inclusive('\n').take(line.saturating_sub(1));
    let start: usize = lines.map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.find(|c: char| !matches!(c, ' ' | '\t')).unwrap_or_default()
}

/// Returns a sink that writes a function's output to the guest log.
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
