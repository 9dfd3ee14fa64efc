//! Circles in small crates, each a list of files below `src`.

use std::path::Path;

use anyhow::Result;

use super::graph::circles;
use super::tree::Tree;
use super::{Found, told};

type Sources<'a> = &'a [(&'a str, &'a str)];

fn tree(sources: Sources<'_>) -> Result<Tree> {
    let read = |file: &Path| {
        Ok(sources.iter().find(|(name, _)| file == Path::new(name)).map(|it| it.1.to_owned()))
    };
    Tree::read(Path::new("lib.rs"), &read)
}

fn found(sources: Sources<'_>) -> Vec<String> {
    circles(&tree(sources).unwrap()).iter().map(told).collect()
}

/// Checks that `mod a; mod b;` with these files is a circle.
#[track_caller]
fn assert_circle(a: &str, b: &str) {
    let found = found(&[("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", b)]);
    assert!(matches!(found.as_slice(), [one] if one.contains("a ─▶ b (a.rs:")), "{found:?}");
}

#[track_caller]
fn assert_none(a: &str, b: &str) {
    let found = found(&[("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", b)]);
    assert_eq!(found, Vec::<String>::new());
}

/// Path to `a`, as one end of a circle.
const TO_A: &str = "use crate::a::A;";

#[test]
fn circle_is_reported_with_the_place_of_each_arrow() {
    let sources = [
        ("lib.rs", "mod a;\nmod b;\nmod c;\nmod leaf;"),
        ("a.rs", "\nuse crate::b::B;\nuse crate::leaf::L;\npub struct A;"),
        ("b.rs", "use crate::c::C;\npub struct B;"),
        ("c.rs", "pub struct C;\n\nimpl C { fn f(_: crate::a::A) {} }"),
        ("leaf.rs", "pub struct L;"),
    ];
    assert_eq!(
        found(&sources),
        ["a circle of 3 modules: a ─▶ b (a.rs:2) ─▶ c (b.rs:1) ─▶ a (c.rs:3)"]
    );
}

#[test]
fn references_of_every_form_are_found() {
    for reference in [
        "use crate::b::B;",
        "use crate::{b::{B, C}, a};",
        "use crate::b as other;",
        "use super::b::B;",
        "use crate::b::*;",
        "pub(crate) use crate::b::B;",
        "fn f() { crate::b::g(); }",
        "fn f() { let x = 1; { use super::b::g; g(x) } }",
        "struct S(Vec<crate::b::B>);",
        "impl crate::b::T for S {}",
        "fn f(x: u8) -> u8 { match x { super::b::MAX => 0, _ => 1 } }",
        "fn f() { crate::b::m!(1) }",
        "fn f() { println!(\"{}\", crate::b::g()) }",
        "fn f() { either! { use crate::{leaf, b::B}; } }",
        "macro_rules! m { () => { $crate::b::g() }; }",
        "#[derive(crate::b::D)] struct S;",
        "struct S { #[serde(with = \"crate::b\")] field: u8 }",
        "fn f() { <u8 as crate::b::T>::g() }",
        "#[cfg(any(test, feature = \"x\"))] use crate::b::B;",
        "#[cfg(not(test))] use crate::b::B;",
        "mod inner { use super::super::b::B; }",
    ] {
        assert_circle(reference, TO_A);
    }
}

#[test]
fn names_of_the_root_lead_to_the_module_that_defines_them() {
    let sources = [
        ("lib.rs", "mod a; mod b; pub use b::{B as Renamed, g};"),
        ("a.rs", "use crate::Renamed;"),
        ("b.rs", "pub struct B; pub fn g() { crate::a::f() }"),
    ];
    assert_eq!(found(&sources), ["a circle of 2 modules: a ─▶ b (a.rs:1) ─▶ a (b.rs:1)"]);
}

#[test]
fn re_export_leads_to_its_module_and_to_the_defining_one() {
    let sources = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::C;"),
        ("b.rs", "pub use crate::c::C;"),
        ("c.rs", "pub struct C(crate::a::A);"),
    ];
    let found = found(&sources);
    assert!(found[0].starts_with("a circle of 3 modules: a ─▶ c (a.rs:1)"), "{found:?}");
}

#[test]
fn imported_modules_are_followed() {
    let sources = [
        ("lib.rs", "mod top;"),
        ("top/mod.rs", "mod a; mod b;"),
        ("top/a.rs", "use crate::top; fn f() { top::b::g() }"),
        ("top/b.rs", "use super::a::f;"),
    ];
    assert_eq!(
        found(&sources),
        ["a circle of 2 modules: top::a ─▶ b (top/a.rs:1) ─▶ a (top/b.rs:1)"]
    );
}

#[test]
fn paths_of_the_parent_s_parent_count_where_they_part() {
    let sources = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "mod below;"),
        ("a/below.rs", "mod deep;"),
        ("a/below/deep.rs", "use super::super::super::b::B;"),
        ("b.rs", "use crate::a::below::deep::X;"),
    ];
    assert_eq!(
        found(&sources),
        ["a circle of 2 modules: a ─▶ b (a/below/deep.rs:1) ─▶ a (b.rs:1)"]
    );
}

#[test]
fn exported_macros_are_those_of_their_module() {
    let sources = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "fn f() { crate::m!() }"),
        ("b.rs", "#[macro_export] macro_rules! m { () => { $crate::a::f() }; }"),
    ];
    assert_eq!(found(&sources).len(), 1);
}

#[test]
fn parents_and_their_children_do_not_form_a_circle() {
    let sources = [
        ("lib.rs", "mod a; use a::A; pub struct Root(A);"),
        ("a.rs", "mod b; use b::B; use crate::Root; pub struct A(B);"),
        ("a/b.rs", "use super::A; use crate::Root;"),
    ];
    assert_eq!(found(&sources), Vec::<String>::new());
}

#[test]
fn tests_are_left_out() {
    for test in [
        "#[cfg(test)] mod tests { use crate::b::B; }",
        "#[cfg(test)] mod without_a_file;",
        "#[cfg(all(test, unix))] mod tests { use crate::b::B; }",
        "#[cfg(test)] use crate::b::B;",
        "#[cfg(test)] fn f() { crate::b::g() }",
        "fn f() { #[cfg(test)] let x = crate::b::g(); }",
        "impl A { #[cfg(test)] fn f() { crate::b::g() } }",
        "struct A { #[cfg(test)] field: crate::b::B }",
    ] {
        assert_none(test, TO_A);
    }
}

#[test]
fn words_outside_of_paths_are_left_out() {
    for other in [
        "//! crate::b\n/// [`crate::b::B`]\nfn f() { \"crate::b::B\"; }",
        "use ::b::B;",
        "use std::b::B;",
        "fn f(b: u8) { b.b(); Self::b(); b::c() }",
        "fn f() { vec![b, x.b::<u8>(), std::b::c] }",
        "macro_rules! m { ($b:ident) => { $b::c() }; }",
    ] {
        assert_none(other, TO_A);
    }
}

#[test]
fn modules_are_found_where_rust_finds_them() {
    let sources = [
        ("lib.rs", "#[path = \"odd/name.rs\"] mod a; mod r#type { mod b; }"),
        ("odd/name.rs", "use crate::r#type::b::B;"),
        ("type/b.rs", "use crate::a::A;"),
    ];
    assert_eq!(found(&sources).len(), 1);
}

#[test]
fn source_that_cannot_be_read_is_refused_with_its_place() {
    for (root, a, said) in [
        ("mod a;\nmod b;", "", "lib.rs:2: module `b` has no file"),
        ("#[macro_use]\nmod a;", "", "lib.rs:2: `#[macro_use]`"),
        ("mod a;", "\nfn fn", "a.rs:2: "),
    ] {
        let error = tree(&[("lib.rs", root), ("a.rs", a)]).err().unwrap();
        assert!(error.to_string().starts_with(said), "{error}");
    }
}

#[test]
fn number_of_a_crate_can_only_go_down() {
    let sources = [("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B;"), ("b.rs", TO_A)];
    let two = |sources| Found {
        folder: "x".to_owned(),
        modules: 2,
        circles: circles(&tree(sources).unwrap()),
    };
    let problems = two(&sources).problems(0);
    assert!(
        matches!(problems.as_slice(), [one] if one.starts_with("crates/x: a circle of 2")),
        "{problems:?}"
    );
    let problems = two(&sources).problems(1);
    assert!(
        matches!(problems.as_slice(), [_, two] if two.contains("2 modules are in circles, 1 may"))
    );
    assert_eq!(two(&sources).problems(2), Vec::<String>::new());
    assert!(two(&sources).problems(3)[0].contains("lower the number"));
    let none = two(&[("lib.rs", "mod a;"), ("a.rs", "")]);
    assert!(none.problems(3)[0].contains("drop the crate"));
    assert_eq!(none.problems(0), Vec::<String>::new());
}
