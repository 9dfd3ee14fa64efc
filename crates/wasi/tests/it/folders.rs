//! Folders of the registry, and files read through them.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crisol_wasi::{Directory, Folders, FsError, FsSource};
use expect_test::expect;
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, proptest};

use crate::support::{App, chain, id, pipe};

const DATA: &str = "- {name: data, kind: fs.directory, directory: ./data}";

fn data(app: &App) -> Directory {
    let (folders, problems) = Folders::open(&app.registry, Some(&app.root()));
    assert!(problems.is_empty(), "{problems:?}");
    folders.directory(&id("a:data")).unwrap()
}

/// Folder `data` of an app, with a file in it.
fn opened() -> (App, Directory) {
    let app = App::new(DATA);
    app.write("data/sub/x", "inside");
    let directory = data(&app);
    (app, directory)
}

fn read(directory: &Directory, path: &str) -> Result<String, FsError> {
    directory.read(Path::new(path), 1024).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn a_file_in_the_folder_is_read() {
    let (app, data) = opened();
    symlink("sub/x", app.path("data/link")).unwrap();
    assert_eq!(read(&data, "sub/x").unwrap(), "inside");
    assert_eq!(read(&data, "./sub/./x").unwrap(), "inside");
    assert_eq!(read(&data, "link").unwrap(), "inside", "a link that stays inside is followed");
}

#[test]
fn a_path_that_leaves_the_folder_is_refused() {
    let (_app, data) = opened();
    for path in ["../../secret", "..", "sub/../../../secret", "sub/../sub/x", "/etc/passwd", "/"] {
        assert!(matches!(read(&data, path), Err(FsError::Outside { .. })), "{path}");
    }
}

#[test]
fn a_link_that_leads_out_is_refused() {
    let (app, data) = opened();
    symlink(app.outside("secret"), app.path("data/absolute")).unwrap();
    symlink("../../secret", app.path("data/relative")).unwrap();
    symlink("../..", app.path("data/folder")).unwrap();
    symlink("/proc/self/environ", app.path("data/environ")).unwrap();
    symlink("absolute", app.path("data/twice")).unwrap();
    symlink("round", app.path("data/round")).unwrap();
    for path in ["absolute", "relative", "folder/secret", "environ", "twice"] {
        assert!(matches!(read(&data, path), Err(FsError::Outside { .. })), "{path}");
    }
    assert!(matches!(read(&data, "round"), Err(FsError::Io { .. })));
}

#[test]
fn irregular_file_is_refused_without_waiting() {
    let (app, data) = opened();
    pipe(&app.path("data/pipe"));
    let _socket = std::os::unix::net::UnixListener::bind(app.path("data/socket")).unwrap();
    for path in ["pipe", "socket", "sub", "."] {
        assert!(matches!(read(&data, path), Err(FsError::NotAFile { .. })), "{path}");
    }
    let devices = Directory::open(Path::new("/dev"), false, None).unwrap();
    for path in ["zero", "tty", "null"] {
        assert!(matches!(read(&devices, path), Err(FsError::NotAFile { .. })), "{path}");
    }
}

#[test]
fn a_file_over_the_limit_is_refused_without_being_read() {
    let (app, data) = opened();
    std::fs::File::create(app.path("data/sparse")).unwrap().set_len(1 << 40).unwrap();
    app.write("data/full", &"x".repeat(1024));
    app.write("data/over", &"x".repeat(1025));
    assert_eq!(read(&data, "full").unwrap().len(), 1024);
    for path in ["sparse", "over"] {
        assert!(
            matches!(read(&data, path), Err(FsError::TooLarge { allowed: 1024, .. })),
            "{path}"
        );
    }
    // Files of `/proc` report a length of 0 bytes.
    let proc = Directory::open(Path::new("/proc/self"), false, None).unwrap();
    let found = proc.read(Path::new("maps"), 100);
    assert!(matches!(found, Err(FsError::TooLarge { allowed: 100, .. })), "{found:?}");
}

#[test]
fn folder_swapped_after_opening_stays_the_opened_one() {
    let (app, data) = opened();
    std::fs::create_dir_all(app.outside("evil/sub")).unwrap();
    std::fs::write(app.outside("evil/sub/x"), "evil").unwrap();
    std::fs::rename(app.path("data"), app.path("moved")).unwrap();
    symlink(app.outside("evil"), app.path("data")).unwrap();
    assert_eq!(read(&data, "sub/x").unwrap(), "inside");
    app.write("moved/sub/x", "still this one");
    assert_eq!(read(&data, "sub/x").unwrap(), "still this one");
}

#[test]
fn each_folder_that_cannot_be_opened_is_reported_by_entry() {
    let app = App::new(
        "- {name: absent, kind: fs.directory, directory: ./absent}
- {name: file, kind: fs.directory, directory: ./file}
- {name: good, kind: fs.directory, directory: ./good}
- {name: out, kind: fs.directory, directory: ./out}
- {name: out_made, kind: fs.directory, directory: ./out/new, auto_init: true}",
    );
    app.write("file", "");
    app.write("good/x", "");
    symlink(app.outside("."), app.path("out")).unwrap();
    let (folders, problems) = Folders::open(&app.registry, Some(&app.root()));
    let root = app.root().display().to_string();
    let shown: Vec<String> = problems
        .iter()
        .map(|(id, problem)| format!("{id}: {}", chain(problem).replace(&root, "APP")))
        .collect();
    expect![[r#"
        a:absent: the folder `absent` does not exist: create it or set `auto_init: true`
        a:file: `APP/file` is not a folder
        a:out: `out` leads out of `APP`: use a path that stays inside
        a:out_made: `out/new` leads out of `APP`: use a path that stays inside"#]]
    .assert_eq(&shown.join("\n"));
    assert!(folders.directory(&id("a:good")).is_ok());
    assert!(matches!(folders.directory(&id("a:out")), Err(FsError::Unknown { .. })));
    assert!(!app.outside("new").exists());
}

#[test]
fn a_relative_folder_needs_an_app() {
    let app = App::new(DATA);
    let (_, problems) = Folders::open(&app.registry, None);
    expect!["`data` is relative, but the app has no folder: use an absolute path"]
        .assert_eq(&problems.first().unwrap().1.to_string());
}

#[test]
fn a_folder_is_made_with_its_mode_when_asked_for() {
    let app = App::new(
        "- {name: data, kind: fs.directory, directory: ./x/y/data, auto_init: true, mode: \"0770\"}",
    );
    let made = data(&app);
    let mode = |path: &str| app.path(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("x/y/data"), 0o770, "whatever the umask");
    app.write("x/y/data/f", "new");
    assert_eq!(read(&made, "f").unwrap(), "new");
    // An existing folder keeps its mode.
    std::fs::set_permissions(app.path("x/y/data"), PermissionsExt::from_mode(0o700)).unwrap();
    data(&app);
    assert_eq!(mode("x/y/data"), 0o700);
}

#[test]
fn an_absolute_folder_is_made_with_its_mode_too() {
    let app = App::new("");
    let path = app.outside("made/here");
    assert!(matches!(Directory::open(&path, false, None), Err(FsError::NoFolder { .. })));
    Directory::open(&path, true, Some(0o770)).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o770, "whatever the umask");
}

proptest! {
    // Each case creates an app on disk.
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_path_reaches_the_secret(
        parts in prop::collection::vec(
            prop::sample::select(vec!["..", ".", "sub", "up", "root", "secret", "app", "", "x"]),
            0..8,
        ),
        absolute in any::<bool>(),
    ) {
        let (app, data) = opened();
        symlink("..", app.path("data/up")).unwrap();
        symlink("/", app.path("data/sub/root")).unwrap();
        let path = format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"));
        let found = read(&data, &path);
        prop_assert!(!matches!(&found, Ok(text) if text != "inside"), "{} {:?}", path, found);
    }
}
