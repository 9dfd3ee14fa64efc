//! Arbitrary bytes as the code of a function: they are rejected with an error, or load and run within their
//! limits. Nothing panics and nothing takes long.

#[path = "../../fuzz/bodies/function.rs"]
mod function;
#[path = "../../fuzz/bodies/sample.rs"]
mod sample;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use crate::support::{Problem, soon, wasi};
use crisol_engine::{Allocation, CodeLimits, CompileError, Engine, EngineConfig, Grants, Limits};
use function::{Form, Step};
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, proptest};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

static ENGINE: LazyLock<Result<Engine, Problem>> = LazyLock::new(|| {
    let code = CodeLimits { max_functions: 1_000, ..CodeLimits::default() };
    let allocation = Allocation::OnDemand;
    Ok(Engine::new(EngineConfig { allocation, code, ..EngineConfig::default() })?)
});

static TOKIO: LazyLock<std::io::Result<tokio::runtime::Runtime>> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build());

/// A component with most kinds of sections in it: types, imports, modules, instances, aliases, a start
/// function, data, tables, and functions that take and give values through memory.
static WHOLE: LazyLock<Result<Vec<u8>, Problem>> = LazyLock::new(|| {
    Ok(wat::parse_str(
        r#"(component
            (import "log" (func $log (param "x" string)))
            (type $user (record (field "id" u32) (field "tags" (list string))))
            (export $u "user" (type $user))
            (core module $libc
                (memory (export "memory") 1)
                (global $top (mut i32) (i32.const 1024))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
                    (global.set $top (i32.add (local.get $at) (local.get 3)))
                    (local.get $at)))
            (core instance $libc (instantiate $libc))
            (core func $log (canon lower (func $log) (memory $libc "memory")))
            (core module $m
                (import "libc" "memory" (memory 1))
                (import "host" "log" (func $log (param i32 i32)))
                (table 4 funcref)
                (elem (i32.const 0) $f)
                (data (i32.const 16) "hello")
                (func $start (i32.store (i32.const 8) (i32.const 7)))
                (start $start)
                (func $f (export "f") (param i32 i32 i32) (result i32)
                    (loop (br_if 0 (i32.eqz (local.get 2))))
                    (i32.store (i32.const 64) (i32.const 16))
                    (i32.store (i32.const 68) (i32.const 5))
                    (i32.const 64)))
            (core instance $i (instantiate $m
                (with "libc" (instance $libc))
                (with "host" (instance (export "log" (func $log))))))
            (func (export "f") (param "u" $u) (result string)
                (canon lift (core func $i "f")
                    (memory $libc "memory") (realloc (func $libc "realloc")))))"#,
    )?)
});

/// Loads `bytes` and calls their exports; returns true if they compiled.
fn run(bytes: &[u8]) -> Result<bool, Problem> {
    let engine = ENGINE.as_ref().map_err(ToString::to_string)?;
    let tokio = TOKIO.as_ref().map_err(ToString::to_string)?;
    let compiled = match engine.compile(bytes, true) {
        Ok(compiled) => compiled,
        Err(CompileError::Compiler) => return Err("the compiler panicked".into()),
        Err(error) if error.to_string().is_empty() => return Err("an error of no words".into()),
        Err(_) => return Ok(false),
    };
    for export in engine.exports(&compiled)?.iter().take(4) {
        let linked = match engine.link(&compiled, &Grants::select(|_| true), &export.method()) {
            Ok(linked) => linked,
            Err(error) if error.to_string().is_empty() => return Err("an error of no words".into()),
            Err(_) => continue,
        };
        let args = linked.mapping().lower_json(br#"[{"id": 1, "tags": ["a"]}]"#);
        let limits = Limits { max_fuel: Some(100_000), ..Limits::default() };
        tokio.block_on(async {
            let args = linked.mapping().unpack_args(&args.unwrap_or_default());
            let Ok(mut instance) = linked.instantiate(wasi(), limits, soon(10_000)).await else {
                return Ok::<_, Problem>(());
            };
            let call = instance.call(&args, soon(10_000));
            // Far beyond the deadline, so that a busy machine passes, too.
            let result = tokio::time::timeout(Duration::from_secs(60), call).await?;
            if let Ok(result) = result {
                let mapping = linked.mapping();
                let _ = mapping.lift(mapping.pack_result(result));
            }
            Ok(())
        })?;
    }
    Ok(true)
}

#[test]
fn undamaged_component_is_valid() -> Result<(), Problem> {
    let whole = WHOLE.as_ref().map_err(ToString::to_string)?;
    assert!(run(whole)?);
    Ok(())
}

/// Number of inputs of the fuzz target's body; `PROPTEST_CASES` overrides it.
const INPUTS: u32 = 64;

/// The body of the fuzz target reaches every form of code and every end of a call. Prints the number of inputs that
/// reach each step.
#[test]
fn generated_code_is_refused_or_runs_within_its_limits() -> Result<(), Problem> {
    let cases = std::env::var("PROPTEST_CASES").map_or(Ok(INPUTS), |cases| cases.parse())?;
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    // The same inputs each time: whether they reach everything is not left to chance.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let counts = RefCell::new(BTreeMap::<(Form, Step), u32>::new());
    let inputs = (0..8_u8, any::<u8>(), prop::collection::vec(any::<u8>(), 0..2048));
    TestRunner::new_with_rng(config, rng).run(&inputs, |(kind, choice, rest)| {
        // With fuel, loops end at the same place on any machine, long before the deadline.
        let data = [&[0x80 | choice & 0xf8 | kind], &*rest].concat();
        for reached in function::run(&data, Duration::from_secs(5)).unwrap_or_default() {
            *counts.borrow_mut().entry(reached).or_default() += 1;
        }
        Ok(())
    })?;
    let counts = counts.into_inner();
    println!("of {cases} inputs: {counts:?}");
    for form in [Form::Module, Form::Wrapped] {
        for step in [Step::Linked, Step::Instantiated, Step::Returned, Step::Trapped] {
            assert!(counts.contains_key(&(form, step)), "{form:?} {step:?}");
        }
    }
    assert!(counts.contains_key(&(Form::Unread, Step::Rejected)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_refused_in_words(tail in prop::collection::vec(any::<u8>(), 0..300), head in 0..3_usize) {
        let heads = [&b""[..], b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0"];
        let bytes = [heads[head], &tail].concat();
        let ran = run(&bytes);
        prop_assert!(ran.is_ok(), "{:?}", ran);
    }

    /// Bytes are changed, removed or repeated; the sections mostly stay readable.
    #[test]
    fn a_damaged_component_is_refused_or_runs_within_its_limits(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize, any::<u8>()), 1..4),
    ) {
        let mut bytes = WHOLE.as_ref().map_err(ToString::to_string).unwrap_or(&Vec::new()).clone();
        prop_assert!(!bytes.is_empty());
        for (at, kind, byte) in edits {
            // The header stays, since without it nothing is read.
            let at = 8 + at.index(bytes.len() - 8);
            match kind {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => drop(bytes.drain(at..(at + usize::from(byte % 16)).min(bytes.len()))),
                _ => {
                    let part = bytes[at..(at + usize::from(byte % 64)).min(bytes.len())].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
        let ran = run(&bytes);
        prop_assert!(ran.is_ok(), "{:?}", ran);
    }
}
