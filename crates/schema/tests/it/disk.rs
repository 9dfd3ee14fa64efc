//! Tests of apps on disk: files that are not text, symlinks out of the app, folders in place of files.

use std::error::Error;
use std::fs;
use std::path::Path;

use crisol_schema::{App, EntryField, Loader, Problems};
use tempfile::TempDir;

type Tested = Result<(), Box<dyn Error>>;

const FUNCTION: &str = "namespace: n
entries:
  - {name: f, kind: function.wat, method: f, source: 'file://f.wat'}
";

fn app(files: &[(&str, &[u8])]) -> Result<TempDir, Box<dyn Error>> {
    let dir = TempDir::new()?;
    for (path, bytes) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        fs::write(path, bytes)?;
    }
    Ok(dir)
}

fn problems(loaded: Result<App, Problems>) -> Result<String, Box<dyn Error>> {
    match loaded {
        Ok(app) => Err(format!("it loads: {:?}", app.registry).into()),
        Err(problems) => Ok(problems.to_string()),
    }
}

fn check(files: &[(&str, &[u8])], expected: &str) -> Tested {
    let dir = app(files)?;
    let found = problems(Loader::new().load(dir.path()))?;
    assert!(found.contains(expected), "{found}");
    Ok(())
}

#[test]
fn every_index_file_below_a_folder_is_read() -> Tested {
    let one = |ns: &str| {
        format!("namespace: {ns}\nentries: [{{name: f, kind: function.wat, source: x, method: f}}]")
    };
    let (a, b, c) = (one("a"), one("b"), one("c"));
    let dir = app(&[
        ("_index.yaml", a.as_bytes()),
        ("deep/down/_index.yml", b.as_bytes()),
        ("deep/_index.json", c.as_bytes()),
        (".git/_index.yaml", b"not: read"),
        ("node_modules/p/_index.yaml", b"not: read"),
        ("index.yaml", b"not: read"),
    ])?;
    let app = Loader::new().load(dir.path())?;
    let ids: Vec<_> = app.registry.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, ["a:f", "b:f", "c:f"]);
    let place = app.registry.origin(&"b:f".parse()?).map(|place| place.to_string());
    assert_eq!(place.as_deref(), Some("deep/down/_index.yml:2:18"));
    Ok(())
}

#[test]
fn a_missing_folder_is_reported() -> Tested {
    let found = problems(Loader::new().load("/no/such/folder"))?;
    assert!(
        found.starts_with("error[io]: cannot open the app `/no/such/folder`: no such file"),
        "{found}"
    );
    Ok(())
}

#[test]
fn text_that_is_not_utf8() -> Tested {
    check(
        &[("_index.yaml", b"namespace: n\nentries: # caf\xe9\n")],
        "error[not-utf8]: the file is not UTF-8 from here on
 --> _index.yaml:2:15
  |
2 | entries: # caf\u{fffd}
",
    )?;
    check(&[("_index.yaml", FUNCTION.as_bytes()), ("f.wat", b"\xff")], "is not UTF-8 text")
}

#[test]
fn bom_and_crlf_change_nothing() -> Tested {
    let text = format!("\u{feff}{}", FUNCTION.replace('\n', "\r\n"));
    let dir = app(&[("_index.yaml", text.as_bytes()), ("f.wat", "\u{feff}(module)".as_bytes())])?;
    let loaded = Loader::new().load(dir.path())?;
    let place = loaded
        .registry
        .location(&"n:f".parse()?, &EntryField::Method)
        .map(|place| place.to_string());
    assert_eq!(place.as_deref(), Some("_index.yaml:3:43"));
    let wrong = text.replace("method: f", "method: ''");
    fs::write(dir.path().join("_index.yaml"), wrong)?;
    let found = problems(Loader::new().load(dir.path()))?;
    let lines = " --> _index.yaml:3:43
  |
3 |   - {name: f, kind: function.wat, method: '', source: 'file://f.wat'}
  |                                           ^^ in `n:f`
";
    assert!(found.contains(lines), "{found}");
    Ok(())
}

#[test]
fn a_file_that_is_too_large() -> Tested {
    let dir = app(&[("_index.yaml", FUNCTION.as_bytes())])?;
    fs::File::create(dir.path().join("f.wat"))?.set_len(40 << 20)?;
    let found = problems(Loader::new().load(dir.path()))?;
    assert!(found.contains("error[too-large]: `file://f.wat` is larger than"), "{found}");
    Ok(())
}

#[test]
fn a_folder_in_place_of_a_file() -> Tested {
    check(
        &[("_index.yaml", FUNCTION.as_bytes()), ("f.wat/x", b"")],
        "error[bad-source]: `file://f.wat` cannot be read: it is not a file",
    )
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;

    use super::{FUNCTION, Loader, Tested, app, fs, problems};

    #[test]
    fn a_link_that_leads_out_is_not_followed() -> Tested {
        let outside = app(&[("secret.wat", b"(module)")])?;
        let dir = app(&[("_index.yaml", FUNCTION.as_bytes())])?;
        symlink(outside.path().join("secret.wat"), dir.path().join("f.wat"))?;
        let found = problems(Loader::new().load(dir.path()))?;
        assert!(
            found.contains("error[bad-source]: `file://f.wat` cannot be read: it leads outside"),
            "{found}"
        );

        fs::remove_file(dir.path().join("f.wat"))?;
        fs::remove_file(dir.path().join("_index.yaml"))?;
        symlink(outside.path(), dir.path().join("folder"))?;
        let index = FUNCTION.replace("f.wat", "folder/secret.wat");
        fs::write(dir.path().join("_index.yaml"), index)?;
        let found = problems(Loader::new().load(dir.path()))?;
        assert!(found.contains("it leads outside the app"), "{found}");
        Ok(())
    }

    #[test]
    fn a_link_inside_the_app_is_followed() -> Tested {
        let dir = app(&[("_index.yaml", FUNCTION.as_bytes()), ("real/code.wat", b"(module)")])?;
        symlink("real/code.wat", dir.path().join("f.wat"))?;
        assert_eq!(Loader::new().load(dir.path())?.registry.len(), 1);
        Ok(())
    }

    #[test]
    fn a_cycle_of_links_ends() -> Tested {
        let dir = app(&[("_index.yaml", FUNCTION.as_bytes()), ("a/x", b"")])?;
        symlink("..", dir.path().join("a/up"))?;
        symlink("f.wat", dir.path().join("f.wat"))?;
        let found = problems(Loader::new().load(dir.path()))?;
        assert!(found.contains("error[bad-source]: `file://f.wat` cannot be read: "), "{found}");
        Ok(())
    }

    /// Reading a FIFO would block forever.
    #[test]
    fn a_fifo_is_not_a_file() -> Tested {
        let dir = app(&[("_index.yaml", FUNCTION.as_bytes())])?;
        let made = std::process::Command::new("mkfifo").arg(dir.path().join("f.wat")).status()?;
        assert!(made.success());
        let found = problems(Loader::new().load(dir.path()))?;
        assert!(found.contains("it is not a file"), "{found}");
        Ok(())
    }
}
