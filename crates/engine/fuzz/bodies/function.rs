//! Arbitrary bytes, or a generated module or component, as the code of a function. It is rejected with a readable
//! error, or compiled (wrapped first if necessary), linked and called like a function of an app, and stops at its
//! limits. The first byte selects the kind of input, unless the bytes already are WebAssembly.
#![allow(clippy::expect_used, clippy::panic, reason = "what is not as expected is a finding")]

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use crisol_core::chain;
use crisol_engine::{
    Allocation, CodeLimits, CompileError, Compiled, Engine, EngineConfig, Failure, FunctionPre,
    Grants, Instance, Limits, LinkError,
};
use crisol_wit::{BinaryKind, CoreFunction, CoreModule};
use tokio::time::Instant;
use wasm_smith::{Component, Config, Module};
use wasmtime_wasi::WasiCtx;

use super::sample::sample;

/// Memory of a guest, including its garbage-collected heap.
const MEMORY: u64 = 16 << 20;
/// Bound on the real time of a call that only catches hangs.
const HANG: Duration = Duration::from_secs(60);
/// Maximum exports to call; a component may have many.
const CALLS: usize = 4;
/// Maximum text of an error.
const TEXT: usize = 1 << 20;

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

/// Imports of a module that runs as it is.
const IMPORTS: &str = r#"(module
    (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))"#;

/// Imports of a module that must be wrapped, and the WIT of its imports and exports. The host has no `fuzz:guest/host`.
const WRAPPED_IMPORTS: &str = r#"(module
    (import "wasi:random/random@0.2.0" "get-random-u64" (func (result i64)))
    (import "wasi:random/random@0.2.0" "get-random-bytes" (func (param i64 i32)))
    (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func (result i64)))
    (import "fuzz:guest/host" "note" (func (param i32 i32)))
    (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))))"#;
const WRAPPED_WIT: &str = "package fuzz:guest;
    interface host { note: func(x: string); }
    world guest {
        import wasi:random/random@0.2.0;
        import wasi:clocks/monotonic-clock@0.2.0;
        import host;
        record item { id: u32, name: option<string> }
        export number: func(a: s32, b: u64, c: f32) -> f64;
        export text: func(x: string) -> result<list<item>, string>;
    }
    package wasi:random@0.2.0 {
        interface random {
            get-random-bytes: func(len: u64) -> list<u8>;
            get-random-u64: func() -> u64;
        }
    }
    package wasi:clocks@0.2.0 {
        interface monotonic-clock { type instant = u64; now: func() -> instant; }
    }";

/// Form of the code that an input reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// Not read as code.
    Unread,
    /// A core module, as it is.
    Module,
    /// A component made of a core module.
    Wrapped,
    /// A component.
    Component,
}

/// Step that an input reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Refused, with an error.
    Rejected,
    /// Compiled and linked.
    Linked,
    /// Instantiated.
    Instantiated,
    /// Called to a result.
    Returned,
    /// Ended by a trap, in a start function or in a call.
    Trapped,
    /// Ended by anything else: a limit, a denied import, an exit.
    Stopped,
}

/// Everything that one input reached.
pub(crate) type Reached = BTreeSet<(Form, Step)>;

/// One input on its way.
struct Run {
    form: Form,
    fuel: bool,
    deadline: Duration,
    reached: Reached,
}

/// Loads the code of an input and calls it, each time with this deadline; returns the steps that it reached.
pub(crate) fn run(data: &[u8], deadline: Duration) -> Result<Reached> {
    let mut run = Run { form: Form::Unread, fuel: false, deadline, reached: Reached::new() };
    if data.starts_with(b"\0asm") {
        run.load(data, "_start", None);
        run.load(data, "text", None);
        return Ok(run.reached);
    }
    let Some((choice, rest)) = data.split_first() else { return Ok(run.reached) };
    run.fuel = choice & 0x80 != 0;
    let method = if choice & 0x40 != 0 { "text" } else { "number" };
    let mut u = Unstructured::new(rest);
    // Most calls of any code end in a trap, so half of the code has none. Threads are refused, and so are lists in a
    // memory of 64 bits: a quarter of the code may have them.
    let (no_traps, odd) = (choice & 0x20 != 0, choice & 0x18 == 0x18);
    let config = Config {
        disallow_traps: no_traps,
        threads_enabled: odd,
        memory64_enabled: odd,
        ..config()
    };
    match choice & 7 {
        0 => run.load(rest, "run", None),
        1 => run.load(rest, "text", Some(WIT)),
        2 => run.load(&module(&mut u, config, IMPORTS)?, method, None),
        3 | 4 => run.load(&module(&mut u, config, IMPORTS)?, method, Some(WIT)),
        5 => run.load(&Component::new(config, &mut u)?.to_bytes(), method, None),
        _ => run.load(&module(&mut u, config, WRAPPED_IMPORTS)?, method, Some(WRAPPED_WIT)),
    }
    Ok(run.reached)
}

fn config() -> Config {
    Config {
        max_memories: 2,
        max_tables: 3,
        max_instructions: 1_000,
        max_funcs: 30,
        ..Config::default()
    }
}

fn module(u: &mut Unstructured<'_>, config: Config, imports: &str) -> Result<Vec<u8>> {
    let wat = |text| Some(crisol_wit::parse_text(text, None).expect("a module"));
    let config = Config { available_imports: wat(imports), exports: wat(EXPORTS), ..config };
    Ok(Module::new(config, u)?.to_bytes())
}

/// Checks that an error and its sources have a text of bounded length.
fn words(error: &dyn Error) {
    let text = chain(error);
    assert!(!text.is_empty());
    assert!(text.len() < TEXT, "{} bytes of an error", text.len());
}

impl Run {
    fn reach(&mut self, step: Step) {
        self.reached.insert((self.form, step));
    }

    fn rejected(&mut self, error: &dyn Error) {
        words(error);
        self.reach(Step::Rejected);
    }

    /// Loads `code` as the code of a function, and calls its exports.
    fn load(&mut self, code: &[u8], method: &str, wit: Option<&str>) {
        self.form = Form::Unread;
        match crisol_wit::parse_code(code) {
            Ok(BinaryKind::Component) => {
                self.form = Form::Component;
                self.component(code, method);
            }
            Ok(BinaryKind::Core) => {
                self.form = Form::Module;
                match CoreModule::read(code, wit, method) {
                    Ok(Some(core)) => self.module(code, &core, method),
                    Ok(None) => self.wrapped(code, wit, method),
                    Err(error) => self.rejected(&error),
                }
            }
            Err(error) => self.rejected(&error),
        }
    }

    fn wrapped(&mut self, code: &[u8], wit: Option<&str>, method: &str) {
        self.form = Form::Wrapped;
        match crisol_wit::wrap(code, wit, method) {
            Ok(wrapped) => self.component(&wrapped.component, &wrapped.method),
            Err(error) => self.rejected(&error),
        }
    }

    fn compile(&mut self, code: &[u8]) -> Option<Compiled> {
        match ENGINE.compile(code, self.fuel) {
            Ok(compiled) => Some(compiled),
            // A panic of the compiler is a finding here, while the engine catches it.
            Err(CompileError::Compiler) => panic!("the compiler panicked"),
            Err(error) => {
                self.rejected(&error);
                None
            }
        }
    }

    fn component(&mut self, code: &[u8], method: &str) {
        let Some(compiled) = self.compile(code) else { return };
        let exports = ENGINE.exports(&compiled).expect("an engine of this kind");
        // The method of a generated component is missing, which must give an error with and without grants.
        for granted in [false, true] {
            if let Err(error) = ENGINE.link(&compiled, &Grants::select(|_| granted), method) {
                self.rejected(&error);
            }
        }
        for export in exports.iter().take(CALLS) {
            let profile = Grants::select(|_| true);
            self.linked(ENGINE.link(&compiled, &profile, &export.method()));
        }
    }

    fn module(&mut self, code: &[u8], core: &CoreModule, method: &str) {
        let Some(compiled) = self.compile(code) else { return };
        let full = |function: &CoreFunction| match &function.interface {
            Some(interface) => format!("{interface}#{}", function.name),
            None => function.name.clone(),
        };
        let mut methods = vec![method.to_owned()];
        if core.found().is_none() {
            methods.extend(core.functions().iter().map(full));
        }
        for granted in [false, true] {
            let profile = Grants::select(|_| granted);
            for method in methods.iter().take(CALLS) {
                self.linked(ENGINE.link_core(&compiled, core, &profile, method));
            }
        }
    }

    /// Calls a function, twice if it returns.
    fn linked(&mut self, linked: std::result::Result<FunctionPre, LinkError>) {
        let linked = match linked {
            Ok(linked) => linked,
            Err(error) => return self.rejected(&error),
        };
        self.reach(Step::Linked);
        let mapping = linked.mapping();
        let types = mapping.signature().params.iter().map(|param| sample(&param.ty, 6));
        let Some(args) = types.collect::<Option<Vec<_>>>() else { return };
        let args = format!("({})", args.join(", "));
        let args = mapping.lower_wave(&args).expect("values of their types");
        let max_fuel = self.fuel.then_some(1_000_000);
        let limits = Limits { max_memory_bytes: MEMORY, max_fuel, ..Limits::default() };
        let began = Instant::now();
        TOKIO.block_on(async {
            let deadline = Some(began.into_std() + self.deadline);
            let wasi = WasiCtx::builder().build();
            let mut instance = match linked.instantiate(wasi, limits, deadline).await {
                Ok(instance) => instance,
                Err(error) => return self.ended(&error),
            };
            self.reach(Step::Instantiated);
            if self.call(&mut instance, &linked, &args).await {
                self.call(&mut instance, &linked, &args).await;
            }
        });
        assert!(began.elapsed() < HANG, "{:?}", began.elapsed());
    }

    /// Calls once; returns true if the instance may be called again.
    async fn call(
        &mut self,
        instance: &mut Instance,
        linked: &FunctionPre,
        args: &crisol_wit::Packed,
    ) -> bool {
        let began = Instant::now().into_std();
        let deadline = Some(began + self.deadline);
        match instance.call_since(began, args.clone(), deadline).await {
            Ok(result) => {
                let (Ok(value) | Err(value)) = linked.mapping().lift(result).into_result();
                assert!(value.to_wave().len() < 64 << 20);
                self.reach(Step::Returned);
                !linked.runs_once()
            }
            Err(error) => {
                self.ended(&error);
                let again = instance.call_since(began, args.clone(), deadline).await;
                assert!(matches!(again, Err(Failure::Host(_))), "{again:?}");
                false
            }
        }
    }

    fn ended(&mut self, error: &Failure) {
        words(error);
        assert!(!matches!(error, Failure::Panicked(_)), "{error}");
        self.reach(if matches!(error, Failure::Trap(_)) { Step::Trapped } else { Step::Stopped });
    }
}
