/* What consumers serve: every host's committed and pushed config, the higher version of the two,
 * and the services, instances and virtual hosts that follow. */
#ifndef HM_NODE_CATALOG_H
#define HM_NODE_CATALOG_H

#include "core/state/view.h"

/* How long a hint of suspicion counts. */
#define HM_HINT_MS 10000u

/* A host as it is served. */
struct hm_catalog_host {
    struct hm_id id;
    struct hm_name name;
    struct hm_addr addr;                 /* the member's */
    struct hm_version version;           /* of the served config: max(committed, pushed) */
    struct hm_version committed;         /* 0, 0: none yet */
    const struct hm_host_config *config; /* decoded; addresses may be empty: then the member's */
    hm_ms suspect_until;                 /* 0: not suspect */
    bool braked;                         /* no member any more; the removal brake keeps it */
    struct hm_id keeper;                 /* none: a member; else a lite host, and who keeps it */
};

struct hm_catalog; /* opaque */

/* What changed, for those who build answers from the catalog. */
enum hm_change_kind {
    HM_CHANGE_SERVICE, /* instances of a service: `name` */
    HM_CHANGE_HOST,    /* a host came, went or changed: `name` */
    HM_CHANGE_VHOST,   /* a virtual host: `key` */
    HM_CHANGE_RECORD,  /* a record of another scope: `scope`, `key` */
    HM_CHANGE_MEMBERS, /* the nodes of a role came, went or moved: `name` */
    HM_CHANGE_ALL,     /* everything: after a bootstrap */
    HM_CHANGE_ENDED,   /* nothing of it counts any more: this node is fenced, and serves nothing */
};

struct hm_change_note {
    enum hm_change_kind kind;
    struct hm_name name;
    struct hm_name scope;
    struct hm_bytes key;
};

typedef void hm_change_function(void *context, const struct hm_change_note *note);

/* Starts with what is in `view`, which outlives the catalog. Notes come when the catalog has
 * changed already, and what they point to lives during the call; none come before this returns. */
struct hm_catalog *hm_catalog_new(const struct hm_view *view, hm_change_function *changed,
                                  void *context);
void hm_catalog_free(struct hm_catalog *catalog);

/* The committed config of a host, or its membership, changed in the view: takes it over. */
void hm_catalog_refresh(struct hm_catalog *catalog, const struct hm_id *host);
/* The same for the lite host of this name, which is there. When it is gone hm_catalog_refresh tells
 * that its id is no host any more. */
void hm_catalog_refresh_lite(struct hm_catalog *catalog, const struct hm_name *name);
/* A pushed config; the higher version wins, and an older one changes nothing. HM_BAD_BYTES: its
 * config does not decode. HM_NOT_FOUND: the host is no member. */
HM_MUST_USE enum hm_status hm_catalog_push(struct hm_catalog *catalog,
                                           const struct hm_host_state *state);
/* A hint: suspect until then (0: no longer). */
void hm_catalog_suspect(struct hm_catalog *catalog, const struct hm_id *host, hm_ms until);
void hm_catalog_tick(struct hm_catalog *catalog, hm_ms now);
hm_ms hm_catalog_deadline(const struct hm_catalog *catalog);
/* A record of another scope changed in the view (a virtual host). */
void hm_catalog_record(struct hm_catalog *catalog, const struct hm_name *scope,
                       struct hm_bytes key);
/* The whole view was replaced. */
void hm_catalog_reload(struct hm_catalog *catalog);

const struct hm_catalog_host *hm_catalog_host(const struct hm_catalog *catalog,
                                              const struct hm_id *host);
const struct hm_catalog_host *hm_catalog_host_named(const struct hm_catalog *catalog,
                                                    const struct hm_name *name);
/* Walks all hosts: start with 0; NULL at the end. */
const struct hm_catalog_host *hm_catalog_next_host(const struct hm_catalog *catalog,
                                                   size_t *cursor);
/* Every service name that some host has, each once. NULL at the end. */
const struct hm_name *hm_catalog_next_service(const struct hm_catalog *catalog, size_t *cursor);

/* An instance: (host, service, address, port). */
struct hm_catalog_instance {
    const struct hm_catalog_host *host;
    const struct hm_service *service;
    struct hm_addr addr;
    bool served;        /* eligible: not draining, and a checked one has passed once */
    bool healthy;       /* unchecked or passing; others are for when no eligible one is */
    bool suspect;       /* to be preferred last */
    const char *reason; /* why it is not served, or what is unusual; "" */
};

/* Calls `each` for every instance of a service, one for each address of the host, in order of host
 * names. Valid during the call. */
void hm_catalog_instances(const struct hm_catalog *catalog, const struct hm_name *service,
                          void (*each)(void *context, const struct hm_catalog_instance *instance),
                          void *context);
/* The service that a virtual host (lower case) belongs to; false when nobody committed it. */
bool hm_catalog_vhost(const struct hm_catalog *catalog, struct hm_bytes vhost,
                      struct hm_name *service);

#endif
