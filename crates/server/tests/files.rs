//! Files of a directory over real sockets.

mod common;

use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use common::{Started, TestResult, client, request, seen, service, start};
use crisol_server::{FileOptions, Route, Router, StaticFiles, Target};
use http::HeaderMap;
use tempfile::TempDir;

struct Site {
    started: Started,
    _folder: TempDir,
}

/// Serves, at `/s`, a folder whose neighbour is a secret.
async fn site(options: FileOptions) -> TestResult<Site> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    std::fs::create_dir_all(folder.path().join("www/sub dir"))?;
    std::fs::create_dir_all(folder.path().join("www/.well-known"))?;
    write("secret.txt", "secret")?;
    write("www/index.html", "<top>")?;
    write("www/app.js", "0123456789")?;
    write("www/sub dir/index.html", "<sub>")?;
    write("www/.env", "secret")?;
    write("www/.well-known/a.txt", "known")?;
    #[cfg(unix)]
    std::os::unix::fs::symlink("../secret.txt", folder.path().join("www/link.txt"))?;
    let dir = Dir::open_ambient_dir(folder.path().join("www"), ambient_authority())?;
    let target = Target::Handler(Arc::new(StaticFiles::new(Arc::new(dir), options)));
    let (name, pattern) = ("files".to_owned(), "/{path...}".to_owned());
    let routes = vec![Route { name, method: None, pattern, target }];
    let router = Router { prefix: "/s".to_owned(), routes, ..Router::default() };
    let started = start(service(&[])?.with_router(router)).await?;
    Ok(Site { started, _folder: folder })
}

impl Site {
    async fn get(&self, line: &str, headers: &[(&'static str, &str)]) -> TestResult<Answer> {
        let mut asked = request(line, "")?;
        for (name, value) in headers {
            asked.headers_mut().insert(*name, value.parse()?);
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
    assert_eq!(script.header("content-type"), "text/javascript");
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
async fn nothing_outside_and_nothing_hidden_is_reached() -> TestResult {
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
async fn what_the_client_has_is_not_sent_again() -> TestResult {
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
    assert_eq!(deep.header("content-type"), "text/html");
    assert_eq!(deep.header("cache-control"), "no-cache");
    assert_eq!(site.get("GET /s/missing.js", &[]).await?.status, 404);
    assert_eq!(site.get("GET /s/.env", &[]).await?.status, 404);
    Ok(())
}
