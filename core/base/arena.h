/* Memory that is given piece by piece and taken back all at once: what a decoder fills. */
#ifndef HM_BASE_ARENA_H
#define HM_BASE_ARENA_H

#include <stddef.h>

struct hm_arena_chunk;

/* All zero is a valid empty arena. */
struct hm_arena {
    struct hm_arena_chunk *chunks; /* newest first */
    size_t used;                   /* bytes given from the newest chunk */
};

/* Zeroed, aligned for any type, valid until clear or fini. Aborts when there is no memory. */
void *hm_arena_alloc(struct hm_arena *arena, size_t count, size_t size);

/* Takes everything back but keeps one chunk for the next round. */
void hm_arena_clear(struct hm_arena *arena);

void hm_arena_fini(struct hm_arena *arena);

#endif
