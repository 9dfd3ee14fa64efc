//! Comparison with wasmtime's own typed bindings, over the same guest.

use super::support::{Echo, lifted};

const WIT: &str = include_str!("bindings.wit");

mod generated {
    wasmtime::component::bindgen!({
        path: "tests/it/bindings.wit",
        additional_derives: [PartialEq, Clone, serde::Serialize, serde::Deserialize],
    });
}

use generated::test::bindings::kinds::{Color, Everything, Inner, Shape};

fn everything() -> Vec<Everything> {
    let one = Everything {
        a_bool: true,
        ints: (i8::MIN, u8::MAX, i16::MIN, u16::MAX, i32::MIN, u32::MAX, i64::MIN, u64::MAX),
        floats: (0.1, f64::MAX),
        a_char: '☃',
        text: "héllo \"you\"\n".to_owned(),
        bytes: vec![0, 1, 255],
        inner: Some(Inner { tag_count: 5, names: vec!["a".to_owned(), String::new()] }),
        nested: Some(None),
        shapes: vec![Shape::Dot, Shape::FilledCircle(1.5), Shape::Poly(vec![(1, -1)])],
        color: Color::DarkGreen,
        outcome: Ok(7),
        unit: Err(()),
    };
    let other = Everything {
        a_bool: false,
        inner: None,
        nested: Some(Some(3)),
        shapes: vec![],
        color: Color::Red,
        outcome: Err("no".to_owned()),
        unit: Ok(()),
        ..one.clone()
    };
    vec![one, Everything { nested: None, ..other.clone() }, other]
}

#[test]
fn typed_bindings_and_the_mapping_agree() {
    let mut echo = Echo::wit(WIT);
    let typed = echo
        .instance
        .get_typed_func::<(Vec<Everything>,), (Vec<Everything>,)>(&mut echo.store, "echo")
        .unwrap();
    let (by_bindings,) = typed.call(&mut echo.store, (everything(),)).unwrap();
    assert_eq!(by_bindings, everything());

    let args = echo.mapping.lower_serialize(&(everything(),)).unwrap();
    let result = echo.call(&args);
    let by_mapping: Vec<Everything> = lifted(&echo.mapping, result).deserialize().unwrap();
    assert_eq!(by_mapping, by_bindings);
}
