/* Inside role `names`: what its files share. */
#ifndef HM_MODULES_NAMES_NAMES_H
#define HM_MODULES_NAMES_NAMES_H

#include "core/include/hivemind/module.h"
#include "modules/names/map.h"

/* Beyond these bytes of names and owners none is registered: with what a snapshot adds to each name
 * it stays below what a snapshot may have. */
#define NAMES_BYTES_MAX   (256u << 20)
#define NAMES_ENTRY_BYTES 16u /* counted for each name besides */
#define NAMES_PAGE_MAX    1024u
#define NAMES_PAGE_BYTES  (256u << 10)

/* All zero: no names. */
struct names {
    struct names_map map;
    struct hm_arena arena; /* of the request that is applied or asked */
    struct hm_buf answer;  /* what the last outcome points to */
};

/* The state machine; its context is a struct names. Requests and questions are messages
 * names_register, names_release; names_check, names_list. Answers are names_holder (with
 * NAME_TAKEN, DENIED, and to names_check) and names_page. */
extern const struct hm_machine names_machine;

#endif
