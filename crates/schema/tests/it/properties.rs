//! Property tests: any text loads or has problems, and a printed app loads to the same app.

use std::error::Error;

use crisol_schema::{App, Loader, Problems, Sha256Hash, write_hashes};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::TestCaseError;

fn load(text: &str) -> Result<App, Problems> {
    let loader = Loader::new().file("_index.yaml", text);
    match "n".parse() {
        Ok(namespace) => loader.default_namespace(namespace),
        Err(_) => loader,
    }
    .load_files()
}

/// Pieces of index files in any order, which reach further than random characters.
fn scraps() -> impl Strategy<Value = String> {
    let scrap = prop_oneof![
        Just("entries:\n"),
        Just("- "),
        Just("  - "),
        Just("\n"),
        Just("name: a"),
        Just("kind: "),
        Just("function.wat"),
        Just("function.wasm"),
        Just("env.variable"),
        Just("http.endpoint"),
        Just("source: "),
        Just("file://x"),
        Just("|\n  (module)\n"),
        Just("&a "),
        Just("*a"),
        Just("<<: "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(": "),
        Just(", "),
        Just("'"),
        Just("\""),
        Just("#"),
        Just("---\n"),
        Just("\t"),
        Just("\r\n"),
        Just("? "),
        Just("!!str "),
        Just("!x "),
        Just("\u{feff}"),
        Just("\u{1f600}"),
        Just("\\u0041"),
        Just("0x10"),
        Just("1e400"),
        Just("-9223372036854775809"),
        Just("null"),
        Just("~"),
        Just("meta: "),
        Just("data: "),
        Just("pool: {type: static, size: 1}"),
        Just("wasi: {mounts: [{fs: a, guest: /}]}"),
        Just("hash: sha256:0"),
        Just("%YAML 1.2\n"),
        Just("namespace: n\n"),
    ];
    vec(scrap, 0..60).prop_map(|scraps| scraps.concat())
}

fn answered(text: &str) {
    let problems = match load(text) {
        Ok(app) => app.warnings,
        Err(problems) => {
            assert!(problems.errors() > 0, "{text:?}");
            problems
        }
    };
    let shown = problems.to_string();
    assert!(shown.ends_with('\n'));
    for problem in problems.iter() {
        assert!(problem.location().is_none_or(|place| place.line > 0 && place.column > 0));
    }
    if let Ok(id) = "n:a".parse() {
        // It may fail, but not panic, and a returned text holds the hash.
        let hash = Sha256Hash::from([7; 32]);
        let namespace = "n".parse().ok();
        if let Ok(pinned) = write_hashes(text, &[(id, hash)].into(), namespace.as_ref()) {
            assert!(pinned.contains(&hash.to_string()), "{text:?}");
        }
    }
}

/// Generates names that YAML reads as text.
fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_.-]{0,8}x"
}

fn pool() -> impl Strategy<Value = String> {
    let count = 1_u32..1000;
    let reuse = option::of(1_u32..1000);
    let strategy = prop_oneof![
        Just("type: inline".to_owned()),
        count.clone().prop_map(|n| format!("type: lazy, max_size: {n}, idle_timeout_ms: {n}")),
        (count.clone(), count.clone()).prop_map(|(a, b)| format!(
            "workers: {}, size: {}",
            a.min(b),
            a.max(b)
        )),
        (count, any::<bool>())
            .prop_map(|(n, warm)| format!("type: adaptive, max_size: {n}, warm_start: {warm}")),
    ];
    (strategy, option::of(0_u32..5000), reuse).prop_map(|(strategy, buffer, reuse)| {
        let buffer = buffer.map_or(String::new(), |calls| format!(", buffer: {calls}"));
        let reuse = reuse.map_or(String::new(), |calls| format!(", max_instance_reuse: {calls}"));
        format!("{{{strategy}{buffer}{reuse}}}")
    })
}

/// Generates any text as a quoted scalar. JSON quoting is valid in YAML.
fn quoted() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| serde_json::Value::from(text).to_string())
}

fn function() -> impl Strategy<Value = String> {
    let imports = vec(
        prop_oneof![
            Just("wasi:io"),
            Just("WASI:CLI@0.2.0"),
            Just("wasi1"),
            Just("wasi:sockets/tcp")
        ],
        0..4,
    );
    let args = vec(quoted().prop_filter("no NUL", |text| !text.contains("\\u0000")), 0..3);
    let limit = option::of(1_u64..1_000_000);
    (name(), quoted(), pool(), imports, args, limit, quoted()).prop_map(
        |(name, source, pool, imports, args, limit, meta)| {
            let limit = limit.map_or(String::new(), |n| format!("max_fuel: {n}"));
            let text: String = serde_json::from_str(&source).unwrap_or_default();
            let is_plain = !text.trim().is_empty() && !text.starts_with("file:");
            let source = if is_plain { &source } else { "\"(module)\"" };
            format!(
                "  - name: {name}\n    kind: function.wat\n    method: {name}#f\n    source: {source}\n    \
                 pool: {pool}\n    imports: [{}]\n    limits: {{{limit}}}\n    \
                 meta: {{text: {meta}, n: -5, list: [1.5, null, true]}}\n    \
                 wasi:\n      args: [{}]\n      mounts: [{{fs: folder-x, guest: /{name}}}]\n",
                imports.join(", "),
                args.join(", ")
            )
        },
    )
}

fn same_again(text: &str) -> Result<(), Box<dyn Error>> {
    let app = load(text)?;
    for file in app.registry.index_files() {
        let compact = serde_json::to_string(&file)?;
        for printed in [&compact, &serde_json::to_string_pretty(&file)?] {
            let again = load(printed)?;
            let (before, after) = (app.registry.iter(), again.registry.iter());
            let same =
                before.map(|one| (&one.id, &one.kind)).eq(after.map(|one| (&one.id, &one.kind)));
            assert!(same, "{text}\n{printed}");
            // Printing fills in an omitted router, so `meta` is compared as printed.
            let reprinted = again.registry.index_files();
            assert_eq!(serde_json::to_string(&reprinted)?, format!("[{compact}]"), "{text}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_loads_or_has_problems(text in any::<String>()) {
        answered(&text);
    }

    #[test]
    fn any_scraps_load_or_have_problems(text in scraps()) {
        answered(&text);
    }

    #[test]
    fn any_override_applies_or_has_problems(set in "(n:a:)?[a-z\\[\\]0-9.+]{0,12}=?.{0,12}") {
        let text = "- {name: a, kind: function.wat, source: x, method: f, imports: [wasi:io]}";
        let loader = Loader::new().file("_index.yaml", text).set(set);
        let loader = match "n".parse() {
            Ok(namespace) => loader.default_namespace(namespace),
            Err(_) => loader,
        };
        if let Err(problems) = loader.load_files() {
            assert!(problems.to_string().contains("error"));
        }
    }

    #[test]
    fn a_printed_app_loads_to_the_same_app(functions in vec(function(), 1..4)) {
        let mut text = "entries:\n  - {name: folder-x, kind: fs.directory, directory: d}\n".to_owned();
        for (at, function) in functions.iter().enumerate() {
            text.push_str(&function.replacen("- name: ", &format!("- name: f{at}"), 1));
        }
        same_again(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
    }
}

/// The same for the golden cases of every kind.
#[test]
fn printed_golden_cases_load_to_the_same_app() -> Result<(), Box<dyn Error>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        let plain = !text.contains("#--") && !text.contains("#===");
        if !plain || path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        if load(&text).is_ok() {
            seen += 1;
            same_again(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    assert!(seen > 15, "{seen} cases");
    Ok(())
}
