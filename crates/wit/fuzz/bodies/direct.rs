//! Lifts a result from random guest memory in three ways: by wasmtime's own values, directly from the component, and
//! from the memory of a core module. All give the same value or the same error. The value is then lowered into another
//! guest, again in three ways.
#![allow(
    clippy::expect_used,
    reason = "a guest that is not as written here is a fault of this file"
)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arbitrary::{Result, Unstructured};
use crisol_core::{Field, Signature, Type};
use crisol_wit::{CallBounds, DirectFunc, Lifting, Mapping, Packed, parse_text, wrap};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Func, Linker, Val};
use wasmtime::{Config, Engine, Store};

use super::stored::{Realloc, Stored};
use super::types::any_type;

/// Address of the bytes passed to the guest.
pub(crate) const BASE: u32 = 1024;
/// Size of the guest's memory.
const MEMORY: usize = 65536;
/// Bytes that a guest may pass.
const FUEL: usize = 1 << 20;
const BOUNDS: CallBounds = CallBounds { max_output: FUEL as u64, ..CallBounds::NONE };
/// Maximum guests to keep compiled.
const KEPT: usize = 128;

/// Outcome of a call: the result as text, or the innermost error.
pub(crate) type CallOutcome = std::result::Result<String, String>;

/// Component with one function.
pub(crate) struct Guest {
    component: Component,
    pub(crate) mapping: Mapping,
}

/// Guests for a type: one returns a value of it, one takes a value.
struct Pair {
    returns: Guest,
    takes: Option<Stored>,
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config.concurrency_support(false);
        config.wasm_component_model_map(true);
        config.wasm_component_model_fixed_length_lists(true);
        config.cranelift_opt_level(wasmtime::OptLevel::None);
        Engine::new(&config).expect("an engine")
    })
}

/// Guests for a type and an allocator, from a bounded cache.
fn pair(ty: &Type, realloc: Realloc) -> Option<Arc<Pair>> {
    type Pairs = HashMap<(String, Realloc), Option<Arc<Pair>>>;
    thread_local!(static PAIRS: RefCell<Pairs> = RefCell::default());
    PAIRS.with_borrow_mut(|pairs| {
        let key = (ty.to_string(), realloc);
        if pairs.len() >= KEPT && !pairs.contains_key(&key) {
            pairs.clear();
        }
        let made = || {
            let returns = returns(ty)?;
            Some(Arc::new(Pair { returns, takes: Stored::new(ty, realloc) }))
        };
        pairs.entry(key).or_insert_with(made).clone()
    })
}

/// Guest with `f: func(memory: list<u8>, at: u32) -> T`, whose result is at `at`.
fn returns(ty: &Type) -> Option<Guest> {
    let field = |name: &str, ty| Field { name: name.to_owned(), ty };
    let params = vec![field("memory", Type::List(Box::new(Type::U8))), field("at", Type::U32)];
    let signature = Signature { params, result: Some(ty.clone()) };
    let module = format!(
        r#"(module
          (memory (export "memory") 1 1)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const {BASE}))
          (func (export "f") (param i32 i32 i32) (result i32) (local.get 2)))"#
    );
    Guest::new(&module, &signature)
}

/// Returns true for a result that a function returns in memory, which takes more than one core value.
fn is_in_memory(ty: &Type) -> bool {
    let params = vec![Field { name: "x".to_owned(), ty: ty.clone() }];
    let mapping = Mapping::from_signature(Signature { params, result: None });
    let core_type = mapping.ok().and_then(|mapping| mapping.core_type());
    core_type.is_some_and(|(params, _)| params.len() > 1)
}

impl Guest {
    /// Compiles a module with the function `f`; `None` for a signature that components cannot have.
    pub(crate) fn new(module: &str, signature: &Signature) -> Option<Self> {
        let module = parse_text(module, None).expect("a module");
        let wrapped = wrap(&module, Some(&signature.to_wit("f")), "f").ok()?;
        let component = Component::new(engine(), wrapped.component).ok()?;
        let Some((ComponentItem::ComponentFunc(func), _)) = component.get_export(None, "f") else {
            return None;
        };
        let mapping = Mapping::new(&func).ok()?;
        Some(Self { component, mapping })
    }

    #[allow(clippy::disallowed_methods, reason = "bare wasmtime, to compare with")]
    fn instance(&self) -> (Store<()>, Func) {
        let mut store = Store::new(engine(), ());
        store.set_hostcall_fuel(FUEL);
        let linker = Linker::new(engine());
        let instance = linker.instantiate(&mut store, &self.component).expect("it has no imports");
        let func = instance.get_func(&mut store, "f").expect("it exports `f`");
        (store, func)
    }

    /// Calls with wasmtime's own values.
    pub(crate) fn by_val(&self, args: &[Val]) -> std::result::Result<Val, String> {
        let (mut store, func) = self.instance();
        let mut results = [Val::Bool(false)];
        let called = func.call(&mut store, args, &mut results);
        let [result] = results;
        called.map(|()| result).map_err(|error| error.root_cause().to_string())
    }

    /// Calls with packed values.
    pub(crate) fn direct(&self, args: Packed) -> CallOutcome {
        let (mut store, func) = self.instance();
        let func = DirectFunc::new(&self.mapping, func, &store).expect("it is not asynchronous");
        self.shown(func.call(&mut store, &self.mapping, args, BOUNDS))
    }

    /// Lifts the result as that of a core module.
    fn of_core(&self, memory: &[u8], at: u32) -> CallOutcome {
        self.shown(self.mapping.lift_flat(at.into(), memory, &mut Fuel(FUEL)))
    }

    fn shown(&self, result: wasmtime::Result<Option<Packed>>) -> CallOutcome {
        let shown = |result: Option<Packed>| {
            let value = self.mapping.unpack_result(&result.unwrap_or_default());
            format!("{:?}", value.expect("a value"))
        };
        result.map(shown).map_err(|error| error.root_cause().to_string())
    }
}

struct Fuel(usize);

impl Lifting for Fuel {
    fn max_output(&self) -> u64 {
        BOUNDS.max_output
    }

    fn spend(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| wasmtime::Error::msg("no more"))?;
        Ok(())
    }

    fn check(&mut self) -> wasmtime::Result<()> {
        Ok(())
    }
}

/// Returns true for an error about size: wasmtime charges its own values, which are many times as large as their
/// content.
fn is_bound(result: &CallOutcome) -> bool {
    let said = ["fuel allocated for hostcalls", "the result has more than", "no more"];
    matches!(result, Err(error) if said.iter().any(|said| error.contains(said)))
}

/// Lifts a value of a random type from random memory; returns true if there is one.
pub(crate) fn run(u: &mut Unstructured<'_>) -> Result<bool> {
    let realloc = *u.choose(&Realloc::ALL)?;
    let ty = any_type(u, 3)?;
    let at = match u.int_in_range(0..=15_u8)? {
        0 => u.arbitrary()?,
        1 => BASE + u.int_in_range(0..=255)?,
        _ => BASE + 8 * u.int_in_range(0..=31)?,
    };
    let rest = u.len();
    Ok(check((&ty, realloc), at, u.bytes(rest)?))
}

/// Lifts a value at `at` from a memory with `bytes` at [`BASE`], and lowers it into a guest with this allocator; returns
/// true if there is a value.
pub(crate) fn check((ty, realloc): (&Type, Realloc), at: u32, bytes: &[u8]) -> bool {
    let list = Type::List(Box::new(ty.clone()));
    let ty = if is_in_memory(ty) { ty } else { &list };
    let Some(pair) = pair(ty, realloc) else { return false };
    let mut memory = vec![0; MEMORY];
    let Some(place) = memory.get_mut(BASE as usize..BASE as usize + bytes.len()) else {
        return false;
    };
    place.copy_from_slice(bytes);
    let guest = &pair.returns;
    let text = serde_json::to_vec(&(bytes, at)).expect("numbers");
    let args = guest.mapping.lower_json(&text).expect("the arguments fit");
    let value = guest.by_val(&guest.mapping.unpack_args(&args));
    let val = value.as_ref().map(|value| format!("{value:?}")).map_err(Clone::clone);
    let (direct, core) = (guest.direct(args), guest.of_core(&memory, at));
    if !is_bound(&val) {
        assert_eq!(val, direct, "{ty}");
    }
    if !is_bound(&direct) && !is_bound(&core) {
        assert_eq!(direct, core, "{ty}");
    }
    if let (Ok(value), Some(takes)) = (&value, &pair.takes) {
        takes.check(value);
    }
    value.is_ok()
}
