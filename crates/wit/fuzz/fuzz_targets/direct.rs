//! Lifts a result from random guest memory by three ways: wasmtime's own values, direct lifting from the component, and
//! from the memory of a core module. All give the same value or the same error.
//! Run: `cargo +nightly fuzz run direct -- -max_len=4096`

#![no_main]

mod types;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::OnceLock;

use crisol_core::{Field, Signature, Type};
use crisol_wit::{CallBounds, DirectFunc, Lifting, Mapping, Packed, parse_text, wrap};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use types::any_type;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Func, Linker, Val};
use wasmtime::{Config, Engine, Store};

/// Address of the bytes passed to the guest.
const BASE: usize = 1024;
/// Size of the guest's memory.
const MEMORY: usize = 65536;
/// Bytes that a guest may pass.
const FUEL: usize = 1 << 20;
const BOUNDS: CallBounds = CallBounds { max_output: FUEL as u64, ..CallBounds::NONE };

struct Guest {
    component: Component,
    mapping: Mapping,
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

/// Guest with `f: func(memory: list<u8>, at: u32) -> T`, whose result is at `at`.
fn guest(ty: &Type) -> Option<Rc<Guest>> {
    thread_local!(static GUESTS: RefCell<HashMap<String, Option<Rc<Guest>>>> = RefCell::default());
    GUESTS.with_borrow_mut(|guests| {
        guests.entry(ty.to_string()).or_insert_with(|| made(ty).map(Rc::new)).clone()
    })
}

fn made(ty: &Type) -> Option<Guest> {
    let field = |name: &str, ty| Field { name: name.to_owned(), ty };
    let params =
        vec![field("memory", Type::List(Box::new(Type::U8))), field("at", Type::U32)];
    let signature = Signature { params, result: Some(ty.clone()) };
    // Types of one core value have no place in memory.
    let tuple = Mapping::from_signature(signature.clone()).ok()?.core_type()?;
    let is_number = Mapping::from_signature(Signature {
        params: vec![field("x", ty.clone())],
        result: None,
    });
    if is_number.ok()?.core_type()?.0.len() < 2 || tuple.1.len() != 1 {
        return None;
    }
    let module = parse_text(
        &format!(
            r#"(module
              (memory (export "memory") 1 1)
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const {BASE}))
              (func (export "f") (param i32 i32 i32) (result i32) (local.get 2)))"#
        ),
        None,
    )
    .ok()?;
    let wrapped = wrap(&module, Some(&signature.to_wit("f")), "f").ok()?;
    let component = Component::new(engine(), wrapped.component).ok()?;
    let Some((ComponentItem::ComponentFunc(func), _)) = component.get_export(None, "f") else {
        return None;
    };
    let mapping = Mapping::new(&func).ok()?;
    Some(Guest { component, mapping })
}

impl Guest {
    fn instance(&self) -> (Store<()>, Func) {
        let mut store = Store::new(engine(), ());
        store.set_hostcall_fuel(FUEL);
        let linker = Linker::new(engine());
        let instance = linker.instantiate(&mut store, &self.component).expect("it has no imports");
        let func = instance.get_func(&mut store, "f").expect("it exports `f`");
        (store, func)
    }

    fn by_val(&self, args: &Packed) -> std::result::Result<String, String> {
        let (mut store, func) = self.instance();
        let mut results = [Val::Bool(false)];
        let called = func.call(&mut store, &self.mapping.unpack_args(args), &mut results);
        let [result] = results;
        called.map(|()| format!("{result:?}")).map_err(|error| error.root_cause().to_string())
    }

    fn direct(&self, args: Packed) -> std::result::Result<String, String> {
        let (mut store, func) = self.instance();
        let func = DirectFunc::new(&self.mapping, func, &store).expect("it is not asynchronous");
        self.shown(func.call(&mut store, &self.mapping, args, BOUNDS))
    }

    fn of_core(&self, memory: &[u8], at: u32) -> std::result::Result<String, String> {
        self.shown(self.mapping.lift_flat(at.into(), memory, &mut Fuel(FUEL)))
    }

    fn shown(&self, result: wasmtime::Result<Option<Packed>>) -> std::result::Result<String, String> {
        let shown = |result: Option<Packed>| {
            format!("{:?}", self.mapping.unpack_result(&result.unwrap_or_default()).expect("a value"))
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
fn is_bound(result: &std::result::Result<String, String>) -> bool {
    let said = ["fuel allocated for hostcalls", "the result has more than", "no more"];
    matches!(result, Err(error) if said.iter().any(|said| error.contains(said)))
}

fn run(data: &[u8]) -> Result<()> {
    let mut u = Unstructured::new(data);
    let ty = any_type(&mut u, 3)?;
    let Some(guest) = guest(&ty) else { return Ok(()) };
    let at = match u.int_in_range(0..=9_u8)? {
        0 => u.arbitrary()?,
        _ => BASE as u32 + 8 * u32::from(u.arbitrary::<u8>()?),
    };
    let bytes = u.take_rest();
    let mut memory = vec![0; MEMORY];
    let Some(place) = memory.get_mut(BASE..BASE + bytes.len()) else { return Ok(()) };
    place.copy_from_slice(bytes);
    let text = serde_json::to_vec(&(bytes, at)).expect("numbers");
    let args = guest.mapping.lower_json(&text).expect("the arguments fit");
    let val = guest.by_val(&args);
    let (direct, core) = (guest.direct(args), guest.of_core(&memory, at));
    if !is_bound(&val) {
        assert_eq!(val, direct, "{ty}");
    }
    if !is_bound(&direct) && !is_bound(&core) {
        assert_eq!(direct, core, "{ty}");
    }
    Ok(())
}

fuzz_target!(|data: &[u8]| {
    let _ = run(data);
});
