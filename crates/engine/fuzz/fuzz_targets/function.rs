//! Arbitrary bytes, or a generated module or component, as the code of a function. It is rejected with a readable
//! error, or compiled (wrapped first if necessary), linked and called like a function of an app, and stops at its
//! limits. The first byte selects the kind of input, unless the bytes already are WebAssembly.
//!
//! Run: `cargo +nightly fuzz run function -- -max_len=16384 -rss_limit_mb=3072 -timeout=20`, with
//! `crates/fixtures/wasm` as a first corpus.

#![no_main]

use std::error::Error;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crisol_core::{Type, chain};
use crisol_engine::{
    Allocation, CodeLimits, CompileError, Compiled, Engine, EngineConfig, Failure, Limits,
    LinkError, FunctionPre, Grants,
};
use crisol_wit::{CoreModule, Kind};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use wasm_smith::{Component, Config, Module};
use wasmtime_wasi::WasiCtx;

/// Memory of a guest, including its garbage-collected heap.
const MEMORY: u64 = 16 << 20;
/// Deadline of each call, and the tolerated delay on a busy machine.
const DEADLINE: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_secs(5);
/// Maximum exports to call; a component may have many.
const CALLS: usize = 4;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let code = CodeLimits { max_bytes: 1 << 20, max_functions: 10_000, ..CodeLimits::default() };
    let (allocation, tick) = (Allocation::OnDemand, Duration::from_millis(1));
    let config = EngineConfig { allocation, code, tick, ..EngineConfig::default() };
    Engine::new(config).expect("an engine")
});

static TOKIO: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
});

/// Exports of a generated module, and their WIT.
const EXPORTS: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "number") (param i32 i64 f32) (result f64) unreachable)
    (func (export "text") (param i32 i32) (result i32) unreachable)
    (func (export "cabi_post_text") (param i32)))"#;
const WIT: &str = "record item { id: u32, name: option<string> }
    number: func(a: s32, b: u64, c: f32) -> f64;
    text: func(x: string) -> result<list<item>, string>;";
const IMPORTS: &str = r#"(module
    (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))"#;

fn wat(text: &str) -> Vec<u8> {
    crisol_wit::parse_text(text, None).expect("a module")
}

/// Generates a module or component.
fn generated(u: &mut Unstructured<'_>, component: bool) -> Result<Vec<u8>> {
    let config = Config {
        available_imports: if component { None } else { Some(wat(IMPORTS)) },
        exports: if component { None } else { Some(wat(EXPORTS)) },
        max_memories: 2,
        max_tables: 3,
        max_instructions: 1_000,
        max_funcs: 30,
        ..Config::default()
    };
    Ok(if component {
        Component::new(config, u)?.to_bytes()
    } else {
        Module::new(config, u)?.to_bytes()
    })
}

/// Checks that an error and its sources have a text of bounded length.
fn words(error: &dyn Error) {
    let text = chain(error);
    assert!(!text.is_empty());
    assert!(text.len() < 1 << 20, "{} bytes of an error", text.len());
}

fn compile(code: &[u8], fuel: bool) -> Option<Compiled> {
    match ENGINE.compile(code, fuel) {
        Ok(compiled) => Some(compiled),
        // A panic of the compiler is a finding here, while the engine catches it.
        Err(CompileError::Compiler) => panic!("the compiler panicked"),
        Err(error) => {
            words(&error);
            None
        }
    }
}

/// Loads `code` as the code of a function, and calls its exports.
fn load(code: &[u8], method: &str, wit: Option<&str>, fuel: bool) {
    match crisol_wit::parse_code(code) {
        Ok(Kind::Component) => component(code, method, fuel),
        Ok(Kind::Core) => match CoreModule::read(code, wit, method) {
            Ok(Some(core)) => module(code, &core, method, fuel),
            Ok(None) => match crisol_wit::wrap(code, wit, method) {
                Ok(wrapped) => component(&wrapped.component, method, fuel),
                Err(error) => words(&error),
            },
            Err(error) => words(&error),
        },
        Err(error) => words(&error),
    }
}

fn component(code: &[u8], method: &str, fuel: bool) {
    let Some(compiled) = compile(code, fuel) else { return };
    let exports = ENGINE.exports(&compiled).expect("an engine of this kind");
    // The method is probably missing, which must give an error with and without grants.
    for granted in [false, true] {
        if let Err(error) = ENGINE.link(&compiled, &Grants::select(|_| granted), method) {
            words(&error);
        }
    }
    for export in exports.iter().take(CALLS) {
        call(ENGINE.link(&compiled, &Grants::select(|_| true), &export.method()), fuel);
    }
}

fn module(code: &[u8], core: &CoreModule, method: &str, fuel: bool) {
    let Some(compiled) = compile(code, fuel) else { return };
    for granted in [false, true] {
        let profile = Grants::select(|_| granted);
        call(ENGINE.link_core(&compiled, core, &profile, method), fuel);
    }
}

fn call(linked: std::result::Result<FunctionPre, LinkError>, fuel: bool) {
    let linked = match linked {
        Ok(linked) => linked,
        Err(error) => return words(&error),
    };
    let mapping = linked.mapping();
    let mut args = Vec::new();
    for param in &mapping.signature().params {
        let Some(text) = sample(&param.ty, 6) else { return };
        args.push(text);
    }
    let args = mapping.lower_wave(&format!("({})", args.join(", "))).expect("values of their types");
    let args = mapping.unpack_args(&args);
    let max_fuel = fuel.then_some(1_000_000);
    let limits = Limits { max_memory_bytes: MEMORY, max_fuel, ..Limits::default() };
    let began = Instant::now();
    let deadline = Some(began + DEADLINE);
    TOKIO.block_on(async {
        let wasi = WasiCtx::builder().build();
        let mut instance = match linked.instantiate(wasi, limits, deadline).await {
            Ok(instance) => instance,
            Err(error) => return ended(&error),
        };
        match instance.call(&args, deadline).await {
            Ok(result) => {
                let (Ok(value) | Err(value)) = mapping.lift(result).into_result();
                assert!(value.to_wave().len() < 64 << 20);
            }
            Err(error) => {
                ended(&error);
                let again = instance.call(&args, deadline).await;
                assert!(matches!(again, Err(Failure::Host(_))), "{again:?}");
            }
        }
    });
    assert!(began.elapsed() < LATE, "{:?}", began.elapsed());
}

fn ended(error: &Failure) {
    words(error);
    assert!(!matches!(error, Failure::Panicked(_)), "{error}");
}

/// A sample value of a type, as text.
fn sample(ty: &Type, depth: usize) -> Option<String> {
    let inner = |ty: &Type| sample(ty, depth.checked_sub(1)?);
    Some(match ty {
        Type::Bool => "true".to_owned(),
        Type::S8 | Type::S16 | Type::S32 | Type::S64 => "-7".to_owned(),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => "7".to_owned(),
        Type::F32 | Type::F64 => "0.5".to_owned(),
        Type::Char => "'x'".to_owned(),
        Type::String => "\"aé\"".to_owned(),
        Type::List(item) => format!("[{}]", inner(item)?),
        Type::FixedList(item, len) if *len <= 16 => {
            let item = inner(item)?;
            format!("[{}]", vec![item; usize::try_from(*len).ok()?].join(", "))
        }
        Type::Map(key, value) => format!("[({}, {})]", inner(key)?, inner(value)?),
        Type::Tuple(items) => {
            let items: Option<Vec<_>> = items.iter().map(inner).collect();
            format!("({})", items?.join(", "))
        }
        Type::Record(fields) => {
            let field = |field: &crisol_core::Field| {
                Some(format!("%{}: {}", field.name, inner(&field.ty)?))
            };
            let fields: Option<Vec<_>> = fields.iter().map(field).collect();
            format!("{{{}}}", fields?.join(", "))
        }
        Type::Variant(cases) => {
            let case = cases.first()?;
            match &case.ty {
                Some(ty) => format!("%{}({})", case.name, inner(ty)?),
                None => format!("%{}", case.name),
            }
        }
        Type::Enum(names) => format!("%{}", names.first()?),
        Type::Option(some) => format!("some({})", inner(some)?),
        Type::Result { ok: Some(ok), .. } => format!("ok({})", inner(ok)?),
        Type::Result { ok: None, .. } => "ok".to_owned(),
        Type::Flags(names) => format!("{{%{}}}", names.first()?),
        _ => return None,
    })
}

fuzz_target!(|data: &[u8]| {
    if data.starts_with(b"\0asm") {
        return load(data, "text", None, false);
    }
    let Some((choice, rest)) = data.split_first() else { return };
    let fuel = choice & 0x80 != 0;
    match choice & 3 {
        0 => load(rest, "run", None, fuel),
        1 => load(rest, "text", Some(WIT), fuel),
        kind => {
            let mut u = Unstructured::new(rest);
            let Ok(code) = generated(&mut u, kind == 3) else { return };
            let wit = (choice & 4 != 0).then_some(WIT);
            load(&code, if choice & 8 != 0 { "text" } else { "number" }, wit, fuel);
        }
    }
});
