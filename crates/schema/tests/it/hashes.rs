//! Tests of writing hashes in place.

use std::error::Error;
use std::fs;

use crisol_core::EntryId;
use crisol_schema::{Loader, Sha256Hash, write_hashes};
use tempfile::TempDir;

type Tested = Result<(), Box<dyn Error>>;

const NEW: &str = "sha256:abababababababababababababababababababababababababababababababab";

fn hash() -> Sha256Hash {
    [0xab; 32].into()
}

/// Pins `n:f` in `text`; `HASH` in `expected` is replaced by the new hash.
fn check(text: &str, expected: &str) -> Tested {
    let namespace = "n".parse()?;
    let id: EntryId = "n:f".parse()?;
    let hashes = [(id, hash())].into();
    let out = write_hashes(text, &hashes, Some(&namespace))?;
    assert_eq!(out, expected.replace("HASH", NEW));
    // A second run changes nothing.
    assert_eq!(write_hashes(&out, &hashes, Some(&namespace))?, out);
    Ok(())
}

#[test]
fn a_hash_is_replaced_where_it_stands() -> Tested {
    let text = |hash: &str| {
        format!(
            "# The app.
namespace: n   # ours

entries:
  # first
  - name: other
    kind: function.wasm
    hash: sha256:0000

  - kind: function.wasm
    name: f
    hash: {hash}   # keep me
    fs:   assets

    path: /f.wasm
"
        )
    };
    for old in ["sha256:...", "x", "\"sha256:12\"", "'q'", "12", "[a, b]"] {
        let new = if old.starts_with('"') { "\"HASH\"" } else { "HASH" };
        check(&text(old), &text(new))?;
    }
    Ok(())
}

#[test]
fn an_empty_hash_is_filled() -> Tested {
    check("- name: f\n  hash:\n  path: x\n", "- name: f\n  hash: HASH\n  path: x\n")?;
    check("- name: f\n  hash: # none\n  path: x\n", "- name: f\n  hash: HASH # none\n  path: x\n")?;
    check("- name: f\n  hash:", "- name: f\n  hash: HASH")
}

#[test]
fn a_missing_hash_is_added_after_the_path() -> Tested {
    check(
        "entries:\n    - name: f\n      fs: a\n      path: /x.wasm # here\n      method: g\n",
        "entries:\n    - name: f\n      fs: a\n      path: /x.wasm # here\n      hash: HASH\n      method: g\n",
    )?;
    check("- {name: f, path: x, method: g}", "- {name: f, path: x, hash: \"HASH\", method: g}")?;
    check("-   name: f", "-   name: f\n    hash: HASH")?;
    check("- name: f\r\n  path: x\r\n", "- name: f\r\n  path: x\r\n  hash: HASH\r\n")?;
    check(
        "- name: f\n  path: >-\n    x\n\n  fs: a",
        "- name: f\n  path: >-\n    x\n  hash: HASH\n\n  fs: a",
    )
}

#[test]
fn fields_under_data_json_bom_and_anchors() -> Tested {
    check(
        "- name: f\n  data:\n    path: x\n    method: g\n",
        "- name: f\n  data:\n    path: x\n    hash: HASH\n    method: g\n",
    )?;
    check(
        "\u{feff}{\"entries\": [\n\t{\"name\": \"f\", \"path\": \"x\", \"hash\": \"no\"}\n]}",
        "\u{feff}{\"entries\": [\n\t{\"name\": \"f\", \"path\": \"x\", \"hash\": \"HASH\"}\n]}",
    )?;
    check(
        "{\"entries\": [{\"name\": \"f\", \"path\": \"x\"}]}",
        "{\"entries\": [{\"name\": \"f\", \"path\": \"x\", \"hash\": \"HASH\"}]}",
    )?;
    check(
        "- name: g\n  hash: &h sha256:1\n- name: f\n  hash: *h\n",
        "- name: g\n  hash: &h sha256:1\n- name: f\n  hash: HASH\n",
    )?;
    check(
        "- &g\n  name: g\n  path: x\n  hash: sha256:1\n- <<: *g\n  name: f\n",
        "- &g\n  name: g\n  path: x\n  hash: sha256:1\n- <<: *g\n  name: f\n  hash: HASH\n",
    )
}

#[test]
fn unwritable_hashes_are_reported() -> Tested {
    let id: EntryId = "n:f".parse()?;
    let namespace = "n".parse()?;
    let hashes = [(id, hash())].into();
    let fail =
        |text: &str| write_hashes(text, &hashes, Some(&namespace)).map_err(|e| e.to_string());
    assert_eq!(fail("- name: g"), Err("the file has no entry `n:f`".to_owned()));
    assert_eq!(
        fail("namespace: m\nentries: [{name: f}]"),
        Err("the file has no entry `n:f`".to_owned())
    );
    assert!(fail("- [").is_err_and(|error| error.starts_with("invalid YAML: ")));
    // An edit here would also change the anchor's other users.
    let shared = "- name: g\n  data: &d {path: x}\n- name: f\n  data: *d\n";
    let help =
        "the fields of the entry come from an alias: write the fields of the entry itself, with";
    assert_eq!(
        fail(shared),
        Err(format!("`hash` of `n:f` is not changed, since {help} `hash: {}`", hash()))
    );
    let anchor = "- {name: f, hash: &h sha256:1}\n- {name: g, hash: *h}\n";
    assert!(fail(anchor).is_err_and(|error| error.contains("has the anchor `&h`")));
    Ok(())
}

#[test]
fn all_hashes_are_written_or_none() -> Tested {
    let text = "namespace: n
entries:
  - &g {name: g, path: x} # one
  - <<: *g
    name: f
  - name: h
    hash: sha256:1
";
    let ids = |names: &[&str]| -> Result<_, Box<dyn Error>> {
        let hashed = |(at, name): (usize, &&str)| Ok((name.parse()?, [at as u8; 32].into()));
        names.iter().enumerate().map(hashed).collect::<Result<_, Box<dyn Error>>>()
    };
    let hash = |byte: &str| format!("sha256:{}", byte.repeat(32));
    let expected = format!(
        "namespace: n
entries:
  - &g {{name: g, path: x, hash: \"{}\"}} # one
  - <<: *g
    name: f
    hash: {}
  - name: h
    hash: {}
",
        hash("01"),
        hash("00"),
        hash("02")
    );
    assert_eq!(write_hashes(text, &ids(&["n:f", "n:g", "n:h"])?, None)?, expected);
    assert!(write_hashes(text, &ids(&["n:h", "n:none"])?, None).is_err());
    // By itself, `n:g` would give its hash to `n:f` too.
    assert!(write_hashes(text, &ids(&["n:g"])?, None).is_err());
    assert_eq!(write_hashes(text, &ids(&[])?, None)?, text);
    Ok(())
}

#[test]
fn hash_fields_are_found() -> Tested {
    let dir = TempDir::new()?;
    fs::create_dir_all(dir.path().join("sub"))?;
    fs::write(
        dir.path().join("sub/_index.yaml"),
        format!(
            "namespace: n
entries:
  - {{name: assets, kind: fs.directory, directory: wasm}}
  - {{name: none, kind: function.wasm, fs: assets, path: /a.wasm, method: f}}
  - {{name: bad, kind: process.wasm, fs: assets, path: b.wasm, method: f, hash: 'sha256:...'}}
  - {{name: good, kind: function.wasm, fs: assets, path: c.wasm, method: f, hash: '{NEW}'}}
  - {{name: text, kind: function.wat, source: (module), method: f}}
"
        ),
    )?;
    assert!(Loader::new().load(dir.path()).is_err());
    let fields = Loader::new().hash_fields(dir.path())?.fields;
    let shown: Vec<_> = fields
        .iter()
        .map(|field| (field.id.as_str(), field.wasm("app".as_ref()), field.hash == Some(hash())))
        .collect();
    assert_eq!(
        shown,
        [
            ("n:bad", "app/wasm/b.wasm".into(), false),
            ("n:good", "app/wasm/c.wasm".into(), true),
            ("n:none", "app/wasm/a.wasm".into(), false),
        ]
    );
    assert!(fields.iter().all(|field| field.index == std::path::Path::new("sub/_index.yaml")));
    Ok(())
}
