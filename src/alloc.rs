//! The allocator of builds with musl, whose own gives every freed frame of a stream back to the kernel, only to fault it in
//! again for the next: with that, a stream costs twice the processor time (`make bench`).
//!
//! This one keeps a few larger blocks for the next ones of their size; all else is musl's. A short run, too, saves almost half
//! of its system calls by it: musl maps and unmaps a page for many a block, and again for the next one.
#![allow(unsafe_code, reason = "an allocator can't be written without; nothing else here may")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: Keeping = Keeping::new();

/// Sizes of kept blocks are this and its doubles. Smaller ones musl handles well.
const SMALLEST: usize = 128;
/// 128 bytes to 128 KiB: what keys, messages, TLS records and HTTP bodies are held in.
const CLASSES: usize = 11;
/// Blocks kept of each size: so many, or as many bytes of them. Where lines of a hundred nodes are merged, frames of each wait,
/// and with a dozen kept that takes a tenth longer.
const KEPT: usize = 64;
const KEPT_BYTES: usize = 4 << 20;
/// What the system's allocator gives without being asked on every target.
const ALIGNMENT: usize = 2 * size_of::<usize>();

/// The system's allocator, but for the large blocks it keeps.
pub struct Keeping {
    /// Touched only by whoever turned `busy` from false to true, until it is turned back.
    shelves: UnsafeCell<[Shelf; CLASSES]>,
    busy: AtomicBool,
}

/// Free blocks of one size class, each allocated with [`layout_of`] that class and owned by the shelf.
#[derive(Clone, Copy)]
struct Shelf {
    blocks: [*mut u8; KEPT],
    /// How many of `blocks` are there, the first ones.
    count: usize,
}

// SAFETY: `busy` admits one thread at a time to the shelves, and blocks belong to no thread.
unsafe impl Sync for Keeping {}

impl Keeping {
    /// With nothing kept yet.
    pub const fn new() -> Self {
        let empty = Shelf { blocks: [ptr::null_mut(); KEPT], count: 0 };
        Keeping { shelves: UnsafeCell::new([empty; CLASSES]), busy: AtomicBool::new(false) }
    }

    /// Nobody waits for anybody: `None` where another thread is at the shelves.
    fn with_shelf<T>(&self, class: usize, work: impl FnOnce(&mut Shelf) -> Option<T>) -> Option<T> {
        if self.busy.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: `busy` was false, so this is the only reference until it is false again; `work` does not come back here.
        let done = unsafe { &mut *self.shelves.get() }.get_mut(class).and_then(work);
        self.busy.store(false, Ordering::Release);
        done
    }

    fn take(&self, class: usize) -> Option<*mut u8> {
        self.with_shelf(class, |shelf| {
            shelf.count = shelf.count.checked_sub(1)?;
            shelf.blocks.get(shelf.count).copied()
        })
    }

    /// `None`: there is no room for it.
    fn keep(&self, class: usize, block: *mut u8) -> Option<()> {
        self.with_shelf(class, |shelf| {
            *shelf.blocks.get_mut(..most(class))?.get_mut(shelf.count)? = block;
            shelf.count += 1;
            Some(())
        })
    }
}

impl Default for Keeping {
    fn default() -> Self {
        Keeping::new()
    }
}

/// How many blocks of a class are kept.
fn most(class: usize) -> usize {
    (KEPT_BYTES / (SMALLEST << class)).min(KEPT)
}

/// Of which class a block for this layout is; `None` for those that are the system's alone. Depends on nothing but the
/// layout, so that whoever frees a block comes to the class it was allocated in.
fn class_of(layout: Layout) -> Option<usize> {
    let size = layout.size();
    let large = (SMALLEST..=SMALLEST << (CLASSES - 1)).contains(&size) && layout.align() <= ALIGNMENT;
    large.then_some((size.next_power_of_two() / SMALLEST).trailing_zeros() as usize)
}

/// What blocks of a class are really allocated with; holds every layout that [`class_of`] puts there.
fn layout_of(class: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and the size at most SMALLEST << (CLASSES - 1).
    unsafe { Layout::from_size_align_unchecked(SMALLEST << class, ALIGNMENT) }
}

// SAFETY: a block comes from the system with the layout it goes back with: that of the caller where `class_of` gives none,
// else that of the class. A kept block is on one shelf once, and is off it when it is given out.
unsafe impl GlobalAlloc for Keeping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_of(layout) {
            // SAFETY: the caller's promise, and sizes of classes are not zero.
            None => unsafe { System.alloc(layout) },
            Some(class) => self.take(class).unwrap_or_else(|| unsafe { System.alloc(layout_of(class)) }),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if class_of(layout).is_none() {
            // SAFETY: the caller's promise. The system knows which of its pages are zero anyway.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: the caller's promise; a block that is there has layout.size() bytes.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class_of(layout) {
            // SAFETY: the caller's promise that this is the layout it was allocated with.
            None => unsafe { System.dealloc(block, layout) },
            Some(class) => {
                if self.keep(class, block).is_none() {
                    // SAFETY: the same, by way of the class.
                    unsafe { System.dealloc(block, layout_of(class)) }
                }
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise that the new size, rounded up to the alignment, is no overflow.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        match (class_of(layout), class_of(new)) {
            // SAFETY: the caller's promise.
            (None, None) => unsafe { System.realloc(block, layout, new_size) },
            (old, new) if old == new => block,
            // SAFETY: the caller's promise; old and new block are two, and both hold the smaller size.
            _ => unsafe {
                let moved = self.alloc(new);
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size));
                    self.dealloc(block, layout);
                }
                moved
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn every_layout_fits_the_class_it_belongs_to() {
        for size in (0..300_000).step_by(7).chain([SMALLEST - 1, SMALLEST, SMALLEST + 1, 131_072, 131_073]) {
            match class_of(layout(size)) {
                None => assert!(!(128..=131_072).contains(&size), "{size}"),
                Some(class) => {
                    let block = layout_of(class);
                    assert!(class < CLASSES && size <= block.size() && block.size() < 2 * size, "{size}: {block:?}");
                }
            }
        }
        assert_eq!(class_of(Layout::from_size_align(16_384, 64).unwrap()), None);
    }

    #[test]
    fn a_freed_block_is_the_next_of_its_class_and_only_a_few_are_kept() {
        let keeping = Keeping::new();
        let count = |size| keeping.with_shelf(class_of(layout(size)).unwrap(), |shelf| Some(shelf.count)).unwrap();
        // SAFETY: each block is freed once, with its layout.
        unsafe {
            let first = keeping.alloc(layout(16_000));
            keeping.dealloc(first, layout(16_000));
            assert_eq!(keeping.alloc(layout(9_000)), first);
            let blocks: Vec<_> = (0..2 * KEPT).map(|_| keeping.alloc(layout(16_384))).collect();
            assert!(!blocks.contains(&first));
            blocks.into_iter().for_each(|block| keeping.dealloc(block, layout(16_384)));
            assert_eq!((count(16_384), count(8_192)), (KEPT, 0));
            keeping.dealloc(first, layout(9_000));
            assert_eq!(count(16_384), KEPT);
        }
    }

    #[test]
    fn what_a_block_holds_moves_with_it_and_a_used_one_is_zeroed_where_zeros_are_wanted() {
        let keeping = Keeping::new();
        // From each size to each other: within a class, across classes, into and out of them.
        let sizes = [
            1, 100, 127, 128, 129, 300, 1_023, 1_024, 1_025, 8_192, 8_193, 16_384, 60_000, 65_545, 131_072, 131_073,
            500_000,
        ];
        for from in sizes {
            for to in sizes {
                // SAFETY: each block is written and read within its size, and freed with its last layout.
                unsafe {
                    let block = keeping.alloc(layout(from));
                    (0..from).for_each(|n| block.add(n).write(n as u8 | 1));
                    let block = keeping.realloc(block, layout(from), to);
                    assert!((0..from.min(to)).all(|n| block.add(n).read() == n as u8 | 1), "{from} to {to}");
                    keeping.dealloc(block, layout(to));
                    let block = keeping.alloc_zeroed(layout(from));
                    assert!((0..from).all(|n| block.add(n).read() == 0), "{from}");
                    keeping.dealloc(block, layout(from));
                }
            }
        }
    }

    #[test]
    fn no_block_is_given_to_two_threads() {
        let keeping = Keeping::new();
        std::thread::scope(|scope| {
            for mark in 0..4u8 {
                let keeping = &keeping;
                scope.spawn(move || {
                    for round in 0..2_000 {
                        let layout = layout(1_024 << (round % CLASSES));
                        // SAFETY: each block is written and read within its size, and freed once with its layout.
                        unsafe {
                            let blocks = [keeping.alloc(layout), keeping.alloc(layout)];
                            blocks.iter().for_each(|block| block.write_bytes(mark, layout.size()));
                            std::thread::yield_now();
                            let own =
                                |block: &*mut u8| (0..layout.size()).step_by(512).all(|n| block.add(n).read() == mark);
                            assert!(blocks.iter().all(own));
                            blocks.into_iter().for_each(|block| keeping.dealloc(block, layout));
                        }
                    }
                });
            }
        });
    }
}
