//! Bodies of the fuzz targets, over a few hundred random inputs.

use std::cell::Cell;

use arbitrary::Unstructured;
use crisol_core::Type;
use proptest::prelude::{ProptestConfig, Strategy, any, prop};
use proptest::test_runner::TestRunner;

#[path = "../../fuzz/bodies/direct.rs"]
mod direct;
#[path = "../../fuzz/bodies/lower.rs"]
mod lower;
#[path = "../../fuzz/bodies/stored.rs"]
mod stored;
#[path = "../../fuzz/bodies/types.rs"]
mod types;

/// Number of inputs for each body.
const CASES: u32 = 256;

/// Number of pairs of words at the start of a guest's memory that are mostly pointers.
const HEADS: u32 = 16;

/// Bytes of a guest's memory: pairs of a pointer and a length, then pairs of small numbers, which may be discriminants.
fn memory() -> impl Strategy<Value = Vec<u8>> {
    let small = || 0..5_u32;
    let pointer = (HEADS / 2..4 * HEADS).prop_map(|at| direct::BASE + 8 * at);
    let random = || (any::<u32>(), any::<u32>());
    let head = proptest::prop_oneof![
        6 => (pointer.clone(), small()),
        1 => (direct::BASE..direct::BASE + 512, small()),
        2 => (small(), small()),
        1 => random(),
    ];
    let content = proptest::prop_oneof![
        6 => (small(), small()),
        2 => (pointer, small()),
        1 => random(),
    ];
    let bytes = |pairs: Vec<(u32, u32)>| -> Vec<u8> {
        pairs
            .iter()
            .flat_map(|(low, high)| [low.to_le_bytes(), high.to_le_bytes()].concat())
            .collect()
    };
    let heads = prop::collection::vec(head, HEADS as usize).prop_map(bytes);
    let contents = prop::collection::vec(content, 16..96).prop_map(bytes);
    (heads, contents).prop_map(|(heads, contents)| [heads, contents].concat())
}

/// Text with the tokens of JSON, often closed as it was opened.
fn json() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "1",
        "-1",
        "0.5",
        "1e9",
        "300",
        "null",
        "true",
        "\"a\"",
        "\"b-c\"",
        "\"ok\"",
        "\"NaN\"",
        "\"é\"",
        "[]",
        "{}",
        "[1, 2]",
        "{\"a\": 1}",
        "{\"ok\": 1}",
        "{\"some\": \"a\"}",
        "{\"a\": 1, \"b-c\": \"a\"}",
        "[",
        "]",
        ",",
    ]);
    let list = prop::collection::vec(token.clone(), 0..4).prop_map(|items| items.join(","));
    proptest::prop_oneof![
        4 => list.prop_map(|list| format!("[[{list}]]")),
        1 => prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat()),
    ]
}

fn any_type() -> impl Strategy<Value = Type> {
    let bytes = prop::collection::vec(any::<u8>(), 64);
    bytes.prop_map(|bytes| types::any_type(&mut Unstructured::new(&bytes), 3).unwrap())
}

/// Runs `body` over random inputs; returns how often it returned true.
fn reached<S: Strategy>(inputs: &S, body: impl Fn(S::Value) -> bool) -> usize {
    let config =
        ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let reached = Cell::new(0);
    let ran = TestRunner::new(config).run(inputs, |input| {
        reached.set(reached.get() + usize::from(body(input)));
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
    reached.get()
}

#[test]
fn values_cross_any_memory_as_wasmtime_has_them() {
    let realloc = prop::sample::select(stored::Realloc::ALL.to_vec());
    let lifted =
        reached(&(any_type(), realloc, memory(), any::<u32>()), |(ty, realloc, memory, at)| {
            let heads = (0..HEADS).map(|at| direct::BASE + 8 * at);
            let lift = |at| direct::check((&ty, realloc), at, &memory);
            // Each place is tried.
            heads.chain([at]).filter(|at| lift(*at)).count() > 0
        });
    assert!(lifted > CASES as usize / 2);
}

#[test]
fn any_text_is_refused_or_survives_a_round_trip() {
    let accepted = reached(&(any_type(), json()), |(ty, text)| lower::check(ty, text.as_bytes()));
    assert!(accepted > CASES as usize / 16);
}

#[test]
fn any_bytes_are_an_input() {
    reached(&prop::collection::vec(any::<u8>(), 0..256), |data| {
        let mut inputs = [Unstructured::new(&data), Unstructured::new(&data)];
        let [lifted, lowered] = &mut inputs;
        direct::run(lifted).is_ok() && lower::run(lowered).is_ok()
    });
}
