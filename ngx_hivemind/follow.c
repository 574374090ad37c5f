#include "ngx_hivemind/follow.h"

#include "core/base/assert.h"

struct filling {
    struct hm_draft *draft;
    uint32_t service;
};

static void add_instance(void *context, const struct hm_catalog_instance *instance)
{
    struct filling *filling = context;
    struct hm_table_endpoint endpoint = {
        .addr = instance->addr,
        .weight = instance->service->weight,
        .state = !instance->served                         ? HM_TABLE_DRAINING
                 : instance->suspect || !instance->healthy ? HM_TABLE_SUSPECT
                                                           : HM_TABLE_PASSING,
        .host = instance->host->name,
    };
    /* What cannot be connected to (a host that announced port 0) is no endpoint. */
    (void)!hm_draft_endpoint(filling->draft, filling->service, &endpoint);
}

static void add_services(struct hm_draft *draft, const struct hm_catalog *catalog)
{
    const struct hm_name *name;
    size_t cursor = 0;
    while ((name = hm_catalog_next_service(catalog, &cursor))) {
        struct filling filling = {.draft = draft};
        if (hm_draft_service(draft, name, &filling.service) == HM_OK) {
            hm_catalog_instances(catalog, name, add_instance, &filling);
        }
    }
}

/* A virtual host stays with its service while nobody offers that: its requests are answered by an
 * error that names it. */
static void add_vhosts(struct hm_draft *draft, const struct hm_catalog *catalog,
                       const struct hm_view *view)
{
    const struct hm_records *records = &view->records;
    struct hm_name scope = hm_name_of(HM_SCOPE_VHOSTS), owner;
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0}); i < records->count;
         i++) {
        const struct hm_record *record = records->items[i];
        uint32_t service;
        if (!hm_name_equal(&record->scope, &scope)) {
            break;
        }
        if (hm_catalog_vhost(catalog, record->key, &owner) &&
            hm_draft_service(draft, &owner, &service) == HM_OK) {
            (void)!hm_draft_vhost(draft, record->key, service);
        }
    }
}

void hm_table_follow(struct hm_draft *draft, const struct hm_catalog *catalog,
                     const struct hm_view *view)
{
    HM_ASSERT(draft->service_count == 0 && draft->vhost_count == 0);
    add_services(draft, catalog);
    add_vhosts(draft, catalog, view);
}
