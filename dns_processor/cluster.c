#include "dns_processor/cluster.h"

#include "dns_processor/record.h"

#define ROLE_PROXY "nginx"

static void see_instance(void *context, const struct hm_catalog_instance *instance)
{
    hm_dns_gather_instance(context, &(struct hm_dns_instance){
                                        .host = instance->host->name,
                                        .addr = instance->addr,
                                        .weight = instance->service->weight,
                                        .served = instance->served,
                                        .healthy = instance->healthy,
                                        .suspect = instance->suspect,
                                    });
}

static bool see_service(void *context, const struct hm_name *name, struct hm_dns_gather *out)
{
    const struct hm_module_ctx *ctx = context;
    hm_catalog_instances(hm_module_catalog(ctx), name, see_instance, out);
    return out->instance_count > 0;
}

static bool see_host(void *context, const struct hm_name *name, struct hm_dns_gather *out)
{
    const struct hm_module_ctx *ctx = context;
    const struct hm_catalog_host *host = hm_catalog_host_named(hm_module_catalog(ctx), name);
    if (!host) {
        return false;
    }
    for (uint32_t i = 0; i < host->config->addresses_count; i++) {
        hm_dns_gather_address(out, &host->config->addresses[i].addr, false);
    }
    if (host->config->addresses_count == 0) {
        const struct hm_member *member = hm_members_find(&hm_module_view(ctx)->members, &host->id);
        if (member) {
            hm_dns_gather_address(out, &member->addr, false);
        }
    }
    for (uint32_t i = 0; i < host->config->tags_count; i++) {
        const struct hm_name *tag = &host->config->tags[i].name;
        hm_dns_gather_tag(out, (struct hm_bytes){(const uint8_t *)tag->text, tag->size});
    }
    return true;
}

void hm_dns_cluster_consumers(const struct hm_module_ctx *ctx, const char *role,
                              hm_dns_consumer_function *each, void *context)
{
    const struct hm_records *records = &hm_module_view(ctx)->records;
    struct hm_name scope = hm_name_of(HM_SCOPE_CONSUMERS);
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0});
         i < records->count && hm_name_equal(&records->items[i]->scope, &scope); i++) {
        struct hm_arena arena = {0};
        struct hm_message message;
        struct hm_name name;
        const struct hm_record *record = records->items[i];
        bool reads =
            hm_message_decode_only(record->value, HM_MSG_consumer, &arena, &message) == HM_OK &&
            hm_name_set(&name, (const char *)record->key.data, record->key.size);
        for (uint32_t r = 0; reads && r < message.consumer.roles_count; r++) {
            if (hm_name_is(&message.consumer.roles[r].name, role)) {
                each(context, name.text, &message.consumer);
                break;
            }
        }
        hm_arena_fini(&arena);
    }
}

static void see_proxy(void *context, const char *name, const struct hm_consumer *consumer)
{
    (void)name;
    if (!consumer->failed) {
        hm_dns_gather_address(context, &consumer->addr, false);
    }
}

static void note_proxy(void *context, const char *name, const struct hm_consumer *consumer)
{
    (void)name;
    *(bool *)context |= !consumer->failed;
}

/* Virtual hosts are answered with the nginx members, or where there are none with the instances. */
static bool see_vhost(void *context, const char *name, struct hm_dns_gather *out)
{
    const struct hm_module_ctx *ctx = context;
    struct hm_name service;
    if (!hm_catalog_vhost(hm_module_catalog(ctx), hm_bytes_of_text(name), &service)) {
        return false;
    }
    hm_dns_cluster_consumers(ctx, ROLE_PROXY, see_proxy, out);
    if (out->address_count == 0) {
        hm_catalog_instances(hm_module_catalog(ctx), &service, see_instance, out);
    }
    return true;
}

struct hm_dns_view hm_dns_cluster_view(struct hm_module_ctx *ctx)
{
    return (struct hm_dns_view){ctx, see_service, see_host, see_vhost};
}

bool hm_dns_cluster_has_proxy(const struct hm_module_ctx *ctx)
{
    bool found = false;
    hm_dns_cluster_consumers(ctx, ROLE_PROXY, note_proxy, &found);
    return found;
}

uint32_t hm_dns_cluster_serial(const struct hm_module_ctx *ctx)
{
    const struct hm_records *records = &hm_module_view(ctx)->records;
    static const char *const scopes[] = {HM_SCOPE_HOSTS, HM_SCOPE_VHOSTS, HM_SCOPE_CONSUMERS,
                                         HM_DNS_SCOPE_ZONES};
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++) {
        struct hm_name scope = hm_name_of(scopes[i]);
        sum += hm_records_version(records, &scope);
    }
    return (uint32_t)sum;
}
