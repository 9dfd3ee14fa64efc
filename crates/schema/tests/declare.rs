//! `imports` written into index files.

use std::collections::BTreeSet;

use crisol_core::Namespace;
use crisol_schema::{ImportsEdit, declare};
use expect_test::{Expect, expect};

type Tested<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn tokens(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|token| (*token).to_owned()).collect()
}

/// The text with the imports of `n:f` changed, after the same change has been made of it once more.
fn written(text: &str, add: &[&str], remove: &[&str]) -> Tested<String> {
    let namespace: Namespace = "n".parse()?;
    let edit = |add: &[&str]| ImportsEdit { add: tokens(add), remove: tokens(remove) };
    let out = declare(text, &[("n:f".parse()?, edit(add))].into(), Some(&namespace))?;
    assert_eq!(declare(&out, &[("n:f".parse()?, edit(&[]))].into(), Some(&namespace))?, out);
    Ok(out)
}

fn check(text: &str, add: &[&str], remove: &[&str], expected: Expect) -> Tested {
    expected.assert_eq(&written(text, add, remove)?);
    Ok(())
}

#[test]
fn lines_keep_their_comments() -> Tested {
    let text = "entries:
  - name: f # the first
    imports: # why
      - wasi:io # for polling
      - WASI:Random@0.2.0 # nothing asks for it
      # the clock
      - wasi:clocks
    method: g
";
    check(
        text,
        &["wasi:http"],
        &["wasi:random"],
        expect![[r#"
            entries:
              - name: f # the first
                imports: # why
                  - wasi:io # for polling
                  # the clock
                  - wasi:clocks
                  - wasi:http
                method: g
        "#]],
    )?;
    check(
        text,
        &[],
        &["wasi:io", "wasi:random", "wasi:clocks"],
        expect![[r#"
            entries:
              - name: f # the first
                imports: [] # why
                  # the clock
                method: g
        "#]],
    )
}

#[test]
fn items_may_stand_below_their_key() -> Tested {
    let text =
        "entries:\n- name: f\n  imports:\n  - wasi:clocks\n  - 'wasi:io' # polls\n  method: g\n";
    check(
        text,
        &["wasi:http"],
        &["wasi:clocks"],
        expect![[r#"
            entries:
            - name: f
              imports:
              - 'wasi:io' # polls
              - wasi:http
              method: g
        "#]],
    )?;
    check(
        text,
        &[],
        &["wasi:clocks", "wasi:io"],
        expect![[r#"
            entries:
            - name: f
              imports: []
              method: g
        "#]],
    )
}

#[test]
fn lists_in_brackets_keep_what_stays_as_it_is_written() -> Tested {
    check(
        "entries:\n  - {name: f, imports: [ 'wasi:io', wasi:random ], method: g}\n",
        &["wasi:clocks"],
        &["wasi:random"],
        expect![[r#"
            entries:
              - {name: f, imports: ['wasi:io', wasi:clocks], method: g}
        "#]],
    )?;
    check(
        "entries:\n  - name: f\n    imports: [wasi:random] # none\n    method: g\n",
        &[],
        &["wasi:random"],
        expect![[r#"
            entries:
              - name: f
                imports: [] # none
                method: g
        "#]],
    )
}

#[test]
fn imports_that_are_missing_are_added_after_the_method() -> Tested {
    check(
        "entries:\n  - name: f\n    method: g # it\n    source: |\n      (module)\n",
        &["funcs", "wasi:clocks"],
        &[],
        expect![[r#"
            entries:
              - name: f
                method: g # it
                imports: [funcs, wasi:clocks]
                source: |
                  (module)
        "#]],
    )?;
    check(
        r#"{"entries": [{"name": "f", "method": "g"}]}"#,
        &["wasi:clocks"],
        &[],
        expect![[r#"{"entries": [{"name": "f", "method": "g", "imports": ["wasi:clocks"]}]}"#]],
    )?;
    check(
        "entries:\n  - name: f\n    imports:\n    method: g\n",
        &["funcs"],
        &[],
        expect![[r#"
            entries:
              - name: f
                imports: [funcs]
                method: g
        "#]],
    )
}

#[test]
fn aliases_of_tokens_are_the_token() -> Tested {
    check(
        "entries:\n  - {name: f, imports: [preview1, wippy:runtime/funcs]}\n",
        &[],
        &["funcs", "wasi1"],
        expect![[r#"
            entries:
              - {name: f, imports: []}
        "#]],
    )
}

#[test]
fn what_others_share_or_comments_would_be_lost_of_is_left_alone() -> Tested {
    for text in [
        "x: &all [wasi:random]\nentries:\n  - {name: f, imports: *all}\n",
        "entries:\n  - name: f\n    imports: [wasi:io, # why\n      wasi:random]\n",
    ] {
        let error = written(text, &[], &["wasi:random"]).unwrap_err().to_string();
        assert!(error.contains("write its `imports:` by hand"), "{error}");
    }
    Ok(())
}
