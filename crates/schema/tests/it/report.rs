//! Tests of problems that other crates report, and of the forms of problems.

use std::error::Error;

use crisol_core::EntryId;
use crisol_schema::{App, Color, EntryField, Loader, Problem, Problems, Report, Rule, Severity};
use expect_test::{Expect, expect};

type Tested = Result<(), Box<dyn Error>>;

const TEXT: &str = "namespace: n
entries:
  - name: f
    kind: function.wat
    method: f
    wit: 'f: func();'
    wasi:
      env:
        - {id: v, name: DATA}
    source: |
      (module
        (func (export \"f\")
          i32.oops))
  - {name: v, kind: env.variable, default: d}
  - {name: g, kind: function.wat, method: g, source: 'file://wat/g.wat'}
";

fn app() -> Result<App, Problems> {
    Loader::new()
        .file("a/_index.yaml", TEXT)
        .file("a/wat/g.wat", "(module\n  (oops))\n")
        .load_files()
}

fn check(report: impl FnOnce(&App, &mut Problems), expected: &Expect) -> Tested {
    let app = app()?;
    let mut problems = Problems::new();
    report(&app, &mut problems);
    expected.assert_eq(&problems.to_string());
    Ok(())
}

fn report() -> Report {
    Report::error(Rule::new("bad-wat"), "unknown operator").help("write an instruction")
}

fn id(text: &str) -> EntryId {
    text.parse().unwrap_or_else(|_| unreachable!("{text} is an id"))
}

#[test]
fn at_a_field() -> Tested {
    check(
        |app, problems| problems.at(&app.registry, &id("n:f"), &EntryField::WasiEnv(0), report()),
        &expect![[r#"
            error[bad-wat]: unknown operator
             --> a/_index.yaml:9:11
              |
            9 |         - {id: v, name: DATA}
              |           ^^^^^^^^^^^^^^^^^^^ in `n:f`
              |
              = help: write an instruction

            1 error
        "#]],
    )
}

#[test]
fn at_a_field_that_is_not_written() -> Tested {
    check(
        |app, problems| {
            problems.at(&app.registry, &id("n:f"), &EntryField::Imports, report().label("add it"))
        },
        &expect![[r#"
            error[bad-wat]: unknown operator
             --> a/_index.yaml:4:11
              |
            4 |     kind: function.wat
              |           ^^^^^^^^^^^^ add it, in `n:f`
              |
              = help: write an instruction

            1 error
        "#]],
    )
}

#[test]
fn inside_a_block_a_quoted_text_and_a_file() -> Tested {
    check(
        |app, problems| {
            let source = "(module\n  (func (export \"f\")\n    i32.oops))\n";
            let at = source.find("i32.oops").unwrap_or(0);
            problems.inside(&app.registry, &id("n:f"), &EntryField::Source, at, report());
            problems.inside(&app.registry, &id("n:f"), &EntryField::Wit, 3, report().label("two"));
            let at = "(module\n  (".len();
            problems.inside(
                &app.registry,
                &id("n:g"),
                &EntryField::Source,
                at,
                report().label("three"),
            );
            problems.inside(
                &app.registry,
                &id("n:g"),
                &EntryField::Source,
                1_000_000,
                report().label("four"),
            );
        },
        &expect![[r#"
            error[bad-wat]: unknown operator
              --> a/_index.yaml:13:11
               |
            13 |           i32.oops))
               |           ^ in `n:f`
               |
               = help: write an instruction

            error[bad-wat]: unknown operator
             --> a/_index.yaml:6:14
              |
            6 |     wit: 'f: func();'
              |              ^ two, in `n:f`
              |
              = help: write an instruction

            error[bad-wat]: unknown operator
             --> a/wat/g.wat:2:4
              |
            2 |   (oops))
              |    ^ three, in `n:g`
              |
              = help: write an instruction

            error[bad-wat]: unknown operator
             --> a/wat/g.wat:3:1
              |
            3 |
              | ^ four, in `n:g`
              |
              = help: write an instruction

            4 errors
        "#]],
    )
}

#[test]
fn an_unknown_entry_has_no_location() -> Tested {
    check(
        |app, problems| problems.at(&app.registry, &id("n:nothing"), &EntryField::Kind, report()),
        &expect![[r#"
            error[bad-wat]: unknown operator
             |
             = note: in `n:nothing`
             = help: write an instruction

            1 error
        "#]],
    )
}

#[test]
fn as_json() -> Tested {
    let app = app()?;
    let mut problems = Problems::new();
    let warning = Report::warning(Rule::UNUSED, "nothing uses it");
    problems.at(&app.registry, &id("n:f"), &EntryField::WasiEnv(0), warning);
    let found = serde_json::to_string_pretty(&problems)?;
    expect![[r#"
        {
          "errors": 0,
          "warnings": 1,
          "omitted": 0,
          "problems": [
            {
              "severity": "warning",
              "rule": "unused",
              "message": "nothing uses it",
              "help": null,
              "file": "a/_index.yaml",
              "line": 9,
              "column": 11,
              "end_line": 9,
              "end_column": 30,
              "entry": "n:f",
              "field": "wasi.env[0]",
              "also": []
            }
          ]
        }"#]]
    .assert_eq(&found);
    Ok(())
}

#[test]
fn colour_is_only_on_demand() -> Tested {
    let app = app()?;
    let mut problems = Problems::new();
    problems.at(&app.registry, &id("n:f"), &EntryField::Method, report());
    assert!(!problems.render(Color::Never).contains('\u{1b}'));
    assert!(problems.render(Color::Always).contains("\u{1b}["));
    Ok(())
}

#[test]
fn file_contents_cannot_control_the_terminal() -> Tested {
    let text = "namespace: \"n\\e[31m\"\nentries: [] # \u{1b}[2J\n\"\\e]0;title\\a\": 1\n";
    let Err(problems) = Loader::new().file("_index.yaml", text).load_files() else {
        return Err("it loads".into());
    };
    assert!(!problems.to_string().contains('\u{1b}'), "{problems:?}");
    Ok(())
}

/// YAML breaks lines at a lone carriage return; locations count line feeds only, as editors do.
#[test]
fn a_place_in_a_line_break_is_drawn() -> Tested {
    let text = "limits:\n  max_fuel: \r\r\r?\r\r\r\r  # 5\r\r";
    let Err(problems) = Loader::new().file("_index.yaml", text).load_files() else {
        return Err("it loads".into());
    };
    assert!(problems.to_string().contains("_index.yaml:"), "{problems:?}");
    let text = "entries: []\nnamespace: n\nextra:\n  ?\r\r\r\r\r\r\n  : x\r\r\r";
    let Err(problems) = Loader::new().file("_index.yaml", text).load_files() else {
        return Err("it loads".into());
    };
    assert!(!problems.to_string().is_empty());
    Ok(())
}

#[test]
fn problems_are_counted_and_bounded() -> Tested {
    let entries: String = (0..3_000).map(|_| "  - {}\n").collect();
    let text = format!("namespace: n\nentries:\n{entries}");
    let Err(problems) = Loader::new().file("_index.yaml", text).load_files() else {
        return Err("it loads".into());
    };
    // Each entry has neither a name nor a kind.
    assert_eq!(
        (problems.errors(), problems.omitted(), problems.iter().len()),
        (6_000, 5_000, 1_000)
    );
    let text = problems.to_string();
    assert!(text.ends_with("6000 errors (5000 of them not shown)\n"), "{}", text.len());
    Ok(())
}

/// People see one problem with several places; tools see one problem for each place.
#[test]
fn a_problem_in_several_places_is_shown_once() -> Tested {
    check(
        |app, problems| {
            for (entry, field) in
                [("n:f", EntryField::Wit), ("n:g", EntryField::Method), ("n:f", EntryField::Method)]
            {
                problems.at(&app.registry, &id(entry), &field, report());
            }
            problems.sort();
            assert_eq!((problems.errors(), problems.iter().len()), (3, 3));
        },
        &expect![[r#"
            error[bad-wat]: unknown operator
             --> a/_index.yaml:5:13
              |
            5 |     method: f
              |             ^ in `n:f`
              |
              = note: the same in 2 more places:
                      a/_index.yaml:6:10 in `n:f`
                      a/_index.yaml:15:43 in `n:g`
              = help: write an instruction

            1 error in 3 places
        "#]],
    )
}

/// Errors come before warnings, and replace them in a full list.
#[test]
fn warnings_hide_no_error() -> Tested {
    let app = app()?;
    let mut problems = Problems::new();
    let warning = || Report::warning(Rule::IO, "odd");
    for _ in 0..1_000 {
        problems.at(&app.registry, &id("n:f"), &EntryField::Wit, warning());
    }
    for field in [EntryField::Source, EntryField::Method] {
        problems.at(&app.registry, &id("n:f"), &field, Report::error(Rule::IO, "wrong"));
    }
    problems.at(&app.registry, &id("n:f"), &EntryField::Wit, warning());
    problems.sort();
    let first: Vec<_> = problems.iter().take(3).map(Problem::severity).collect();
    assert_eq!(first, [Severity::Error, Severity::Error, Severity::Warning]);
    assert_eq!((problems.errors(), problems.warnings(), problems.omitted()), (2, 1_001, 3));
    let errors = problems.without_warnings();
    assert_eq!((errors.errors(), errors.warnings(), errors.iter().len()), (2, 0, 2));
    Ok(())
}

/// Drawn locations and carets with characters that complicate columns.
#[test]
fn carets_stand_below_wide_characters_tabs_and_in_long_lines() -> Tested {
    let refused = |text: &str| match Loader::new().file("_index.yaml", text).load_files() {
        Ok(_) => Err::<String, Box<dyn Error>>("it loads".into()),
        Err(problems) => Ok(problems.to_string()),
    };
    // A wide character takes two terminal columns, and is one character to an editor.
    let wide = "namespace: n\nentries: [{名前: 1, \"日本\":\t2, kind: env.storage.os, name: é}]\n";
    expect![[r#"
        error[unknown-field]: `entries[0]` has no field `名前`
         --> _index.yaml:2:12
          |
        2 | entries: [{名前: 1, "日本":    2, kind: env.storage.os, name: é}]
          |            ^^^^
          |
          = help: remove it: no fields are allowed here

        error[unknown-field]: `entries[0]` has no field `日本`
         --> _index.yaml:2:19
          |
        2 | entries: [{名前: 1, "日本":    2, kind: env.storage.os, name: é}]
          |                     ^^^^^^
          |
          = help: remove it: no fields are allowed here

        error[bad-name]: the name has 'é' at byte 0: use letters, digits, `_`, `-` and `.`, and begin with a letter, digit or `_`
         --> _index.yaml:2:56
          |
        2 | entries: [{名前: 1, "日本":    2, kind: env.storage.os, name: é}]
          |                                                               ^
          |
          = help: write a name such as `transform_users`

        3 errors
    "#]]
    .assert_eq(&refused(wide)?);
    let long = format!(
        "namespace: n\nentries: [{{name: a, kind: env.storage.os, meta: {{x: {}}}, extra: {}}}]\n",
        "é".repeat(500),
        "x".repeat(500)
    );
    expect![[r#"
        error[unknown-field]: `env.storage.os` has no field `extra`
         --> _index.yaml:2:556
          |
        2 | …ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé}, extra: xxxxxxxxxxxxxxxxxxxxxxx...
          |                                                                                                        ^^^^^ in `n:a`
          |
          = help: remove it: no fields are allowed here

        1 error
    "#]]
    .assert_eq(&refused(&long)?);
    Ok(())
}
