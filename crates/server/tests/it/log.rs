//! Details that the client must not see are in the log, under the request id that the client has.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use crate::support::{TestResult, client, request, seen, service, start};
use tracing::subscriber::DefaultGuard;

/// Captured log lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Captures the errors of this thread, on which the test's runtime runs everything.
    fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::ERROR)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }
}

#[tokio::test]
async fn failure_is_logged_with_its_request_id() -> TestResult {
    let (log, _guard) = Log::begin();
    let started = start(service(&["GET /trap -> trap"])?).await?;
    let mut asked = request("GET /trap", "")?;
    asked.headers_mut().insert("x-request-id", "mine-9".parse()?);
    let response = client(started.addr).await?.send_request(asked).await?;
    let (status, body) = seen(response).await?;
    assert_eq!(status, 500);
    assert!(body.contains("mine-9") && !body.contains("secret"), "{body}");
    let log = log.text();
    let line = log.lines().find(|line| line.contains("secret at /srv/x.wasm")).unwrap_or_default();
    assert!(line.contains("mine-9") && line.contains("t:trap"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_functions_4xx_error_is_not_an_error_in_the_log() -> TestResult {
    let (log, _guard) = Log::begin();
    let started = start(service(&["GET /refuse -> refuse"])?).await?;
    let (status, body) =
        seen(client(started.addr).await?.send_request(request("GET /refuse", "")?).await?).await?;
    assert_eq!(status, 410, "{body}");
    assert!(body.contains(r#""error":{"status":410}"#), "{body}");
    assert_eq!(log.text(), "");
    Ok(())
}
