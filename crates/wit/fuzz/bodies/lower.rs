//! Lowers any text by any type: it is refused or accepted within memory limited by its size. Accepted values, written
//! as text, read back as the same value.

use arbitrary::{Result, Unstructured};
use crisol_core::{Field, Signature, Type};
use crisol_wit::Mapping;
use wasmtime::component::Val;

use super::types::any_type;

/// Values that a byte of text may become, beyond the fixed number for any text: an omitted field costs the text nothing
/// and has a budget of its own.
const VALUES_PER_BYTE: usize = 600;
const VALUES_FOR_NOTHING: usize = 2_000_000;

fn size(value: &Val) -> usize {
    let boxed = |value: &Option<Box<Val>>| value.as_ref().map_or(0, |value| size(value));
    1 + match value {
        Val::List(items) | Val::FixedLengthList(items) | Val::Tuple(items) => {
            items.iter().map(size).sum()
        }
        Val::Record(fields) => fields.iter().map(|(_, value)| size(value)).sum(),
        Val::Map(pairs) => pairs.iter().map(|(key, value)| size(key) + size(value)).sum(),
        Val::Variant(_, payload) | Val::Option(payload) => boxed(payload),
        Val::Result(Ok(payload) | Err(payload)) => boxed(payload),
        Val::Flags(names) => names.len(),
        _ => 0,
    }
}

/// Lowers the rest of `u` by a type from its start.
pub(crate) fn run(u: &mut Unstructured<'_>) -> Result<bool> {
    let ty = any_type(u, 4)?;
    let rest = u.len();
    Ok(check(ty, u.bytes(rest)?))
}

/// Lowers `text` by `ty`; returns true if it is accepted.
pub(crate) fn check(ty: Type, text: &[u8]) -> bool {
    // In a list, because a top-level `result` would be split.
    let ty = Type::List(Box::new(ty));
    let params = vec![Field { name: "x".to_owned(), ty: ty.clone() }];
    let Ok(mapping) = Mapping::from_signature(Signature { params, result: Some(ty) }) else {
        panic!("a type that is not known");
    };
    if let Ok(text) = std::str::from_utf8(text) {
        let _ = mapping.lower_wave(text);
    }
    let args = match mapping.lower_json(text) {
        Ok(args) => args,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    let values = mapping.unpack_args(&args);
    let total: usize = values.iter().map(size).sum();
    assert!(total <= VALUES_FOR_NOTHING + VALUES_PER_BYTE * text.len());
    let packed = mapping.pack_result(values.first().cloned());
    let out = match mapping.lift(packed).into_result() {
        Ok(out) | Err(out) => out,
    };
    let wave = format!("({})", out.to_wave());
    assert_eq!(mapping.lower_wave(&wave).as_ref(), Ok(&args), "{wave}");
    // JSON has its own rules for duplicate keys and for keys that are not text.
    if let Ok(again) = serde_json::to_string(&(&out,)) {
        assert_eq!(mapping.lower_json(again.as_bytes()).as_ref(), Ok(&args), "{again}");
    }
    let tree = vec![out.to_value()];
    assert_eq!(mapping.lower_serialize(&tree).as_ref(), Ok(&args), "{tree:?}");
    true
}
