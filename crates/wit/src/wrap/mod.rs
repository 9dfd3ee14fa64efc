//! Core modules become components: WIT text says how their exports are meant, or their own core types do.

mod check;
mod derived;
mod error;
mod items;
mod matching;
mod module;
mod plain;
mod wit;

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::names::kebab;
use check::check_imports;
pub use error::WrapError;
use matching::matched;
use module::Outside;

/// Parameters that the component model hands over by themselves; more go through memory.
const MAX_FLAT_PARAMS: usize = 16;

/// Turns a core module into a component.
///
/// `wit` is a whole WIT document with one world, or a fragment of one: functions
/// (`answer: func() -> s32;`), type definitions, `interface` blocks. Names may be in kebab-case there
/// and in snake_case (or camelCase) in the module. Without it, signatures are what core types say, under the
/// names [`kebab`] makes of them: that of the export `method`, and of every other export that has one, so
/// that whichever of a module's methods is asked for gives the same component. A module that imports
/// `wasi_snapshot_preview1` is given the adapter to WASI 0.2; one that exports `_start` too becomes a
/// command.
///
/// # Errors
/// When the module and the WIT do not fit: a missing export, type or import, and what to do about it.
pub fn wrap(module: &[u8], wit: Option<&str>, method: &str) -> Result<Vec<u8>, WrapError> {
    let outside = Outside::read(module)?;
    let preview1 = outside.imports_from(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME);
    let command = preview1 && outside.function("_start").is_some();
    let (declared, chosen) = match wit {
        Some(text) => (Some(text.to_owned()), None),
        None if outside.has_metadata => (None, None),
        None => {
            let (text, chosen) = derived::derive(&outside, method, command)?;
            (Some(text), Some(chosen))
        }
    };
    let mut bytes = module.to_vec();
    if let Some(text) = &declared {
        let (resolve, world) = wit::parse(text)?;
        plain::check(&outside, &resolve, world)?;
        check_imports(&outside, &resolve, world)?;
        let names = matched(&outside, &resolve, world, chosen.as_ref())?;
        check_naming(&outside, &names)?;
        if wit.is_some() && names.is_empty() && !command && !outside.has_metadata {
            return Err(WrapError::NothingDeclared { example: kebab(method) });
        }
        bytes = module::renamed(module, &outside, &names)?.into_owned();
        embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8)
            .map_err(refused)?;
    }
    // The encoder trusts modules more than they deserve: what it asserts must not end the process.
    let encoded = catch_unwind(AssertUnwindSafe(|| encode(&bytes, preview1, command)));
    encoded.unwrap_or_else(|_| {
        let message = "the encoder found the module inconsistent with itself".to_owned();
        Err(WrapError::Encode { message })
    })
}

/// A module has its exports under one scheme of names: with both, the encoder finds each function twice.
fn check_naming(outside: &Outside, names: &[(String, String)]) -> Result<(), WrapError> {
    let mut standard = outside.functions().filter(|(export, _)| export.name.starts_with("cm32p2"));
    match (standard.next(), names.first()) {
        (Some((export, _)), Some((plain, _))) => {
            let message = format!(
                "the module exports `{plain}` and `{}`, which are names of two schemes: keep one",
                export.name
            );
            Err(WrapError::Encode { message })
        }
        _ => Ok(()),
    }
}

fn encode(module: &[u8], preview1: bool, command: bool) -> Result<Vec<u8>, WrapError> {
    let mut encoder = ComponentEncoder::default().validate(true).module(module).map_err(refused)?;
    if preview1 {
        let adapter = if command {
            WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER
        } else {
            WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
        };
        encoder = encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter).map_err(refused)?;
    }
    encoder.encode().map_err(refused)
}

fn refused(error: impl std::fmt::Display) -> WrapError {
    WrapError::Encode { message: format!("{error:#}") }
}
