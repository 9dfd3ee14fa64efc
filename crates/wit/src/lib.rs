//! Serde for WIT: lowers values of any serde source into packed values of a component's types, and lifts results into
//! any serde format or Rust type, by a plan made once per exported function.
//!
//! Also reads core modules: either their functions, to be called directly ([`CoreModule`]), or the component that a
//! module becomes when it imports WIT interfaces ([`wrap`]). This crate does not compile, instantiate or call: wasmtime
//! does, as in this call with JSON in and JSON out.
//!
//! ```
//! use crisol_wit::{Mapping, Outcome, parse_text, wrap};
//! use wasmtime::component::{Component, Linker, Val, types::ComponentItem};
//! use wasmtime::{Engine, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let module = parse_text(
//!     r#"(module (func (export "add_two") (param i32 i32) (result i32)
//!          (i32.add (local.get 0) (local.get 1))))"#,
//!     None,
//! )?;
//! let wrapped = wrap(&module, Some("add-two: func(a: s32, b: s32) -> s32;"), "add_two")?;
//!
//! // When the function loads.
//! let engine = Engine::default();
//! let component = Component::new(&engine, wrapped.component)?;
//! let export = component.get_export(None, "add-two");
//! let Some((ComponentItem::ComponentFunc(ty), index)) = export else {
//!     return Err("there is no function `add-two`".into());
//! };
//! let mapping = Mapping::new(&ty)?;
//! assert_eq!(mapping.signature().to_string(), "func(a: s32, b: s32) -> s32");
//!
//! // For each call.
//! let mut store = Store::new(&engine, ());
//! let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
//! let func = instance.get_func(&mut store, &index).ok_or("it is a function")?;
//! let args = mapping.lower_json(b"[6, 7.0]")?;
//! let mut results = [Val::Bool(false)];
//! func.call(&mut store, &mapping.unpack_args(&args), &mut results)?;
//! let [result] = results;
//! match mapping.lift(mapping.pack_result(Some(result))) {
//!     Outcome::Value(value) => assert_eq!(serde_json::to_string(&value)?, "13"),
//!     Outcome::Error(error) => return Err(serde_json::to_string(&error)?.into()),
//! }
//!
//! let error = mapping.lower_json(b"[6, 0.5]").unwrap_err();
//! let said = "argument 2 (b): expected s32, found number 0.5, which is not an integer";
//! assert_eq!(error.to_string(), said);
//! # Ok(())
//! # }
//! ```

mod abi;
mod code;
mod component;
mod describe;
mod error;
mod host;
mod lift;
mod lower;
mod mapping;
mod packed;
mod plan;
mod shape;
mod wave;
mod wrap;

pub use abi::{CoreType, Encoding, Lifting, Memory, OverOutput};
pub use code::{BinaryKind, CodeError, Guess, TextError, function_at, parse_code, parse_text};
pub use component::{CallBounds, DirectFunc};
pub use crisol_core::{Args, Case, Field, Reply, Signature, Type, Value};
pub use describe::UnsupportedType;
pub use error::{LiftError, LowerError, Mismatch, Segment, Unexpected, ValuePath};
pub use host::{HostMapping, HostMismatch};
pub use lift::{Lifted, Outcome};
pub use mapping::Mapping;
pub use packed::Packed;
pub use wrap::{
    Convention, CoreFunction, CoreModule, UnknownFunction, UnknownImports, WrapError, Wrapped,
    env_function, wrap,
};
