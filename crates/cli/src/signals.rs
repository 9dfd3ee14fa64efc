//! Signals: the first stops gracefully, the second ends the program at once, in any state.

use std::io;

/// Offset of a signal's number in the exit code of a program that it ended, as shells have it.
pub(crate) const SIGNALLED: u8 = 128;

#[cfg(not(unix))]
use other as platform;
#[cfg(unix)]
use unix as platform;

pub(crate) use platform::Interrupt;
#[cfg(feature = "http")]
pub(crate) use platform::{Signals, remember_hangups};

#[cfg(unix)]
mod unix {
    use std::sync::Arc;
    #[cfg(feature = "http")]
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    use signal_hook::consts::SIGINT;
    #[cfg(feature = "http")]
    use signal_hook::consts::SIGTERM;
    use signal_hook::flag;
    #[cfg(feature = "http")]
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::{SIGNALLED, io};

    /// True if the next signal ends the program in the signal handler, without a free thread. The first signal sets it.
    struct AtOnce(Arc<AtomicBool>);

    impl AtOnce {
        fn on(signals: &[i32], now: bool) -> io::Result<Self> {
            let at_once = Arc::new(AtomicBool::new(now));
            for &signal in signals {
                let status = i32::from(SIGNALLED) + signal;
                flag::register_conditional_shutdown(signal, status, Arc::clone(&at_once))?;
                // Handlers run in this order, so the first signal only sets the flag.
                flag::register(signal, Arc::clone(&at_once))?;
            }
            Ok(Self(at_once))
        }

        fn set(&self, at_once: bool) {
            self.0.store(at_once, Ordering::SeqCst);
        }
    }

    /// SIGHUP that arrived before the runtime existed.
    #[cfg(feature = "http")]
    static EARLY: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

    /// Remembers each SIGHUP until [`Signals::catch`] takes over.
    #[cfg(feature = "http")]
    pub(crate) fn remember_hangups() -> io::Result<()> {
        flag::register(signal_hook::consts::SIGHUP, Arc::clone(&EARLY)).map(drop)
    }

    /// Signals of a program that serves.
    #[cfg(feature = "http")]
    pub(crate) struct Signals {
        terminate: Signal,
        interrupt: Signal,
        hangup: Signal,
        /// SIGHUP that arrived before the runtime existed.
        early: bool,
        at_once: AtOnce,
    }

    #[cfg(feature = "http")]
    impl Signals {
        /// Catches signals, within a tokio runtime. Until [`Signals::serve`] a stop signal ends the program at once,
        /// and a reload signal is remembered.
        pub(crate) fn catch() -> io::Result<Self> {
            let hangup = signal(SignalKind::hangup())?;
            let early = EARLY.swap(false, Ordering::SeqCst);
            let at_once = AtOnce::on(&[SIGTERM, SIGINT], true)?;
            let terminate = signal(SignalKind::terminate())?;
            let interrupt = signal(SignalKind::interrupt())?;
            Ok(Self { terminate, interrupt, hangup, early, at_once })
        }

        /// Leaves the next stop signal to [`Signals::stop`]; the one after it ends the program at once.
        pub(crate) fn serve(&self) {
            self.at_once.set(false);
        }

        /// Lets the next signal end the program at once.
        pub(crate) fn end(&self) {
            self.at_once.set(true);
        }

        /// Waits for the next stop signal; returns its number.
        pub(crate) async fn stop(&mut self) -> u8 {
            tokio::select! {
                _ = self.terminate.recv() => 15,
                _ = self.interrupt.recv() => 2,
            }
        }

        /// Waits for the next reload signal (`None`) or stop signal (its number).
        pub(crate) async fn next(&mut self) -> Option<u8> {
            let early = std::mem::take(&mut self.early);
            tokio::select! {
                biased;
                _ = self.terminate.recv() => Some(15),
                _ = self.interrupt.recv() => Some(2),
                () = std::future::ready(()), if early => None,
                _ = self.hangup.recv() => None,
            }
        }
    }

    /// Ctrl-C of a command on the terminal.
    pub(crate) struct Interrupt(AtOnce);

    impl Interrupt {
        /// Catches Ctrl-C; a second one ends the program at once.
        pub(crate) fn catch() -> io::Result<Self> {
            AtOnce::on(&[SIGINT], false).map(Self)
        }

        /// Waits for Ctrl-C.
        pub(crate) async fn received(&self) {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }

        /// Lets the next Ctrl-C end the program at once.
        pub(crate) fn end(&self) {
            self.0.set(true);
        }
    }
}

#[cfg(not(unix))]
mod other {
    use super::io;

    #[cfg(feature = "http")]
    pub(crate) fn remember_hangups() -> io::Result<()> {
        Ok(())
    }

    #[cfg(feature = "http")]
    pub(crate) struct Signals;

    #[cfg(feature = "http")]
    impl Signals {
        pub(crate) fn catch() -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) fn serve(&self) {}

        pub(crate) fn end(&self) {}

        pub(crate) async fn stop(&mut self) -> u8 {
            // Without a console there is no signal to wait for.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            2
        }

        pub(crate) async fn next(&mut self) -> Option<u8> {
            Some(self.stop().await)
        }
    }

    pub(crate) struct Interrupt;

    impl Interrupt {
        pub(crate) fn catch() -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) async fn received(&self) {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }

        pub(crate) fn end(&self) {}
    }
}
