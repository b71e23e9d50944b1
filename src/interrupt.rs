//! Ctrl-C and SIGTERM: the first ends the run in order, the second at once.

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
pub struct Interrupt(watch::Receiver<Option<Signal>>);

impl Interrupt {
    /// One that something else pulls, or that never comes when its sender is gone.
    pub fn new() -> (watch::Sender<Option<Signal>>, Interrupt) {
        let (sender, receiver) = watch::channel(None);
        (sender, Interrupt(receiver))
    }

    /// Waits for a signal.
    pub async fn signal(&mut self) -> Signal {
        match self.0.wait_for(Option::is_some).await.map(|signal| *signal) {
            Ok(Some(signal)) => signal,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

/// Listens for signals on a thread of its own, so that a second one ends the run even while the first thread hangs in a
/// write; `end` is called for the second and does not come back.
pub fn listen(end: impl Fn(Signal) + Send + 'static) -> Interrupt {
    let (sender, interrupt) = Interrupt::new();
    // Dropped once the handlers are in place: a signal before that would end the process the rough way.
    let (ready, listening) = std::sync::mpsc::channel::<()>();
    let heard = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            let mut signals = Signals::new()?;
            drop(ready);
            let first = signals.next().await;
            let _ = sender.send(Some(first));
            loop {
                end(signals.next().await);
            }
        })
    };
    // Without the thread (no memory for its stack) signals keep their usual effect.
    let _: std::io::Result<_> = std::thread::Builder::new()
        .name("signals".into())
        .stack_size(128 << 10)
        .spawn(move || -> std::io::Result<()> { heard() });
    let _ = listening.recv();
    interrupt
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Signal::Interrupt,
            Some(()) = self.terminate.recv() => Signal::Terminate,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals)
    }

    async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}
