//! Network access of guests: the import and the peer list are both needed.

use std::net::{TcpListener, UdpSocket};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::sandbox::support::{ALL, App, Log, call};

#[tokio::test]
async fn http_needs_import_and_peer_list_and_the_log_names_the_fix() {
    http_by_import_and_list("fetch").await;
}

/// Checks which peers `get` of a guest may reach, for any version of WASI.
pub(crate) async fn http_by_import_and_list(guest: &str) {
    let (log, _guard) = Log::start();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let some = ALL.replace(", \"wasi:http\"", "");
    let list = |peers: &str| format!("imports: {ALL}, wasi: {{network: [{peers}]}}");
    let named = format!("localhost:{}", address.port());
    let app = App::new()
        .guest_as("undeclared", guest, "get", &format!("imports: {some}"))
        .guest_as("unlisted", guest, "get", &format!("imports: {ALL}"))
        .guest_as("elsewhere", guest, "get", &list("\"127.0.0.1:1\", \"*:*\""))
        .guest_as("listed", guest, "get", &list(&format!("\"{address}\"")))
        .guest_as("by_name", guest, "get", &list(&format!("\"{named}\"")));
    let runtime = app.load();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = [0; 1024];
            let _whole = stream.read(&mut seen).await;
            let _told = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        }
    });
    let url = (format!("http://{address}/"),);
    assert_eq!(call(&runtime, "listed", &url).await, r#""200\n2\nhi""#);
    let named = (format!("http://{named}/"),);
    assert_eq!(call(&runtime, "by_name", &named).await, r#""200\n2\nhi""#);
    let inside = call(&runtime, "elsewhere", &named).await;
    assert!(inside.contains("HttpRequestDenied"), "`*` is no way to this machine: {inside}");
    let denied = call(&runtime, "undeclared", &url).await;
    assert!(denied.contains("add `wasi:http` to its `imports`"), "{denied}");
    for name in ["unlisted", "elsewhere", "by_name"] {
        let refused = call(&runtime, name, &url).await;
        // The list has `localhost` by name, and its address is another spelling that is not listed.
        assert!(refused.contains("HttpRequestDenied"), "{name}: {refused}");
    }
    let line = format!("`{address}` is not in `wasi.network` of `a:elsewhere`: add `{address}`");
    assert!(log.text().contains(&line), "{}", log.text());
}

#[tokio::test]
async fn sockets_need_the_import_and_the_list() {
    let (log, _guard) = Log::start();
    let (tcp, udp) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (tcp, udp) = (
        tcp.local_addr().map(|it| (it, tcp)).unwrap(),
        udp.local_addr().map(|it| (it, udp)).unwrap(),
    );
    let some = ALL.replace("\"wasi:sockets\", ", "");
    let mut app = App::new();
    for method in ["connect-to", "send-to", "look-up", "listen-at"] {
        let name = |kind: &str| format!("{kind}_{}", method.replace('-', "_"));
        let list = format!("wasi: {{network: [\"{}\", \"{}\"]}}", tcp.0, udp.0);
        app = app
            .guest_as(&name("undeclared"), "probe", method, &format!("imports: {some}, {list}"))
            .guest_as(&name("unlisted"), "probe", method, &format!("imports: {ALL}"))
            .guest_as(&name("listed"), "probe", method, &format!("imports: {ALL}, {list}"));
    }
    let runtime = app.load();
    let (tcp_at, udp_at) = ((tcp.0.to_string(),), (udp.0.to_string(),));
    for (name, at) in [("connect_to", &tcp_at), ("send_to", &udp_at)] {
        assert_eq!(call(&runtime, &format!("listed_{name}"), at).await, "null", "{name}");
        let refused = call(&runtime, &format!("unlisted_{name}"), at).await;
        assert!(refused.contains("ermission denied"), "{name}: {refused}");
        let denied = call(&runtime, &format!("undeclared_{name}"), at).await;
        assert!(denied.contains("add `wasi:sockets` to its `imports`"), "{name}: {denied}");
    }
    for name in ["listed_connect_to", "listed_send_to"] {
        let elsewhere = call(&runtime, name, ("127.0.0.1:1",)).await;
        assert!(elsewhere.contains("ermission denied"), "{name}: {elsewhere}");
    }
    assert!(
        log.text().contains("refused to reach `127.0.0.1:1`: add `127.0.0.1:1`"),
        "{}",
        log.text()
    );
    assert!(log.text().contains(" call="), "{}", log.text());
    for kind in ["listed", "unlisted"] {
        let listening = call(&runtime, &format!("{kind}_listen_at"), ("127.0.0.1:0",)).await;
        assert!(listening.starts_with("err: "), "{listening}");
        let name = call(&runtime, &format!("{kind}_look_up"), ("localhost",)).await;
        assert!(name.starts_with("err: "), "{kind}: a list without names looks none up: {name}");
    }
}
