/* Schemas of modules, of every type and shape: for test_conf and fuzz_conf. That of host is the
 * real one. */
#ifndef HM_TESTS_CONF_EXAMPLE_H
#define HM_TESTS_CONF_EXAMPLE_H

#include "core/conf/parse.h"
#include "core/conf/root.h"
#include "modules/host/settings.h"

#define EXAMPLE_SCHEMA(rows, text)                                      \
    {                                                                   \
        .keys = rows, .count = sizeof rows / sizeof *rows, .help = text \
    }

static const struct hm_conf_key example_control_keys[] = {
    {.name = "bootstrap", .type = HM_CONF_FLAG, .fallback = "false", .help = "found a cluster"},
};
static const struct hm_conf_schema example_control =
    EXAMPLE_SCHEMA(example_control_keys, "The control plane.");

static const struct hm_conf_key example_ttl_keys[] = {
    {.name = "service",
     .type = HM_CONF_DURATION,
     .fallback = "5s",
     .live = true,
     .help = "of services"},
    {.name = "host", .type = HM_CONF_DURATION, .fallback = "60s", .live = true, .help = "of hosts"},
};
static const struct hm_conf_schema example_ttl = EXAMPLE_SCHEMA(example_ttl_keys, "TTLs.");

static const struct hm_conf_key example_zone_keys[] = {
    {.name = "name", .type = HM_CONF_DOMAIN, .required = true, .help = "the zone"},
    {.name = "nameservers",
     .type = HM_CONF_IP,
     .shape = HM_CONF_LISTS,
     .names = HM_CONF_LABEL,
     .help = "its NS and their addresses"},
    {.name = "ttl", .type = HM_CONF_MAP, .child = &example_ttl, .help = "its TTLs"},
    {.name = "reverse",
     .type = HM_CONF_PREFIX,
     .shape = HM_CONF_LIST,
     .help = "prefixes with a reverse zone"},
};
static const struct hm_conf_schema example_zone = EXAMPLE_SCHEMA(example_zone_keys, "A zone.");

static const char *const example_none_healthy[] = {"all", "nodata", NULL};

static const struct hm_conf_key example_dns_keys[] = {
    {.name = "listen", .type = HM_CONF_ADDRESS, .shape = HM_CONF_LIST, .help = "where it answers"},
    {.name = "zones",
     .type = HM_CONF_MAP,
     .shape = HM_CONF_LIST,
     .child = &example_zone,
     .help = "what it serves"},
    {.name = "none_healthy",
     .type = HM_CONF_CHOICE,
     .choices = example_none_healthy,
     .fallback = "all",
     .live = true,
     .help = "what to answer when no instance is healthy"},
    {.name = "cache", .type = HM_CONF_SIZE, .fallback = "64K", .help = "a size"},
    {.name = "motd", .type = HM_CONF_TEXT, .min = 1, .max = 16, .live = true, .help = "a text"},
    {.name = "limits",
     .type = HM_CONF_INTEGER,
     .shape = HM_CONF_TABLE,
     .min = 1,
     .max = 9,
     .unit = "per second",
     .help = "a table"},
};
static const struct hm_conf_schema example_dns = EXAMPLE_SCHEMA(example_dns_keys, "DNS.");

static const struct hm_conf_key example_store_keys[] = {
    {.name = "sets", .type = HM_CONF_TEXT, .shape = HM_CONF_LIST, .help = "data sets"},
};
static const struct hm_conf_schema example_store = EXAMPLE_SCHEMA(example_store_keys, "A store.");

/* Everything is loaded but `store`. */
static inline const struct hm_conf_schema *example_schema(struct hm_arena *arena)
{
    static const struct hm_conf_part parts[] = {
        {.section = "control", .schema = &example_control, .module = "control", .loaded = true},
        {.schema = &hm_host_schema, .module = "host", .loaded = true},
        {.section = "dns", .schema = &example_dns, .module = "dns", .loaded = true},
        {.section = "store", .schema = &example_store, .module = "store"},
    };
    return hm_conf_compose(arena, &hm_conf_root_schema, parts, sizeof parts / sizeof *parts);
}

#endif
