//! Where models are made ready: graphs built, eliminations forecast, plans analysed. On threads of their own, so that whoever
//! asks a model that is ready waits for nobody's new one.
//!
//! How much memory a model takes is known only once it was built. So each is tried within little, several at a time; what
//! needs more is tried again with all that settings allow, one at a time. So all of them together take no more than one
//! large model, and a little for each thread. One client has one at a time. What the work is, is known elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::workers::{BrokeOff, Wanted, Workers};

/// Memory within which work is tried first.
const LITTLE_BYTES: u64 = 64 << 20;

/// Clients whose turns are remembered before those are forgotten who ask for nothing.
const REMEMBERED: usize = 1000;

/// The threads, and the turns of those who use them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Preparing {
    workers: Workers,
    large: Arc<tokio::sync::Mutex<()>>,
    turns: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
}

/// The turn of a client; over when it is dropped.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "it is held, and not looked at")] OwnedMutexGuard<()>);

/// How much memory work may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Little, whatever settings allow.
    Little,
    /// As much as settings allow.
    All,
}

/// What came of work.
#[derive(Debug)]
pub enum Tried<T> {
    /// More memory would change nothing.
    Done(T),
    /// It has failed for lack of memory, in this way.
    Cramped(T),
}

impl Room {
    /// What may be taken where settings allow so many bytes.
    pub fn of(self, bytes: u64) -> u64 {
        match self {
            Self::Little => bytes.min(LITTLE_BYTES),
            Self::All => bytes,
        }
    }

    /// What came of work for which settings allow so many bytes; `lacks_memory` says whether it has failed for lack of them.
    pub fn tried<T>(self, bytes: u64, found: T, lacks_memory: bool) -> Tried<T> {
        if lacks_memory && self.of(bytes) < bytes { Tried::Cramped(found) } else { Tried::Done(found) }
    }
}

impl Preparing {
    /// On these threads, one of which large work may keep for itself.
    pub fn new(workers: Workers) -> Self {
        Self { workers, large: Arc::default(), turns: Arc::default() }
    }

    /// The turn of who asks: one has no two models made ready at the same time.
    ///
    /// To be taken before anything that others wait for: they would wait for whatever else is made ready for the same.
    pub async fn turn(&self, payer: &str) -> Turn {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            if turns.len() >= REMEMBERED {
                turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            }
            Arc::clone(turns.entry(payer.to_owned()).or_default())
        };
        Turn(turn.lock_owned().await)
    }

    /// Runs work, first within little memory, and waits for its result. Work whose result nobody waits for any more is told
    /// so; the turn is over when it has ended.
    ///
    /// # Errors
    /// [`BrokeOff`] when the work panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl Fn(&Wanted, Room) -> Tried<T> + Clone + Send + 'static,
    ) -> Result<T, BrokeOff> {
        let (turn, again) = (Arc::new(turn), work.clone());
        let kept = Arc::clone(&turn);
        let little = self.workers.run_while_wanted(move |wanted| {
            let found = work(wanted, Room::Little);
            drop(kept);
            found
        });
        match little.await? {
            Tried::Done(found) => return Ok(found),
            Tried::Cramped(_) => {}
        }
        let kept = (turn, Arc::clone(&self.large).lock_owned().await);
        let large = self.workers.run_while_wanted(move |wanted| {
            let found = again(wanted, Room::All);
            drop(kept);
            found
        });
        match large.await? {
            Tried::Done(found) | Tried::Cramped(found) => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Condvar, Mutex};

    use super::{LITTLE_BYTES, Preparing, Room, Tried};
    use crate::workers::{BrokeOff, Wanted, Workers};

    /// A gate that holds work until it is opened, and counts who stands at it.
    #[derive(Clone, Default)]
    struct Gate(Arc<(Mutex<bool>, Condvar, AtomicUsize)>);

    impl Gate {
        fn pass(&self) {
            self.0.2.fetch_add(1, Ordering::SeqCst);
            let mut is_open = self.0.0.lock().unwrap();
            while !*is_open {
                is_open = self.0.1.wait(is_open).unwrap();
            }
        }

        fn open(&self) {
            *self.0.0.lock().unwrap() = true;
            self.0.1.notify_all();
        }

        async fn until(&self, count: usize) {
            while self.0.2.load(Ordering::SeqCst) < count {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
    }

    fn preparing(threads: usize) -> Preparing {
        Preparing::new(Workers::new("test", threads).unwrap())
    }

    async fn run<T: Send + 'static>(
        preparing: &Preparing,
        payer: &str,
        work: impl Fn(&Wanted, Room) -> Tried<T> + Clone + Send + 'static,
    ) -> Result<T, BrokeOff> {
        preparing.run(preparing.turn(payer).await, work).await
    }

    #[tokio::test]
    async fn what_needs_much_memory_is_tried_again_with_all_of_it() {
        let preparing = preparing(1);
        let most = 3 * LITTLE_BYTES;
        let need = |bytes: u64| {
            run(&preparing, "one", move |_: &Wanted, room: Room| {
                let there = room.of(most);
                room.tried(most, (there, there >= bytes), there < bytes)
            })
        };
        assert_eq!(need(LITTLE_BYTES).await, Ok((LITTLE_BYTES, true)));
        assert_eq!(need(LITTLE_BYTES + 1).await, Ok((most, true)));
        assert_eq!(need(most + 1).await, Ok((most, false)), "and fails as it does with that");
    }

    #[tokio::test]
    async fn where_settings_allow_little_nothing_is_tried_twice() {
        let times = Arc::new(AtomicUsize::new(0));
        let work = {
            let times = Arc::clone(&times);
            move |_: &Wanted, room: Room| {
                times.fetch_add(1, Ordering::SeqCst);
                room.tried(LITTLE_BYTES, (), true)
            }
        };
        run(&preparing(1), "one", work).await.unwrap();
        assert_eq!(times.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn large_work_goes_one_by_one_and_keeps_no_small_work_waiting() {
        let (preparing, gate) = (preparing(2), Gate::default());
        let large = ["one", "two"].map(|payer| {
            let (preparing, gate) = (preparing.clone(), gate.clone());
            tokio::spawn(async move {
                let work = move |_: &Wanted, room: Room| match room {
                    Room::Little => Tried::Cramped(()),
                    Room::All => {
                        gate.pass();
                        Tried::Done(())
                    }
                };
                run(&preparing, payer, work).await
            })
        });
        gate.until(1).await;
        for _ in 0..10 {
            assert_eq!(run(&preparing, "three", |_: &Wanted, _| Tried::Done(3)).await, Ok(3));
        }
        assert_eq!(gate.0.2.load(Ordering::SeqCst), 1, "the second large one waits for the first");
        gate.open();
        for one in large {
            one.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn one_client_has_one_thread_and_the_others_are_for_others() {
        let (preparing, gate) = (preparing(2), Gate::default());
        let greedy: Vec<_> = (0..3)
            .map(|_| {
                let (preparing, gate) = (preparing.clone(), gate.clone());
                tokio::spawn(async move {
                    let work = move |_: &Wanted, _| {
                        gate.pass();
                        Tried::Done(())
                    };
                    run(&preparing, "greedy", work).await
                })
            })
            .collect();
        gate.until(1).await;
        assert_eq!(run(&preparing, "other", |_: &Wanted, _| Tried::Done(1)).await, Ok(1));
        assert_eq!(gate.0.2.load(Ordering::SeqCst), 1);
        gate.open();
        for one in greedy {
            one.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_turn_lasts_as_long_as_its_work_though_nobody_waits_for_it() {
        let (preparing, gate) = (preparing(2), Gate::default());
        let at_it = gate.clone();
        let dropped = run(&preparing, "one", move |_: &Wanted, _| {
            at_it.pass();
            Tried::Done(())
        });
        tokio::select! {
            _ = dropped => panic!("the gate is closed"),
            () = gate.until(1) => {}
        }
        let next = preparing.turn("one");
        tokio::pin!(next);
        tokio::select! {
            biased;
            _ = &mut next => panic!("the work has not ended"),
            () = tokio::task::yield_now() => {}
        }
        gate.open();
        drop(next.await);
    }
}
