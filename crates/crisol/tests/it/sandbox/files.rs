//! Files, accessed by a guest through its standard library.

use std::os::unix::fs::symlink;

use crate::sandbox::support::{ALL, App, call};

const METHODS: [&str; 11] = [
    "read-file",
    "write-file",
    "list-dir",
    "make-dir",
    "remove-file",
    "move-file",
    "truncate-file",
    "touch",
    "hard-link",
    "sym-link",
    "open-many",
];

fn app(read_only: bool) -> App {
    let mut app = App::new();
    let more = format!(
        "imports: {ALL}, limits: {{max_execution_ms: 20000}}, wasi: {{mounts: [{{fs: data, guest: /data, read_only: {read_only}}}]}}"
    );
    for method in METHODS {
        app = app.guest("probe", method, &more);
    }
    std::fs::write(app.data("x"), "inside").unwrap();
    app
}

#[tokio::test]
async fn paths_and_links_stay_inside_the_mount() {
    let app = app(false);
    symlink(app.outside("secret"), app.data("absolute")).unwrap();
    symlink("../../secret", app.data("relative")).unwrap();
    symlink("/proc/self/environ", app.data("environ")).unwrap();
    symlink("/dev/zero", app.data("zero")).unwrap();
    let runtime = app.load();
    assert_eq!(call(&runtime, "read_file", ("/data/x",)).await, "\"inside\"");
    let secret = app.outside("secret").display().to_string();
    for path in [
        "/data/../../secret",
        "/data/absolute",
        "/data/relative",
        "/data/environ",
        "/data/zero",
        "/proc/self/environ",
        "/dev/zero",
        "/etc/passwd",
        "../secret",
        &secret,
    ] {
        let read = call(&runtime, "read_file", (path,)).await;
        assert!(read.starts_with("err: "), "{path}: {read}");
        let written = call(&runtime, "write_file", (path, "!")).await;
        assert!(written.starts_with("err: "), "{path}: {written}");
        let linked = call(&runtime, "hard_link", (path, "/data/stolen")).await;
        // A link to a link is still a link, and leads no further.
        let read = call(&runtime, "read_file", ("/data/stolen",)).await;
        assert!(read.starts_with("err: "), "{path}: {linked} {read}");
        let _was_it_made = std::fs::remove_file(app.data("stolen"));
        let moved = call(&runtime, "move_file", ("/data/x", path)).await;
        if moved == "null" {
            // In the place of a link of the mount, which is inside it.
            std::fs::write(app.data("x"), "inside").unwrap();
        }
    }
    let made = call(&runtime, "sym_link", (&secret, "/data/out")).await;
    assert!(made.starts_with("err: "), "{made}");
    call(&runtime, "sym_link", ("../../secret", "/data/up")).await;
    let read = call(&runtime, "read_file", ("/data/up",)).await;
    assert!(read.starts_with("err: "), "{read}");
    assert_eq!(std::fs::read_to_string(app.outside("secret")).unwrap(), "the host's own");
}

#[tokio::test]
async fn guest_cannot_change_a_read_only_mount() {
    let app = app(true);
    std::fs::create_dir(app.data("empty")).unwrap();
    let runtime = app.load();
    let before = std::fs::metadata(app.data("x")).unwrap().modified().unwrap();
    for (name, args) in [
        ("write_file", vec!["/data/new", "!"]),
        ("write_file", vec!["/data/x", "!"]),
        ("make_dir", vec!["/data/d"]),
        ("remove_file", vec!["/data/x"]),
        ("move_file", vec!["/data/x", "/data/y"]),
        ("touch", vec!["/data/x"]),
        ("hard_link", vec!["/data/x", "/data/y"]),
        ("sym_link", vec!["x", "/data/y"]),
    ] {
        let refused = call(&runtime, name, &args).await;
        assert!(refused.starts_with("err: "), "{name} {args:?}: {refused}");
    }
    let refused = call(&runtime, "truncate_file", ("/data/x", 0)).await;
    assert!(refused.starts_with("err: "), "{refused}");
    assert_eq!(call(&runtime, "list_dir", ("/data",)).await, r#"["empty","x"]"#);
    assert_eq!(std::fs::read_to_string(app.data("x")).unwrap(), "inside");
    assert_eq!(std::fs::metadata(app.data("x")).unwrap().modified().unwrap(), before);
}

#[tokio::test]
async fn handle_floods_are_refused_and_the_next_call_has_its_own() {
    let name = "handle_floods_are_refused_and_the_next_call_has_its_own";
    if !crisol_fixtures::runs_alone(module_path!(), name).unwrap() {
        return;
    }
    let app = app(true);
    let runtime = app.load();
    for _ in 0..3 {
        let told = call(&runtime, "open_many", ("/data/x", 10_000)).await;
        let got: Option<u64> = serde_json::from_str::<serde_json::Value>(&told)
            .ok()
            .and_then(|told| told.get(0)?.as_u64());
        // The host refuses with an error, or ends the call; the guest never gets all of them.
        assert!(got.is_none_or(|got| got < 1024), "{told}");
    }
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    assert!(open < 1000, "{open} descriptors are left open");
    assert_eq!(call(&runtime, "open_many", ("/data/x", 100)).await, "[100,null]");
}

#[tokio::test]
async fn pipe_ends_at_the_deadline_sparse_file_at_the_memory_limit() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let limits = "limits: {max_execution_ms: 300, max_memory_bytes: 20000000}";
    let mounts = "wasi: {mounts: [{fs: data, guest: /data}]}";
    let app = App::new()
        .guest("probe", "read-file", &format!("imports: {ALL}, {limits}, {mounts}"))
        .guest_as("other", "probe", "read-file", &format!("imports: {ALL}, {mounts}"));
    mknodat(CWD, app.data("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    std::fs::File::create(app.data("sparse")).unwrap().set_len(1 << 30).unwrap();
    std::fs::write(app.data("x"), "inside").unwrap();
    let runtime = app.load();
    let (held, other) = tokio::join!(
        call(&runtime, "read_file", ("/data/pipe",)),
        call(&runtime, "other", ("/data/x",))
    );
    assert!(held.starts_with("failed: ") && held.contains("300"), "{held}");
    assert_eq!(other, "\"inside\"");
    let sparse = call(&runtime, "read_file", ("/data/sparse",)).await;
    assert!(sparse.starts_with("failed: ") || sparse.starts_with("err: "), "{sparse}");
    // Release threads that still wait at the pipe, or the test's own runtime would wait for them.
    drop(std::fs::File::options().read(true).write(true).open(app.data("pipe")));
}

#[tokio::test]
async fn links_without_end_are_given_up() {
    let app = app(false);
    symlink("itself", app.data("itself")).unwrap();
    symlink("x", app.data("l0")).unwrap();
    for n in 1..100 {
        symlink(format!("l{}", n - 1), app.data(&format!("l{n}"))).unwrap();
    }
    let runtime = app.load();
    assert_eq!(call(&runtime, "read_file", ("/data/l20",)).await, "\"inside\"");
    for path in ["/data/itself", "/data/l60", "/data/l99"] {
        let read = call(&runtime, "read_file", (path,)).await;
        assert!(read.starts_with("err: "), "{path}: {read}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folder_swapped_for_a_link_while_listed_shows_nothing_outside() {
    let app = app(true);
    std::fs::create_dir(app.data("d")).unwrap();
    std::fs::write(app.data("d/known"), "").unwrap();
    symlink(app.outside("."), app.data("out")).unwrap();
    let runtime = app.load();
    let (d, out, kept) = (app.data("d"), app.data("out"), app.data("kept"));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let swapping = scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::fs::rename(&d, &kept).unwrap();
                std::fs::rename(&out, &d).unwrap();
                std::fs::rename(&d, &out).unwrap();
                std::fs::rename(&kept, &d).unwrap();
            }
        });
        let listing = async {
            // Repeats until the listing meets the folder in its place, independent of the machine's scheduling.
            let (mut listed, mut tried) = (0, 0);
            while tried < 300 || listed == 0 {
                tried += 1;
                let told = call(&runtime, "list_dir", ("/data/d",)).await;
                assert!(told == r#"["known"]"# || told.starts_with("err: "), "{told}");
                listed += usize::from(told.starts_with('['));
            }
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(listing));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        swapping.join().unwrap();
    });
}
