//! Guests of WASI 0.3: its functions reach files and peers in another way, under the same rules.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::symlink;

use crate::sandbox::network;
use crate::sandbox::support::{ALL, App, Log, call};

fn changing(read_only: bool) -> App {
    let more = format!(
        "imports: {ALL}, wasi: {{mounts: [{{fs: data, guest: /data, read_only: {read_only}}}]}}"
    );
    let app = App::new()
        .guest("probe-p3", "change-all", &more)
        .guest("probe-p3", "read-file", &more)
        .guest_as(
            "undeclared",
            "probe-p3",
            "read-file",
            "wasi: {mounts: [{fs: data, guest: /data}]}",
        );
    std::fs::write(app.data("x"), "inside").unwrap();
    std::fs::create_dir(app.data("empty")).unwrap();
    app
}

/// Parses the attempts of a guest, each with its outcome as JSON text.
fn outcomes(told: &str) -> Vec<(String, String)> {
    let told: Vec<(String, serde_json::Value)> = serde_json::from_str(told).unwrap();
    told.into_iter().map(|(what, outcome)| (what, outcome.to_string())).collect()
}

#[tokio::test]
async fn wasi_0_3_cannot_change_a_read_only_mount() {
    let app = changing(true);
    let runtime = app.load();
    let x = || std::fs::metadata(app.data("x")).unwrap();
    let before = x().modified().unwrap();
    let told = outcomes(&call(&runtime, "change_all", ()).await);
    assert_eq!(told.len(), 18, "{told:?}");
    for (what, outcome) in &told {
        let refused = ["NotPermitted", "ReadOnly", "BadDescriptor"];
        assert!(refused.iter().any(|code| outcome.contains(code)), "{what}: {outcome}");
    }
    let mut names: Vec<_> =
        app.data("").read_dir().unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["empty", "x"]);
    assert_eq!((x().len(), x().modified().unwrap()), (6, before));

    // The same on a writable mount succeeds, which shows that it is the mount that refuses.
    let app = changing(false);
    let told = outcomes(&call(&app.load(), "change_all", ()).await);
    for (what, outcome) in &told {
        // A file opened for reading is never writable; a renamed file cannot be removed under its old name.
        let fails = ["truncate to read", "set size of a file", "write", "append", "remove"];
        if !fails.contains(&what.as_str()) {
            assert_eq!(outcome, r#"{"ok":null}"#, "{what}");
        }
    }
    assert!(!app.data("x").exists() && !app.data("empty").exists() && app.data("new1").exists());
}

#[tokio::test]
async fn wasi_0_3_paths_stay_inside_the_mount() {
    let app = changing(false);
    symlink(app.outside("secret"), app.data("absolute")).unwrap();
    symlink("../../secret", app.data("relative")).unwrap();
    symlink("/proc/self/environ", app.data("environ")).unwrap();
    let runtime = app.load();
    assert_eq!(call(&runtime, "read_file", ("x",)).await, "\"inside\"");
    let secret = app.outside("secret").display().to_string();
    for path in ["../../secret", "absolute", "relative", "environ", "/etc/passwd", &secret] {
        let read = call(&runtime, "read_file", (path,)).await;
        assert!(read.starts_with("err: ") && read.contains("NotPermitted"), "{path}: {read}");
    }
    let denied = call(&runtime, "undeclared", ("x",)).await;
    assert!(denied.contains("no mount"), "it was given none: {denied}");
}

#[tokio::test]
async fn http_of_wasi_0_3_needs_the_import_and_the_list() {
    network::http_by_import_and_list("probe-p3").await;
}

#[tokio::test]
async fn sockets_of_wasi_0_3_need_the_import_and_the_list() {
    let (log, _guard) = Log::start();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (at, to) = (tcp.local_addr().unwrap(), udp.local_addr().unwrap());
    let some = ALL.replace("\"wasi:sockets\", ", "");
    let mut app = App::new();
    for method in ["connect-to", "send-to", "look-up", "listen-at"] {
        let name = |kind: &str| format!("{kind}_{}", method.replace('-', "_"));
        let list = format!("wasi: {{network: [\"{at}\", \"{to}\"]}}");
        app = app
            .guest_as(&name("undeclared"), "probe-p3", method, &format!("imports: {some}, {list}"))
            .guest_as(&name("unlisted"), "probe-p3", method, &format!("imports: {ALL}"))
            .guest_as(&name("listed"), "probe-p3", method, &format!("imports: {ALL}, {list}"));
    }
    let runtime = app.load();
    for (name, port) in [("connect_to", at.port()), ("send_to", to.port())] {
        assert_eq!(call(&runtime, &format!("listed_{name}"), (port,)).await, "null", "{name}");
        let refused = call(&runtime, &format!("unlisted_{name}"), (port,)).await;
        assert!(refused.contains("AccessDenied"), "{name}: {refused}");
        let elsewhere = call(&runtime, &format!("listed_{name}"), (1,)).await;
        assert!(elsewhere.contains("AccessDenied"), "{name}: {elsewhere}");
        let denied = call(&runtime, &format!("undeclared_{name}"), (port,)).await;
        assert!(denied.contains("add `wasi:sockets` to its `imports`"), "{name}: {denied}");
    }
    assert!(
        log.text().contains("refused to reach `127.0.0.1:1`: add `127.0.0.1:1`"),
        "{}",
        log.text()
    );
    for kind in ["listed", "unlisted"] {
        let listening = call(&runtime, &format!("{kind}_listen_at"), (0,)).await;
        assert!(listening.contains("AccessDenied"), "{listening}");
        let name = call(&runtime, &format!("{kind}_look_up"), ("localhost",)).await;
        assert!(name.starts_with("err: "), "{kind}: a list without names looks none up: {name}");
    }
}
