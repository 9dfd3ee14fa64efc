//! `crisol pin` on files: each index once, through symbolic links, and only what is written in them.

mod support;

use std::fs;

use support::{App, Tested};

/// Two functions of one binary, and nothing pinned.
const ENTRIES: &str =
    "  - {name: a, kind: function.wasm, fs: assets, path: /compute.wasm, method: compute}
  - name: b # the same binary
    kind: function.wasm
    fs: assets
    path: compute.wasm
    hash: sha256:...
    method: compute
";

#[test]
fn a_linked_index_stays_a_link_and_gets_all_its_hashes() -> Tested {
    let app = App::new(ENTRIES, &["compute"])?;
    let (index, real) = (app.path().join("_index.yaml"), app.path().join("wasm/real.yaml"));
    fs::rename(&index, &real)?;
    std::os::unix::fs::symlink("wasm/real.yaml", &index)?;

    let run = app.run(&["pin"])?;
    let hash = crisol_fixtures::sha256("compute");
    let lines = |what: &str| {
        format!(
            "{what} myns:a sha256:{hash} (_index.yaml)\n{what} myns:b sha256:{hash} (_index.yaml)\n"
        )
    };
    assert_eq!((run.code, run.stdout), (Some(0), lines("pinned")), "{}", run.stderr);
    assert!(fs::symlink_metadata(&index)?.is_symlink());
    let text = fs::read_to_string(&real)?;
    assert_eq!(text.matches(&hash).count(), 2, "{text}");
    assert!(text.contains("# the same binary"), "{text}");
    assert_eq!(app.run(&["pin"])?.stdout, lines("unchanged"));
    assert_eq!(app.run(&["check"])?.code, Some(0));
    Ok(())
}

#[test]
fn an_entry_that_cannot_be_pinned_leaves_every_file_as_it_is() -> Tested {
    let missing = ENTRIES.replace("path: compute.wasm", "path: none.wasm");
    let app = App::new(&missing, &["compute"])?;
    let before = fs::read_to_string(app.path().join("_index.yaml"))?;
    let run = app.run(&["pin"])?;
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("the binary of `myns:b` cannot be read"), "{}", run.stderr);
    assert_eq!(fs::read_to_string(app.path().join("_index.yaml"))?, before);
    Ok(())
}

#[test]
fn an_override_is_refused() -> Tested {
    let app = App::new(ENTRIES, &["compute"])?;
    let run = app.run(&["pin", "--set", "myns:b:path=other.wasm"])?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        run.stderr,
        "error: `pin` works on what the index files say, which `--set` does not change: leave it out\n"
    );
    Ok(())
}
