/* A host config in one piece of memory of its own: a consumer of a large cluster has thousands. */
#ifndef HM_NODE_HELD_H
#define HM_NODE_HELD_H

#include "core/wire/message.h"

/* All zero is a valid empty one. May be moved: nothing points to the struct itself. */
struct hm_held {
    void *memory;
    struct hm_host_config config; /* its lists and texts are in `memory` */
};

/* Reads an encoded host config. HM_BAD_BYTES: it is none, and `out` is untouched. */
HM_MUST_USE enum hm_status hm_held_read(struct hm_bytes bytes, struct hm_held *out);
void hm_held_fini(struct hm_held *held);

#endif
