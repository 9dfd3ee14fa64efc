//! Checks of an app with errors, read as far as possible.

use std::error::Error;

use crisol_schema::{CheckedApp, Code, EntryField, Kind, KindName, Loader};

type Tested = Result<(), Box<dyn Error>>;

fn check(text: &str) -> CheckedApp {
    Loader::new().file("_index.yaml", format!("namespace: a\nentries:\n{text}")).check_files()
}

fn ids(checked: &CheckedApp) -> Vec<&str> {
    checked.registry.iter().map(|entry| entry.id.as_str()).collect()
}

/// Returns the rules of the errors.
fn rules(checked: &CheckedApp) -> Vec<&str> {
    checked.problems.iter().map(|one| one.rule().as_str()).collect()
}

#[test]
fn an_app_without_errors_checks_as_it_loads() -> Tested {
    let text = "  - {name: d, kind: fs.directory, directory: d}\n  - {name: v, kind: env.variable, default: x}\n";
    let loader = Loader::new().file("_index.yaml", format!("namespace: a\nentries:\n{text}"));
    let (checked, app) = (loader.check_files(), loader.load_files()?);
    assert_eq!(serde_json::to_string(&checked.registry)?, serde_json::to_string(&app.registry)?);
    assert_eq!(checked.problems.to_string(), app.warnings.to_string());
    assert!(checked.is_complete(KindName::FsDirectory));
    assert!(checked.is_read(&"a:d".parse()?, &EntryField::Mode));
    Ok(())
}

#[test]
fn an_entry_is_read_without_its_wrong_fields() -> Tested {
    let checked = check(
        "  - {name: d, kind: fs.directory, directory: d, mode: 9}\n  - {name: f, kind: function.wasm, fs: d, path: f.wasm, hash: sha256:1, metod: g, imports: [wasi:io], pool: {size: 0}}\n",
    );
    assert_eq!(ids(&checked), ["a:d", "a:f"], "{}", checked.problems);
    let id = "a:f".parse()?;
    for (field, is_read) in [
        (EntryField::Fs, true),
        (EntryField::Imports, true),
        (EntryField::Hash, false),
        (EntryField::Method, false),
        (EntryField::Pool, false),
    ] {
        assert_eq!(checked.is_read(&id, &field), is_read, "{field}");
    }
    let Some(Kind::Function(function)) = checked.registry.get("a:f").map(|entry| &entry.kind)
    else {
        return Err("no function".into());
    };
    assert!(!function.imports.is_empty());
    let Code::Wasm { path, .. } = &function.code else { return Err("no path".into()) };
    assert_eq!(path.as_str(), "f.wasm");
    assert!(
        !checked.is_complete(KindName::FunctionWasm) && checked.is_complete(KindName::HttpRouter)
    );
    assert_eq!(rules(&checked), ["bad-form", "bad-hash", "unknown-field", "bad-range"]);
    Ok(())
}

/// An error in one of the two does not affect the other.
#[test]
fn entries_with_the_same_id_are_read_separately() -> Tested {
    let checked = check(
        "  - {name: g, kind: function.wat, source: (module), method: h, limits: {max_execution_ms: soon}}\n  - {name: g, kind: function.wat, source: file://missing.wat, method: f}\n",
    );
    let id = "a:g".parse()?;
    assert!(checked.registry.get("a:g").is_some(), "{}", checked.problems);
    for (field, is_read) in
        [(EntryField::Source, true), (EntryField::Method, true), (EntryField::Limits, false)]
    {
        assert_eq!(checked.is_read(&id, &field), is_read, "{field}");
    }
    assert_eq!(rules(&checked), ["wrong-type", "duplicate-id", "bad-source"]);

    let checked = check(
        "  - {name: d, kind: fs.directory, directory: d}\n  - {name: s, kind: http.static, path: /s, fs: d}\n  - {name: s, kind: http.static, path: /t, fs: nowhere}\n",
    );
    assert_eq!(rules(&checked), ["duplicate-id", "dangling-reference"]);
    assert!(checked.is_read(&"a:s".parse()?, &EntryField::Fs), "{}", checked.problems);
    Ok(())
}

/// From an unreadable folder to everything that depends on it.
#[test]
fn fields_that_refer_to_an_unreadable_entry_are_left_out() -> Tested {
    let checked = check(
        "  - {name: d, kind: fs.directory}\n  - {name: e, kind: fs.directory, directory: e}\n  - {name: f, kind: function.wasm, fs: d, path: f.wasm, hash: sha256:1, method: f}\n  - {name: g, kind: function.wat, source: (module), method: g, wasi: {mounts: [{fs: d, guest: /d}, {fs: e, guest: /e}]}}\n  - {name: h, kind: http.endpoint, path: /h, func: f}\n  - {name: i, kind: http.endpoint, path: /i, func: g}\n",
    );
    assert_eq!(ids(&checked), ["a:e", "a:g", "a:i"], "{}", checked.problems);
    assert!(!checked.is_read(&"a:g".parse()?, &EntryField::Wasi));
    assert!(!checked.is_complete(KindName::HttpEndpoint));
    assert_eq!(rules(&checked), ["missing-field", "bad-hash", "no-effect"]);
    Ok(())
}

#[test]
fn cycles_and_chains_of_unreadable_entries_end() {
    let mut text = String::from(
        "  - {name: x, kind: env.storage.router, storages: [y]}\n  - {name: y, kind: env.storage.router, storages: [x]}\n  - {name: r0, kind: env.storage.router, storages: [none]}\n",
    );
    for at in 1..2_000 {
        text +=
            &format!("  - {{name: r{at}, kind: env.storage.router, storages: [r{}]}}\n", at - 1);
    }
    let checked = check(&text);
    assert!(checked.registry.is_empty(), "{:?}", ids(&checked));
    assert_eq!(rules(&checked), ["cycle", "dangling-reference"]);
}

/// A reference may name an entry of a file that cannot be read, or has no namespace.
#[test]
fn no_reference_dangles_while_ids_are_unknown() {
    let refers = "namespace: b\nentries:\n  - {name: e, kind: http.endpoint, path: /, func: a:f}\n";
    let unread = [
        "namespace: a\nentries: [",
        "entries:\n  - {name: f, kind: function.wat, source: (module), method: f}\n",
        "namespace: a a\nentries: []\n",
        "- {name: f, kind: function.wat, source: (module), method: f}\n",
        "namespace: a\ncontents: []\n",
        "namespace: a\nentries: {}\n",
        "text",
    ];
    for text in unread {
        let checked =
            Loader::new().file("_index.yaml", text).file("b/_index.yaml", refers).check_files();
        let dangling = rules(&checked).contains(&"dangling-reference");
        assert!(checked.problems.errors() > 0 && !dangling, "{text}: {}", checked.problems);
        assert!(!checked.is_complete(KindName::FunctionWat), "{text}");
    }
    let checked = Loader::new().file("_index.yaml", "").file("b/_index.yaml", refers);
    assert_eq!(rules(&checked.check_files()), ["missing-field", "dangling-reference"]);
}

/// A full list of problems hides further ones, so no entry is left to check.
#[test]
fn no_entry_is_read_after_too_many_errors() {
    let text: String = (0..1_001).map(|at| format!("  - {{name: f{at}, kind: x}}\n")).collect();
    let checked = check(&(text + "  - {name: d, kind: fs.directory, directory: d}\n"));
    assert!(checked.registry.is_empty() && checked.problems.omitted() > 0);
    assert!(!checked.is_complete(KindName::FsDirectory));
}

#[test]
fn a_missing_app_has_no_entries() {
    let checked = Loader::new().check("/there/is/no/such/folder");
    assert!(checked.registry.is_empty());
    assert_eq!(rules(&checked), ["io"]);
}
