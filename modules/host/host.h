/* Role `host`: what this machine serves, told to the cluster. */
#ifndef HM_MODULES_HOST_HOST_H
#define HM_MODULES_HOST_HOST_H

#include "modules/host/settings.h"

struct hm_host {
    struct hm_module_ctx *ctx;
    struct hm_host_settings settings; /* its services: also those announced by command */
    struct hm_checks checks;
    bool drain_all; /* until a restart: also what comes later */
};

/* Tells the cluster what this host serves now; returns the version that has it. */
struct hm_version hm_host_publish(struct hm_host *host);
/* Asks for a tick when something is next due. */
void hm_host_wake(struct hm_host *host);
/* Keeps the announcements that survive a restart. */
void hm_host_keep(struct hm_host *host);
/* Where the services are reached: the first address of the host, with this port. */
struct hm_addr hm_host_addr(const struct hm_host *host, uint16_t port);

/* The requests announce, withdraw and drain; HM_NOT_FOUND for others. */
enum hm_status hm_host_request(struct hm_host *host, const struct hm_request *request);

#endif
