/* A registry of unique names: the state machine that goes on a log. Role `names` has one, and so
 * may a program with libhivemind. */
#ifndef HM_NAMES_NAMES_H
#define HM_NAMES_NAMES_H

#include "core/log/machine.h"
#include "core/names/map.h"

/* Beyond so many bytes of names and owners none is registered, where nothing else is said: with
 * what a snapshot adds to each name it stays below what a snapshot may have. */
#define NAMES_BYTES_MAX   (256u << 20)
#define NAMES_ENTRY_BYTES 16u /* counted for each name besides */
#define NAMES_PAGE_MAX    1024u
#define NAMES_PAGE_BYTES  (256u << 10)

/* All zero: no names. */
struct names {
    size_t bytes_max; /* 0: NAMES_BYTES_MAX; the same on every participant */
    struct names_map map;
    struct hm_arena arena; /* of the request that is applied or asked */
    struct hm_buf answer;  /* what the last outcome points to */
};

/* The state machine; its context is a struct names. Requests and questions are messages
 * names_register, names_release; names_check, names_list. Answers are names_holder (with
 * NAME_TAKEN, DENIED, and to names_check) and names_page. */
extern const struct hm_machine names_machine;

/* Leaves it without names. */
void names_fini(struct names *names);

#endif
