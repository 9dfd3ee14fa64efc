//! `crisol serve`: the app over HTTP until a stop signal.

use std::sync::Arc;
use std::time::Duration;

use crisol::Runtime;
use crisol::http::ServeOptions;
use tokio::sync::Notify;

use crate::arguments::{AppArguments, ServeArguments};
use crate::reload::{Asked, Reloading, Watching};
use crate::signals::{SIGNALLED, Signals};
use crate::{DONE, app, listening, output, print_error, print_line};

pub(crate) fn run(arguments: &AppArguments, serve: &ServeArguments) -> anyhow::Result<u8> {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // Before the app is read, which may take long.
    let mut signals = {
        let _within = tokio.enter();
        Signals::catch()?
    };
    output::serve();
    #[cfg(unix)]
    allow_files();
    let changed = Arc::new(Notify::new());
    // Before the app is read, so that no later change is missed.
    let watch = serve.watch.then(|| Watching::begin(&arguments.app, &changed)).transpose()?;
    let runtime = app::load(arguments)?;
    let served = tokio.block_on(until_told(&runtime, serve, watch, &changed, &mut signals));
    signals.end();
    // A guest may have left a host thread in a read, which must not delay the exit.
    tokio.shutdown_background();
    served
}

async fn until_told(
    runtime: &Runtime,
    serve: &ServeArguments,
    watch: Option<Watching>,
    changed: &Notify,
    signals: &mut Signals,
) -> anyhow::Result<u8> {
    let grace = Duration::from_secs(serve.grace.into());
    runtime.warm().await?;
    let serving = runtime.serve(ServeOptions::default().with_listen(serve.listen.clone())).await?;
    signals.serve();
    for endpoint in &serving.listening() {
        print_line(&listening::show(endpoint))?;
    }
    let mut reloading = Reloading::new(runtime, serving, grace, watch);
    loop {
        let asked = tokio::select! {
            biased;
            signal = signals.next() => match signal {
                Some(_) => break,
                None => Asked::BySignal,
            },
            () = changed.notified() => Asked::ByFiles,
        };
        // A stop does not wait for a reload. Several requests for a reload wait as one.
        tokio::select! {
            biased;
            _ = signals.stop() => break,
            () = reloading.reload(asked) => {}
        }
    }
    let serving = reloading.into_serving();
    serving.drain();
    print_error("stopping: running requests may finish; a second signal ends the program at once");
    let stop = async {
        tokio::time::sleep(Duration::from_secs(serve.drain_delay.into())).await;
        serving.stop(grace).await
    };
    tokio::select! {
        stopped = stop => {
            if stopped.aborted > 0 {
                print_error(&cut(stopped.aborted));
            }
            Ok(DONE)
        }
        signal = signals.stop() => Ok(SIGNALLED + signal),
    }
}

/// Message with the number of connections that were closed with requests running.
fn cut(connections: usize) -> String {
    match connections {
        1 => "closed 1 connection with a running request".to_owned(),
        more => format!("closed {more} connections with running requests"),
    }
}

/// Raises the limit of open files to its maximum: the default is often below the number of a service's connections.
#[cfg(unix)]
fn allow_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without permission the limit stays, and further connections wait.
    let _ = setrlimit(Resource::Nofile, limit);
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn one_is_one() {
        assert_eq!(cut(1), "closed 1 connection with a running request");
        assert_eq!(cut(2), "closed 2 connections with running requests");
    }
}
