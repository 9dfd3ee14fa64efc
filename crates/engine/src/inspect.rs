//! What can be told of a component before it is compiled: which engine it needs, and whether compiling it
//! has an end in sight.

use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use crate::bindings;

/// Bounds on what is compiled.
///
/// A compilation cannot be interrupted once it runs, so what it may cost is bounded by what goes in. The
/// defaults hold for interpreters of Python and JavaScript that were built as components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeLimits {
    /// Bytes of a component.
    pub max_bytes: usize,
    /// Functions of all its modules together.
    pub max_functions: usize,
    /// Bytes of one function's body. The time that optimising takes grows faster than a function does.
    pub max_function_bytes: usize,
    /// Modules and components inside it, at any depth.
    pub max_modules: usize,
}

impl Default for CodeLimits {
    /// 128 MiB, 500 000 functions, 1 MiB for one of them, 1 000 modules.
    fn default() -> Self {
        Self {
            max_bytes: 128 << 20,
            max_functions: 500_000,
            max_function_bytes: 1 << 20,
            max_modules: 1_000,
        }
    }
}

/// A bound that a component is beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the code has {found} {what}, and {allowed} is the limit of this engine")]
pub struct TooLarge {
    /// What was counted.
    pub what: &'static str,
    /// How much there is, or was when counting ended.
    pub found: usize,
    /// How much there may be.
    pub allowed: usize,
}

/// What was found out of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Whether it has asynchronous functions, streams or futures, or imports of a WASI that has them.
    pub(crate) concurrent: bool,
}

/// Looks a component over without compiling it. Bytes that are no valid component pass: the compiler says
/// what is wrong with them.
pub(crate) fn inspect(bytes: &[u8], limits: &CodeLimits) -> Result<Findings, TooLarge> {
    within("bytes", bytes.len(), limits.max_bytes)?;
    let (mut functions, mut modules, mut imports_asynchronous) = (0_usize, 0, false);
    for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
        match payload {
            Payload::FunctionSection(declared) => {
                functions = functions.saturating_add(declared.count() as usize);
                within("functions", functions, limits.max_functions)?;
            }
            Payload::CodeSectionEntry(body) => {
                let size = body.range().len();
                within("bytes in one function", size, limits.max_function_bytes)?;
            }
            Payload::Version { .. } => {
                modules += 1;
                within("modules", modules, limits.max_modules)?;
            }
            Payload::ComponentImportSection(imports) => {
                imports_asynchronous |= imports
                    .into_iter()
                    .map_while(Result::ok)
                    .any(|import| bindings::is_asynchronous(import.name.name));
            }
            _ => {}
        }
    }
    let without = WasmFeatures::all() - WasmFeatures::CM_ASYNC;
    let concurrent =
        imports_asynchronous || (!is_valid(bytes, without) && is_valid(bytes, WasmFeatures::all()));
    Ok(Findings { concurrent })
}

fn within(what: &'static str, found: usize, allowed: usize) -> Result<(), TooLarge> {
    if found > allowed { Err(TooLarge { what, found, allowed }) } else { Ok(()) }
}

/// Whether everything but the bodies of functions is valid with `features`.
fn is_valid(bytes: &[u8], features: WasmFeatures) -> bool {
    let mut validator = Validator::new_with_features(features);
    Parser::new(0)
        .parse_all(bytes)
        .all(|payload| payload.is_ok_and(|payload| validator.payload(&payload).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concurrent(text: &str) -> Result<bool, Box<dyn std::error::Error>> {
        Ok(inspect(&wat::parse_str(text)?, &CodeLimits::default())?.concurrent)
    }

    #[test]
    fn what_needs_concurrency_is_told_by_types_and_imports()
    -> Result<(), Box<dyn std::error::Error>> {
        assert!(!concurrent("(component)")?);
        assert!(!concurrent(r#"(component (import "f" (func)))"#)?);
        assert!(!concurrent(r#"(component (import "wasi:io/poll@0.2.9" (instance)))"#)?);
        assert!(concurrent(r#"(component (import "wasi:random/random@0.3.0" (instance)))"#)?);
        assert!(concurrent(r#"(component (import "f" (func async)))"#)?);
        assert!(concurrent("(component (type (stream u8)))")?);
        assert!(concurrent("(component (component (type (future u8))))")?);
        Ok(())
    }

    #[test]
    fn a_component_that_is_no_component_is_left_to_the_compiler() {
        for bytes in [&b""[..], b"hello", b"\0asm\x0d\0\x01\0\xff\xff"] {
            let found = inspect(bytes, &CodeLimits::default());
            assert_eq!(found, Ok(Findings { concurrent: false }));
        }
    }

    #[test]
    fn each_bound_is_kept() -> Result<(), Box<dyn std::error::Error>> {
        let text = "(component (core module (func nop) (func)) (core module (func)))";
        let bytes = wat::parse_str(text)?;
        let most = CodeLimits {
            max_bytes: bytes.len(),
            max_functions: 3,
            max_function_bytes: 3,
            max_modules: 3,
        };
        assert!(inspect(&bytes, &most).is_ok());
        for (limits, what) in [
            (CodeLimits { max_bytes: bytes.len() - 1, ..most }, "bytes"),
            (CodeLimits { max_functions: 2, ..most }, "functions"),
            (CodeLimits { max_function_bytes: 2, ..most }, "bytes in one function"),
            (CodeLimits { max_modules: 2, ..most }, "modules"),
        ] {
            assert_eq!(inspect(&bytes, &limits).map_err(|error| error.what), Err(what));
        }
        Ok(())
    }
}
