/* The place of a key in an array that is in order. */
#ifndef HM_BASE_SEARCH_H
#define HM_BASE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

/* How the item at a place stands to the key, both of which `key` leads to: below 0 before it, 0 it
 * is the key's, above 0 behind it. */
typedef int hm_search_order(const void *key, size_t at);

/* The place of the key among `count` items, or where it would go. Inline: so is the comparison. */
static inline size_t hm_search(size_t count, hm_search_order *order_of, const void *key,
                               bool *found)
{
    size_t low = 0;
    size_t high = count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = order_of(key, middle);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

#endif
