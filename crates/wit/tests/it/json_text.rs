//! Direct JSON text, byte for byte as `serde_json` writes it.

use crisol_core::{Field, Reply, Type, Value};
use crisol_wit::Mapping;
use wasmtime::component::Val;

use super::support::{lifted, mapping};
use super::types::parse;

fn check(mapping: &Mapping, value: Val) {
    let lifted = lifted(mapping, value);
    let expected = serde_json::to_string(&lifted).unwrap();
    let mut text = Vec::new();
    lifted.write_json(&mut text).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), expected);
    let mut text = b"before ".to_vec();
    Reply::from(lifted).write_json(&mut text).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), format!("before {expected}"));
}

#[test]
fn every_character_and_byte_is_written_the_same() {
    let strings = mapping(&parse("string"));
    let chars = mapping(&parse("char"));
    let all = (0..0x100).chain([0x2028, 0xffff, 0x1f600]).filter_map(char::from_u32);
    for c in all.clone() {
        check(&chars, Val::Char(c));
        check(&strings, Val::String(format!("{c}☃{c}{c}")));
        for at in 0..9 {
            check(&strings, Val::String(format!("{}{c}{}", "x".repeat(at), "x".repeat(8 - at))));
        }
    }
    check(&strings, Val::String(all.collect()));
    check(&strings, Val::String(String::new()));
    let bytes: Vec<Val> = (0..=u8::MAX).map(Val::U8).collect();
    check(&mapping(&parse("list<u8>")), Val::List(bytes.clone()));
    check(&mapping(&parse("list<u8, 256>")), Val::FixedLengthList(bytes));
    check(&mapping(&parse("list<u8>")), Val::List(Vec::new()));
}

#[test]
fn numbers_are_written_the_same() {
    let floats = [0.0, -0.0, 1.0, 0.1, 1e15, 1e16, 1e17, 1e300, 5e-324, f64::MAX, f64::NAN];
    let infinite = [f64::INFINITY, f64::NEG_INFINITY];
    for float in floats.into_iter().chain(infinite) {
        check(&mapping(&Type::F64), Val::Float64(float));
        #[expect(clippy::cast_possible_truncation, reason = "any number works")]
        check(&mapping(&Type::F32), Val::Float32(float as f32));
    }
    for (ty, value) in [
        (Type::S8, Val::S8(i8::MIN)),
        (Type::S16, Val::S16(i16::MIN)),
        (Type::S32, Val::S32(i32::MIN)),
        (Type::S64, Val::S64(i64::MIN)),
        (Type::U16, Val::U16(u16::MAX)),
        (Type::U32, Val::U32(u32::MAX)),
        (Type::U64, Val::U64(u64::MAX)),
    ] {
        check(&mapping(&ty), value);
    }
}

/// WIT names need no quoting; a signature from another source may have any name.
#[test]
fn any_name_is_quoted() {
    let name = "a\"\\\n☃".to_owned();
    let fields = vec![Field { name: name.clone(), ty: Type::U8 }];
    check(&mapping(&Type::Record(fields)), Val::Record(vec![(name.clone(), Val::U8(1))]));
    check(&mapping(&Type::Enum(vec![name.clone()])), Val::Enum(name.clone()));
    check(&mapping(&Type::Flags(vec![name.clone()])), Val::Flags(vec![name]));
    check(&mapping(&Type::Record(Vec::new())), Val::Record(Vec::new()));
}

#[test]
fn nothing_is_null() {
    let nothing = Mapping::from_signature(crisol_core::Signature { params: vec![], result: None });
    let nothing = nothing.unwrap().lift(None).into_result().unwrap();
    let mut text = Vec::new();
    nothing.write_json(&mut text).unwrap();
    assert_eq!(text, b"null");
    assert_eq!(Value::from_serialize(&nothing).unwrap(), Value::Null);
}
