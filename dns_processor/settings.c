#include "dns_processor/settings.h"

#include "core/base/memory.h"
#include "dns_processor/server.h"

#include <string.h>
#include <unistd.h>

static const char *const none_healthy_words[] = {"all", "nodata", NULL};

#define TTL_SECONDS_MAX 604800 /* a week */

static const struct hm_conf_key ttl_keys[] = {
    {.name = "service",
     .type = HM_CONF_DURATION,
     .min = 0,
     .max = TTL_SECONDS_MAX * 1000,
     .fallback = "5s",
     .help = "how long others keep the addresses of services and virtual hosts"},
    {.name = "host",
     .type = HM_CONF_DURATION,
     .min = 0,
     .max = TTL_SECONDS_MAX * 1000,
     .fallback = "60s",
     .help = "how long they keep those of hosts, and PTR records"},
    {.name = "zone",
     .type = HM_CONF_DURATION,
     .min = 1000,
     .max = TTL_SECONDS_MAX * 1000,
     .fallback = "1h",
     .help = "how long they keep SOA and NS records and the nameservers' addresses"},
    {.name = "negative",
     .type = HM_CONF_DURATION,
     .min = 0,
     .max = 3600 * 1000,
     .fallback = "5s",
     .help = "how long they remember that a name or record is not there"},
};
static const struct hm_conf_schema ttl_schema = {
    .keys = ttl_keys,
    .count = sizeof ttl_keys / sizeof *ttl_keys,
    .help = "Times to live, by kind of record.",
};

static const struct hm_conf_key zone_keys[] = {
    {.name = "name",
     .type = HM_CONF_DOMAIN,
     .required = true,
     .help = "the zone, such as `corp.internal`"},
    {.name = "nameservers",
     .type = HM_CONF_IP,
     .shape = HM_CONF_LISTS,
     .names = HM_CONF_DOMAIN,
     .absent = "the member dns nodes, as NAME.host.ZONE",
     .help = "names within the zone, the first one the primary, with their addresses"},
    {.name = "ttl", .type = HM_CONF_MAP, .child = &ttl_schema, .help = "times to live"},
    {.name = "reverse",
     .type = HM_CONF_PREFIX,
     .shape = HM_CONF_LIST,
     .help = "prefixes whose addresses get PTR records, to the hosts' names in this zone"},
    {.name = "max_answers",
     .type = HM_CONF_INTEGER,
     .min = 1,
     .max = 1000,
     .fallback = "8",
     .unit = "addresses",
     .help = "the most addresses in one answer; the next answer has others"},
    {.name = "none_healthy",
     .type = HM_CONF_CHOICE,
     .choices = none_healthy_words,
     .fallback = "all",
     .help = "what to answer when no instance of a service is healthy"},
};
static const struct hm_conf_schema zone_schema = {
    .keys = zone_keys,
    .count = sizeof zone_keys / sizeof *zone_keys,
    .help = "A zone that this node serves.",
};

static const struct hm_conf_key keys[] = {
    {.name = "listen",
     .type = HM_CONF_ADDRESS,
     .shape = HM_CONF_LIST,
     .absent = "every address of the machine but loopback ones, port 53",
     .help = "where questions are taken, by UDP and TCP; the port is 53 unless written"},
    {.name = "zones",
     .type = HM_CONF_MAP,
     .shape = HM_CONF_LIST,
     .child = &zone_schema,
     .required = true,
     .live = true,
     .help = "the zones that this node serves. The first node that names a zone founds it in the "
             "cluster with these settings; later ones are committed by a reload"},
    {.name = "vhosts_allow",
     .type = HM_CONF_DOMAIN,
     .shape = HM_CONF_LIST,
     .absent = "each zone",
     .live = true,
     .help = "domains in which virtual hosts may be claimed; committed with the zones"},
    {.name = "threads",
     .type = HM_CONF_INTEGER,
     .min = 1,
     .max = HM_DNS_THREADS_MAX,
     .absent = "one for each processor",
     .help = "threads that answer over UDP"},
    {.name = "udp_payload",
     .type = HM_CONF_SIZE,
     .min = HM_DNS_UDP_MIN,
     .max = HM_DNS_UDP_MAX,
     .fallback = "1232",
     .help = "the largest answer over UDP; what is larger goes over TCP"},
    {.name = "tcp_connections",
     .type = HM_CONF_INTEGER,
     .min = 1,
     .max = 10000,
     .fallback = "256",
     .help = "open TCP connections; one more closes the one that was silent for longest"},
    {.name = "tcp_idle",
     .type = HM_CONF_DURATION,
     .min = 100,
     .max = 600 * 1000,
     .fallback = "10s",
     .help = "how long a TCP connection may ask nothing"},
};

const struct hm_conf_schema hm_dns_schema = {
    .keys = keys,
    .count = sizeof keys / sizeof *keys,
    .help = "The DNS server of role `dns`.",
};

static void read_listen(const struct hm_conf_node *section, struct hm_dns_settings *out)
{
    const struct hm_conf_node *listen = hm_conf_get(section, "listen");
    out->listen = hm_alloc(listen->count, sizeof *out->listen);
    for (const struct hm_conf_node *at = listen->first; at; at = at->next) {
        struct hm_addr *addr = &out->listen[out->listen_count++];
        *addr = at->addr;
        addr->port = addr->port ? addr->port : HM_DNS_PORT;
    }
    const struct hm_conf_node *place = listen->first ? listen->first : section;
    struct hm_buf where = {0};
    hm_buf_printf(&where, "%s:%u:%u", place->origin.file, place->origin.line, place->origin.column);
    hm_put_u8(&where, 0);
    out->where = (char *)where.data;
}

/* Zones, reverse ones too, each stand in one place only. */
static void check_twice(const struct hm_conf_node *list, const struct hm_dns_settings *settings,
                        struct hm_conf_errors *errors)
{
    struct hm_arena arena = {0};
    struct hm_dns_zone_config *configs =
        hm_arena_alloc(&arena, settings->zone_count, sizeof *configs);
    struct hm_dns_twice twice[HM_DNS_ZONES_MAX];
    for (size_t i = 0; i < settings->zone_count; i++) {
        configs[i] = hm_dns_record_config(&settings->zones[i], &arena);
    }
    size_t count = hm_dns_build_twice(configs, settings->zone_count, twice, HM_DNS_ZONES_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct hm_conf_node *zone = list->first;
        for (size_t at = 0; at < twice[i].owner; at++) {
            zone = zone->next;
        }
        char text[HM_DNS_NAME_TEXT_BYTES];
        hm_conf_error(errors,
                      twice[i].reverse ? &hm_conf_get(zone, "reverse")->origin : &zone->origin,
                      "%szone '%s' is there twice: remove one", twice[i].reverse ? "reverse " : "",
                      hm_dns_name_format(&twice[i].name, text));
    }
    hm_arena_fini(&arena);
}

static void read_zones(const struct hm_conf_node *section, struct hm_dns_settings *out,
                       struct hm_conf_errors *errors)
{
    const struct hm_conf_node *list = hm_conf_get(section, "zones");
    size_t before = errors->count;
    out->zones = hm_arena_alloc(&out->arena, list->count, sizeof *out->zones);
    for (const struct hm_conf_node *at = list->first; at; at = at->next) {
        if (out->zone_count == HM_DNS_ZONES_MAX) {
            hm_conf_error(errors, &at->origin, "more than %u zones: remove what follows",
                          HM_DNS_ZONES_MAX);
            return;
        }
        hm_dns_record_of(section, at, &out->arena, &out->zones[out->zone_count++], errors);
    }
    if (errors->count == before) {
        check_twice(list, out, errors);
    }
}

static unsigned processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    long most = HM_DNS_THREADS_MAX;
    return count < 1 ? 1 : (unsigned)(count < most ? count : most);
}

void hm_dns_settings_read(const struct hm_conf_node *section, const struct hm_conf_node *root,
                          struct hm_dns_settings *out, struct hm_conf_errors *errors)
{
    *out = (struct hm_dns_settings){0};
    if (!section || hm_conf_get(section, "zones")->count == 0) {
        struct hm_conf_origin nowhere = {0};
        hm_conf_error(errors, root ? &hm_conf_get(root, "roles")->origin : &nowhere,
                      "role dns needs a section 'dns' with its zones, such as dns: {zones: [{name: "
                      "corp.internal}]}");
        return;
    }
    bool threads_set = hm_conf_is_set(section, "threads");
    out->threads = threads_set ? (unsigned)hm_conf_integer(section, "threads") : processors();
    out->udp_payload = (uint16_t)hm_conf_integer(section, "udp_payload");
    out->tcp_connections = (unsigned)hm_conf_integer(section, "tcp_connections");
    out->tcp_idle_ms = (unsigned)hm_conf_duration(section, "tcp_idle");
    read_listen(section, out);
    read_zones(section, out, errors);
}

void hm_dns_settings_fini(struct hm_dns_settings *settings)
{
    hm_arena_fini(&settings->arena);
    hm_free(settings->listen);
    hm_free(settings->where);
    *settings = (struct hm_dns_settings){0};
}
