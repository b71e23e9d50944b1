//! The allocator of builds with musl. musl's own gives every freed frame of a stream back to the kernel, only to fault it in
//! again for the next: with that, a stream costs twice the processor time (`make bench`). It maps and unmaps a page for many a
//! small block, too, which is a third of a short run's system calls.
//!
//! This one cuts small blocks from chunks and keeps them all, as well as a few larger ones of each size, for the next ones of
//! their size; all else is musl's. The first chunk is enough for a short run, whatever its sizes: a page that musl gives out is
//! touched three times before it is used.
#![allow(unsafe_code, reason = "an allocator can't be written without; nothing else here may")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: Keeping = Keeping::new();

/// The first classes' sizes are multiples of this; nothing that is given out is aligned to less.
const STEP: usize = 16;
/// Up to here each step is a class; above, a size and its double have two more between them.
const STEPS: usize = 128;
/// The largest that is cut from every chunk, and never given back to the system.
const SMALL: usize = 2 << 10;
const CHUNK: usize = 64 << 10;
/// The first one, of which blocks of every class are cut.
const FIRST: usize = 512 << 10;
/// The largest that is kept: what TLS records and HTTP bodies are held in.
const LARGE: usize = 128 << 10;
/// Larger blocks kept of each size: so many, or as many bytes of them. Where lines of a hundred nodes are merged, frames of each
/// wait, and with a dozen kept that takes a tenth longer.
const KEPT: usize = 64;
const KEPT_BYTES: usize = 2 << 20;

const CLASSES: usize = class_of_size(LARGE) + 1;

/// The system's allocator, but for the blocks it keeps.
pub struct Keeping {
    /// Touched only by whoever turned `busy` from false to true, until it is turned back.
    store: UnsafeCell<Store>,
    busy: AtomicBool,
}

struct Store {
    free: [Free; CLASSES],
    /// The first chunk.
    first: *mut u8,
    /// What is left of the last one.
    chunk: *mut u8,
    left: usize,
}

/// Free blocks of one class, each of [`size_of_class`] bytes; the first word of each is the address of the next.
#[derive(Clone, Copy)]
struct Free {
    first: *mut u8,
    count: usize,
}

// SAFETY: `busy` admits one thread at a time to the store, and blocks belong to no thread.
unsafe impl Sync for Keeping {}

impl Keeping {
    /// With nothing kept yet.
    pub const fn new() -> Self {
        let free = [Free { first: ptr::null_mut(), count: 0 }; CLASSES];
        let store = Store { free, first: ptr::null_mut(), chunk: ptr::null_mut(), left: 0 };
        Keeping { store: UnsafeCell::new(store), busy: AtomicBool::new(false) }
    }

    /// A handful of instructions each, so that whoever comes meanwhile had better wait.
    fn with_store<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        while self.busy.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
        // SAFETY: `busy` was false, so this is the only reference until it is false again; `work` does not come back here.
        let done = work(unsafe { &mut *self.store.get() });
        self.busy.store(false, Ordering::Release);
        done
    }

    /// Null: there is none, the system is to be asked.
    fn take(&self, class: usize) -> *mut u8 {
        self.with_store(|store| {
            let Some(free) = store.free.get_mut(class) else { return ptr::null_mut() };
            if free.first.is_null() {
                return store.cut(size_of_class(class));
            }
            let block = free.first;
            // SAFETY: a free block's first word is as `keep` left it.
            free.first = unsafe { block.cast::<*mut u8>().read() };
            free.count -= 1;
            block
        })
    }

    /// False: enough of that size are there.
    fn keep(&self, class: usize, block: *mut u8) -> bool {
        self.with_store(|store| {
            let Some(free) = store.free.get_mut(class) else { return false };
            let is_cut = block.addr().wrapping_sub(store.first.addr()) < FIRST;
            let keeps = is_cut || free.count < most(class);
            if keeps {
                // SAFETY: the block is free, at least a word long, and aligned for one.
                unsafe { block.cast::<*mut u8>().write(free.first) };
                *free = Free { first: block, count: free.count + 1 };
            }
            keeps
        })
    }
}

impl Default for Keeping {
    fn default() -> Self {
        Keeping::new()
    }
}

impl Store {
    /// The next bytes of the chunk; null where the system is to be asked, or has none. What is left of a chunk that is too short
    /// is lost.
    fn cut(&mut self, size: usize) -> *mut u8 {
        let is_first = self.chunk == self.first;
        if size > SMALL && !(is_first && (self.first.is_null() || self.left >= size)) {
            return ptr::null_mut();
        }
        if self.left < size {
            let length = if self.first.is_null() { FIRST } else { CHUNK };
            // SAFETY: the size is not zero.
            let chunk = unsafe { System.alloc(layout_of(length)) };
            if chunk.is_null() {
                return chunk;
            }
            if self.first.is_null() {
                self.first = chunk;
            }
            (self.chunk, self.left) = (chunk, length);
        }
        self.left -= size;
        // SAFETY: within the chunk, which had `size` bytes more than are left now.
        unsafe { self.chunk.add(self.left) }
    }
}

/// How many free blocks of a class are kept.
fn most(class: usize) -> usize {
    let size = size_of_class(class);
    if size <= SMALL { usize::MAX } else { (KEPT_BYTES / size).min(KEPT) }
}

/// Of which class a block for this layout is; `None` for those that are the system's alone. Depends on nothing but the
/// layout, so that whoever frees a block comes to the class it was allocated in.
fn class_of(layout: Layout) -> Option<usize> {
    (layout.size() <= LARGE && layout.align() <= STEP).then(|| class_of_size(layout.size()))
}

/// Of which class blocks of at most [`LARGE`] bytes are.
const fn class_of_size(size: usize) -> usize {
    let last = size.saturating_sub(1);
    if last < STEPS {
        return last / STEP;
    }
    // The highest bit says between which doubles, the next one in which half.
    let doubles = last.ilog2();
    let half = (last >> (doubles - 1)) & 1;
    STEPS / STEP + 2 * (doubles - STEPS.ilog2()) as usize + half
}

/// The bytes of each block of a class.
const fn size_of_class(class: usize) -> usize {
    if class < STEPS / STEP {
        return (class + 1) * STEP;
    }
    let above = class - STEPS / STEP;
    ((3 + above % 2) * STEPS / 2) << (above / 2)
}

fn layout_of(size: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and sizes here are far from an overflow.
    unsafe { Layout::from_size_align_unchecked(size, STEP) }
}

// SAFETY: a block comes from the system with the layout it goes back with: that of the caller where `class_of` gives none,
// else that of the class, if it goes back at all. A kept block is in one list once, and is out of it when it is given out;
// pieces of a chunk are given out once, and are kept for ever then.
unsafe impl GlobalAlloc for Keeping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        };
        let block = self.take(class);
        // SAFETY: sizes of classes are not zero.
        if block.is_null() { unsafe { System.alloc(layout_of(size_of_class(class))) } } else { block }
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
                if !self.keep(class, block) {
                    // SAFETY: the same, by way of the class, which is not one of those cut from chunks: all of those are kept.
                    unsafe { System.dealloc(block, layout_of(size_of_class(class))) }
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
        for size in (1..2_000).chain((2_000..300_000).step_by(7)).chain([LARGE, LARGE + 1]) {
            match class_of(layout(size)) {
                None => assert!(size > LARGE, "{size}"),
                Some(class) => {
                    let block = size_of_class(class);
                    assert!(class < CLASSES && size <= block && block.is_multiple_of(STEP), "{size}: {block}");
                    assert!(class == 0 || size > size_of_class(class - 1), "{size} would fit {}", class - 1);
                }
            }
        }
        assert_eq!(class_of(Layout::from_size_align(16_384, 64).unwrap()), None);
    }

    #[test]
    fn a_freed_block_is_the_next_of_its_class_and_only_a_few_large_ones_are_kept() {
        let keeping = Keeping::new();
        let count = |size| keeping.with_store(|store| store.free[class_of_size(size)].count);
        let all = |size, many| (0..many).map(|_| unsafe { keeping.alloc(layout(size)) }).collect::<Vec<_>>();
        // SAFETY: each block is freed once, with its layout.
        let free = |size, blocks: Vec<*mut u8>| {
            blocks.into_iter().for_each(|block| unsafe { keeping.dealloc(block, layout(size)) });
        };
        let first = all(16_000, 1);
        free(16_000, first.clone());
        assert_eq!(all(13_000, 1), first);
        // What the first chunk holds is kept whatever there is of it, and what is asked of the system beyond it is not.
        let mut many = all(16_384, 4 * KEPT);
        many.reverse();
        assert!(!many.contains(&first[0]));
        free(16_384, many);
        let cut = FIRST / 16_384 - 1;
        assert_eq!((count(16_384), count(12_288), count(24_576)), (KEPT + cut, 0, 0));
        let many = all(300, 100_000);
        free(300, many);
        assert_eq!(count(300), 100_000);
    }

    #[test]
    fn blocks_of_a_chunk_do_not_overlap() {
        let keeping = Keeping::new();
        // Enough of all sizes for the first chunk and several others.
        let sizes = (0..20_000).map(|n| if n % 50 == 0 { 9_000 } else { n * 7_919 % 2_500 + 1 });
        // SAFETY: each block is freed once, with its layout.
        let mut blocks: Vec<_> = sizes.map(|size| (unsafe { keeping.alloc(layout(size)) }, size)).collect();
        blocks.sort_unstable();
        for pair in blocks.windows(2) {
            let (block, size) = pair[0];
            assert!(block.addr().is_multiple_of(STEP) && block.addr() + size <= pair[1].0.addr(), "{pair:?}");
        }
        // More than are kept: what the system is given back has to be its own.
        blocks.into_iter().for_each(|(block, size)| unsafe { keeping.dealloc(block, layout(size)) });
    }

    #[test]
    fn what_a_block_holds_moves_with_it_and_a_used_one_is_zeroed_where_zeros_are_wanted() {
        let keeping = Keeping::new();
        // From each size to each other: within a class, across classes, into and out of them.
        let sizes = [
            1, 15, 16, 17, 100, 127, 128, 129, 192, 193, 300, 1_023, 1_024, 1_025, 8_192, 8_193, 16_384, 60_000,
            65_545, 131_072, 131_073, 500_000,
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
                        let layout = layout(16 << (round % 14));
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
