/* Counts the heap of any program: preload it, and name a file of 16 bytes in HEAP_COUNTS. The file then holds, all the
   time, the bytes allocated now and the most there ever were (or since somebody else wrote the second number). Blocks
   count with the size that malloc really gave them. For the C library of GNU. */

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

struct counts {
    _Atomic long now, peak;
};

static struct counts before_start;
static struct counts *counts = &before_start;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("HEAP_COUNTS");
    int file = path ? open(path, O_RDWR) : -1;
    if (file < 0)
        return;
    void *shared = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (shared == MAP_FAILED)
        return;
    atomic_store(&((struct counts *)shared)->now, atomic_load(&before_start.now));
    counts = shared;
}

static void *added(void *block) {
    if (block) {
        long size = (long)malloc_usable_size(block);
        long now = atomic_fetch_add(&counts->now, size) + size;
        long peak = atomic_load(&counts->peak);
        while (now > peak && !atomic_compare_exchange_weak(&counts->peak, &peak, now)) {
        }
    }
    return block;
}

static void removed(size_t size) { atomic_fetch_sub(&counts->now, (long)size); }

void *malloc(size_t size) { return added(__libc_malloc(size)); }

void *calloc(size_t count, size_t size) { return added(__libc_calloc(count, size)); }

void *realloc(void *block, size_t size) {
    size_t before = block ? malloc_usable_size(block) : 0;
    void *moved = __libc_realloc(block, size);
    if (moved || (block && size == 0))
        removed(before);
    return added(moved);
}

void free(void *block) {
    if (block)
        removed(malloc_usable_size(block));
    __libc_free(block);
}

void *memalign(size_t alignment, size_t size) { return added(__libc_memalign(alignment, size)); }

void *aligned_alloc(size_t alignment, size_t size) { return added(__libc_memalign(alignment, size)); }

int posix_memalign(void **block, size_t alignment, size_t size) {
    *block = added(__libc_memalign(alignment, size));
    return *block ? 0 : ENOMEM;
}
