//! Fuzz target: any text loads or fails with renderable problems. A loaded app prints as an app that loads to
//! the same app, and its check gives the same app and warnings; the readable rest of a wrong app can be used;
//! a pinned text holds the hash. Lines `#--set …` are overrides, as in the golden cases.
//!
//! Run: `cargo +nightly fuzz run load -- -max_len=4096` with `tests/ui` as a first corpus.

#![no_main]

use crisol_schema::{
    CheckedApp, Color, EntryField, Loader, Problems, Report, Rule, Sha256Hash, write_hashes,
};
use libfuzzer_sys::fuzz_target;

/// Checks that problems render without terminal escapes.
fn show(problems: &Problems) {
    assert!(!problems.render(Color::Never).contains('\u{1b}'));
    assert!(serde_json::to_string(problems).is_ok());
}

/// Checks that the readable entries print, and that problems can be reported at any location in them.
fn use_registry(checked: &CheckedApp) {
    assert!(serde_json::to_string(&checked.registry).is_ok());
    let mut found = Problems::new();
    for entry in &checked.registry {
        for field in [
            EntryField::Method,
            EntryField::Hash,
            EntryField::WasiEnv(0),
            EntryField::Router,
            EntryField::Value("none".into()),
        ] {
            found.at(&checked.registry, &entry.id, &field, Report::error(Rule::BAD_FORM, "bad"));
            let _ = checked.is_read(&entry.id, &field);
        }
        for offset in [0, 1, 7, usize::MAX] {
            let report = Report::warning(Rule::BAD_FORM, "bad");
            found.inside(&checked.registry, &entry.id, &EntryField::Source, offset, report);
        }
    }
    found.append(checked.problems.clone());
    found.sort();
    show(&found);
}

fuzz_target!(|text: &str| {
    let (Ok(namespace), Ok(id)) = ("n".parse(), "n:f".parse()) else { return };
    let plain = Loader::new().default_namespace(namespace);
    let sets = text.lines().filter_map(|line| line.strip_prefix("#--set "));
    let loader = sets.fold(plain.clone(), Loader::set).file("_index.yaml", text);
    let checked = loader.check_files();
    use_registry(&checked);
    match loader.load_files() {
        Err(problems) => {
            assert!(problems.errors() > 0);
            show(&problems);
            assert_eq!(problems.to_string(), checked.problems.to_string());
        }
        Ok(app) => {
            let loaded = serde_json::to_string(&app.registry).unwrap_or_default();
            assert_eq!(loaded, serde_json::to_string(&checked.registry).unwrap_or_default());
            assert_eq!(app.warnings.to_string(), checked.problems.to_string());
            for file in app.registry.index_files() {
                let Ok(printed) = serde_json::to_string(&file) else { panic!("not printed") };
                // With several namespaces, one text may refer to another.
                let several = app.registry.index_files().len() > 1;
                match plain.clone().file("_index.json", printed.as_str()).load_files() {
                    Ok(again) => {
                        let again = serde_json::to_string(&again.registry).unwrap_or_default();
                        assert_eq!(again, format!("[{printed}]"));
                    }
                    Err(problems) => assert!(several, "{printed}\n{problems}"),
                }
            }
        }
    }
    let hash = Sha256Hash::from([7; 32]);
    if let Ok(pinned) = write_hashes(text, &[(id, hash)].into(), None) {
        assert!(pinned.contains(&hash.to_string()));
    }
});
