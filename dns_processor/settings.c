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
     .help = "the zones"},
    {.name = "vhosts_allow",
     .type = HM_CONF_DOMAIN,
     .shape = HM_CONF_LIST,
     .absent = "the zones",
     .help = "domains in which virtual hosts are answered"},
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

static uint32_t seconds(const struct hm_conf_node *map, const char *name)
{
    return (uint32_t)(hm_conf_duration(map, name) / 1000);
}

static struct hm_dns_zone_config read_zone(const struct hm_conf_node *node)
{
    const struct hm_conf_node *ttl = hm_conf_get(node, "ttl");
    struct hm_dns_zone_config zone = {
        .name = hm_conf_text(node, "name"),
        .ttl_service = seconds(ttl, "service"),
        .ttl_host = seconds(ttl, "host"),
        .ttl_zone = seconds(ttl, "zone"),
        .ttl_negative = seconds(ttl, "negative"),
        .max_answers = (uint16_t)hm_conf_integer(node, "max_answers"),
        .none_healthy = strcmp(hm_conf_text(node, "none_healthy"), "nodata") == 0
                            ? HM_DNS_NONE_NODATA
                            : HM_DNS_NONE_ALL,
        .reverse_count = hm_conf_get(node, "reverse")->count,
    };
    struct hm_dns_prefix *prefixes = hm_alloc(zone.reverse_count, sizeof *prefixes);
    size_t i = 0;
    for (const struct hm_conf_node *at = hm_conf_first(node, "reverse"); at; at = at->next) {
        prefixes[i++] = (struct hm_dns_prefix){at->addr, (unsigned)at->integer};
    }
    zone.reverse = prefixes;
    return zone;
}

static void read_zones(const struct hm_conf_node *section, struct hm_dns_settings *out)
{
    size_t count = hm_conf_get(section, "zones")->count;
    out->zones = hm_alloc(count, sizeof *out->zones);
    out->nameservers = hm_alloc(count, sizeof(const struct hm_conf_node *));
    for (const struct hm_conf_node *at = hm_conf_first(section, "zones"); at; at = at->next) {
        out->nameservers[out->zone_count] = hm_conf_get(at, "nameservers");
        out->zones[out->zone_count++] = read_zone(at);
    }
}

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

static enum hm_status read_vhosts_allow(const struct hm_conf_node *section,
                                        struct hm_dns_settings *out, struct hm_buf *error)
{
    size_t count = hm_conf_get(section, "vhosts_allow")->count;
    out->vhosts_allow = hm_alloc(count, sizeof *out->vhosts_allow);
    for (const struct hm_conf_node *at = hm_conf_first(section, "vhosts_allow"); at;
         at = at->next) {
        if (hm_dns_name_parse(at->text, &out->vhosts_allow[out->vhosts_allow_count]) != HM_OK) {
            hm_buf_printf(error, "vhosts_allow: '%s' is not a domain name", at->text);
            return HM_BAD_CONFIG;
        }
        out->vhosts_allow_count++;
    }
    return HM_OK;
}

static unsigned processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    long most = HM_DNS_THREADS_MAX;
    return count < 1 ? 1 : (unsigned)(count < most ? count : most);
}

enum hm_status hm_dns_settings_read(const struct hm_conf_node *section, struct hm_dns_settings *out,
                                    struct hm_buf *error)
{
    *out = (struct hm_dns_settings){0};
    if (!section) {
        hm_buf_append_text(error, "role dns needs a section 'dns' with its zones");
        return HM_BAD_CONFIG;
    }
    bool threads_set = hm_conf_is_set(section, "threads");
    out->threads = threads_set ? (unsigned)hm_conf_integer(section, "threads") : processors();
    out->udp_payload = (uint16_t)hm_conf_integer(section, "udp_payload");
    out->tcp_connections = (unsigned)hm_conf_integer(section, "tcp_connections");
    out->tcp_idle_ms = (unsigned)hm_conf_duration(section, "tcp_idle");
    read_listen(section, out);
    read_zones(section, out);
    enum hm_status status = read_vhosts_allow(section, out, error);
    if (status != HM_OK) {
        hm_dns_settings_fini(out);
    }
    return status;
}

void hm_dns_settings_fini(struct hm_dns_settings *settings)
{
    for (size_t i = 0; i < settings->zone_count; i++) {
        hm_free((void *)settings->zones[i].reverse);
    }
    hm_free(settings->zones);
    hm_free(settings->nameservers);
    hm_free(settings->listen);
    hm_free(settings->where);
    hm_free(settings->vhosts_allow);
    *settings = (struct hm_dns_settings){0};
}
