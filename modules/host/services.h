/* The services of this host: those of its configuration and those announced by command. */
#ifndef HM_MODULES_HOST_SERVICES_H
#define HM_MODULES_HOST_SERVICES_H

#include "modules/host/check.h"

#define HM_HOST_SERVICES_MAX   1024u
#define HM_HOST_VHOSTS_MAX     4096u /* of all services: what one request may claim */
#define HM_HOST_WEIGHT_DEFAULT 100u

struct hm_host_service {
    struct hm_service service; /* owns its lists and texts; health is that of `check` */
    char *place;               /* "a.yaml:12" when the configuration has it; NULL: announced */
    hm_ms expires;             /* HM_NEVER: not by itself */
    struct hm_check_plan plan; /* plan.path is ours */
    struct hm_check *check;    /* NULL: it has none, or it does not run yet */
};

/* All zero is a valid empty list. No two are of one name and port. */
struct hm_host_services {
    struct hm_host_service **items;
    size_t count;
    size_t capacity;
};

/* Copies what it is given; virtual hosts in lower case, each once. */
struct hm_host_service *hm_host_service_new(const struct hm_service *service, const char *place,
                                            const struct hm_check_plan *plan);
void hm_host_service_free(struct hm_host_service *service);

/* Takes `service` over. */
void hm_host_services_add(struct hm_host_services *services, struct hm_host_service *service);
/* The first of this name, and of this port unless that is 0; services->count: none. */
size_t hm_host_services_find(const struct hm_host_services *services, const struct hm_name *name,
                             uint16_t port);
/* Takes one out, which is the caller's then. */
struct hm_host_service *hm_host_services_take(struct hm_host_services *services, size_t at);
void hm_host_services_fini(struct hm_host_services *services);

/* True when names, port and virtual hosts are well-formed; else a sentence in `why`. */
bool hm_host_service_is_valid(const struct hm_service *service, struct hm_buf *why);
/* True when there is room for it beside the others; else a sentence in `why`. */
bool hm_host_services_have_room(const struct hm_host_services *services,
                                const struct hm_service *more, struct hm_buf *why);

#endif
