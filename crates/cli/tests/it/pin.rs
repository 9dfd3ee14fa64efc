//! `crisol pin` on files: each index once, through symbolic links, and only the hashes in them.

use std::fs;

use crate::support::{App, Tested};

/// Two functions of one binary, and none pinned.
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
fn unpinnable_entry_does_not_block_others() -> Tested {
    let missing = ENTRIES.replace("path: compute.wasm", "path: none.wasm");
    let app = App::new(&missing, &["compute"])?;
    let hash = crisol_fixtures::sha256("compute");
    let run = app.run(&["pin"])?;
    let pinned = format!("pinned myns:a sha256:{hash} (_index.yaml)\n");
    assert_eq!((run.code, run.stdout), (Some(2), pinned), "{}", run.stderr);
    let expected = "error: not pinned: the binary of `myns:b` cannot be read: the file `APP/wasm/none.wasm` does not exist\n";
    assert_eq!(run.stderr, expected);
    let text = fs::read_to_string(app.path().join("_index.yaml"))?;
    assert_eq!(text.matches(&hash).count(), 1, "{text}");
    // Pinning only the other entry reports no error.
    let run = app.run(&["pin", "myns:a"])?;
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    Ok(())
}

#[test]
fn errors_elsewhere_keep_no_entry_from_being_pinned() -> Tested {
    let broken = "  - {name: b, kind: function.wasm, fs: nowhere, path: x.wasm, method: f}
  - {name: a, kind: function.wasm, fs: assets, path: /compute.wasm, method: compute, limits: {max_fule: 1}, hash: 'sha256:12'}
  - {name: e, kind: http.endpoint, method: GETT, func: none}
";
    let app = App::new(broken, &["compute"])?;
    let hash = crisol_fixtures::sha256("compute");

    // The entry itself has another error, too.
    let run = app.run(&["pin", "myns:a"])?;
    let pinned = |what: &str| format!("{what} myns:a sha256:{hash} (_index.yaml)\n");
    assert_eq!((run.code, run.stdout, run.stderr.as_str()), (Some(0), pinned("pinned"), ""));

    let run = app.run(&["pin"])?;
    assert_eq!((run.code, run.stdout), (Some(2), pinned("unchanged")), "{}", run.stderr);
    assert!(run.stderr.contains("unknown entry `myns:nowhere`"), "{}", run.stderr);
    assert!(!run.stderr.contains("GETT") && !run.stderr.contains("max_fule"), "{}", run.stderr);
    let last =
        "error: not pinned: `myns:b` does not name its binary: correct its `fs` and `path`\n";
    assert!(run.stderr.ends_with(last), "{}", run.stderr);

    let run = app.run(&["pin", "myns:a", "myns:e", "myns:b"])?;
    assert_eq!((run.code, run.stdout), (Some(2), pinned("unchanged")), "{}", run.stderr);
    assert!(run.stderr.contains("not pinned: `myns:e` has no `hash`"), "{}", run.stderr);

    // An unreadable file may have entries with a hash; the others are pinned.
    fs::create_dir(app.path().join("sub"))?;
    fs::write(app.path().join("sub/_index.yaml"), "namespace: other\nentries: [{name: c")?;
    let run = app.run(&["pin"])?;
    assert_eq!((run.code, run.stdout), (Some(2), pinned("unchanged")), "{}", run.stderr);
    assert!(run.stderr.contains("--> sub/_index.yaml:2:11"), "{}", run.stderr);
    assert_eq!(app.run(&["pin", "myns:a"])?.code, Some(0));
    Ok(())
}

#[test]
fn an_override_is_refused() -> Tested {
    let app = App::new(ENTRIES, &["compute"])?;
    let run = app.run(&["pin", "--set", "myns:b:path=other.wasm"])?;
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        run.stderr,
        "error: `pin` edits the index files, which `--set` does not change: remove `--set`\n"
    );
    Ok(())
}
