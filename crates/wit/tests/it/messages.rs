//! Error messages for code that cannot become a component.

use crisol_wit::{parse_text, wrap};
use expect_test::expect;

#[test]
fn text_errors_have_their_place() {
    let path = std::path::Path::new("answer.wat");
    let error = parse_text("(module\n  (func i32.cons))", Some(path)).unwrap_err();
    expect![[r"
        unknown operator or unexpected token
             --> answer.wat:2:9
              |
            2 |   (func i32.cons))
              |         ^"]]
    .assert_eq(&error.to_string());
}

#[test]
fn missing_imports_are_listed_as_far_as_a_message_goes() {
    let told = |imports: usize, name: &str| {
        let imports: String =
            (0..imports).map(|at| format!(r#"(import "env" "{name}{at}" (func))"#)).collect();
        let text = format!(r#"(module {imports} (func (export "f")))"#);
        let module = parse_text(&text, None).unwrap();
        wrap(&module, None, "f").unwrap_err().to_string()
    };
    let all = told(200, "f");
    assert!((0..200).all(|at| all.contains(&format!("`f{at}`"))) && !all.contains("more"), "{all}");
    let long = told(5_000, &"n".repeat(70));
    assert!(long.len() < 9_000 && long.contains("more: "), "{long}");
}

#[test]
fn a_byte_of_a_module_belongs_to_a_function() {
    let text = r#"(module (import "a" "b" (func)) (func $first) (func i32.const 0 drop))"#;
    let bytes = parse_text(text, None).unwrap();
    let at = |byte: usize| crisol_wit::function_at(&bytes, byte as u64);
    let all: Vec<_> = (0..=bytes.len()).filter_map(at).collect();
    let mut told = all.clone();
    told.dedup();
    assert_eq!(told, ["`$first`", "number 2"]);
}
