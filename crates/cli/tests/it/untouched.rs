//! Commands that inspect an app write nothing in it, and handle unreadable folders.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{App, Run, Tested, crisol_command};

/// Every path below a folder, in order.
fn paths(folder: &Path) -> Tested<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(paths(&path)?);
        }
        found.push(path);
    }
    found.sort();
    Ok(found)
}

/// App whose start creates a folder for a mount, one for files, a nested one, and a file of variables.
fn making(elsewhere: &Path) -> Tested<App> {
    let outside = elsewhere.join("outside");
    let outside = outside.display();
    let hash = crisol_fixtures::sha256("compute");
    App::new(
        &format!(
            "  - {{name: data, kind: fs.directory, directory: ./data, auto_init: true}}
  - {{name: deep, kind: fs.directory, directory: ./made/below, auto_init: true, mode: '0700'}}
  - {{name: outside, kind: fs.directory, directory: '{outside}', auto_init: true}}
  - {{name: vars, kind: env.storage.file, path: ./app.env, auto_init: true}}
  - {{name: v, kind: env.variable, storage: vars, variable: V, default: x}}
  - name: compute
    kind: function.wasm
    fs: assets
    path: /compute.wasm
    hash: sha256:{hash}
    method: compute
    transport: wasi-http
    wasi:
      mounts: [{{fs: data, guest: /data}}, {{fs: outside, guest: /outside}}]
      env: [{{id: v, name: V}}]
  - {{name: e, kind: http.endpoint, func: compute, path: '/compute/{{a}}'}}
  - {{name: site, kind: http.static, fs: deep, path: /files}}
  - name: hello
    kind: process.wasm
    meta: {{command: {{name: hello}}}}
    fs: assets
    path: /compute.wasm
    hash: sha256:{hash}
    method: compute
"
        ),
        &["compute"],
    )
}

#[test]
fn looking_at_an_app_makes_nothing() -> Tested {
    let elsewhere = tempfile::tempdir()?;
    let app = making(elsewhere.path())?;
    let before = paths(app.path())?;
    let commands: [&[&str]; 7] = [
        &["check"],
        &["check", "--format", "json"],
        &["list"],
        &["run", "--list"],
        &["compile"],
        &["pin"],
        &["schema"],
    ];
    for command in commands {
        let run = app.run(command)?;
        assert_eq!(run.code, Some(0), "{command:?}: {run:?}");
        assert_eq!(paths(app.path())?, before, "{command:?}");
    }
    #[cfg(feature = "http")]
    assert_eq!(app.run(&["openapi"])?.code, Some(0));
    // An app with an error is inspected, too.
    let index = app.path().join("_index.yaml");
    let text = fs::read_to_string(&index)?;
    fs::write(&index, text.replace("method: compute", "methud: compute"))?;
    assert_eq!(app.run(&["check"])?.code, Some(2));
    assert_eq!(paths(app.path())?, before);
    assert_eq!(paths(elsewhere.path())?, Vec::<PathBuf>::new());
    fs::write(&index, text)?;

    let run = app.run(&["call", "myns:compute", "6", "7"])?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "42\n"), "{run:?}");
    for made in ["data", "made/below", "app.env"] {
        assert!(app.path().join(made).exists(), "{made}");
    }
    assert!(elsewhere.path().join("outside").is_dir());
    Ok(())
}

#[test]
fn a_folder_that_no_start_makes_is_still_an_error() -> Tested {
    let app = App::new(
        "  - {name: data, kind: fs.directory, directory: ./data}
  - {name: made, kind: fs.directory, directory: ./made, auto_init: true}
  - {name: file, kind: fs.directory, directory: ./_index.yaml, auto_init: true}
",
        &[],
    )?;
    let run = app.run(&["check"])?;
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("the folder `data` does not exist"), "{run:?}");
    assert!(run.stderr.contains("`APP/_index.yaml` is not a folder"), "{run:?}");
    assert!(run.stderr.contains("\n2 errors"), "{run:?}");
    Ok(())
}

/// App with a folder that may not be listed.
#[cfg(unix)]
fn with_unreadable() -> Tested<(App, PathBuf)> {
    use std::os::unix::fs::PermissionsExt;

    let app = App::new(
        "  - {name: f, kind: function.wat, source: '(module (func (export \"f\") (result i32) i32.const 42))', wit: 'f: func() -> s32;', method: f, transport: wasi-http}
  - {name: e, kind: http.endpoint, func: f, path: /}
  - {name: site, kind: http.static, fs: assets, path: /files}
",
        &[],
    )?;
    let folder = app.path().join("data/lost+found");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("_index.yaml"), "not: [read")?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000))?;
    Ok((app, folder))
}

/// Runs the program without privileges: as root without the capabilities that override permissions.
#[cfg(unix)]
fn unprivileged(app: &Path, args: &[&str], folder: &Path) -> std::process::Command {
    let program = crisol_command(app, args);
    if fs::read_dir(folder).is_err() {
        return program;
    }
    let mut command = std::process::Command::new("setpriv");
    command.arg("--bounding-set=-dac_override,-dac_read_search").arg(program.get_program());
    command.args(program.get_args()).env_clear();
    let set = program.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(set);
    command
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_listed_is_a_warning() -> Tested {
    let (app, folder) = with_unreadable()?;
    let run = Run::of(unprivileged(app.path(), &["check"], &folder).output()?)?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "ok: 1 function\n"), "{run:?}");
    let expected = "warning[io]: cannot list the folder `data/lost+found`: permission denied; no index file in it is read\n";
    assert!(run.stderr.starts_with(expected), "{run:?}");
    let run = Run::of(unprivileged(app.path(), &["call", "myns:f"], &folder).output()?)?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "42\n"), "{run:?}");
    Ok(())
}

#[cfg(unix)]
#[test]
fn app_of_one_unreadable_folder_has_no_index() -> Tested {
    let (app, folder) = with_unreadable()?;
    fs::remove_file(app.path().join("_index.yaml"))?;
    let run = Run::of(unprivileged(app.path(), &["check"], &folder).output()?)?;
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("the app has no index file"), "{run:?}");
    assert!(run.stderr.contains("cannot list the folder `data/lost+found`"), "{run:?}");
    Ok(())
}

/// Serves with a warning, and serves the folder's content when it becomes readable.
#[cfg(all(unix, feature = "http"))]
#[test]
fn watch_recovers_when_a_folder_becomes_readable() -> Tested {
    use std::io::{BufRead, BufReader};
    use std::os::unix::fs::PermissionsExt;
    use std::process::Stdio;

    let (app, folder) = with_unreadable()?;
    let args = ["serve", "--watch", "--listen", "127.0.0.1:0"];
    let mut child = unprivileged(app.path(), &args, &folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stderr.take().ok_or("no stderr")?).lines();
    let mut next = || lines.next().ok_or("the end")?.map_err(crate::support::Problem::from);
    assert_eq!(
        next()?,
        "warning: cannot list the folder `data/lost+found`: permission denied; no index file in it is read"
    );
    let index = folder.join("_index.yaml");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
    fs::write(
        index,
        "namespace: n\nentries: [{name: v, kind: env.variable, variable: V, default: x}]\n",
    )?;
    while !next()?.contains("added n:v") {}
    child.kill()?;
    child.wait()?;
    Ok(())
}
