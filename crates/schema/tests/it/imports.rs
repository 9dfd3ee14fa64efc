//! Tests of edits to `imports` in index files.

use std::collections::BTreeSet;

use crisol_core::Namespace;
use crisol_schema::{ImportsEdit, write_imports};
use expect_test::{Expect, expect};

type Tested<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn tokens(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|token| (*token).to_owned()).collect()
}

/// Returns the text with changed imports of `n:f`, after applying the same change twice.
fn written(text: &str, add: &[&str], remove: &[&str]) -> Tested<String> {
    let namespace: Namespace = "n".parse()?;
    let edit = |add: &[&str]| ImportsEdit { add: tokens(add), remove: tokens(remove) };
    let out = write_imports(text, &[("n:f".parse()?, edit(add))].into(), Some(&namespace))?;
    assert_eq!(write_imports(&out, &[("n:f".parse()?, edit(&[]))].into(), Some(&namespace))?, out);
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
                method: g
        "#]],
    )
}

#[test]
fn items_may_be_indented_like_their_key() -> Tested {
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
fn lists_in_brackets_keep_the_spelling_of_kept_items() -> Tested {
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
fn comments_above_an_item_go_with_it() -> Tested {
    check(
        "entries:
  - name: f
    imports:
      # hashes

      # dice
      # and tokens
      - wasi:random # both
      # polls
      - wasi:io
    # the way in
    method: g
",
        &[],
        &["wasi:random"],
        expect![[r#"
            entries:
              - name: f
                imports:
                  # hashes

                  # polls
                  - wasi:io
                # the way in
                method: g
        "#]],
    )?;
    check(
        "entries:\r\n- name: f\r\n  imports: # all\r\n  # dice\r\n  - wasi:random\r\n  - wasi:io",
        &[],
        &["wasi:random"],
        expect![["entries:\r\n- name: f\r\n  imports: # all\r\n  - wasi:io"]],
    )
}

#[test]
fn duplicates_are_written_once() -> Tested {
    check(
        "entries:\n  - {name: f, imports: [wasi1, preview1, 'WASI:io', wasi:io]}\n",
        &[],
        &[],
        expect![[r#"
            entries:
              - {name: f, imports: [wasi1, 'WASI:io']}
        "#]],
    )?;
    check(
        "entries:\n- name: f\n  imports:\n  - wasi1\n  # the same\n  - preview1\n  method: g\n",
        &[],
        &[],
        expect![[r#"
            entries:
            - name: f
              imports:
              - wasi1
              method: g
        "#]],
    )
}

/// Two entries; the second merges the fields of the first.
#[test]
fn a_merged_list_is_replaced_by_a_list_with_its_items() -> Tested {
    let text = "entries:
  - &f
    name: f
    imports: [wasi:random, wasi:io]
  - <<: *f
    name: g
";
    let edit = || ImportsEdit { remove: tokens(&["wasi:random"]), ..ImportsEdit::default() };
    let changes = [("n:f".parse()?, edit()), ("n:g".parse()?, edit())].into();
    expect![[r#"
        entries:
          - &f
            name: f
            imports: [wasi:io]
          - <<: *f
            name: g
            imports: [wasi:io]
    "#]]
    .assert_eq(&write_imports(text, &changes, Some(&"n".parse()?))?);
    let one = [("n:g".parse()?, edit())].into();
    let written = write_imports(text, &one, Some(&"n".parse()?))?;
    assert_eq!(written, format!("{text}    imports: [wasi:io]\n"));
    Ok(())
}

#[test]
fn an_alias_is_replaced_by_the_edited_list() -> Tested {
    check(
        "x-all: &all [wasi:random, wasi:io]\nentries:\n  - {name: f, imports: *all}\n  - {name: g, imports: *all}\n",
        &["funcs"],
        &["wasi:random"],
        expect![[r#"
            x-all: &all [wasi:random, wasi:io]
            entries:
              - {name: f, imports: [wasi:io, funcs]}
              - {name: g, imports: *all}
        "#]],
    )
}

/// Imports that cannot be edited report the reason and the line to write.
#[test]
fn an_uneditable_field_has_a_reason_and_the_line_to_write() -> Tested {
    let left = "`imports` of `n:f` is not changed, since";
    for (text, why, help) in [
        (
            "entries:\n  - name: f\n    imports: &all\n      - wasi:io\n      - wasi:random\n  - {name: g, imports: *all}\n",
            "its value has the anchor `&all`, and aliases may share it",
            "check what its aliases need, and write by hand `imports: [wasi:io]`",
        ),
        (
            "entries:\n  - name: f\n    imports: !!seq [wasi:io, wasi:random]\n",
            "its value has the tag `!!seq`",
            "write by hand `imports: [wasi:io]`",
        ),
        (
            "entries:\n  - name: f\n    imports: [wasi:io, # why\n      wasi:random]\n",
            "its list is in brackets and has comments, which would be lost",
            "write by hand `imports: [wasi:io]`",
        ),
        (
            "x-r: &r wasi:random\nentries:\n  - {name: f, imports: [WASI:io, *r]}\n",
            "`*r` is an alias of a shared value",
            "replace the alias by `imports: [wasi:io]`",
        ),
        (
            "entries:\n  - name: f\n    imports:\n      - &r wasi:random\n  - {name: g, imports: [*r]}\n",
            "its value has the anchor `&r`, and aliases may share it",
            "check what its aliases need, and write by hand `imports: []`",
        ),
        (
            "x-d: &d {imports: [wasi:random]}\nentries:\n  - {name: f, data: *d}\n",
            "the fields of the entry come from an alias",
            "write the fields of the entry itself, with `imports: []`",
        ),
        (
            "entries:\n  - &f {name: f, imports: [wasi:random]}\n  - {<<: *f, name: g}\n",
            "other entries of the file share its value by an anchor",
            "check what the others need, and write by hand `imports: []`",
        ),
        (
            "entries:\n  - {name: f, imports: wasi:random}\n",
            "its value is not a list of texts",
            "write by hand `imports: []`",
        ),
    ] {
        let error = written(text, &[], &["wasi:random"]).map_err(|error| error.to_string());
        assert_eq!(error, Err(format!("{left} {why}: {help}")), "{text}");
    }
    Ok(())
}

#[test]
fn a_shared_entry_does_not_block_edits_of_earlier_ones() -> Tested {
    let text = "entries:\n  - {name: f, imports: [wasi:random]}\n  - &h {name: h, imports: [wasi:random]}\n  - {<<: *h, name: g}\n";
    let edit = || ImportsEdit { remove: tokens(&["wasi:random"]), ..ImportsEdit::default() };
    let changes = [("n:f".parse()?, edit()), ("n:h".parse()?, edit())].into();
    let error = write_imports(text, &changes, Some(&"n".parse()?)).unwrap_err().to_string();
    assert!(error.starts_with("`imports` of `n:h` is not changed"), "{error}");
    Ok(())
}
