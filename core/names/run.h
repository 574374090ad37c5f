/* Names that stand next to each other, in few bytes: of each is said only what the one before it
 * has not. */
#ifndef HM_NAMES_RUN_H
#define HM_NAMES_RUN_H

#include "core/base/bytes.h"

#define NAMES_TEXT_BYTES_MAX 255u /* of a name, of an owner */

/* In order, no name twice. `index` and `time_ms` are what those of the entries are told apart from.
 */
struct names_run {
    uint8_t *bytes;
    uint64_t index;
    uint64_t time_ms;
    uint16_t size;
    uint16_t capacity;
    uint16_t count; /* of names; > 0 while it is in a map */
};

/* What a run says of a name. */
struct names_fact {
    uint32_t owner; /* slot */
    uint64_t index;
    uint64_t time_ms;
};

/* Goes through the names of a run, which does not change meanwhile. */
struct names_cursor {
    const struct names_run *run;
    size_t at;
    uint8_t text[NAMES_TEXT_BYTES_MAX]; /* the name read last */
    uint8_t size;
    uint8_t shared; /* of these, with the one before it in the run */
    struct names_fact fact;
};

/* Valid until the next change. */
struct hm_bytes names_run_first(const struct names_run *run);
/* False: it has not this name. */
bool names_run_find(const struct names_run *run, struct hm_bytes name, struct names_fact *out);
/* A name that is not in it, which is not full. True: it is the last now. */
bool names_run_add(struct names_run *run, struct hm_bytes name, const struct names_fact *fact);
/* False: it is not there. */
bool names_run_erase(struct names_run *run, struct hm_bytes name);
/* Nothing may be added before it is split. */
bool names_run_is_full(const struct names_run *run);
/* Leaves the first half (or all but the last, where `at_end`) and gives the others: one or more
 * each, of at least two. */
struct names_run *names_run_split(struct names_run *run, bool at_end);
struct names_cursor names_run_begin(const struct names_run *run);
/* False: there are no more. */
bool names_run_next(struct names_cursor *cursor);
/* Without names; freed by names_run_free. */
struct names_run *names_run_new(void);
void names_run_free(struct names_run *run);

#endif
