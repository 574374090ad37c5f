#include "core/base/arena.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <stdint.h>
#include <string.h>

#define CHUNK_BYTES 4096u
#define ALIGNMENT   16u

struct hm_arena_chunk {
    struct hm_arena_chunk *older;
    size_t capacity;
    _Alignas(ALIGNMENT) uint8_t memory[];
};

static void add_chunk(struct hm_arena *arena, size_t needed)
{
    size_t capacity = needed > CHUNK_BYTES ? needed : CHUNK_BYTES;
    struct hm_arena_chunk *chunk = hm_resize(NULL, 1, sizeof *chunk + capacity);
    chunk->capacity = capacity;
    chunk->older = arena->chunks;
    arena->chunks = chunk;
    arena->used = 0;
}

void *hm_arena_alloc(struct hm_arena *arena, size_t count, size_t size)
{
    HM_ASSERT(size == 0 || count <= (SIZE_MAX - ALIGNMENT) / size);
    size_t needed = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!arena->chunks || arena->chunks->capacity - arena->used < needed) {
        add_chunk(arena, needed);
    }
    void *memory = arena->chunks->memory + arena->used;
    arena->used += needed;
    return memset(memory, 0, needed);
}

void hm_arena_clear(struct hm_arena *arena)
{
    while (arena->chunks && arena->chunks->older) {
        struct hm_arena_chunk *older = arena->chunks->older;
        hm_free(arena->chunks);
        arena->chunks = older;
    }
    if (arena->chunks && arena->chunks->capacity > CHUNK_BYTES) {
        hm_free(arena->chunks);
        arena->chunks = NULL;
    }
    arena->used = 0;
}

void hm_arena_fini(struct hm_arena *arena)
{
    hm_arena_clear(arena);
    hm_free(arena->chunks);
    *arena = (struct hm_arena){0};
}
