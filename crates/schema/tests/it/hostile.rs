//! Tests of apps built to be expensive: time and memory must grow linearly with size. With quadratic cost
//! these tests would run for minutes.

use std::error::Error;
use std::fmt::Write;

use crisol_schema::{App, Code, Kind, Loader, Problems};

type Tested = Result<(), Box<dyn Error>>;

fn load(entries: &str) -> Result<App, Problems> {
    Loader::new().file("_index.yaml", format!("namespace: n\nentries:\n{entries}")).load_files()
}

/// Returns the problems, and checks that none quotes more of the app than a line.
fn refused(entries: &str) -> Result<Problems, Box<dyn Error>> {
    let Err(problems) = load(entries) else { return Err("it loads".into()) };
    for problem in problems.iter() {
        let said = problem.message().len() + problem.help().map_or(0, str::len);
        assert!(said < 2_000, "{said} bytes: {:.200}", problem.message());
    }
    assert!(problems.to_string().len() < 4_000_000);
    assert!(serde_json::to_string(&problems)?.len() < 4_000_000);
    Ok(problems)
}

#[test]
fn cycles_in_a_long_chain() -> Tested {
    let routers = 20_000;
    let mut text = String::new();
    for n in 0..routers {
        let next = (n + 1) % routers;
        writeln!(text, "- {{name: r{n}, kind: env.storage.router, storages: [r0, r{next}]}}")?;
    }
    // Each router refers to the first, which precedes it on the path; the last one does so twice.
    assert_eq!(refused(&text)?.errors(), routers + 1);
    Ok(())
}

#[test]
fn steps_and_storages_repeated_very_often() -> Tested {
    let steps = format!("{}{}", "cors, ".repeat(100_000), "compress, ".repeat(100_000));
    let problems = refused(&format!("- {{name: r, kind: http.router, middleware: [{steps}]}}\n"))?;
    assert_eq!(problems.errors(), 199_998);

    let mut text = "- {name: s, kind: env.storage.static, values: {".to_owned();
    for n in 0..3_000 {
        write!(text, "V{n}: x, ")?;
    }
    let storages = "s, ".repeat(100_000);
    write!(text, "}}}}\n- {{name: r, kind: env.storage.router, storages: [{storages}]}}\n")?;
    assert_eq!(load(&text)?.warnings.warnings(), 1);
    Ok(())
}

#[test]
fn many_long_ids_that_name_nothing() -> Tested {
    let long = "x".repeat(180);
    let mut text = String::new();
    for n in 0..3_000 {
        writeln!(text, "- {{name: {long}{n}, kind: env.variable, storage: {n}{long}}}")?;
    }
    assert_eq!(refused(&text)?.errors(), 3_000);
    Ok(())
}

#[test]
fn a_line_as_long_as_the_file() -> Tested {
    let unknown: String = (0..2_000).map(|n| format!("é{n}: {}, ", "x".repeat(2_000))).collect();
    let problems = refused(&format!("- {{name: f, kind: env.storage.os, {unknown}}}\n"))?;
    assert_eq!((problems.errors(), problems.omitted()), (2_000, 1_000));
    Ok(())
}

#[test]
fn one_text_of_a_megabyte() -> Tested {
    let long = "7".repeat(1 << 20);
    for field in [
        format!("method: {long}"),
        format!("method: {{{long}: 1}}"),
        format!("'{long}': 1"),
        format!("transport: '{long}'"),
        format!("imports: ['{long}']"),
        format!("limits: {{max_fuel: {long}, '{long}': 2}}"),
        format!("wasi: {{env: [{{id: '{long}', name: '{long}'}}], cwd: '{long}'}}"),
        format!("meta: !<{long}> x"),
    ] {
        refused(&format!("- name: f\n  kind: function.wat\n  source: (module)\n  {field}\n"))?;
    }
    refused(&format!("- {{name: '{long}', kind: '{long}'}}\n"))?;
    refused(&format!("- {{name: s, kind: env.storage.static, values: {{'{long}': [1]}}}}\n"))?;
    Ok(())
}

#[test]
fn twenty_thousand_of_one_id() -> Tested {
    let entries = "- {name: a, kind: env.storage.os}\n".repeat(20_000);
    assert_eq!(refused(&entries)?.errors(), 19_999);
    Ok(())
}

/// The text of a file is stored once, however many entries name it.
#[test]
fn a_file_is_held_once() -> Tested {
    let entry = |name| {
        format!("- {{name: {name}, kind: function.wat, method: f, source: 'file://x/../f.wat'}}\n")
    };
    let app = Loader::new()
        .file("_index.yaml", format!("namespace: n\nentries:\n{}{}", entry("a"), entry("b")))
        .file("f.wat", "(module)")
        .load_files()?;
    let texts: Vec<*const str> = app
        .registry
        .iter()
        .filter_map(|entry| match &entry.kind {
            Kind::Function(function) => match &function.code {
                Code::Wat { source } => Some(std::ptr::from_ref(source.text())),
                Code::Wasm { .. } => None,
            },
            _ => None,
        })
        .collect();
    let [a, b] = texts.as_slice() else { return Err("not two".into()) };
    assert!(std::ptr::addr_eq(*a, *b));
    Ok(())
}
