//! Error of an unknown command, with a similar name as suggestion.

use std::sync::Arc;

use crisol_core::suggest;

use crate::call::Command;

/// Error of a command lookup: no command has the name or id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown command `{name}`{}", hint(.nearest.as_deref(), .known))]
pub struct CommandNotFound {
    name: String,
    nearest: Option<String>,
    known: Vec<String>,
}

fn hint(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(near) => format!(": did you mean `{near}`?"),
        None if known.is_empty() => {
            ": the app has no commands: add a `process.wasm` entry, and set its name in `meta.command.name`".to_owned()
        }
        None => format!(": use one of `{}`", known.join("`, `")),
    }
}

impl CommandNotFound {
    pub(crate) fn new(name: &str, commands: &[Arc<Command>]) -> Self {
        let label = |command: &Command| command.name().unwrap_or(command.id().as_str()).to_owned();
        let known: Vec<String> = commands.iter().map(|command| label(command)).collect();
        let nearest = suggest::nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
        // Without a similar command name, entry ids are compared.
        let by_id = || {
            let id = suggest::nearest_id(name, commands.iter().map(|command| command.id()))?;
            commands.iter().find(|command| command.id() == id).map(|command| label(command))
        };
        let nearest = nearest.or_else(by_id);
        Self { name: name.to_owned(), nearest, known }
    }
}
