//! Loads the fragments of the user's document, as printed, with a default namespace. A hash replaces the
//! placeholder `sha256:...`; a second file has the entries that a fragment refers to and does not show.

use std::error::Error;

use crisol_schema::{
    App, Code, Function, GuestPath, Kind, Loader, Package, Parent, Strategy, Transport,
};

const HASH: &str = "sha256:292b796376f8b4cc360acf2ea6b82d1084871c3607a079f30b446da8e5c984a4";

const ASSETS: &str = "
namespace: myns
entries:
  - {name: assets, kind: fs.directory, directory: ./wasm}
";

macro_rules! fragment {
    ($name:literal) => {
        include_str!(concat!("../data/user-document/", $name, ".yaml"))
    };
}

type Tested = Result<(), Box<dyn Error>>;

fn load(fragment: &str, beside: &str) -> Result<App, Box<dyn Error>> {
    let loader = Loader::new()
        .default_namespace("myns".parse()?)
        .file("_index.yaml", fragment.replace("sha256:...", HASH))
        .file("answer.wat", "(module)")
        .file("beside/_index.yaml", beside);
    Ok(loader.load_files()?)
}

fn function<'a>(app: &'a App, id: &str) -> Result<&'a Function, Box<dyn Error>> {
    match app.registry.get(id).map(|entry| &entry.kind) {
        Some(Kind::Function(function)) => Ok(function),
        other => Err(format!("{id} is {other:?}").into()),
    }
}

/// Puts a fragment with one field inside an entry.
fn in_entry(field: &str) -> String {
    let lines = field.lines().map(|line| format!("    {line}\n"));
    let lines: String = lines.collect();
    format!(
        "entries:\n  - name: f\n    kind: function.wat\n    source: (module)\n    method: f\n{lines}"
    )
}

#[test]
fn wat_inline() -> Tested {
    let app = load(fragment!("wat-inline"), "entries: []")?;
    let answer = function(&app, "myns:answer")?;
    let Code::Wat { source } = &answer.code else { return Err("not WAT".into()) };
    assert!(source.text().starts_with("(module\n  (func (export \"answer\")"), "{source:?}");
    assert_eq!(answer.wit.as_ref().map(|wit| wit.text()), Some("answer: func() -> s32;\n"));
    assert_eq!((answer.method.as_str(), answer.pool.strategy), ("answer", Strategy::Inline));
    assert!(app.warnings.is_empty(), "{}", app.warnings);
    Ok(())
}

#[test]
fn wat_from_a_file() -> Tested {
    let app = load(fragment!("wat-file"), "entries: []")?;
    let Code::Wat { source } = &function(&app, "myns:answer")?.code else {
        return Err("not WAT".into());
    };
    assert_eq!(source.text(), "(module)");
    assert_eq!(source.file(), Some("answer.wat".as_ref()));
    Ok(())
}

#[test]
fn wasm() -> Tested {
    let app = load(fragment!("wasm"), "entries: []")?;
    let Code::Wasm { fs, path, hash } = &function(&app, "myns:compute")?.code else {
        return Err("not wasm".into());
    };
    assert_eq!((fs.as_str(), path.as_str()), ("myns:assets", "compute.wasm"));
    assert_eq!(hash.to_string(), HASH);
    Ok(())
}

#[test]
fn pools() -> Tested {
    let pool = |text: &str| -> Result<_, Box<dyn Error>> {
        Ok(function(&load(&in_entry(text), "entries: []")?, "myns:f")?.pool)
    };
    let fixed = pool(fragment!("pool-static"))?;
    let Strategy::Static { workers, size, warm_start } = fixed.strategy else {
        return Err(format!("{fixed:?}").into());
    };
    assert_eq!((workers.get(), size.get(), warm_start, fixed.buffer), (2, 4, false, 16));
    let lazy = pool(fragment!("pool-lazy"))?;
    assert_eq!((lazy.strategy.name(), lazy.strategy.concurrency().get()), ("lazy", 8));
    let adaptive = pool(fragment!("pool-adaptive"))?;
    assert!(
        matches!(adaptive.strategy, Strategy::Adaptive { max_size, warm_start: true } if max_size.get() == 16)
    );
    Ok(())
}

#[test]
fn payload_transport() -> Tested {
    let app = load(fragment!("payload"), ASSETS)?;
    assert_eq!(function(&app, "myns:compute")?.transport, Transport::Payload);
    Ok(())
}

#[test]
fn wasi_http_transport() -> Tested {
    let app = load(fragment!("wasi-http"), ASSETS)?;
    assert_eq!(function(&app, "myns:greet_wasm")?.transport, Transport::WasiHttp);
    let Some(Kind::HttpEndpoint(endpoint)) =
        app.registry.get("myns:greet_endpoint").map(|entry| &entry.kind)
    else {
        return Err("no endpoint".into());
    };
    assert_eq!(endpoint.func.as_str(), "myns:greet_wasm");
    assert_eq!(endpoint.parent, Parent::Listen);
    assert_eq!(format!("{} {}", endpoint.method, endpoint.path), "POST /api/greet");
    assert!(app.warnings.is_empty(), "{}", app.warnings);
    Ok(())
}

#[test]
fn limits() -> Tested {
    let app = load(&in_entry(fragment!("limits")), "entries: []")?;
    let limits = function(&app, "myns:f")?.limits;
    assert_eq!(limits.max_execution.map(|time| time.as_millis()), Some(5000));
    Ok(())
}

#[test]
fn wasi() -> Tested {
    let beside = "entries:
  - {name: api_key, kind: env.variable, storage: os, variable: API_KEY}
  - {name: debug_mode, kind: env.variable, storage: os, variable: DEBUG}
  - {name: os, kind: env.storage.os}
  - {name: data_files, kind: fs.directory, directory: data}
  - {name: output, kind: fs.directory, directory: out}
";
    let app = load(&in_entry(fragment!("wasi")), beside)?;
    let wasi = &function(&app, "myns:f")?.wasi;
    assert_eq!(wasi.args, ["--verbose"]);
    assert_eq!(wasi.cwd, "/app".parse::<GuestPath>()?);
    let env: Vec<_> =
        wasi.env.iter().map(|env| (env.id.as_str(), env.name.as_str(), env.required)).collect();
    assert_eq!(env, [("myns:api_key", "API_KEY", true), ("myns:debug_mode", "DEBUG", false)]);
    let mounts: Vec<_> = wasi
        .mounts
        .iter()
        .map(|mount| (mount.fs.as_str(), mount.guest.as_str(), mount.read_only))
        .collect();
    assert_eq!(mounts, [("myns:data_files", "/data", true), ("myns:output", "/output", false)]);
    Ok(())
}

#[test]
fn pipeline() -> Tested {
    let app = load(fragment!("pipeline"), "entries: []")?;
    assert_eq!(function(&app, "myns:transform_users")?.method.as_str(), "transform-users");
    assert_eq!(function(&app, "myns:filter_active")?.method.as_str(), "filter-active");
    assert_eq!(app.registry.len(), 3);
    Ok(())
}

#[test]
fn sleep() -> Tested {
    let app = load(fragment!("sleep"), &ASSETS.replace("assets", "wasm_binaries"))?;
    let sleep = function(&app, "myns:sleep_ms")?;
    assert_eq!(sleep.method.interface(), Some("test-sleep"));
    assert_eq!(sleep.method.function(), "sleep-ms");
    assert!(sleep.imports.has(Package::WasiClocks) && sleep.imports.has(Package::WasiIo));
    assert!(sleep.imports.grants("wasi:clocks/monotonic-clock@0.2.8"));
    assert!(sleep.imports.grants("wasi:io/poll@0.2.0"));
    assert!(!sleep.imports.grants("wasi:cli/stdout@0.2.0"));
    Ok(())
}
