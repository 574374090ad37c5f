/* Allocation that cannot fail: a node that is out of memory stops, it does not limp. */
#ifndef HM_BASE_MEMORY_H
#define HM_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed memory for `count` items of `size` bytes; freed with hm_free. Aborts when there is none.
 */
void *hm_alloc(size_t count, size_t size);

/* Resizes an array; what is new is not zeroed. `array` may be NULL. Aborts when there is none. */
void *hm_resize(void *array, size_t count, size_t size);

/* Frees what hm_alloc or hm_resize gave; NULL is fine. */
void hm_free(void *memory);

/* Makes room in a growing array for one item more, doubling: `*capacity` counts items. */
void *hm_grow(void *array, size_t count, size_t *capacity, size_t size);

/* The other way: an array of `count` items of which less than a quarter is used becomes half as
 * large, again and again, but not smaller than some pages. */
void *hm_shrink(void *array, size_t count, size_t *capacity, size_t size);

/* Gives what is free but still held back to the system: after work that does not come again. */
void hm_give_back(void);

/* Overwrites a secret in a way that the compiler keeps. */
void hm_wipe(void *memory, size_t size);

#endif
