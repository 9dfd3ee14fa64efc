//! `crisol serve`: the app over HTTP until a signal.

use std::io;
use std::time::Duration;

use crisol::{Runtime, ServeOptions};

use crate::arguments::{AppArguments, ServeArguments};
use crate::{DONE, app, print_error, print_line};

/// What is added to a signal's number when it is what a program ended by, as shells do.
const SIGNALLED: u8 = 128;

pub(crate) fn run(arguments: &AppArguments, serve: &ServeArguments) -> anyhow::Result<u8> {
    let runtime = app::load(arguments)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (listen, grace) = (serve.listen.clone(), Duration::from_secs(serve.grace.into()));
    let served = tokio.block_on(until_told(&runtime, listen, grace));
    // What a guest waits for in a host thread, nobody waits for any longer.
    tokio.shutdown_background();
    served
}

async fn until_told(
    runtime: &Runtime,
    listen: Option<crisol::ListenAddr>,
    grace: Duration,
) -> anyhow::Result<u8> {
    let mut signals = Signals::new()?;
    runtime.warm().await?;
    let serving = runtime.serve(ServeOptions::default().with_listen(listen)).await?;
    for endpoint in serving.listening() {
        let scheme = if endpoint.secure { "https" } else { "http" };
        print_line(&format!("serving {} on {scheme}://{}", endpoint.service, endpoint.addr))?;
    }
    signals.next().await;
    print_error("stopping: what runs may finish; a second signal ends at once");
    tokio::select! {
        stopped = serving.stop(grace) => {
            if stopped.aborted > 0 {
                print_error(&format!("cut {} connections that were busy still", stopped.aborted));
            }
            Ok(DONE)
        }
        signal = signals.next() => Ok(SIGNALLED + signal),
    }
}

/// The signals that ask a program to end.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt })
    }

    /// The number of the next one.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.terminate.recv() => 15,
            _ = self.interrupt.recv() => 2,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> u8 {
        // Without a console there is nobody to ask.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        2
    }
}
