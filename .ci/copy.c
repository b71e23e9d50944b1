// memcpy and memmove for musl on x86-64, whose own are three instructions that take longer to begin than most copies here are
// long: `-o jsonl` spends a third of its time in them. Up to 16 bytes in two overlapping words, then 16 bytes at a time.
#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef __m128i block;
#define LOAD(from) _mm_loadu_si128((const block *)(from))
#define STORE(to, what) _mm_storeu_si128((block *)(to), what)
#define ENDS(type) do { \
    type first, last; \
    __builtin_memcpy(&first, from, sizeof first), __builtin_memcpy(&last, from + n - sizeof last, sizeof last); \
    __builtin_memcpy(to, &first, sizeof first), __builtin_memcpy(to + n - sizeof last, &last, sizeof last); \
} while (0)

// Both ends are read before anything is written, so these bear an overlap.
static inline void *up_to_16(unsigned char *to, const unsigned char *from, size_t n) {
    if (n >= 8) ENDS(uint64_t);
    else if (n >= 4) ENDS(uint32_t);
    else if (n >= 2) ENDS(uint16_t);
    else if (n) *to = *from;
    return to;
}

__attribute__((optimize("no-tree-loop-distribute-patterns")))
void *memcpy(void *restrict destination, const void *restrict source, size_t n) {
    unsigned char *to = destination;
    const unsigned char *from = source;
    if (n < 16) return up_to_16(to, from, n);
    block last = LOAD(from + n - 16);
    if (n > 1024) {
        // Long ones the processor copies best by itself.
        unsigned char *at = to;
        __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
        return to;
    }
    for (size_t at = 0; at + 16 < n; at += 16) STORE(to + at, LOAD(from + at));
    STORE(to + n - 16, last);
    return to;
}

__attribute__((optimize("no-tree-loop-distribute-patterns")))
void *memmove(void *destination, const void *source, size_t n) {
    unsigned char *to = destination;
    const unsigned char *from = source;
    if ((uintptr_t)to - (uintptr_t)from >= n) {
        // What is read lies at or behind what is written: forwards nothing is lost.
        if (n < 16) return up_to_16(to, from, n);
        block last = LOAD(from + n - 16);
        for (size_t at = 0; at + 16 < n; at += 16) STORE(to + at, LOAD(from + at));
        STORE(to + n - 16, last);
        return to;
    }
    if (n < 16) return up_to_16(to, from, n);
    block first = LOAD(from);
    for (size_t at = n; at > 16; at -= 16) STORE(to + at - 16, LOAD(from + at - 16));
    STORE(to, first);
    return to;
}
