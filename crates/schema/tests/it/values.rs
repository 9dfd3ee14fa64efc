//! Tests of the value types of the file format.

use std::error::Error;

use crisol_schema::{GuestPath, ImportToken, Imports, NetworkRule, PathPrefix, RoutePath};

type Tested = Result<(), Box<dyn Error>>;

fn imports(tokens: &[&str]) -> Result<Imports, Box<dyn Error>> {
    let read = |token: &&str| token.parse::<ImportToken>();
    Ok(tokens.iter().map(read).collect::<Result<_, _>>()?)
}

#[test]
fn imports_grant_the_named_interfaces() -> Tested {
    let table: &[(&[&str], &str, bool)] = &[
        (&["wasi:clocks"], "wasi:clocks/monotonic-clock@0.2.3", true),
        (&["wasi:clocks"], "wasi:clocks/monotonic-clock", true),
        (&["WASI:Clocks@0.2.0"], "wasi:clocks/wall-clock@0.2.12", true),
        (&["wasi:clocks/monotonic-clock"], "wasi:clocks/monotonic-clock@0.2.3", true),
        (&["wasi:clocks/monotonic-clock"], "wasi:clocks/wall-clock@0.2.3", false),
        (&["wasi:io"], "wasi:io/poll@0.2.0", true),
        (&["wasi:io"], "wasi:io/streams@0.2.0", true),
        (&["wasi:poll"], "wasi:io/poll@0.2.0", true),
        (&["wasi:poll"], "wasi:io/streams@0.2.0", false),
        (&["wasi:cli"], "wasi:clilike/x", false),
        (&["wasi:cli"], "wasi:cli/new-interface@0.9.0", true),
        (&["wasi1"], "wasi_snapshot_preview1", true),
        (&["wasi1"], "wasi:cli/stdout@0.2.0", true),
        (&["wasi1"], "wasi:sockets/tcp@0.2.0", false),
        (&["wasi:cli"], "wasi_snapshot_preview1", false),
        (&["funcs"], "wippy:runtime/funcs@0.1.0", true),
        (&["funcs"], "crisol:runtime/funcs@0.1.0", true),
        (&["wasi:cli", "wasi:io", "wasi:clocks"], "test:minimal/host@0.1.0", false),
        (&[], "wasi:clocks/monotonic-clock", false),
    ];
    for &(tokens, interface, expected) in table {
        let granted = imports(tokens)?.grants(interface);
        assert_eq!(granted, expected, "{tokens:?} and {interface}");
    }
    Ok(())
}

#[test]
fn the_token_to_add_for_an_interface() {
    let table = [
        ("wasi:clocks/monotonic-clock@0.2.3", Some("wasi:clocks")),
        ("wasi:io/streams@0.2.0", Some("wasi:io")),
        ("wasi_snapshot_preview1", Some("wasi1")),
        ("wippy:runtime/funcs@0.1.0", Some("funcs")),
        ("test:minimal/host@0.1.0", None),
        ("env", None),
    ];
    for (interface, token) in table {
        assert_eq!(Imports::token_for(interface), token, "{interface}");
    }
}

#[test]
fn network_rules_allow_the_named_peers() -> Tested {
    let names: &[(&str, &str, u16, bool)] = &[
        ("example.com:443", "example.com", 443, true),
        ("example.com:443", "EXAMPLE.com.", 443, true),
        ("example.com:443", "example.com", 80, false),
        ("example.com:443", "sub.example.com", 443, false),
        ("*.example.com:*", "sub.example.com", 1, true),
        ("*.example.com:*", "a.b.example.com", 1, true),
        ("*.example.com:*", "example.com", 1, false),
        ("*.example.com:*", "notexample.com", 1, false),
        ("*:53", "anything", 53, true),
        ("10.0.0.0/8:*", "example.com", 80, false),
    ];
    for &(rule, name, port, expected) in names {
        let rule: NetworkRule = rule.parse()?;
        assert_eq!(rule.allows_name(name, port), expected, "{rule} and {name}:{port}");
    }
    let addresses: &[(&str, &str, bool)] = &[
        ("10.0.0.0/8:*", "10.255.0.1", true),
        ("10.0.0.0/8:*", "11.0.0.1", false),
        // A mapped address counts as its IPv4 address.
        ("10.0.0.0/8:*", "::ffff:10.0.0.1", true),
        ("0.0.0.0/0:*", "8.8.8.8", true),
        ("0.0.0.0/0:*", "::1", false),
        ("[::]/0:*", "::1", true),
        ("[2001:db8::]/32:*", "2001:db8:1::1", true),
        ("[2001:db8::]/32:*", "2001:db9::1", false),
        ("127.0.0.1:*", "127.0.0.1", true),
        ("127.0.0.1:*", "127.0.0.2", false),
        ("example.com:*", "127.0.0.1", false),
    ];
    for &(rule, ip, expected) in addresses {
        let rule: NetworkRule = rule.parse()?;
        assert_eq!(rule.allows_ip(ip.parse()?, 80), expected, "{rule} and {ip}");
    }
    Ok(())
}

#[test]
fn guest_paths_are_normal_and_nest() -> Tested {
    let path = |text: &str| text.parse::<GuestPath>();
    assert_eq!(path("//data/./sub/")?.as_str(), "/data/sub");
    assert_eq!(path("/")?, GuestPath::default());
    assert!(path("/data/sub")?.is_within(&path("/data")?));
    assert!(path("/data")?.is_within(&path("/data")?));
    assert!(path("/data")?.is_within(&path("/")?));
    assert!(!path("/data2")?.is_within(&path("/data")?));
    Ok(())
}

#[test]
fn routes_below_a_prefix() -> Tested {
    let route = |text: &str| text.parse::<RoutePath>();
    let prefix: PathPrefix = "/api/".parse()?;
    assert_eq!(route("/users/{id}")?.below(&prefix).to_string(), "/api/users/{id}");
    assert_eq!(route("/")?.below(&prefix).to_string(), "/api");
    assert_eq!(route("/{a}/{rest...}")?.shape(), route("/{b}/{x...}")?.shape());
    assert_ne!(route("/{a}")?.shape(), route("/a")?.shape());
    assert_ne!(route("/a")?.shape(), route("/a/")?.shape());
    Ok(())
}
