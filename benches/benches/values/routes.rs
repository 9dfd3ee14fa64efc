//! Routes from JSON text through a call to JSON text, over the same guest.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use crisol_engine::{EngineConfig, Grants, Limits};
use crisol_wit::{CallBounds, CoreModule, DirectFunc, Lifted, Mapping, Outcome, Packed};
use serde::{Deserialize, Serialize};
use wasmtime::component::types::{ComponentItem, Type};
use wasmtime::component::{Component, ComponentType, Func, Instance, Lift, Linker, Lower, Val};
use wasmtime::{Config, Engine, Store, error::Context as _, format_err};

/// Result with any error of a call.
pub(crate) type Result<T> = wasmtime::Result<T>;

/// Route of values into a call and out of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Route {
    /// Derived serde structs, shared with the typed bindings: for a program that knows the function at compile time.
    Structs,
    /// `crisol-wit`, directly into the component.
    Mapping,
    /// `crisol-wit`, on the same module without a component: through `crisol-engine`, with its limits.
    Core,
    /// `serde_json::Value` to `Val` and back.
    Tree,
}

/// Parameter of the guest.
#[derive(Clone, ComponentType, Lift, Lower, Deserialize, Serialize)]
#[component(record)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    id: u32,
    name: String,
    tags: Vec<String>,
    active: bool,
}

/// Result of `transform-users`.
#[derive(Clone, ComponentType, Lift, Lower, Serialize)]
#[component(record)]
pub(crate) struct Transformed {
    id: u32,
    display: String,
    #[component(name = "tag-count")]
    #[serde(rename = "tag-count")]
    tag_count: u32,
}

/// Text of the arguments: one list of `count` users.
pub(crate) fn users(count: usize) -> Vec<u8> {
    let names = ["Alice Liddell", "Bob", "Carol Shelby-Smith", "Dave \\\"the\\\" Rave"];
    let mut text = String::from("[[");
    for at in 0..count {
        let comma = if at > 0 { "," } else { "" };
        let name = names[at % names.len()];
        let tags = ["\"admin\",\"dev\"", "\"user\"", "\"dev\""][at % 3];
        let active = at % 2 == 0;
        let _ = write!(
            text,
            "{comma}{{\"id\":{at},\"name\":\"{name}\",\"tags\":[{tags}],\"active\":{active}}}"
        );
    }
    text.push_str("]]");
    text.into_bytes()
}

/// Arguments by serde's derive.
pub(crate) fn structs_in(text: &[u8]) -> serde_json::Result<(Vec<User>,)> {
    serde_json::from_slice(text)
}

/// Module that returns its list. Memory is allocated upwards and all freed after each call.
const ECHO: &str = r#"(module
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 64))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and
      (i32.add (global.get $top) (i32.sub (local.get 2) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get 2))))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (if (i32.gt_u (global.get $top) (i32.shl (memory.size) (i32.const 16)))
      (then (drop (memory.grow (i32.add (i32.const 1)
        (i32.shr_u (i32.sub (global.get $top) (i32.shl (memory.size) (i32.const 16)))
                   (i32.const 16)))))))
    (local.get $at))
  (func (export "echo") (param i32 i32) (result i32)
    (i32.store (i32.const 16) (local.get 0))
    (i32.store (i32.const 20) (local.get 1))
    (i32.const 16))
  (func (export "cabi_post_echo") (param i32) (global.set $top (i32.const 64))))"#;

const ECHO_WIT: &str = "
    record user { id: u32, name: string, tags: list<string>, active: bool }
    echo: func(users: list<user>) -> list<user>;";

/// Live instance, with the types of one of its functions.
pub(crate) struct Guest {
    store: Store<()>,
    instance: Instance,
    func: Func,
    name: &'static str,
    mapping: Mapping,
    direct: DirectFunc,
    ty: Type,
    core: Option<Core>,
}

/// Instance of a core module in the engine, with the runtime for its calls.
struct Core {
    tokio: tokio::runtime::Runtime,
    instance: crisol_engine::Instance,
    mapping: Mapping,
}

impl Core {
    fn echo(wit: &str) -> Result<Self> {
        let module = crisol_wit::parse_text(ECHO, None)?;
        let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let engine = crisol_engine::Engine::new(EngineConfig::default())?;
        let core = CoreModule::read(&module, Some(wit), "echo")?.context("it runs as it is")?;
        let compiled = engine.compile(&module, false)?;
        let linked = engine.link_core(&compiled, &core, &Grants::select(|_| false), "echo")?;
        let limits = Limits { max_output_bytes: u64::MAX, ..Limits::default() };
        let wasi = wasmtime_wasi::WasiCtx::builder().build();
        let instance = tokio.block_on(linked.instantiate(wasi, limits, None))?;
        Ok(Self { tokio, instance, mapping: linked.mapping().clone() })
    }

    fn call(&mut self, text: &[u8]) -> Result<Vec<u8>> {
        let Self { tokio, instance, mapping } = self;
        tokio.block_on(call_core(instance, mapping, text))
    }

    /// Runs `calls` calls in one task; returns the total time.
    fn time(&mut self, text: &[u8], calls: u64) -> Result<Duration> {
        let Self { tokio, instance, mapping } = self;
        tokio.block_on(async {
            let started = now();
            for _ in 0..calls {
                black_box(call_core(instance, mapping, text).await?);
            }
            Ok(started.elapsed())
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "it measures real time")]
fn now() -> Instant {
    Instant::now()
}

async fn call_core(
    instance: &mut crisol_engine::Instance,
    mapping: &Mapping,
    text: &[u8],
) -> Result<Vec<u8>> {
    let args = mapping.lower_json(text)?;
    let began = tokio::time::Instant::now().into_std();
    let result = instance.call_since(began, args, None).await?;
    written(mapping.lift(result))
}

impl Guest {
    /// Echo guest: all its time goes into values.
    pub(crate) fn echo() -> Result<Self> {
        Self::echo_of(ECHO_WIT)
    }

    /// Echo guest for any list type in `wit`.
    pub(crate) fn echo_of(wit: &str) -> Result<Self> {
        let module = crisol_wit::parse_text(ECHO, None)?;
        let component = crisol_wit::wrap(&module, Some(wit), "echo")?.component;
        let core = Some(Core::echo(wit)?);
        Ok(Self { core, ..Self::new(&component, "echo")? })
    }

    /// Routes that this guest supports.
    pub(crate) fn routes(&self) -> &'static [Route] {
        match self.core {
            Some(_) => &[Route::Structs, Route::Mapping, Route::Core, Route::Tree],
            None => &[Route::Structs, Route::Mapping, Route::Tree],
        }
    }

    /// Fixture `mapper`, built by an ordinary toolchain.
    pub(crate) fn transform() -> Result<Self> {
        Self::new(&crisol_fixtures::bytes("mapper"), "transform-users")
    }

    fn new(bytes: &[u8], name: &'static str) -> Result<Self> {
        let mut config = Config::new();
        config.concurrency_support(false);
        let engine = Engine::new(&config)?;
        let component = Component::new(&engine, bytes)?;
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&component)?;
        #[expect(clippy::disallowed_methods, reason = "bare wasmtime, to compare with")]
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component)?;
        let func = instance.get_func(&mut store, name).context("the export is there")?;
        let item = component.get_export(None, name).map(|(item, _)| item);
        let Some(ComponentItem::ComponentFunc(func_ty)) = item else {
            return Err(format_err!("`{name}` is not a function"));
        };
        let ty = func_ty.params().next().map(|(_, ty)| ty).context("it has a parameter")?;
        let mapping = Mapping::new(&func_ty)?;
        let direct =
            DirectFunc::new(&mapping, func, &store).context("it is no asynchronous one")?;
        Ok(Self { store, instance, func, name, mapping, direct, ty, core: None })
    }

    /// Mapping in use.
    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Result of a call that echoes `text`.
    pub(crate) fn lifted(&self, text: &[u8]) -> Result<Lifted> {
        // A single argument and the same value as a result have equal bytes.
        match self.mapping.lift(Some(self.mapping.lower_json(text)?)) {
            Outcome::Value(value) | Outcome::Error(value) => Ok(value),
        }
    }

    /// Calls from JSON text of the arguments to JSON text of the result.
    pub(crate) fn call(&mut self, route: Route, text: &[u8]) -> Result<Vec<u8>> {
        match route {
            Route::Structs => self.structs(text),
            Route::Mapping => {
                let args = self.mapping.lower_json(text)?;
                written(self.call_packed(args)?)
            }
            Route::Core => self.core.as_mut().context("it is a core module")?.call(text),
            Route::Tree => self.tree(text),
        }
    }

    /// Runs `calls` calls; returns the total time.
    pub(crate) fn time(&mut self, route: Route, text: &[u8], calls: u64) -> Result<Duration> {
        if let (Route::Core, Some(core)) = (route, &mut self.core) {
            return core.time(text, calls);
        }
        let started = now();
        for _ in 0..calls {
            black_box(self.call(route, text)?);
        }
        Ok(started.elapsed())
    }

    fn structs(&mut self, text: &[u8]) -> Result<Vec<u8>> {
        let args = structs_in(text)?;
        let store = &mut self.store;
        // The lookup of the function costs under 100 ns, the time of the check in `TypedFunc::new`.
        if self.name == "echo" {
            let func = self
                .instance
                .get_typed_func::<(Vec<User>,), (Vec<User>,)>(&mut *store, self.name)?;
            let (users,) = func.call(store, args)?;
            Ok(serde_json::to_vec(&users)?)
        } else {
            let func = self
                .instance
                .get_typed_func::<(Vec<User>,), (Vec<Transformed>,)>(&mut *store, self.name)?;
            let (users,) = func.call(store, args)?;
            Ok(serde_json::to_vec(&users)?)
        }
    }

    /// Call on values.
    pub(crate) fn call_vals(&mut self, args: &[Val]) -> Result<Val> {
        let mut results = [Val::Bool(false)];
        self.func.call(&mut self.store, args, &mut results)?;
        let [result] = results;
        Ok(result)
    }

    /// Call on packed values.
    pub(crate) fn call_packed(&mut self, args: Packed) -> Result<Outcome> {
        let Self { store, mapping, direct, .. } = self;
        let result = direct.call(store, mapping, args, CallBounds::NONE)?;
        Ok(mapping.lift(result))
    }

    fn tree(&mut self, text: &[u8]) -> Result<Vec<u8>> {
        let args: Vec<serde_json::Value> = serde_json::from_slice(text)?;
        let args = args.into_iter().map(|arg| to_val(&self.ty, arg)).collect::<Result<Vec<_>>>()?;
        let result = self.call_vals(&args)?;
        drop(args);
        Ok(serde_json::to_vec(&from_val(result)?)?)
    }
}

fn written(outcome: Outcome) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    match outcome {
        Outcome::Value(value) | Outcome::Error(value) => value.write_json(&mut out)?,
    }
    Ok(out)
}

/// Converts by the component's types, which it reads on the way.
fn to_val(ty: &Type, value: serde_json::Value) -> Result<Val> {
    use serde_json::Value as Json;
    Ok(match (ty, value) {
        (Type::U32, Json::Number(n)) => Val::U32(n.as_u64().context("a u32")?.try_into()?),
        (Type::Bool, Json::Bool(v)) => Val::Bool(v),
        (Type::String, Json::String(v)) => Val::String(v),
        (Type::List(list), Json::Array(items)) => {
            let item = list.ty();
            Val::List(items.into_iter().map(|each| to_val(&item, each)).collect::<Result<_>>()?)
        }
        (Type::Record(record), Json::Object(mut fields)) => {
            let mut values = Vec::with_capacity(record.fields().len());
            for field in record.fields() {
                let value = fields.remove(field.name).context("the field is there")?;
                values.push((field.name.to_owned(), to_val(&field.ty, value)?));
            }
            Val::Record(values)
        }
        (ty, value) => return Err(format_err!("expected {ty:?}, found {value}")),
    })
}

/// Converts back.
fn from_val(value: Val) -> Result<serde_json::Value> {
    use serde_json::Value as Json;
    Ok(match value {
        Val::U32(v) => Json::from(v),
        Val::Bool(v) => Json::from(v),
        Val::String(v) => Json::from(v),
        Val::List(items) => Json::Array(items.into_iter().map(from_val).collect::<Result<_>>()?),
        Val::Record(fields) => {
            let field = |(name, value)| Ok((name, from_val(value)?));
            Json::Object(fields.into_iter().map(field).collect::<Result<_>>()?)
        }
        other => return Err(format_err!("no JSON for {other:?}")),
    })
}
