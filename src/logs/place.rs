//! Room for so many lanes to read at the same time: one that has to wait for the others' lines leaves its place, and what
//! it reads from, to one that has not had its turn.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::http::{Body, Grip};

/// The places of all lanes.
#[derive(Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    /// Lanes that wait for a place, and a call to those that could leave theirs.
    waiting: AtomicUsize,
    wanted: Notify,
}

impl Places {
    /// So many.
    pub fn new(count: usize) -> Self {
        Places { free: Arc::new(Semaphore::new(count.max(1))), waiting: AtomicUsize::new(0), wanted: Notify::new() }
    }
}

/// The answers that a lane is reading.
#[derive(Clone, Debug, Default)]
pub struct Open(Arc<Mutex<Vec<Grip>>>);

impl Open {
    /// One more.
    pub fn add(&self, body: &Body) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(Grip::holds);
        open.push(body.grip());
    }

    fn let_go(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).for_each(|grip| grip.let_go());
    }
}

/// One lane's place. [`Place::default`] is one that is there without being taken, and never left.
#[derive(Debug, Default)]
pub struct Place {
    places: Option<Arc<Places>>,
    leaves: Leaves,
    open: Open,
    taken: Option<OwnedSemaphorePermit>,
}

/// Whether a lane that waits leaves its place to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leaves {
    /// It keeps it until its end.
    #[default]
    Never,
    /// If others want it; what is being read is asked for again later.
    WhenWanted,
}

impl Place {
    /// Not taken yet; `open` is what the lane reads.
    pub fn new(places: Arc<Places>, leaves: Leaves, open: Open) -> Self {
        Place { places: Some(places), leaves, open, taken: None }
    }

    /// Waits for it.
    pub async fn take(&mut self) {
        let Some(places) = &self.places else { return };
        if let Ok(taken) = Arc::clone(&places.free).try_acquire_owned() {
            self.taken = Some(taken);
            return;
        }
        let _waiting = Waiting::new(places);
        // The semaphore is never closed.
        self.taken = Arc::clone(&places.free).acquire_owned().await.ok();
    }

    /// Gives it back, and what is being read with it.
    pub fn leave(&mut self) {
        if self.taken.take().is_some() {
            self.open.let_go();
        }
    }

    /// Waits until another lane wants it; for ever, where it is never left.
    pub async fn wanted(&self) {
        match (&self.places, self.leaves, &self.taken) {
            (Some(places), Leaves::WhenWanted, Some(_)) => {
                let called = places.wanted.notified();
                if places.waiting.load(Ordering::SeqCst) == 0 {
                    called.await;
                }
            }
            _ => std::future::pending().await,
        }
    }
}

/// Counts a lane among those that wait, while it does.
struct Waiting<'a>(&'a Places);

impl<'a> Waiting<'a> {
    fn new(places: &'a Places) -> Self {
        places.waiting.fetch_add(1, Ordering::SeqCst);
        places.wanted.notify_one();
        Waiting(places)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a lane that is never called by itself gets to run.
    async fn others_run() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_place_is_left_to_whoever_wants_it() {
        let places = Arc::new(Places::new(1));
        let place = |leaves| Place::new(Arc::clone(&places), leaves, Open::default());
        let mut first = place(Leaves::WhenWanted);
        first.take().await;
        let mut second = place(Leaves::Never);
        let waits = tokio::spawn(async move {
            second.take().await;
            second
        });
        others_run().await;
        first.wanted().await;
        first.leave();
        let mut second = waits.await.unwrap();
        assert_eq!(places.free.available_permits(), 0);
        // One that keeps it until its end is not called.
        let waits = tokio::spawn(async move {
            first.take().await;
            first
        });
        others_run().await;
        assert!(!waits.is_finished() && places.waiting.load(Ordering::SeqCst) == 1);
        tokio::select! {
            biased;
            () = second.wanted() => panic!("it was called"),
            () = others_run() => {}
        }
        second.leave();
        waits.await.unwrap();
        assert_eq!((places.free.available_permits(), places.waiting.load(Ordering::SeqCst)), (1, 0));
    }
}
