//! Any text lowers by any type or is refused, in memory that its own size bounds; what is taken is
//! written out as text that is taken again as the very same value.
//! Run: `cargo +nightly fuzz run lower -- -max_len=4096`

#![no_main]

use crisol_core::{Case, Field, Signature, Type};
use crisol_wit::Mapping;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use wasmtime::component::Val;

/// Values that a byte of text may become, over those that any text may: a field left out costs the
/// text nothing, and is paid for from a purse of its own.
const VALUES_PER_BYTE: usize = 600;
const VALUES_FOR_NOTHING: usize = 2_000_000;

fn any_type(u: &mut Unstructured<'_>, depth: u8) -> Result<Type> {
    let boxed = |u: &mut Unstructured<'_>| any_type(u, depth - 1).map(Box::new);
    let side = |u: &mut Unstructured<'_>| Ok(if u.arbitrary()? { Some(boxed(u)?) } else { None });
    Ok(match u.int_in_range(0..=if depth == 0 { 14 } else { 22 })? {
        0 => Type::Bool,
        1 => Type::S8,
        2 => Type::U8,
        3 => Type::S16,
        4 => Type::U16,
        5 => Type::S32,
        6 => Type::U32,
        7 => Type::S64,
        8 => Type::U64,
        9 => Type::F32,
        10 => Type::F64,
        11 => Type::Char,
        12 => Type::String,
        13 => Type::Enum(names(u)?),
        14 => Type::Flags(names(u)?),
        15 => Type::List(boxed(u)?),
        16 => Type::FixedList(boxed(u)?, u.int_in_range(1..=4)?),
        17 => Type::Map(boxed(u)?, boxed(u)?),
        18 => Type::Option(boxed(u)?),
        19 => Type::Result { ok: side(u)?, err: side(u)? },
        20 => {
            let len = u.int_in_range(1..=4)?;
            Type::Tuple((0..len).map(|_| any_type(u, depth - 1)).collect::<Result<_>>()?)
        }
        21 => {
            let names = names(u)?;
            let field = |name| Ok(Field { name, ty: any_type(u, depth - 1)? });
            Type::Record(names.into_iter().map(field).collect::<Result<_>>()?)
        }
        _ => {
            let names = names(u)?;
            let case = |name| Ok(Case { name, ty: side(u)?.map(|ty| *ty) });
            Type::Variant(names.into_iter().map(case).collect::<Result<_>>()?)
        }
    })
}

fn names(u: &mut Unstructured<'_>) -> Result<Vec<String>> {
    let len = u.int_in_range(1..=5)?;
    let words = ["a", "b-c", "ok", "some", "type"];
    Ok(words.iter().take(len).map(|&word| word.to_owned()).collect())
}

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

fn run(data: &[u8]) -> Result<()> {
    let mut u = Unstructured::new(data);
    // In a list: a `result` at the top would be taken apart.
    let ty = Type::List(Box::new(any_type(&mut u, 4)?));
    let text = u.take_rest();
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
            return Ok(());
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
    // Maps with keys twice are JSON's own affair, and so are keys that are not text.
    if let Ok(again) = serde_json::to_string(&(&out,)) {
        assert_eq!(mapping.lower_json(again.as_bytes()).as_ref(), Ok(&args), "{again}");
    }
    let tree = vec![out.to_value()];
    assert_eq!(mapping.lower_serialize(&tree).as_ref(), Ok(&args), "{tree:?}");
    Ok(())
}

fuzz_target!(|data: &[u8]| {
    let _ = run(data);
});
