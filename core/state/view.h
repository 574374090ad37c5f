/* What a node knows of the agreed state: it changes by events alone, on voters and on all others.
 * A node that carries feed `members` only has no records. */
#ifndef HM_STATE_VIEW_H
#define HM_STATE_VIEW_H

#include "core/state/members.h"
#include "core/state/records.h"

/* Scopes of the core. Hosts: what each host serves. Vhosts: the keys that were granted, and to
 * which service. Consumers: where those are who consume pushes (message consumer, under the name in
 * lower case); a consumer that leaves is taken out, one that fails stays, marked. Lites: hosts that
 * are kept by a member. Braked: failed hosts whose instances are kept for a while (message braked,
 * under the id in hex). These five change by the core's own rules alone. Whoever writes a record
 * into vhosts_allow limits what is granted: its value is a suffix, and keys that are not within any
 * of them are refused; without records there all keys are granted. */
#define HM_SCOPE_HOSTS        "hosts"
#define HM_SCOPE_VHOSTS       "vhosts"
#define HM_SCOPE_VHOSTS_ALLOW "vhosts_allow"
#define HM_SCOPE_CONSUMERS    "consumers"
#define HM_SCOPE_LITES        "lites"
#define HM_SCOPE_BRAKED       "braked"

/* The epoch of a new cluster; and how much a recovery raises it: epochs raised one by one never get
 * there. */
#define HM_EPOCH_FIRST    1u
#define HM_EPOCH_RECOVERY 65536u

/* All zero is a valid empty view: no cluster yet. */
struct hm_view {
    uint64_t cluster; /* 0: none */
    uint64_t epoch;
    struct hm_id history;
    uint64_t index;            /* of the latest event seen */
    uint64_t members_position; /* of the latest event of feed members */
    uint64_t state_position;   /* of the latest event of feed state */
    uint64_t time_ms;          /* log time of the latest event */
    uint64_t total;            /* members that there are */
    struct hm_members members; /* those that this node knows: all, on the control plane */
    /* scope hosts: key is the id in hex, value a message `push`; scope lites: key is the name in
     * lower case, value a message `lite_record`, and what it serves is in scope hosts */
    struct hm_records records;
};

/* Brings the view forward by one event. HM_BAD_BYTES: its body is not an event of this release, and
 * the view is as before: a node must stop rather than diverge. An event that the view has already
 * (by the feed's position) changes nothing. */
HM_MUST_USE enum hm_status hm_view_evolve(struct hm_view *view, const struct hm_event *event);

/* Below 0: `a` is the older one; 0: they are the same. */
int hm_version_compare(const struct hm_version *a, const struct hm_version *b);
/* The committed config of a host, decoded into `arena`; false when there is none. */
bool hm_view_host(const struct hm_view *view, const struct hm_id *host, struct hm_arena *arena,
                  struct hm_host_state *out);

/* The lite host of this name (without case); false when there is none. */
bool hm_view_lite(const struct hm_view *view, const struct hm_name *name, struct hm_lite *out);
/* Walks the lite hosts in order of names: start with an empty `name`, which it moves on; false at
 * the end. */
bool hm_view_next_lite(const struct hm_view *view, struct hm_name *name, struct hm_lite *out);

/* A host that is no member any more and whose instances the removal brake keeps. */
bool hm_view_braked(const struct hm_view *view, const struct hm_id *host, struct hm_braked *out);
/* Walks them in order of ids: start with an id of none, which it moves on; false at the end. */
bool hm_view_next_braked(const struct hm_view *view, struct hm_id *host, struct hm_braked *out);

/* Empty again; the rings of its members are kept as before. */
void hm_view_clear(struct hm_view *view);
void hm_view_fini(struct hm_view *view);

#endif
