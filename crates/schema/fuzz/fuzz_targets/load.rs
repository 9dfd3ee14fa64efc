//! Any text loads or is refused with problems that can be shown; what loads prints as an app that
//! loads to the same; a pinned text holds the hash. Run: `cargo +nightly fuzz run load -- -max_len=4096`
//! with `tests/ui` as a first corpus.

#![no_main]

use crisol_schema::{Color, Loader, Sha256Hash, pin};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (Ok(namespace), Ok(id)) = ("n".parse(), "n:f".parse()) else { return };
    let loader = Loader::new().default_namespace(namespace);
    match loader.clone().file("_index.yaml", text).load_files() {
        Err(problems) => {
            assert!(problems.errors() > 0);
            assert!(!problems.render(Color::Never).contains('\u{1b}'));
            assert!(serde_json::to_string(&problems).is_ok());
        }
        Ok(app) => {
            for file in app.registry.index_files() {
                let Ok(printed) = serde_json::to_string(&file) else { panic!("not printed") };
                // A text of a namespace of its own may refer to another's.
                let several = app.registry.index_files().len() > 1;
                match loader.clone().file("_index.json", printed.as_str()).load_files() {
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
    if let Ok(pinned) = pin(text, &[(id, hash)].into(), None) {
        assert!(pinned.contains(&hash.to_string()));
    }
});
