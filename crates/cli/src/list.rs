//! `crisol list`: functions, HTTP handlers and commands of an app.

use std::collections::BTreeMap;

use crisol::EntryId;

use crate::arguments::AppArguments;
use crate::{DONE, app, print_line};

pub(crate) fn run(arguments: &AppArguments) -> anyhow::Result<u8> {
    let runtime = app::look(arguments)?;
    let generation = runtime.generation();
    let mut lines: BTreeMap<EntryId, String> = BTreeMap::new();
    for id in generation.functions() {
        let signature = generation.signature(id.as_str());
        let what = signature.map_or_else(|| "function.lua".to_owned(), |one| one.to_string());
        lines.insert(id, what);
    }
    let handlers = generation.handlers().into_iter();
    lines.extend(handlers.map(|id| (id, "HTTP handler".to_owned())));
    for command in generation.commands() {
        let id = command.id();
        let what = format!("command {}", command.name().unwrap_or(id.as_str()));
        lines.insert(id.clone(), what);
    }
    let width = lines.keys().map(|id| id.as_str().len()).max().unwrap_or(0);
    for (id, what) in &lines {
        print_line(&format!("{id:width$}  {what}"))?;
    }
    Ok(DONE)
}

/// Formats `3 functions, 1 HTTP handler and 2 commands`; a count of zero is left out, except for functions.
pub(crate) fn count(functions: usize, handlers: usize, commands: usize) -> String {
    let all = [(functions, "function"), (handlers, "HTTP handler"), (commands, "command")];
    let nothing = handlers + commands == 0;
    let counted = all.iter().filter(|(n, word)| *n > 0 || *word == "function" && nothing);
    let mut parts: Vec<_> =
        counted.map(|(n, word)| format!("{n} {word}{}", if *n == 1 { "" } else { "s" })).collect();
    let last = parts.pop().unwrap_or_default();
    if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn everything_is_counted() {
        assert_eq!(count(0, 0, 0), "0 functions");
        assert_eq!(count(1, 0, 0), "1 function");
        assert_eq!(count(0, 1, 0), "1 HTTP handler");
        assert_eq!(count(3, 1, 2), "3 functions, 1 HTTP handler and 2 commands");
    }
}
