//! Conversion of core modules into components, by WIT text or by the core types of their exports.

mod check;
mod derived;
mod direct;
mod error;
mod find;
mod imports;
mod items;
mod matching;
mod module;
mod plain;
mod signature;
mod unknown;
mod wit;

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crisol_core::suggest::kebab;
use derived::Derived;
pub use direct::{Convention, CoreFunction, CoreModule};
pub use error::WrapError;
pub use imports::{UnknownFunction, env_function};
use matching::{matches, names};
use module::Outside;
pub use unknown::UnknownImports;

/// Most parameters that the component model passes as core values; more go through memory.
const MAX_FLAT_PARAMS: usize = 16;

/// Core module as a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The component's bytes.
    pub component: Vec<u8>,
    /// Method that names the wanted function in the component: WIT cannot spell every export name.
    pub method: String,
}

/// Turns a core module into a component.
///
/// `wit` is a whole WIT document with one world, or a fragment of one: functions (`answer: func() -> s32;`), type
/// definitions, `interface` blocks. Its names may be in kebab-case and those of the module in snake_case (or
/// camelCase). Without `wit`, core types give the signatures, under the names that [`kebab`] makes of the exports: that
/// of the export `method`, and those of all others that can be declared beside it, so that most methods of a module
/// share one component. A module that imports `wasi_snapshot_preview1` gets the adapter to WASI 0.2; one that also
/// exports `_start` becomes a command.
///
/// # Errors
/// Fails when the module and the WIT do not fit: for a missing export, type or import, with advice.
pub fn wrap(module: &[u8], wit: Option<&str>, method: &str) -> Result<Wrapped, WrapError> {
    let outside = Outside::read(module)?;
    let as_asked = |component| Wrapped { component, method: method.to_owned() };
    match wit {
        Some(text) => {
            let (bytes, functions) = embedded(module, &outside, text, None)?;
            if functions == 0 && !outside.is_command() && !outside.has_metadata {
                return Err(WrapError::NothingDeclared { example: kebab(method) });
            }
            encoded(&bytes, &outside).map(as_asked)
        }
        None if outside.has_metadata => encoded(module, &outside).map(as_asked),
        None => {
            let made = |derived: &Derived<'_>| {
                let (bytes, _) = embedded(module, &outside, &derived.text(), Some(derived))?;
                encoded(&bytes, &outside)
            };
            let alone = Derived::alone(&outside, method)?;
            // Exports beside the wanted one must not make it fail.
            let together = Derived::together(&outside).filter(|all| all.covers(&alone));
            let component = together.and_then(|all| made(&all).ok());
            let component = component.map_or_else(|| made(&alone), Ok)?;
            let method = alone.only().unwrap_or(method).to_owned();
            Ok(Wrapped { component, method })
        }
    }
}

/// Embeds a WIT text in the module and renames its exports as the encoder expects; returns also their number.
fn embedded(
    module: &[u8],
    outside: &Outside,
    wit: &str,
    derived: Option<&Derived<'_>>,
) -> Result<(Vec<u8>, usize), WrapError> {
    let (resolve, world) = wit::parse(wit)?;
    plain::check(outside, &resolve, world)?;
    imports::check(outside, &resolve, world)?;
    let names = names(&matches(outside, &resolve, world, derived)?);
    check_naming(outside, &names)?;
    let mut bytes = module::renamed(module, outside, &names)?.into_owned();
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).map_err(refused)?;
    Ok((bytes, names.len()))
}

/// Refuses a module with exports under both schemes of names: the encoder would find each function twice.
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

/// Encodes the component of a module that carries its WIT.
fn encoded(module: &[u8], outside: &Outside) -> Result<Vec<u8>, WrapError> {
    // The encoder can panic on malformed modules, which must not end the process.
    let encoded = catch_unwind(AssertUnwindSafe(|| encode(module, outside)));
    encoded.unwrap_or_else(|_| {
        let message = "the encoder found the module inconsistent with itself".to_owned();
        Err(WrapError::Encode { message })
    })
}

fn encode(module: &[u8], outside: &Outside) -> Result<Vec<u8>, WrapError> {
    let mut encoder = ComponentEncoder::default().validate(true).module(module).map_err(refused)?;
    if outside.is_preview1() {
        let adapter = if outside.is_command() {
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
