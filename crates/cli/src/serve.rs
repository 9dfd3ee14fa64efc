//! `crisol serve`: the app over HTTP until a signal.

use std::sync::Arc;
use std::time::Duration;

use crisol::{Runtime, ServeOptions};
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
    // Before anything is read: what changes from then on is not missed.
    let watch = serve.watch.then(|| Watching::begin(&arguments.app, &changed)).transpose()?;
    let runtime = app::load(arguments)?;
    let served = tokio.block_on(until_told(&runtime, serve, watch, &changed, &mut signals));
    signals.end();
    // What a guest waits for in a host thread, nobody waits for any longer.
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
        // Whoever wants it to stop does not wait for a reload. What asks for another one waits as one, however
        // often it asks.
        tokio::select! {
            biased;
            _ = signals.stop() => break,
            () = reloading.reload(asked) => {}
        }
    }
    let serving = reloading.into_serving();
    serving.drain();
    print_error("stopping: what runs may finish; a second signal ends at once");
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

/// Tells how many connections were ended in their work.
fn cut(connections: usize) -> String {
    match connections {
        1 => "cut 1 connection that was busy still".to_owned(),
        more => format!("cut {more} connections that were busy still"),
    }
}

/// Lets the process open as many files as it may be let. What a system grants by itself is often less than
/// a service has connections.
#[cfg(unix)]
fn allow_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is refused it goes on with what it has: connections beyond it wait.
    let _ = setrlimit(Resource::Nofile, limit);
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn one_is_one() {
        assert_eq!(cut(1), "cut 1 connection that was busy still");
        assert_eq!(cut(2), "cut 2 connections that were busy still");
    }
}
