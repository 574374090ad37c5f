/* One state of the routing table as flat bytes: services with their endpoints, virtual hosts. Built
 * from a draft, read in place through a view that trusts none of the bytes. */
#ifndef HM_NGX_SNAPSHOT_H
#define HM_NGX_SNAPSHOT_H

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/index.h"

/* A virtual host is a domain name (RFC 1035, section 2.3.4); other names are hm_names. */
#define HM_TABLE_VHOST_MAX  253
#define HM_TABLE_WEIGHT_MAX 65535

/* In the order of preference: those behind are asked only when all before them have failed, and a
 * draining endpoint is never given new requests. */
enum hm_table_state { HM_TABLE_PASSING, HM_TABLE_SUSPECT, HM_TABLE_DRAINING, HM_TABLE_STATES };

const char *hm_table_state_name(enum hm_table_state state);

struct hm_table_endpoint {
    struct hm_addr addr;
    uint32_t weight; /* 1 .. HM_TABLE_WEIGHT_MAX */
    enum hm_table_state state;
    struct hm_name host; /* who announced it: shown, never compared */
};

struct hm_draft_service;
struct hm_draft_vhost;

/* What the next snapshot shall hold. All zero is a valid empty draft. */
struct hm_draft {
    struct hm_draft_service *services;
    size_t service_count, service_capacity;
    struct hm_draft_vhost *vhosts;
    size_t vhost_count, vhost_capacity;
    struct hm_index service_index; /* by name */
    struct hm_index vhost_index;   /* by lower-case name */
};

/* Finds the service or adds it without endpoints; gives its number in this draft. A name is 1 to 63
 * bytes: HM_BAD_ARGUMENT. */
HM_MUST_USE enum hm_status hm_draft_service(struct hm_draft *draft, const struct hm_name *name,
                                            uint32_t *service);

/* Adds an endpoint to the service. The weight is brought into its range; an address without family
 * or port is HM_BAD_ARGUMENT. The same address twice is kept once, the later one. */
HM_MUST_USE enum hm_status hm_draft_endpoint(struct hm_draft *draft, uint32_t service,
                                             const struct hm_table_endpoint *endpoint);

/* Routes the virtual host to the service. HM_BAD_ARGUMENT when the name is empty or longer than
 * HM_TABLE_VHOST_MAX, HM_EXISTS when it is routed already (the first one stays). */
HM_MUST_USE enum hm_status hm_draft_vhost(struct hm_draft *draft, struct hm_bytes name,
                                          uint32_t service);

/* Empties it, keeping nothing. */
void hm_draft_fini(struct hm_draft *draft);

/* Bytes that hm_table_snapshot_encode needs for this draft. */
size_t hm_table_snapshot_bytes(const struct hm_draft *draft);

/* Writes the draft into `size` bytes at `out`, aligned to 8. HM_TOO_LARGE, with `out` untouched,
 * when it does not fit or the weights of one service sum above 2^32 - 1. */
HM_MUST_USE enum hm_status hm_table_snapshot_encode(const struct hm_draft *draft, void *out,
                                                    size_t size);

/* Whether the checksum over the snapshot at `data` holds. */
bool hm_table_snapshot_is_sound(const void *data, size_t size);

/* Bytes of it that are in use, 0 when the header is impossible. */
size_t hm_table_snapshot_used(const void *data, size_t size);

/* Where the parts of a snapshot lie; every part ends at or before `size`. The bytes themselves may
 * change under the reader (another process writes them), so what is read is checked at each use. */
struct hm_table_view {
    const uint8_t *data;
    size_t size;
    uint32_t service_count, endpoint_count, vhost_count, text_bytes;
    uint32_t service_slots, vhost_slots;
    size_t services, endpoints, vhosts, service_table, vhost_table, text; /* offsets */
};

/* Endpoints of one service: passing ones first, then suspects, then draining ones. */
struct hm_table_service {
    struct hm_name name;
    uint32_t first;                    /* first + all counts <= endpoint_count */
    uint32_t counts[HM_TABLE_STATES];  /* by state */
    uint32_t weights[HM_TABLE_STATES]; /* sums, by state */
};

/* False when the bytes cannot be a snapshot. */
HM_MUST_USE bool hm_table_view_open(struct hm_table_view *view, const void *data, size_t size);

/* Each is false when there is none, or when what is there is out of bounds. */
HM_MUST_USE bool hm_table_view_service_at(const struct hm_table_view *view, uint32_t number,
                                          struct hm_table_service *out);
HM_MUST_USE bool hm_table_view_service(const struct hm_table_view *view, const struct hm_name *name,
                                       struct hm_table_service *out);
/* By virtual host, without case. */
HM_MUST_USE bool hm_table_view_vhost(const struct hm_table_view *view, struct hm_bytes vhost,
                                     struct hm_table_service *out);
/* `name` has room for HM_TABLE_VHOST_MAX bytes. */
HM_MUST_USE bool hm_table_view_vhost_at(const struct hm_table_view *view, uint32_t number,
                                        uint8_t *name, size_t *size, uint32_t *service);
/* `number` counts from 0 over all endpoints, as hm_table_view_service.first does. */
HM_MUST_USE bool hm_table_view_endpoint(const struct hm_table_view *view, uint32_t number,
                                        struct hm_table_endpoint *out);
/* Sum of the weights before this endpoint within its service and state: what a weighted draw is
 * compared with. */
uint32_t hm_table_view_weight_before(const struct hm_table_view *view, uint32_t number);

#endif
