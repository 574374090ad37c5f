/* "Did you mean": the nearest of the words that would have been right. */
#ifndef HM_CONF_SUGGEST_H
#define HM_CONF_SUGGEST_H

#include <stddef.h>

/* Edits (insert, delete, replace, swap neighbours) from one word to the other, without case; words
 * longer than 63 bytes are infinitely far (SIZE_MAX). */
size_t hm_conf_distance(const char *a, const char *b);

/* The nearer of `word` to `best` and to `candidate`, when it is near enough to be a slip; best may
 * be NULL. Fold it over the candidates. */
const char *hm_conf_nearer(const char *word, const char *best, const char *candidate);

#endif
