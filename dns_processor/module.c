/* Role `dns`: the catalog of the node becomes zones, and the zones are answered for. */

#include "core/include/hivemind/module.h"
#include "core/base/assert.h"
#include "dns_processor/addresses.h"
#include "dns_processor/build.h"
#include "dns_processor/server.h"
#include "dns_processor/settings.h"

#include <string.h>

#define ROLE              "dns"
#define ROLE_PROXY        "nginx"
#define COMPLETE_CHECK_MS 200  /* until the catalog is complete */
#define EMPTY_BELIEF_MS   1000 /* a cluster without any state is believed after so long */
#define ADDRESS_CHECK_MS  5000 /* for the machine's addresses, where none are configured */

struct dns {
    struct hm_module_ctx *ctx;
    struct hm_dns_settings settings;
    struct hm_dns_map *map;
    struct hm_dns_build *build;
    struct hm_dns_server
        *server;             /* NULL in the simulator, or while there is nothing to listen on */
    struct hm_addr *machine; /* the machine's addresses that are bound, if none are configured */
    size_t machine_count;
    bool complete; /* the catalog holds the whole cluster; before that zones answer SERVFAIL */
    hm_ms told_at; /* when we were last told that it is whole; 0: never */
    uint32_t serial;
};

/* --- What the cluster knows ------------------------------------------------------------------- */

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
    const struct dns *dns = context;
    hm_catalog_instances(hm_module_catalog(dns->ctx), name, see_instance, out);
    return out->instance_count > 0;
}

static bool see_host(void *context, const struct hm_name *name, struct hm_dns_gather *out)
{
    const struct dns *dns = context;
    const struct hm_catalog_host *host = hm_catalog_host_named(hm_module_catalog(dns->ctx), name);
    if (!host) {
        return false;
    }
    for (uint32_t i = 0; i < host->config->addresses_count; i++) {
        hm_dns_gather_address(out, &host->config->addresses[i].addr, false);
    }
    if (host->config->addresses_count == 0) {
        const struct hm_member *member =
            hm_members_find(&hm_module_view(dns->ctx)->members, &host->id);
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

static bool is_allowed(const struct dns *dns, const char *vhost)
{
    struct hm_dns_name name;
    if (hm_dns_name_parse(vhost, &name) != HM_OK) {
        return false;
    }
    bool allowed = dns->settings.vhosts_allow_count == 0;
    for (size_t i = 0; i < dns->settings.vhosts_allow_count && !allowed; i++) {
        allowed = hm_dns_name_labels_before(&name, &dns->settings.vhosts_allow[i]) >= 0;
    }
    return allowed;
}

/* Virtual hosts are answered with the nginx members, or where there are none with the instances. */
static bool see_vhost(void *context, const char *name, struct hm_dns_gather *out)
{
    const struct dns *dns = context;
    const struct hm_members *members = &hm_module_view(dns->ctx)->members;
    struct hm_name service;
    if (!hm_catalog_vhost(hm_module_catalog(dns->ctx), hm_bytes_of_text(name), &service) ||
        !is_allowed(dns, name)) {
        return false;
    }
    for (size_t i = 0; i < members->count; i++) {
        if (hm_member_has_role(members->items[i], ROLE_PROXY)) {
            hm_dns_gather_address(out, &members->items[i]->addr, false);
        }
    }
    if (out->address_count == 0) {
        hm_catalog_instances(hm_module_catalog(dns->ctx), &service, see_instance, out);
    }
    return true;
}

/* --- Bringing the zones up to date ------------------------------------------------------------ */

/* Zones are a function of the log; the pushed configs that lie over it raise no serial. */
static void update_serial(struct dns *dns)
{
    const struct hm_records *records = &hm_module_view(dns->ctx)->records;
    struct hm_name hosts = hm_name_of(HM_SCOPE_HOSTS);
    struct hm_name vhosts = hm_name_of(HM_SCOPE_VHOSTS);
    uint32_t serial =
        (uint32_t)(hm_records_version(records, &hosts) + hm_records_version(records, &vhosts));
    if (serial != dns->serial) {
        dns->serial = serial;
        hm_dns_build_serial(dns->build, serial);
    }
}

static void build_nameservers(struct dns *dns, size_t zone, const struct hm_dns_nameserver *list,
                              size_t count)
{
    struct hm_buf error = {0};
    if (hm_dns_build_nameservers(dns->build, zone, list, count, &error) != HM_OK) {
        hm_module_log(dns->ctx, HM_LOG_ERROR, "nameservers refused", "zone=%s reason=\"%.*s\"",
                      dns->settings.zones[zone].name, (int)error.size, (const char *)error.data);
    }
    hm_buf_fini(&error);
}

static void configured_nameservers(struct dns *dns, size_t zone)
{
    const struct hm_conf_node *table = dns->settings.nameservers[zone];
    struct hm_dns_nameserver *list = hm_alloc(table->count, sizeof *list);
    struct hm_addr **addresses = hm_alloc(table->count, sizeof(struct hm_addr *));
    size_t count = 0;
    for (const struct hm_conf_node *at = table->first; at; at = at->next, count++) {
        addresses[count] = hm_alloc(at->count, sizeof **addresses);
        list[count] = (struct hm_dns_nameserver){at->name, addresses[count], 0};
        for (const struct hm_conf_node *item = at->first; item; item = item->next) {
            addresses[count][list[count].address_count++] = item->addr;
        }
    }
    build_nameservers(dns, zone, list, count);
    for (size_t i = 0; i < count; i++) {
        hm_free(addresses[i]);
    }
    hm_free(addresses);
    hm_free(list);
}

/* The member dns nodes, in order of id: all nodes come to the same first one. */
static void member_nameservers(struct dns *dns, size_t zone)
{
    const struct hm_members *members = &hm_module_view(dns->ctx)->members;
    struct hm_dns_nameserver *list = hm_alloc(members->count, sizeof *list);
    char(*names)[HM_NAME_MAX + sizeof ".host"] = hm_alloc(members->count, sizeof *names);
    size_t count = 0;
    for (size_t i = 0; i < members->count; i++) {
        const struct hm_member *member = members->items[i];
        if (hm_member_has_role(member, ROLE)) {
            memcpy(names[count], member->name.text, member->name.size);
            memcpy(names[count] + member->name.size, ".host", sizeof ".host");
            list[count] = (struct hm_dns_nameserver){names[count], &member->addr, 1};
            count++;
        }
    }
    build_nameservers(dns, zone, list, count);
    hm_free(names);
    hm_free(list);
}

static void update_nameservers(struct dns *dns, bool configured_too)
{
    for (size_t i = 0; i < dns->settings.zone_count; i++) {
        if (dns->settings.nameservers[i]->count == 0) {
            member_nameservers(dns, i);
        } else if (configured_too) {
            configured_nameservers(dns, i);
        }
    }
}

static void update_vhost(struct dns *dns, struct hm_bytes key)
{
    struct hm_buf text = {0};
    hm_buf_append(&text, key.data, key.size);
    hm_put_u8(&text, 0);
    hm_dns_build_vhost(dns->build, (const char *)text.data);
    hm_buf_fini(&text);
}

/* The virtual hosts of one service, or with NULL all. */
static void update_vhosts(struct dns *dns, const struct hm_name *service)
{
    const struct hm_records *records = &hm_module_view(dns->ctx)->records;
    struct hm_name scope = hm_name_of(HM_SCOPE_VHOSTS);
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0}); i < records->count;
         i++) {
        const struct hm_record *record = records->items[i];
        struct hm_name owner;
        if (!hm_name_equal(&record->scope, &scope)) {
            break;
        }
        if (!service || (hm_catalog_vhost(hm_module_catalog(dns->ctx), record->key, &owner) &&
                         hm_name_equal_nocase(&owner, service))) {
            update_vhost(dns, record->key);
        }
    }
}

static void update_service(struct dns *dns, const struct hm_name *name)
{
    if (hm_dns_build_service(dns->build, name) == HM_DNS_SERVICE_NONE_HEALTHY) {
        hm_module_log(dns->ctx, HM_LOG_WARN, "no healthy instance", "service=%s", name->text);
    }
    if (hm_members_count_role(&hm_module_view(dns->ctx)->members, ROLE_PROXY) == 0) {
        update_vhosts(dns, name);
    }
}

static void update_all(struct dns *dns)
{
    const struct hm_catalog *catalog = hm_module_catalog(dns->ctx);
    size_t cursor = 0;
    hm_dns_build_all(dns->build);
    for (const struct hm_catalog_host *at; (at = hm_catalog_next_host(catalog, &cursor)) != NULL;) {
        hm_dns_build_host(dns->build, &at->name);
    }
    cursor = 0;
    for (const struct hm_name *at; (at = hm_catalog_next_service(catalog, &cursor)) != NULL;) {
        struct hm_name name = *at;
        (void)hm_dns_build_service(dns->build, &name);
    }
    update_vhosts(dns, NULL);
    update_nameservers(dns, true);
    update_serial(dns);
    if (!dns->complete) { /* the zones answer from here on, whatever the serial is */
        dns->complete = true;
        hm_dns_build_serial(dns->build, dns->serial);
        hm_module_log(dns->ctx, HM_LOG_INFO, "zones complete", "names=%zu serial=%u",
                      hm_dns_map_name_count(dns->map), dns->serial);
    }
}

/* A node that founds a cluster, or comes back to the one it founded, has nobody to fetch from. */
static bool has_founded(const struct dns *dns)
{
    struct hm_id id = hm_module_node_id(dns->ctx);
    return hm_module_node_config(dns->ctx)->bootstrap && hm_module_catalog(dns->ctx) &&
           hm_members_find(&hm_module_view(dns->ctx)->members, &id);
}

/* A catalog that is told to be whole while there is no state at all may also be one that has not
 * been fetched yet: only time tells. */
static bool is_complete(const struct dns *dns, hm_ms now)
{
    bool told = dns->told_at != 0;
    bool has_state = hm_module_view(dns->ctx)->state_position > 0;
    return has_founded(dns) || (told && (has_state || now - dns->told_at >= EMPTY_BELIEF_MS));
}

/* The nodes of a role changed; without a name, of any. */
static void on_members(struct dns *dns, const struct hm_name *role)
{
    if (role->size == 0 || hm_name_is(role, ROLE)) {
        update_nameservers(dns, false);
    }
    if (role->size == 0 || hm_name_is(role, ROLE_PROXY)) {
        update_vhosts(dns, NULL);
    }
}

static void on_change(struct hm_module_ctx *ctx, const struct hm_change_note *note)
{
    struct dns *dns = hm_module_state(ctx);
    if (note->kind == HM_CHANGE_ALL) {
        dns->told_at = hm_module_now(ctx);
        if (dns->complete || is_complete(dns, dns->told_at)) {
            update_all(dns);
        }
        return;
    }
    if (!dns->complete) {
        return; /* what is not complete is built whole, later */
    }
    switch (note->kind) {
    case HM_CHANGE_SERVICE:
        update_service(dns, &note->name);
        break;
    case HM_CHANGE_HOST:
        hm_dns_build_host(dns->build, &note->name);
        break;
    case HM_CHANGE_VHOST:
        update_vhost(dns, note->key);
        break;
    case HM_CHANGE_MEMBERS:
        on_members(dns, &note->name);
        break;
    case HM_CHANGE_RECORD:
    case HM_CHANGE_ALL:
        break;
    }
    update_serial(dns);
}

/* --- Listening -------------------------------------------------------------------------------- */

static enum hm_status listen_on(struct dns *dns, const struct hm_addr *addresses, size_t count,
                                struct hm_buf *error)
{
    struct hm_dns_server_config config = {
        .map = dns->map,
        .listen = addresses,
        .listen_count = count,
        .threads = dns->settings.threads,
        .udp_payload = dns->settings.udp_payload,
        .tcp_connections = dns->settings.tcp_connections,
        .tcp_idle_ms = dns->settings.tcp_idle_ms,
        .where = dns->settings.where,
    };
    enum hm_status status = hm_dns_server_start(&config, error, &dns->server);
    for (size_t i = 0; i < count && status == HM_OK; i++) {
        char text[HM_ADDR_TEXT_BYTES];
        struct hm_addr addr = hm_dns_server_address(dns->server, i);
        hm_module_log(dns->ctx, HM_LOG_INFO, "dns listens", "addr=%s", hm_addr_format(&addr, text));
    }
    return status;
}

/* Where no address is configured: those of the machine, or of a cluster on loopback the node's. */
static size_t default_addresses(const struct dns *dns, struct hm_addr **out)
{
    const struct hm_addr *own = &hm_module_node_config(dns->ctx)->addr;
    if (!hm_addr_is_loopback(own)) {
        return hm_dns_machine_addresses(HM_DNS_PORT, out);
    }
    *out = hm_alloc(1, sizeof **out);
    **out = *own;
    (*out)->port = HM_DNS_PORT;
    return 1;
}

/* Listens on the machine's addresses as they are now; does nothing while they are as before. */
static enum hm_status follow_addresses(struct dns *dns, struct hm_buf *error)
{
    struct hm_addr *addresses = NULL;
    size_t count = default_addresses(dns, &addresses);
    bool same = dns->server && count == dns->machine_count;
    for (size_t i = 0; i < count && same; i++) {
        same = hm_addr_equal(&addresses[i], &dns->machine[i]);
    }
    if (same) {
        hm_free(addresses);
        return HM_OK;
    }
    if (dns->server) {
        hm_dns_server_stop(dns->server);
        dns->server = NULL;
    }
    hm_free(dns->machine);
    dns->machine = addresses;
    dns->machine_count = count;
    return listen_on(dns, addresses, count, error);
}

/* --- Hooks ------------------------------------------------------------------------------------ */

static enum hm_status on_init(struct hm_module_ctx *ctx, const struct hm_conf_node *section,
                              const struct hm_conf_node *root, struct hm_buf *error)
{
    (void)root;
    struct dns *dns = hm_module_state(ctx);
    dns->ctx = ctx;
    enum hm_status status = hm_dns_settings_read(section, &dns->settings, error);
    if (status != HM_OK) {
        return status;
    }
    hm_dns_thread_enter();
    dns->map = hm_dns_map_new();
    HM_ASSERT(dns->map != NULL);
    struct hm_dns_view view = {dns, see_service, see_host, see_vhost};
    return hm_dns_build_new(dns->map, &view, dns->settings.zones, dns->settings.zone_count, error,
                            &dns->build);
}

static enum hm_status on_start(struct hm_module_ctx *ctx, struct hm_buf *error)
{
    struct dns *dns = hm_module_state(ctx);
    enum hm_status status = HM_OK;
    bool configured = dns->settings.listen_count > 0;
    if (hm_module_io(ctx)) {
        status = configured
                     ? listen_on(dns, dns->settings.listen, dns->settings.listen_count, error)
                     : follow_addresses(dns, error);
    }
    hm_module_wake(ctx, hm_module_now(ctx) + COMPLETE_CHECK_MS);
    return status;
}

static void on_tick(struct hm_module_ctx *ctx, hm_ms now)
{
    struct dns *dns = hm_module_state(ctx);
    if (!dns->complete && is_complete(dns, now)) {
        update_all(dns);
    }
    bool follows = hm_module_io(ctx) && dns->settings.listen_count == 0;
    if (follows) {
        struct hm_buf error = {0};
        if (follow_addresses(dns, &error) != HM_OK) {
            hm_module_log(ctx, HM_LOG_ERROR, "dns does not listen", "reason=\"%.*s\"",
                          (int)error.size, (const char *)error.data);
        }
        hm_buf_fini(&error);
    }
    if (!dns->complete) {
        hm_module_wake(ctx, now + COMPLETE_CHECK_MS);
    } else {
        hm_module_wake(ctx, follows ? now + ADDRESS_CHECK_MS : HM_NEVER);
    }
}

static void on_status(struct hm_module_ctx *ctx)
{
    struct dns *dns = hm_module_state(ctx);
    hm_module_fact(ctx, "dns.complete", "%s", dns->complete ? "yes" : "no");
    hm_module_fact(ctx, "dns.serial", "%u", dns->serial);
    hm_module_fact(ctx, "dns.names", "%zu", hm_dns_map_name_count(dns->map));
    size_t cursor = 0;
    size_t unhealthy = 0;
    const struct hm_catalog *catalog = hm_module_catalog(ctx);
    struct hm_dns_gather gather = {0};
    for (const struct hm_name *at;
         catalog && (at = hm_catalog_next_service(catalog, &cursor)) != NULL;) {
        hm_dns_gather_clear(&gather);
        hm_catalog_instances(catalog, at, see_instance, &gather);
        unhealthy += !hm_dns_gather_select(&gather, HM_DNS_NONE_NODATA);
    }
    hm_dns_gather_fini(&gather);
    hm_module_fact(ctx, "dns.services_none_healthy", "%zu", unhealthy);
    if (!dns->server) {
        return;
    }
    struct hm_dns_counters counters = hm_dns_server_counters(dns->server);
    const struct {
        const char *name;
        uint64_t value;
    } facts[] = {
        {"dns.queries", counters.queries},
        {"dns.over_tcp", counters.over_tcp},
        {"dns.truncated", counters.truncated},
        {"dns.dropped", counters.dropped},
        {"dns.nxdomain", counters.rcodes[HM_DNS_NXDOMAIN]},
        {"dns.refused", counters.rcodes[HM_DNS_REFUSED]},
        {"dns.formerr", counters.rcodes[HM_DNS_FORMERR]},
        {"dns.servfail", counters.rcodes[HM_DNS_SERVFAIL]},
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        hm_module_fact(ctx, facts[i].name, "%llu", (unsigned long long)facts[i].value);
    }
}

static void on_fini(struct hm_module_ctx *ctx)
{
    struct dns *dns = hm_module_state(ctx);
    if (dns->server) {
        hm_dns_server_stop(dns->server);
    }
    if (dns->build) {
        hm_dns_build_free(dns->build);
    }
    if (dns->map) {
        urcu_qsbr_thread_online();
        hm_dns_map_free(dns->map);
        urcu_qsbr_thread_offline();
        hm_dns_thread_leave();
    }
    hm_free(dns->machine);
    hm_dns_settings_fini(&dns->settings);
}

static const char *const performs[] = {ROLE, NULL};
static const char *const requires[] = {"control", NULL};
static const char *const bootstraps[] = {ROLE, NULL};

extern const struct hm_module hm_module;

const struct hm_module hm_module = {
    .abi = HM_MODULE_ABI,
    .kind = HM_MODULE_ROLE,
    .name = ROLE,
    .performs = performs,
    .requires = requires,
    .bootstraps = bootstraps,
    .feeds = HM_FEEDS_STATE,
    .schema = &hm_dns_schema,
    .state_size = sizeof(struct dns),
    .init = on_init,
    .start = on_start,
    .change = on_change,
    .tick = on_tick,
    .status = on_status,
    .fini = on_fini,
};
