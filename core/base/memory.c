#include "core/base/memory.h"

#include "core/base/assert.h"

#include <stdlib.h>
#include <string.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* An array that is smaller is not worth the while. */
#define SHRUNK_BYTES (64u << 10)

void *hm_alloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    HM_ASSERT(memory != NULL);
    return memory;
}

void *hm_resize(void *array, size_t count, size_t size)
{
    HM_ASSERT(size == 0 || count <= SIZE_MAX / size);
    void *memory = realloc(array, count && size ? count * size : 1);
    HM_ASSERT(memory != NULL);
    return memory;
}

void hm_free(void *memory)
{
    free(memory);
}

void *hm_grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity ? *capacity * 2 : 8;
    HM_ASSERT(*capacity > count);
    return hm_resize(array, *capacity, size);
}

void *hm_shrink(void *array, size_t count, size_t *capacity, size_t size)
{
    size_t smaller = *capacity;
    while (count < smaller / 4 && smaller * size > SHRUNK_BYTES) {
        smaller /= 2;
    }
    if (smaller == *capacity) {
        return array;
    }
    *capacity = smaller;
    return hm_resize(array, smaller, size);
}

void hm_give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void hm_wipe(void *memory, size_t size)
{
    explicit_bzero(memory, size);
}
