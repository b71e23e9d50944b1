//! What ends a run from outside. Ctrl-C and SIGTERM: the first in order, the second at once. And whoever reads what is
//! written and goes away.

use tokio::sync::watch;

/// What asked the run to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signal {
    /// The exit code a shell expects: 128 and the signal's number.
    pub fn exit_code(self) -> u8 {
        match self {
            Signal::Interrupt => 130,
            Signal::Terminate => 143,
        }
    }
}

/// Hears of the first signal.
#[derive(Clone, Debug)]
pub struct Interrupt(Ear);

#[derive(Clone, Debug)]
enum Ear {
    /// Told by something else.
    Told(watch::Receiver<Option<Signal>>),
    #[cfg(unix)]
    Process(unix::Ear),
}

impl Interrupt {
    /// One that something else pulls, or that never comes when its sender is gone.
    pub fn new() -> (watch::Sender<Option<Signal>>, Interrupt) {
        let (sender, receiver) = watch::channel(None);
        (sender, Interrupt(Ear::Told(receiver)))
    }

    /// Waits for a signal.
    pub async fn signal(&mut self) -> Signal {
        match &mut self.0 {
            Ear::Told(told) => match told.wait_for(Option::is_some).await.map(|signal| *signal) {
                Ok(Some(signal)) => signal,
                Ok(None) | Err(_) => std::future::pending().await,
            },
            #[cfg(unix)]
            Ear::Process(ear) => ear.signal().await,
        }
    }
}

/// Hears of it when whoever reads a pipe has closed it, even while nothing is written.
#[derive(Debug, Default)]
pub struct Closing {
    #[cfg(unix)]
    pipe: Option<std::os::fd::OwnedFd>,
}

impl Closing {
    /// Of the end of a pipe that is written to. Files are never closed so, and a terminal ends its programs by a signal.
    #[cfg(unix)]
    pub fn of(pipe: std::os::fd::OwnedFd) -> Self {
        Closing { pipe: Some(pipe) }
    }

    /// Waits for it; for ever where it is not heard of.
    pub async fn happens(&self) {
        #[cfg(unix)]
        {
            use std::os::fd::AsFd;
            use tokio::io::{Interest, unix::AsyncFd};
            // What is no pipe can't be watched. Of this pipe's own modes nothing may be changed: others have it, too.
            #[allow(deprecated, reason = "what took its place is unsafe; a borrowed descriptor stays open meanwhile")]
            let watched = self.pipe.as_ref().map(|pipe| AsyncFd::with_interest(pipe.as_fd(), Interest::ERROR));
            if let Some(Ok(watched)) = watched
                && watched.ready(Interest::ERROR).await.is_ok()
            {
                return;
            }
        }
        std::future::pending().await
    }
}

#[cfg(unix)]
pub use unix::listen;

#[cfg(unix)]
mod unix {
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    use signal_hook::low_level::pipe;

    use super::{Interrupt, Signal};

    const SIGNALS: [Signal; 2] = [Signal::Interrupt, Signal::Terminate];

    /// Listens from now on. A second signal ends the run right in its handler, so even while the program hangs in a write, and
    /// without a thread to wait for it: a thread made one small GET an eighth slower (`make bench`).
    pub fn listen() -> Interrupt {
        // Where that fails, signals keep their usual effect.
        Ear::new().map_or_else(|_| Interrupt::new().1, |ear| Interrupt(super::Ear::Process(ear)))
    }

    /// What the handlers leave behind. The number is written before the socket: whoever finds it readable finds the number.
    #[derive(Debug)]
    pub(super) struct Ear {
        /// Which signal came, counted from 1 in [`SIGNALS`]; 0 for none.
        came: Arc<AtomicUsize>,
        /// Readable when one came; nobody reads from it, so that all copies see it.
        wake: Arc<UnixStream>,
        /// `wake` once a runtime watches it.
        watched: Option<tokio::net::UnixStream>,
    }

    impl Clone for Ear {
        fn clone(&self) -> Self {
            Ear { came: Arc::clone(&self.came), wake: Arc::clone(&self.wake), watched: None }
        }
    }

    impl Ear {
        fn new() -> std::io::Result<Self> {
            let (wake, waker) = UnixStream::pair()?;
            wake.set_nonblocking(true)?;
            let (came, again) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
            for (number, signal) in (1..).zip(SIGNALS) {
                let raw = match signal {
                    Signal::Interrupt => SIGINT,
                    Signal::Terminate => SIGTERM,
                };
                // A handler does these in this order; the last is for the next signal.
                flag::register_usize(raw, Arc::clone(&came), number)?;
                pipe::register(raw, waker.try_clone()?)?;
                flag::register_conditional_shutdown(raw, signal.exit_code().into(), Arc::clone(&again))?;
                flag::register(raw, Arc::clone(&again))?;
            }
            Ok(Ear { came, wake: Arc::new(wake), watched: None })
        }

        pub(super) async fn signal(&mut self) -> Signal {
            loop {
                if let Some(signal) = self.came.load(Ordering::SeqCst).checked_sub(1).and_then(|nth| SIGNALS.get(nth)) {
                    return *signal;
                }
                let Some(watched) = self.watched() else { return std::future::pending().await };
                if watched.readable().await.is_err() {
                    return std::future::pending().await;
                }
            }
        }

        /// Watching begins here and not with listening, which begins before there is a runtime.
        fn watched(&mut self) -> Option<&tokio::net::UnixStream> {
            if self.watched.is_none() {
                self.watched = self.wake.try_clone().and_then(tokio::net::UnixStream::from_std).ok();
            }
            self.watched.as_ref()
        }
    }
}

/// Listens from now on. A second Ctrl-C ends the run at once, from a thread of its own: the first may hang in a write.
#[cfg(not(unix))]
pub fn listen() -> Interrupt {
    let (sender, interrupt) = Interrupt::new();
    let heard = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            tokio::signal::ctrl_c().await?;
            let _ = sender.send(Some(Signal::Interrupt));
            tokio::signal::ctrl_c().await?;
            #[allow(clippy::disallowed_methods, reason = "the second ends the run at once")]
            std::process::exit(Signal::Interrupt.exit_code().into())
        })
    };
    // Without the thread (no memory for its stack) Ctrl-C keeps its usual effect.
    let _: std::io::Result<_> = std::thread::Builder::new()
        .name("signals".into())
        .stack_size(128 << 10)
        .spawn(move || -> std::io::Result<()> { heard() });
    interrupt
}
