//! Errors before any call: code that does not compile or link, and methods that do not resolve.

use crate::support::{Guest, Tested, engine};
use crisol_engine::{Allocation, CompileError, Grants, LinkError};
use crisol_wit::{BinaryKind, CoreModule, parse_code};
use expect_test::expect;

#[test]
fn equal_bytes_are_compiled_once() -> Tested {
    let engine = engine(Allocation::OnDemand)?;
    let bytes = crisol_fixtures::bytes("compute");
    let first = engine.compile(&bytes, false)?;
    assert!(first.shares_code_with(&engine.compile(&bytes, false)?));
    // A linked function keeps its code cached after the `Compiled` is dropped.
    let linked = engine.link(&first, &Grants::default(), "compute")?;
    drop(first);
    let again = engine.compile(&bytes, false)?;
    assert!(linked.code().shares_code_with(&again));
    assert!(!again.shares_code_with(&engine.compile(&bytes, true)?), "fuel is other code");
    assert_eq!(again.digest().to_string(), crisol_fixtures::sha256("compute"));
    Ok(())
}

#[test]
fn imports_are_resolved_once_for_equal_code_and_profile() -> Tested {
    let guest = Guest::fixture("probe", "count", |_| true)?;
    let other = guest.method("exit-with")?;
    assert!(guest.linked.shares_imports_with(&other.linked));
    let denied = guest.profile(Grants::default())?;
    assert!(!guest.linked.shares_imports_with(&denied.linked), "another profile");
    assert!(denied.linked.imports().iter().all(|import| !import.granted));
    assert!(guest.linked.imports().iter().any(|import| import.granted));
    assert!(denied.linked.shares_imports_with(&guest.profile(Grants::default())?.linked));
    Ok(())
}

#[test]
fn other_formats_are_refused() -> Tested {
    let engine = engine(Allocation::OnDemand)?;
    for bytes in [&b""[..], b"hello", b"\0asm\x0d\0\x01\0\xff\xff", b"\0asm\x01\0\0\0\xff\xff"] {
        assert!(matches!(engine.compile(bytes, false), Err(CompileError::Invalid(_))));
    }
    // Each kind of code has its own link function.
    let module = engine.compile(&wat::parse_str("(module (func (export \"f\")))")?, false)?;
    let linked = engine.link(&module, &Grants::default(), "f");
    assert!(matches!(linked, Err(LinkError::Mismatch(_))), "{linked:?}");
    Ok(())
}

#[test]
fn missing_method_lists_exports() -> Tested {
    let guest = Guest::fixture("compute", "compute", |_| false)?;
    let error = guest.method("comput").err().map(|error| error.to_string());
    expect!["unknown export `comput` (did you mean `compute`?); the component exports `compute: func(a: s32, b: s32) -> s32`"]
        .assert_eq(&error.unwrap_or_default());
    Ok(())
}

#[test]
fn a_resource_cannot_cross() -> Tested {
    let guest = Guest::wat(
        r#"(component
            (type $r (resource (rep i32)))
            (core module $m (func (export "f") (param i32)))
            (core instance $i (instantiate $m))
            (export $r' "thing" (type $r))
            (func (export "take") (param "it" (own $r')) (canon lift (core func $i "f")))
        )"#,
        "take",
    );
    let error = guest.err().ok_or("linked")?;
    assert!(matches!(error.downcast_ref(), Some(LinkError::Signature { .. })), "{error}");
    Ok(())
}

#[test]
fn imports_are_listed_with_their_providers() -> Tested {
    let guest = Guest::fixture("sleep-test", "test-sleep#sleep-ms", |name| {
        name.starts_with("wasi:clocks/")
    })?;
    let clock = guest.linked.imports().iter().find(|import| import.name.contains("monotonic"));
    let clock = clock.ok_or("the guest sleeps without a clock")?;
    assert_eq!(
        (clock.interface.as_deref(), clock.granted),
        (Some("wasi:clocks/monotonic-clock"), true)
    );
    let denied = guest.linked.imports().iter().find(|import| import.name.contains("wasi:io/poll"));
    assert!(denied.is_some_and(|import| !import.granted));
    Ok(())
}

#[test]
fn a_component_that_imports_code_is_refused() -> Tested {
    let guest = Guest::wat(
        r#"(component
            (import "lib" (core module $lib (export "f" (func))))
            (core instance $i (instantiate $lib))
            (func (export "f") (canon lift (core func $i "f"))))"#,
        "f",
    );
    let error = guest.err().ok_or("linked")?;
    expect!["the component imports a core module, `lib`, which no host provides: build it into the component"]
        .assert_eq(&error.to_string());
    Ok(())
}

#[test]
fn every_grantable_interface_can_be_denied() -> Tested {
    let engine = engine(Allocation::OnDemand)?;
    let mut interfaces = std::collections::BTreeSet::new();
    for name in crisol_fixtures::names() {
        let bytes = crisol_fixtures::bytes(&name);
        let compiled = engine.compile(&bytes, false)?;
        let exports = engine.exports(&compiled)?;
        let method = exports.first().ok_or("a guest without exports")?.method();
        let core = match parse_code(&bytes)? {
            BinaryKind::Core => CoreModule::read(&bytes, None, &method)?,
            BinaryKind::Component => None,
        };
        for profile in [Grants::default(), Grants::select(|_| true)] {
            let linked = match &core {
                Some(core) => engine.link_core(&compiled, core, &profile, &method),
                None => engine.link(&compiled, &profile, &method),
            };
            match linked {
                Ok(linked) => {
                    interfaces.extend(
                        linked.imports().iter().filter_map(|import| import.interface.clone()),
                    );
                }
                // The export takes resources, which linking detects after the imports.
                Err(LinkError::Signature { .. }) => {}
                Err(error) => return Err(format!("{name}: {error:?}").into()),
            }
        }
    }
    assert!(interfaces.len() > 10, "the guests import too little for this test: {interfaces:?}");
    Ok(())
}
