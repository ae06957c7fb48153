//! Threads that share the rows of one array.

use std::hint;
use std::iter;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::BatchError;

/// The thread that shares looks out so long for the others to end before it goes to sleep: to be woken takes as long.
const LOOK_OUT: Duration = Duration::from_micros(50);

/// Fills an array on this thread and on others of the current rayon pool, so many in all. Each runs `fill` at most once,
/// with the blocks that it is to fill, which come in order and with their places among all; it stops at its first error.
///
/// A queue rather than rayon's own splitting, which would begin anew with every part. This thread begins at once: to wake
/// another takes longer than many blocks. Blocks are taken by the half of a fair share of what is left, so that the queue is
/// asked `O(threads · log(blocks))` times, and that all end within a block of each other: so this thread waits for the last
/// awake, for a moment.
///
/// # Errors
/// The error with the lowest index, whatever the number of threads.
pub(super) fn share<'n>(
    numbers: &'n mut [f64],
    block: usize,
    threads: usize,
    fill: impl Fn(&mut dyn Iterator<Item = (usize, &'n mut [f64])>) -> Result<(), BatchError> + Sync,
) -> Result<(), BatchError> {
    let threads = threads.min(numbers.len().div_ceil(block));
    let queue = Mutex::new(Queue { rest: numbers, first: 0, block, threads });
    let failed = Mutex::new(None::<BatchError>);
    let work = || {
        let next = || lock(&queue).next();
        // Who comes late finds nothing left, and has nothing to prepare.
        let Some(part) = next() else { return };
        let Err(error) = fill(&mut iter::once(part).chain(iter::from_fn(next)).flatten()) else { return };
        let mut failed = lock(&failed);
        let earlier = failed.take().filter(|earlier| earlier.index < error.index);
        *failed = Some(earlier.unwrap_or(error));
    };
    if threads > 1 {
        let others = AtomicUsize::new(threads - 1);
        rayon::in_place_scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|_| {
                    work();
                    others.fetch_sub(1, Ordering::Relaxed);
                });
            }
            work();
            look_out(&others);
        });
    } else {
        work();
    }
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Waits until there are no others, but not for long.
fn look_out(others: &AtomicUsize) {
    let since = Instant::now();
    while others.load(Ordering::Relaxed) > 0 && since.elapsed() < LOOK_OUT {
        hint::spin_loop();
    }
}

/// What nobody has taken yet.
struct Queue<'n> {
    rest: &'n mut [f64],
    /// The place of its first block.
    first: usize,
    /// Numbers in a block; the last may have fewer.
    block: usize,
    threads: usize,
}

impl<'n> Queue<'n> {
    /// The next blocks for one thread.
    fn next(&mut self) -> Option<impl Iterator<Item = (usize, &'n mut [f64])> + use<'n>> {
        if self.rest.is_empty() {
            return None;
        }
        let (first, block) = (self.first, self.block);
        let blocks = (self.rest.len().div_ceil(block) / (2 * self.threads)).max(1);
        let numbers = (blocks * block).min(self.rest.len());
        let (part, rest) = mem::take(&mut self.rest).split_at_mut(numbers);
        self.rest = rest;
        self.first += blocks;
        Some((first..).zip(part.chunks_mut(block)))
    }
}

/// Also after a panic, which goes on when all threads have stopped.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::EvaluationError;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    #[test]
    fn every_block_is_filled_once_whatever_the_number_of_threads() {
        for (length, block) in [(0, 3), (1, 3), (3, 3), (10, 3), (1000, 16), (1001, 1)] {
            for threads in [1, 2, 3, 64] {
                let mut numbers = vec![0.0; length];
                let fills = AtomicUsize::new(0);
                let done = pool(4).install(|| {
                    share(&mut numbers, block, threads, |blocks| {
                        fills.fetch_add(1, Ordering::Relaxed);
                        for (place, block) in blocks {
                            for number in block {
                                *number += place as f64 + 1.0;
                            }
                        }
                        Ok(())
                    })
                });
                assert_eq!(done, Ok(()));
                let expected: Vec<f64> = (0..length).map(|at| (at / block + 1) as f64).collect();
                assert_eq!(numbers, expected, "{length} numbers by {block} on {threads} threads");
                assert!(fills.into_inner() <= threads.min(length.div_ceil(block)));
            }
        }
    }

    #[test]
    fn the_first_error_of_all_is_told() {
        for threads in [1, 2, 5] {
            let mut numbers = vec![0.0; 1000];
            let found = pool(4).install(|| {
                share(&mut numbers, 4, threads, |blocks| {
                    let wrong = blocks.map(|(place, _)| place).find(|place| place % 50 == 37);
                    let error =
                        |index| BatchError { index, source: EvaluationError::OtherGraph { vertex: None } };
                    wrong.map(error).map_or(Ok(()), Err)
                })
            });
            assert_eq!(found.unwrap_err().index, 37);
        }
    }
}
