/* Role `dns`: the catalog of the node becomes zones, and the zones are answered for. */

#include "core/include/hivemind/module.h"
#include "core/base/assert.h"
#include "dns_processor/addresses.h"
#include "dns_processor/cluster.h"
#include "dns_processor/namers.h"
#include "dns_processor/requests.h"
#include "dns_processor/server.h"
#include "dns_processor/settings.h"
#include "dns_processor/zones.h"

#include <string.h>

#define ROLE              "dns"
#define COMPLETE_CHECK_MS 200  /* until the catalog is complete */
#define EMPTY_BELIEF_MS   1000 /* a cluster without any state is believed after so long */
#define ADDRESS_CHECK_MS  5000 /* for the machine's addresses, where none are configured */

struct dns {
    struct hm_module_ctx *ctx;
    struct hm_dns_settings settings;
    struct hm_dns_zones zones;
    struct hm_dns_map *map; /* of the zones as they were last looked at */
    struct hm_dns_build *build;
    struct hm_dns_server
        *server;             /* NULL in the simulator, or while there is nothing to listen on */
    struct hm_addr *machine; /* the machine's addresses that are bound, if none are configured */
    size_t machine_count;
    bool complete;  /* the catalog holds the whole cluster; before that zones answer SERVFAIL */
    bool ended;     /* the node is fenced: it is never complete again */
    hm_ms told_at;  /* when we were last told that it is whole; 0: never */
    bool has_proxy; /* a living one: virtual hosts do not follow the instances */
    uint32_t serial;
    uint64_t write;               /* of a zone's settings or who names it, under way; 0: none */
    struct hm_dns_named *written; /* the zone; NULL: no longer named, or it is about who names it */
    hm_ms names_at;               /* who names what is not written before */
    hm_ms write_at;               /* when there may be something to write */
    struct hm_dns_requests requests;
};

/* --- Bringing the zones up to date ------------------------------------------------------------ */

static void update_serial(struct dns *dns)
{
    uint32_t serial = hm_dns_cluster_serial(dns->ctx);
    if (serial != dns->serial) {
        dns->serial = serial;
        hm_dns_build_serial(dns->build, serial);
    }
}

struct nameservers {
    struct hm_dns_nameserver *list;
    size_t count;
    size_t capacity;
    struct hm_arena arena;
};

static void add_nameserver(struct nameservers *servers, struct hm_bytes name, const char *tail,
                           const struct hm_address *addresses, size_t count)
{
    char *text = hm_arena_alloc(&servers->arena, name.size + strlen(tail) + 1, 1);
    memcpy(text, name.data, name.size);
    memcpy(text + name.size, tail, strlen(tail));
    struct hm_addr *copied = hm_arena_alloc(&servers->arena, count, sizeof *copied);
    for (size_t i = 0; i < count; i++) {
        copied[i] = addresses[i].addr;
    }
    servers->list =
        hm_grow(servers->list, servers->count, &servers->capacity, sizeof *servers->list);
    servers->list[servers->count++] = (struct hm_dns_nameserver){text, copied, count};
}

static void add_consumer(void *context, const char *name, const struct hm_consumer *consumer)
{
    struct hm_address address = {consumer->addr};
    add_nameserver(context, hm_bytes_of_text(name), ".host", &address, 1);
}

/* Those of the settings, whole names; or the dns nodes in order of their names, also one that has
 * failed: the parent's delegation does not change with a failure either. */
static void update_nameservers_of(struct dns *dns, size_t index)
{
    const struct hm_dns_named *zone = &dns->zones.items[index];
    struct nameservers servers = {0};
    struct hm_buf error = {0};
    for (uint32_t i = 0; i < zone->committed.settings.nameservers_count; i++) {
        const struct hm_zone_nameserver *server = &zone->committed.settings.nameservers[i];
        add_nameserver(&servers, server->name, ".", server->addresses, server->addresses_count);
    }
    if (servers.count == 0) {
        hm_dns_cluster_consumers(dns->ctx, ROLE, add_consumer, &servers);
    }
    if (hm_dns_build_nameservers(dns->build, index, servers.list, servers.count, &error) != HM_OK) {
        hm_module_log(dns->ctx, HM_LOG_ERROR, "nameservers refused", "zone=%s reason=\"%.*s\"",
                      zone->name, (int)error.size, (const char *)error.data);
    }
    hm_buf_fini(&error);
    hm_free(servers.list);
    hm_arena_fini(&servers.arena);
}

static void update_nameservers(struct dns *dns)
{
    for (size_t i = 0; i < dns->zones.count; i++) {
        if (dns->zones.items[i].agreement == HM_DNS_ZONE_AGREED ||
            dns->zones.items[i].agreement == HM_DNS_ZONE_DIFFERS) {
            update_nameservers_of(dns, i);
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
    if (!dns->has_proxy) {
        update_vhosts(dns, name);
    }
}

static void fill(struct dns *dns)
{
    const struct hm_catalog *catalog = hm_module_catalog(dns->ctx);
    size_t cursor = 0;
    for (const struct hm_catalog_host *at; (at = hm_catalog_next_host(catalog, &cursor)) != NULL;) {
        hm_dns_build_host(dns->build, &at->name);
    }
    cursor = 0;
    for (const struct hm_name *at; (at = hm_catalog_next_service(catalog, &cursor)) != NULL;) {
        struct hm_name name = *at;
        (void)hm_dns_build_service(dns->build, &name);
    }
    dns->has_proxy = hm_dns_cluster_has_proxy(dns->ctx);
    update_vhosts(dns, NULL);
    update_nameservers(dns);
    dns->serial = hm_dns_cluster_serial(dns->ctx);
    hm_dns_build_serial(dns->build, dns->serial);
}

static void free_map(struct hm_dns_map *map, struct hm_dns_build *build)
{
    if (build) {
        hm_dns_build_free(build);
    }
    if (map) {
        urcu_qsbr_thread_online();
        hm_dns_map_free(map);
        urcu_qsbr_thread_offline();
    }
}

/* Another map for the zones as they are now, which answers at once; before the catalog is complete
 * all of them answer SERVFAIL. */
static void rebuild(struct dns *dns)
{
    struct hm_dns_map *old_map = dns->map;
    struct hm_dns_build *old_build = dns->build;
    struct hm_dns_view view = hm_dns_cluster_view(dns->ctx);
    struct hm_arena arena = {0};
    struct hm_buf error = {0};
    dns->map = hm_dns_map_new();
    HM_ASSERT(dns->map != NULL);
    enum hm_status status =
        hm_dns_build_new(dns->map, &view, hm_dns_zones_configs(&dns->zones, &arena),
                         dns->zones.count, &error, &dns->build);
    HM_ASSERT(status == HM_OK); /* they are sound, and each is there once */
    if (dns->complete) {
        fill(dns);
    }
    if (dns->server) {
        hm_dns_server_use(dns->server, dns->map);
    }
    free_map(old_map, old_build);
    hm_buf_fini(&error);
    hm_arena_fini(&arena);
}

/* --- What is agreed on the zones -------------------------------------------------------------- */

static void tell_zone(struct dns *dns, struct hm_dns_named *zone)
{
    bool news = zone->agreement == HM_DNS_ZONE_DIFFERS || zone->agreement == HM_DNS_ZONE_UNSOUND;
    if (!news || zone->told || zone->commits) {
        return;
    }
    struct hm_buf text = {0};
    hm_dns_zones_describe(zone, &text);
    hm_module_log(dns->ctx, HM_LOG_WARN, "zone differs", "zone=%s is=\"%.*s\"", zone->name,
                  (int)text.size, (const char *)text.data);
    hm_buf_fini(&text);
    zone->told = true;
}

/* Which zones this node names, once they are there, and what is left of those that are gone. */
static bool write_names(struct dns *dns, struct hm_arena *arena, struct hm_request_write *write)
{
    const struct hm_records *records = &hm_module_view(dns->ctx)->records;
    hm_ms now = hm_module_now(dns->ctx);
    if (!hm_dns_namers_write(records, &hm_module_node_config(dns->ctx)->name, &dns->zones, arena,
                             write)) {
        return false;
    }
    if (now < dns->names_at) {
        dns->write_at = dns->names_at < dns->write_at ? dns->names_at : dns->write_at;
        return false;
    }
    dns->names_at = now + HM_DNS_WRITE_AGAIN_MS;
    return true;
}

/* What is missing or, by a reload, to be replaced is written, one zone after the other. */
static void write_zones(struct dns *dns)
{
    struct hm_arena arena = {0};
    struct hm_request_write write;
    dns->write_at = HM_NEVER;
    if (!dns->write && dns->complete) {
        dns->written = hm_dns_zones_write(
            &dns->zones, hm_module_now(dns->ctx), &hm_module_view(dns->ctx)->records,
            &hm_module_node_config(dns->ctx)->name, &arena, &write, &dns->write_at);
        if (dns->written || write_names(dns, &arena, &write)) {
            dns->write = hm_module_write(dns->ctx, &write, HM_NEVER);
        }
    }
    hm_arena_fini(&arena);
}

/* The zones follow the records, or the file. */
static void follow_zones(struct dns *dns, bool anew)
{
    bool changed = hm_dns_zones_look(&dns->zones, &hm_module_view(dns->ctx)->records);
    if (changed || anew) {
        rebuild(dns);
    }
    for (size_t i = 0; i < dns->zones.count && dns->complete; i++) {
        tell_zone(dns, &dns->zones.items[i]);
    }
    write_zones(dns);
}

static void update_all(struct dns *dns)
{
    bool first = !dns->complete;
    dns->complete = true;
    follow_zones(dns, true);
    if (first) {
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
    if (dns->ended) {
        return false;
    }
    return has_founded(dns) || (told && (has_state || now - dns->told_at >= EMPTY_BELIEF_MS));
}

static void on_record(struct dns *dns, const struct hm_name *scope)
{
    if (hm_name_is(scope, HM_DNS_SCOPE_ZONES)) {
        follow_zones(dns, false);
    } else if (hm_name_is(scope, HM_SCOPE_CONSUMERS)) {
        dns->has_proxy = hm_dns_cluster_has_proxy(dns->ctx);
        update_nameservers(dns);
        update_vhosts(dns, NULL);
        write_zones(dns);
    } else if (hm_name_is(scope, HM_DNS_SCOPE_NAMED)) {
        write_zones(dns);
    }
}

/* The next of the times that there is something to do at. */
static void wake(struct dns *dns, hm_ms now)
{
    bool follows = hm_module_io(dns->ctx) && dns->settings.listen_count == 0;
    hm_ms at = dns->complete ? dns->write_at : now + COMPLETE_CHECK_MS;
    hm_ms addresses = follows ? now + ADDRESS_CHECK_MS : HM_NEVER;
    hm_module_wake(dns->ctx, at < addresses ? at : addresses);
}

/* A negative answer would be believed, and an old one too: SERVFAIL makes a resolver ask another
 * server. */
static void stop_answering(struct dns *dns)
{
    dns->ended = true;
    dns->complete = false;
    rebuild(dns);
    hm_module_log(dns->ctx, HM_LOG_WARN, "zones ended",
                  "reason=\"this node is fenced\" answers=SERVFAIL");
}

static void on_change(struct hm_module_ctx *ctx, const struct hm_change_note *note)
{
    struct dns *dns = hm_module_state(ctx);
    if (note->kind == HM_CHANGE_ENDED) {
        stop_answering(dns);
        return;
    }
    if (note->kind == HM_CHANGE_ALL) {
        dns->told_at = hm_module_now(ctx);
        if (dns->complete || is_complete(dns, dns->told_at)) {
            update_all(dns);
        }
        wake(dns, dns->told_at);
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
    case HM_CHANGE_RECORD:
        on_record(dns, &note->scope);
        break;
    case HM_CHANGE_MEMBERS: /* those that matter here are records too */
    case HM_CHANGE_ALL:
    case HM_CHANGE_ENDED:
        break;
    }
    update_serial(dns);
    wake(dns, hm_module_now(ctx));
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

static void on_check(const struct hm_conf_node *section, const struct hm_conf_node *root,
                     struct hm_conf_errors *errors)
{
    struct hm_dns_settings settings;
    hm_dns_settings_read(section, root, &settings, errors);
    hm_dns_settings_fini(&settings);
}

/* A section that on_check has found good. */
static void read_settings(struct dns *dns, const struct hm_conf_node *section, bool reload)
{
    struct hm_conf_errors errors = {0};
    hm_dns_settings_fini(&dns->settings);
    hm_dns_settings_read(section, NULL, &dns->settings, &errors);
    HM_ASSERT(errors.count == 0);
    dns->written = NULL; /* the zones move */
    hm_dns_zones_set(&dns->zones, &dns->settings, reload);
}

static enum hm_status on_init(struct hm_module_ctx *ctx, const struct hm_conf_node *section,
                              const struct hm_conf_node *root, struct hm_buf *error)
{
    (void)root;
    (void)error;
    struct dns *dns = hm_module_state(ctx);
    dns->ctx = ctx;
    dns->write_at = HM_NEVER;
    hm_dns_thread_enter();
    read_settings(dns, section, false);
    rebuild(dns);
    return HM_OK;
}

static void on_reload(struct hm_module_ctx *ctx, const struct hm_conf_node *section,
                      const struct hm_conf_node *root)
{
    (void)root;
    struct dns *dns = hm_module_state(ctx);
    read_settings(dns, section, true);
    follow_zones(dns, true);
    wake(dns, hm_module_now(ctx));
}

/* HM_CONFLICT: somebody else was faster; what he wrote is on its way. */
static void on_written(struct hm_module_ctx *ctx, uint64_t write, const struct hm_submitted *answer)
{
    struct dns *dns = hm_module_state(ctx);
    struct hm_dns_named *zone = dns->written;
    if (hm_dns_requests_written(&dns->requests, ctx, write, answer) || write != dns->write) {
        return;
    }
    dns->write = 0;
    dns->written = NULL;
    if (zone && answer->status == HM_OK && answer->index) {
        zone->commits = false;
        hm_module_log(ctx, HM_LOG_INFO, "zone committed", "zone=%s index=%llu", zone->name,
                      (unsigned long long)answer->index);
    } else if (answer->status != HM_OK && answer->status != HM_CONFLICT) {
        hm_module_log(ctx, HM_LOG_WARN, "zone not committed", "zone=%s status=%s reason=\"%.*s\"",
                      zone ? zone->name : "-", hm_status_name((enum hm_status)answer->status),
                      (int)answer->reason.size, (const char *)answer->reason.data);
    }
    write_zones(dns);
    wake(dns, hm_module_now(ctx));
}

static enum hm_status on_request(struct hm_module_ctx *ctx, const struct hm_request *request)
{
    struct dns *dns = hm_module_state(ctx);
    return hm_dns_requests_take(&dns->requests, ctx, &dns->zones, dns->complete, request);
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
    wake(dns, hm_module_now(ctx));
    return status;
}

static void on_tick(struct hm_module_ctx *ctx, hm_ms now)
{
    struct dns *dns = hm_module_state(ctx);
    if (!dns->complete && is_complete(dns, now)) {
        update_all(dns);
    } else if (now >= dns->write_at) {
        write_zones(dns);
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
    wake(dns, now);
}

static void zone_fact(struct hm_module_ctx *ctx, const struct hm_dns_named *zone)
{
    struct hm_buf key = {0};
    struct hm_buf text = {0};
    hm_buf_printf(&key, "dns.zone.%s", zone->name);
    hm_put_u8(&key, 0);
    hm_dns_zones_describe(zone, &text);
    hm_module_fact(ctx, (const char *)key.data, "%.*s", (int)text.size, (const char *)text.data);
    hm_buf_fini(&key);
    hm_buf_fini(&text);
}

static void on_status(struct hm_module_ctx *ctx)
{
    struct dns *dns = hm_module_state(ctx);
    hm_module_fact(ctx, "dns.complete", "%s",
                   dns->complete ? "yes"
                   : dns->ended  ? "no: fenced"
                                 : "no");
    hm_module_fact(ctx, "dns.serial", "%u", dns->serial);
    hm_module_fact(ctx, "dns.names", "%zu", hm_dns_map_name_count(dns->map));
    for (size_t i = 0; i < dns->zones.count; i++) {
        zone_fact(ctx, &dns->zones.items[i]);
    }
    size_t cursor = 0;
    size_t unhealthy = 0;
    const struct hm_catalog *catalog = hm_module_catalog(ctx);
    struct hm_dns_view view = hm_dns_cluster_view(ctx);
    struct hm_dns_gather gather = {0};
    for (const struct hm_name *at;
         catalog && (at = hm_catalog_next_service(catalog, &cursor)) != NULL;) {
        hm_dns_gather_clear(&gather);
        view.service(view.context, at, &gather);
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
    if (dns->map) {
        free_map(dns->map, dns->build);
        hm_dns_thread_leave();
    }
    hm_free(dns->machine);
    hm_dns_zones_fini(&dns->zones);
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
    .check = on_check,
    .init = on_init,
    .start = on_start,
    .reload = on_reload,
    .change = on_change,
    .request = on_request,
    .written = on_written,
    .tick = on_tick,
    .status = on_status,
    .fini = on_fini,
};
