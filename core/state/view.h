/* What a node knows of the agreed state: it changes by events alone, on voters and on all others.
 * A node that carries feed `members` only has no records. */
#ifndef HM_STATE_VIEW_H
#define HM_STATE_VIEW_H

#include "core/state/members.h"
#include "core/state/records.h"

#define HM_SCOPE_HOSTS  "hosts"
#define HM_SCOPE_VHOSTS "vhosts"

/* All zero is a valid empty view: no cluster yet. */
struct hm_view {
    uint64_t cluster; /* 0: none */
    uint64_t epoch;
    struct hm_id history;
    uint64_t index;            /* of the latest event seen */
    uint64_t members_position; /* of the latest event of feed members */
    uint64_t state_position;   /* of the latest event of feed state */
    uint64_t time_ms;          /* log time of the latest event */
    struct hm_members members;
    struct hm_records records; /* scope hosts: key is the id in hex, value a message `push` */
};

/* Brings the view forward by one event. HM_BAD_BYTES: its body is not an event of this release, and
 * the view is as before: a node must stop rather than diverge. An event that the view has already
 * (by the feed's position) changes nothing. */
HM_MUST_USE enum hm_status hm_view_evolve(struct hm_view *view, const struct hm_event *event);

/* The committed config of a host, decoded into `arena`; false when there is none. */
bool hm_view_host(const struct hm_view *view, const struct hm_id *host, struct hm_arena *arena,
                  struct hm_host_state *out);

void hm_view_fini(struct hm_view *view);

#endif
