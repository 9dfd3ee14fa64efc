//! Static files over real sockets.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::support::{Started, TestResult, client, request, seen, service, start};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use crisol_server::{FileOptions, Route, RouteTarget, Router, StaticFiles};
use http::HeaderMap;
use tempfile::TempDir;

/// Last change of `app.js`, half a second after this time, in each date format.
const MODIFIED: u64 = 1_704_164_645;
const DATE: &str = "Tue, 02 Jan 2024 03:04:05 GMT";
const DATES: [&str; 3] = [DATE, "Tuesday, 02-Jan-24 03:04:05 GMT", "Tue Jan  2 03:04:05 2024"];
const BEFORE: &str = "Tue, 02 Jan 2024 03:04:04 GMT";
const AFTER: &str = "Tue, 02 Jan 2024 03:04:06 GMT";

struct CheckedService {
    started: Started,
    _folder: TempDir,
}

/// Serves, at `/s`, a folder next to a secret one.
async fn site(options: FileOptions) -> TestResult<CheckedService> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    std::fs::create_dir_all(folder.path().join("www/sub dir"))?;
    std::fs::create_dir_all(folder.path().join("www/.well-known"))?;
    write("secret.txt", "secret")?;
    write("www/index.html", "<top>")?;
    write("www/app.js", "0123456789")?;
    write("www/sub dir/index.html", "<sub>")?;
    write("www/empty.txt", "")?;
    write("www/data.json", "{}")?;
    write("www/icon.svgz", "zipped")?;
    write("www/.env", "secret")?;
    write("www/.well-known/a.txt", "known")?;
    let app = std::fs::File::options().write(true).open(folder.path().join("www/app.js"))?;
    app.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(MODIFIED * 1000 + 500))?;
    #[cfg(unix)]
    std::os::unix::fs::symlink("../secret.txt", folder.path().join("www/link.txt"))?;
    let dir = Dir::open_ambient_dir(folder.path().join("www"), ambient_authority())?;
    let target = RouteTarget::Handler(Arc::new(StaticFiles::new(Arc::new(dir), options)));
    let (name, pattern) = ("files".to_owned(), "/{path...}".to_owned());
    let routes = vec![Route { name, method: None, pattern, target }];
    let router = Router { prefix: "/s".to_owned(), routes, ..Router::default() };
    let started = start(service(&[])?.with_router(router)).await?;
    Ok(CheckedService { started, _folder: folder })
}

impl CheckedService {
    async fn get(&self, line: &str, headers: &[(&'static str, &str)]) -> TestResult<Answer> {
        let mut asked = request(line, "")?;
        for (name, value) in headers {
            asked.headers_mut().append(*name, value.parse()?);
        }
        let response = client(self.started.addr).await?.send_request(asked).await?;
        let headers = response.headers().clone();
        let (status, body) = seen(response).await?;
        Ok(Answer { status, headers, body })
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[tokio::test]
async fn files_have_types_and_folders_an_index() -> TestResult {
    let site = site(FileOptions::default()).await?;
    let script = site.get("GET /s/app.js", &[]).await?;
    assert_eq!((script.status, script.body.as_str()), (200, "0123456789"));
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(script.header("content-length"), "10");
    assert_eq!(site.get("GET /s/", &[]).await?.body, "<top>");
    assert_eq!(site.get("GET /s/sub%20dir/", &[]).await?.body, "<sub>");
    let bare = site.get("GET /s/sub%20dir?a=b", &[]).await?;
    assert_eq!((bare.status, bare.header("location")), (308, "/s/sub%20dir/?a=b"));
    assert_eq!(site.get("GET /s/.well-known/a.txt", &[]).await?.body, "known");
    let head = site.get("HEAD /s/app.js", &[]).await?;
    assert_eq!((head.status, head.body.as_str(), head.header("content-length")), (200, "", "10"));
    let post = site.get("POST /s/app.js", &[]).await?;
    assert_eq!((post.status, post.header("allow")), (405, "GET, HEAD, OPTIONS"));
    Ok(())
}

#[tokio::test]
async fn outside_and_hidden_files_are_not_served() -> TestResult {
    let site = site(FileOptions::default()).await?;
    let hidden = [
        "/s/../secret.txt",
        "/s/%2e%2e/secret.txt",
        "/s/..%2fsecret.txt",
        "/s/sub%20dir/..%2f..%2fsecret.txt",
        "/s//etc/passwd",
        "/s/%2fetc%2fpasswd",
        "/s/link.txt",
        "/s/.env",
        "/s/app.js/",
        "/s/app.js/x",
        "/s/a%00b",
        "/s/nothing.txt",
    ];
    for path in hidden {
        let answer = site.get(&format!("GET {path}"), &[]).await?;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        assert!(!answer.body.contains("secret\"") && answer.body != "secret", "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn files_that_the_client_has_are_not_sent_again() -> TestResult {
    let site = site(FileOptions::default()).await?;
    let first = site.get("GET /s/app.js", &[]).await?;
    let (tag, date) = (first.header("etag"), first.header("last-modified"));
    for condition in [("if-none-match", tag), ("if-modified-since", date)] {
        let again = site.get("GET /s/app.js", &[condition]).await?;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{condition:?}");
        assert_eq!(again.header("etag"), tag);
    }
    let other = site.get("GET /s/app.js", &[("if-none-match", "\"x\"")]).await?;
    assert_eq!(other.status, 200);
    Ok(())
}

#[tokio::test]
async fn parts_are_served_of_the_version_that_the_client_has() -> TestResult {
    let site = site(FileOptions::default()).await?;
    let part = site.get("GET /s/app.js", &[("range", "bytes=2-4")]).await?;
    assert_eq!((part.status, part.body.as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    let tail = site.get("GET /s/app.js", &[("range", "bytes=-3")]).await?;
    assert_eq!(tail.body, "789");
    let tag = part.header("etag");
    let same = site.get("GET /s/app.js", &[("range", "bytes=2-4"), ("if-range", tag)]).await?;
    assert_eq!(same.status, 206);
    let old = site.get("GET /s/app.js", &[("range", "bytes=2-4"), ("if-range", "\"old\"")]).await?;
    assert_eq!((old.status, old.body.as_str()), (200, "0123456789"));
    let beyond = site.get("GET /s/app.js", &[("range", "bytes=20-")]).await?;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */10"));
    assert_eq!(beyond.header("content-type"), "application/problem+json");
    Ok(())
}

#[tokio::test]
async fn an_application_of_one_page_gets_its_page() -> TestResult {
    let options = FileOptions {
        fallback: Some("index.html".to_owned()),
        cache_control: Some("no-cache".parse()?),
        ..FileOptions::default()
    };
    let site = site(options).await?;
    let deep = site.get("GET /s/users/7/edit", &[]).await?;
    assert_eq!((deep.status, deep.body.as_str()), (200, "<top>"));
    assert_eq!(deep.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(deep.header("cache-control"), "no-cache");
    assert_eq!(site.get("GET /s/missing.js", &[]).await?.status, 404);
    assert_eq!(site.get("GET /s/.env", &[]).await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn a_range_is_one_of_bytes_or_is_ignored() -> TestResult {
    let site = site(FileOptions::default()).await?;
    const ALL: &str = "0123456789";
    for (range, status, body, content_range) in [
        ("bytes=0-3", 206, "0123", "bytes 0-3/10"),
        ("Bytes=0-3", 206, "0123", "bytes 0-3/10"),
        ("BYTES=-3", 206, "789", "bytes 7-9/10"),
        ("bytes=0-", 206, ALL, "bytes 0-9/10"),
        ("bytes=8-99", 206, "89", "bytes 8-9/10"),
        ("bytes=9-9", 206, "9", "bytes 9-9/10"),
        ("bytes=-10", 206, ALL, "bytes 0-9/10"),
        ("bytes=-11", 206, ALL, "bytes 0-9/10"),
        ("bytes=-99999999999999999999999", 206, ALL, "bytes 0-9/10"),
        ("items=0-1", 200, ALL, ""),
        ("bytes=abc", 200, ALL, ""),
        ("bytes=5-2", 200, ALL, ""),
        ("bytes=0-1,4-5", 200, ALL, ""),
        ("bytes=", 200, ALL, ""),
        ("bytes=-", 200, ALL, ""),
        ("0-3", 200, ALL, ""),
        ("", 200, ALL, ""),
    ] {
        let answer = site.get("GET /s/app.js", &[("range", range)]).await?;
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{range}");
        assert_eq!(answer.header("content-range"), content_range, "{range}");
        assert_eq!(answer.header("content-length"), body.len().to_string(), "{range}");
        assert_eq!(answer.header("accept-ranges"), "bytes", "{range}");
    }
    for range in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"] {
        let answer = site.get("GET /s/app.js", &[("range", range)]).await?;
        assert_eq!((answer.status, answer.header("content-range")), (416, "bytes */10"), "{range}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{range}");
    }
    let twice = [("range", "bytes=0-3"), ("range", "bytes=0-3")];
    assert_eq!(site.get("GET /s/app.js", &twice).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_range_is_for_get_and_for_files_with_content() -> TestResult {
    let options = FileOptions { fallback: Some("app.js".to_owned()), ..FileOptions::default() };
    let site = site(options).await?;
    for range in ["bytes=0-3", "bytes=20-"] {
        let head = site.get("HEAD /s/app.js", &[("range", range)]).await?;
        assert_eq!((head.status, head.header("content-length")), (200, "10"), "{range}");
        assert_eq!(head.header("content-range"), "", "{range}");
    }
    for range in ["bytes=0-", "bytes=0-0", "bytes=-5", "bytes=-0", "bytes=7-"] {
        let empty = site.get("GET /s/empty.txt", &[("range", range)]).await?;
        assert_eq!((empty.status, empty.header("content-length")), (200, "0"), "{range}");
        assert_eq!(empty.header("content-range"), "", "{range}");
    }
    let part = [("range", "bytes=1-2")];
    let page = site.get("GET /s/users/7", &part).await?;
    assert_eq!((page.status, page.body.as_str()), (206, "12"));
    let index = site.get("GET /s/sub%20dir/", &part).await?;
    assert_eq!((index.status, index.body.as_str()), (206, "su"));
    assert_eq!(site.get("GET /s/sub%20dir", &part).await?.status, 308);
    Ok(())
}

#[tokio::test]
async fn conditions_are_judged_in_their_order() -> TestResult {
    let site = site(FileOptions::default()).await?;
    let first = site.get("GET /s/app.js", &[]).await?;
    assert_eq!(first.header("last-modified"), DATE);
    let tag = first.header("etag");
    let (weak, list) = (format!("W/{tag}"), format!("\"x\",, W/\"y\" , {tag}"));
    let (weak, list) = (weak.as_str(), list.as_str());
    let (m, n) = ("if-match", "if-none-match");
    let (u, s) = ("if-unmodified-since", "if-modified-since");
    for (conditions, status) in [
        (&[(m, tag)][..], 200),
        (&[(m, "*")], 200),
        (&[(m, list)], 200),
        (&[(m, "\"x\""), (m, tag)], 200),
        (&[(m, "\"x\"")], 412),
        (&[(m, weak)], 412),
        (&[(m, "x")], 412),
        (&[(m, "")], 412),
        (&[(u, DATE)], 200),
        (&[(u, AFTER)], 200),
        (&[(u, BEFORE)], 412),
        (&[(u, "yesterday")], 200),
        (&[(u, "-1")], 200),
        (&[(m, tag), (u, BEFORE)], 200),
        (&[(m, "\"x\""), (u, AFTER)], 412),
        (&[(n, tag)], 304),
        (&[(n, weak)], 304),
        (&[(n, "*")], 304),
        (&[(n, list)], 304),
        (&[(n, "\"x\""), (n, tag)], 304),
        (&[(n, "\"x\"")], 200),
        (&[(n, "x")], 200),
        (&[(s, DATES[0])], 304),
        (&[(s, DATES[1])], 304),
        (&[(s, DATES[2])], 304),
        (&[(s, AFTER)], 304),
        (&[(s, BEFORE)], 200),
        (&[(s, "yesterday")], 200),
        (&[(s, DATE), (s, DATE)], 200),
        (&[(n, "\"x\""), (s, AFTER)], 200),
        (&[(n, tag), (s, BEFORE)], 304),
        (&[(m, "\"x\""), (n, tag)], 412),
        (&[(m, tag), (n, tag)], 304),
        (&[(u, AFTER), (s, AFTER)], 304),
        (&[(n, tag), ("range", "bytes=0-1")], 304),
        (&[(m, "\"x\""), ("range", "bytes=20-")], 412),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = site.get(&format!("{method} /s/app.js"), conditions).await?;
            assert_eq!(answer.status, status, "{method} {conditions:?}");
            let problem = answer.header("content-type") == "application/problem+json";
            assert_eq!(problem, status == 412, "{method} {conditions:?}");
        }
    }
    let absent = site.get("GET /s/nothing.txt", &[(m, "\"x\""), (n, "*")]).await?;
    assert_eq!(absent.status, 404);
    Ok(())
}

#[tokio::test]
async fn empty_response_has_no_content_headers() -> TestResult {
    let options =
        FileOptions { cache_control: Some("no-cache".parse()?), ..FileOptions::default() };
    let site = site(options).await?;
    for method in ["GET", "HEAD"] {
        let line = format!("{method} /s/app.js");
        let known = site.get(&line, &[("if-none-match", "*")]).await?;
        assert_eq!((known.status, known.header("cache-control")), (304, "no-cache"));
        assert!(known.headers.contains_key("etag"));
        assert_eq!(known.header("last-modified"), DATE);
        for name in ["content-length", "content-type", "content-encoding", "accept-ranges"] {
            assert!(!known.headers.contains_key(name), "{method} {name}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn range_is_sent_only_for_the_clients_version() -> TestResult {
    let site = site(FileOptions::default()).await?;
    let tag = site.get("GET /s/app.js", &[]).await?.header("etag").to_owned();
    let weak = format!("W/{tag}");
    for (condition, status) in [
        (tag.as_str(), 206),
        (DATES[0], 206),
        (DATES[1], 206),
        (BEFORE, 200),
        (AFTER, 200),
        (&weak, 200),
        ("\"x\"", 200),
        ("*", 200),
        ("x", 200),
        ("", 200),
    ] {
        for range in ["bytes=2-4", "bytes=20-"] {
            let asked = [("range", range), ("if-range", condition)];
            let answer = site.get("GET /s/app.js", &asked).await?;
            let expected = if status == 206 && range == "bytes=20-" { 416 } else { status };
            assert_eq!(answer.status, expected, "{range} {condition}");
        }
    }
    let alone = site.get("GET /s/app.js", &[("if-range", "\"x\"")]).await?;
    assert_eq!(alone.status, 200);
    Ok(())
}

#[tokio::test]
async fn types_say_how_a_file_is_written() -> TestResult {
    let site = site(FileOptions::default()).await?;
    for (file, content_type, coding) in [
        ("empty.txt", "text/plain; charset=utf-8", ""),
        ("data.json", "application/json", ""),
        ("icon.svgz", "image/svg+xml", "gzip"),
    ] {
        let answer = site.get(&format!("GET /s/{file}"), &[]).await?;
        assert_eq!(answer.header("content-type"), content_type);
        assert_eq!(answer.header("content-encoding"), coding, "{file}");
    }
    Ok(())
}
