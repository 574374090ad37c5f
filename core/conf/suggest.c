#include "core/conf/suggest.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#define WORD_BYTES_MAX 63u

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment over three rows. */
size_t hm_conf_distance(const char *a, const char *b)
{
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    if (a_size > WORD_BYTES_MAX || b_size > WORD_BYTES_MAX) {
        return SIZE_MAX;
    }
    size_t rows[3][WORD_BYTES_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_size; j++) {
        above[j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            int here = tolower((unsigned char)a[i - 1]);
            int there = tolower((unsigned char)b[j - 1]);
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (here != there));
            if (i > 1 && j > 1 && here == tolower((unsigned char)b[j - 2]) &&
                there == tolower((unsigned char)a[i - 2])) {
                row[j] = smaller(row[j], before[j - 2] + 1);
            }
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b_size];
}

const char *hm_conf_nearer(const char *word, const char *best, const char *candidate)
{
    size_t allowed = strlen(word) < 4 ? 1 : smaller(strlen(word) / 3 + 1, 3);
    /* "ttl" and "tcp" share nothing but a length: half of a short word must stay. */
    size_t distance = hm_conf_distance(word, candidate);
    if (distance > allowed || distance * 2 > strlen(candidate)) {
        return best;
    }
    return best && hm_conf_distance(word, best) <= distance ? best : candidate;
}
