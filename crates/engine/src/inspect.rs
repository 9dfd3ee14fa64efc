//! Checks on a component before it is compiled: the engine that it needs, and bounds on the cost of compiling.

mod expand;

use wasmparser::{FunctionBody, Operator, Parser, Payload, Validator, WasmFeatures};

use crate::releases;

use expand::Expansion;

/// Bounds on what is compiled.
///
/// A running compilation cannot be interrupted, so its cost is bounded by its input. The defaults suffice for
/// Python and JavaScript interpreters built as components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeLimits {
    /// Bytes of a component.
    pub max_bytes: usize,
    /// Functions of all modules together.
    pub max_functions: usize,
    /// Bytes of one function's body. Optimization time grows faster than the body.
    pub max_function_bytes: usize,
    /// Blocks of one function times the locals it uses, with a loop counted as twenty blocks; twenty times as
    /// much for all functions together. The compiler merges the locals at each join of control flow, so its
    /// memory and time grow with this product: up to 20 GiB for a hostile function of a megabyte.
    pub max_joins: usize,
    /// Nested modules and components, at any depth.
    pub max_modules: usize,
}

impl Default for CodeLimits {
    /// 128 MiB, 500 000 functions, 1 MiB and 20 000 000 joins per function, 1 000 modules.
    fn default() -> Self {
        Self {
            max_bytes: 128 << 20,
            max_functions: 500_000,
            max_function_bytes: 1 << 20,
            max_joins: 20_000_000,
            max_modules: 1_000,
        }
    }
}

/// Blocks that a loop counts as: its live values meet at its head and at the heads of the enclosing loops.
const LOOP: usize = 20;
/// Functions with the maximum of joins that one component may have.
const WORST_FUNCTIONS: usize = 20;
/// Size in bytes below which a function cannot have enough joins to matter.
const SMALL_FUNCTION: usize = 4 << 10;

/// A bound that a component exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the code has {found} {what}, and the engine's limit is {allowed}")]
pub struct TooLarge {
    /// The unit that was counted, as a plural noun.
    pub what: &'static str,
    /// The count, or the count at which counting stopped.
    pub found: usize,
    /// The bound.
    pub allowed: usize,
}

/// Results of inspecting a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Findings {
    /// True if the component uses asynchronous functions, streams or futures, or imports a WASI that has them.
    pub(crate) concurrent: bool,
}

/// Inspects a component without compiling it. Malformed bytes pass, since the compiler reports them better.
pub(crate) fn inspect(bytes: &[u8], limits: &CodeLimits) -> Result<Findings, TooLarge> {
    within("bytes", bytes.len(), limits.max_bytes)?;
    let (mut functions, mut modules, mut imports_asynchronous) = (0_usize, 0, false);
    let (mut all_joins, most_joins) = (0_usize, limits.max_joins.saturating_mul(WORST_FUNCTIONS));
    let mut expansion = Expansion::default();
    for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
        expansion.see(&payload).map_err(|beyond| {
            let (what, found, allowed) = beyond.describe();
            TooLarge { what, found, allowed }
        })?;
        match payload {
            Payload::FunctionSection(declared) => {
                functions = functions.saturating_add(declared.count() as usize);
                within("functions", functions, limits.max_functions)?;
            }
            Payload::CodeSectionEntry(body) => {
                let size = body.range().len();
                within("bytes in one function", size, limits.max_function_bytes)?;
                if size >= SMALL_FUNCTION {
                    let joins = joins(&body);
                    within("joins of paths and locals in one function", joins, limits.max_joins)?;
                    all_joins = all_joins.saturating_add(joins);
                    within("joins of paths and locals", all_joins, most_joins)?;
                }
            }
            Payload::Version { .. } => {
                modules += 1;
                within("modules", modules, limits.max_modules)?;
            }
            Payload::ComponentImportSection(imports) => {
                imports_asynchronous |= imports
                    .into_iter()
                    .map_while(Result::ok)
                    .any(|import| releases::is_asynchronous(import.name.name));
            }
            _ => {}
        }
    }
    let without = WasmFeatures::all() - WasmFeatures::CM_ASYNC;
    let concurrent =
        imports_asynchronous || (!is_valid(bytes, without) && is_valid(bytes, WasmFeatures::all()));
    Ok(Findings { concurrent })
}

/// Counts joins: blocks of a function, loops counted several times, times the locals it uses.
fn joins(body: &FunctionBody<'_>) -> usize {
    let Ok(operators) = body.get_operators_reader() else { return 0 };
    let (mut blocks, mut locals, mut mentioned) = (1_usize, 0_usize, Vec::new());
    for operator in operators.into_iter().map_while(Result::ok) {
        match operator {
            Operator::Block { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::TryTable { .. } => blocks += 1,
            Operator::Loop { .. } => blocks += LOOP,
            Operator::LocalGet { local_index }
            | Operator::LocalSet { local_index }
            | Operator::LocalTee { local_index } => {
                let at = local_index as usize;
                // A function with more locals is invalid, which the compiler reports.
                if at >= MOST_LOCALS {
                    continue;
                }
                if at >= mentioned.len() {
                    mentioned.resize(at + 1, false);
                }
                locals += usize::from(!std::mem::replace(&mut mentioned[at], true));
            }
            _ => {}
        }
    }
    blocks.saturating_mul(locals)
}

/// Maximum of locals and parameters of a valid function.
const MOST_LOCALS: usize = 51_000;

pub(crate) fn within(what: &'static str, found: usize, allowed: usize) -> Result<(), TooLarge> {
    if found > allowed { Err(TooLarge { what, found, allowed }) } else { Ok(()) }
}

/// Returns true if everything except function bodies is valid with `features`.
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
    fn concurrency_is_detected_from_types_and_imports() -> Result<(), Box<dyn std::error::Error>> {
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
    fn malformed_components_are_left_to_the_compiler() {
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
            ..CodeLimits::default()
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

    /// A component whose functions have `loops` nested loops that use each of `locals` locals.
    fn loops(
        functions: usize,
        loops: usize,
        locals: usize,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let mentions: String =
            (0..locals).map(|at| format!("(local.set {at} (i32.const 1))")).collect();
        let function = format!(
            "(func (local {}) {} {mentions} {})",
            "i32 ".repeat(locals),
            "loop ".repeat(loops),
            "end ".repeat(loops)
        );
        Ok(wat::parse_str(format!("(component (core module {}))", function.repeat(functions)))?)
    }

    #[test]
    fn each_instantiation_counts() -> Result<(), Box<dyn std::error::Error>> {
        let limits = CodeLimits::default();
        let inspected = |text: &str| -> Result<_, Box<dyn std::error::Error>> {
            Ok(inspect(&wat::parse_str(text)?, &limits).map_err(|error| error.what))
        };
        // Each component instantiates the previous one twice: `2^depth` in all.
        let doubled = |depth: usize| {
            let mut text = "(component $c0)".to_owned();
            for at in 1..=depth {
                let twice = format!("(instance (instantiate $c{}))", at - 1).repeat(2);
                text = format!("(component $c{at} {text} {twice})");
            }
            text
        };
        assert!(inspected(&doubled(10))?.is_ok());
        let beyond = inspected(&doubled(30))?.err();
        assert_eq!(beyond, Some("parts when all in it is instantiated"));
        // Through an alias of an outer component, and through an export.
        let aliased = format!(
            "(component {} (component $o (alias outer 1 $c17 (component $a)) (export $x \"x\" (component $a))
                {}))",
            doubled(17),
            "(instance (instantiate $x))".repeat(4)
        );
        assert_eq!(inspected(&aliased)?.err(), beyond);
        // Components passed as arguments are not followed, so only few are allowed.
        let handed = |times: usize| {
            format!(
                "(component (component $c (import \"c\" (component $d)) {}))",
                "(instance (instantiate $d))".repeat(times)
            )
        };
        assert!(inspected(&handed(20))?.is_ok());
        let beyond = inspected(&handed(21))?.err();
        assert_eq!(beyond, Some("instantiations beside components that are handed on"));
        Ok(())
    }

    #[test]
    fn control_flow_joins_are_bounded_per_function_and_in_total()
    -> Result<(), Box<dyn std::error::Error>> {
        let limits = CodeLimits::default();
        let what = |bytes: &[u8], limits| inspect(bytes, &limits).map_err(|error| error.what);
        assert!(what(&loops(1, 990, 1_000)?, limits).is_ok());
        let too_many = what(&loops(1, 1_000, 1_000)?, limits).err();
        assert_eq!(too_many, Some("joins of paths and locals in one function"));
        let tight = CodeLimits { max_joins: 1_000 * (LOOP * 10 + 1), ..limits };
        assert!(what(&loops(20, 10, 1_000)?, tight).is_ok());
        let too_many = what(&loops(21, 10, 1_000)?, tight).err();
        assert_eq!(too_many, Some("joins of paths and locals"));
        Ok(())
    }
}
