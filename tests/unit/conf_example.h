/* Schemas as modules would export them, of every type and shape: for test_conf and fuzz_conf. */
#ifndef HM_TESTS_CONF_EXAMPLE_H
#define HM_TESTS_CONF_EXAMPLE_H

#include "core/conf/parse.h"
#include "core/conf/root.h"

#define EXAMPLE_SCHEMA(rows, text)                                      \
    {                                                                   \
        .keys = rows, .count = sizeof rows / sizeof *rows, .help = text \
    }

static const struct hm_conf_key example_control_keys[] = {
    {.name = "bootstrap", .type = HM_CONF_FLAG, .fallback = "false", .help = "found a cluster"},
};
static const struct hm_conf_schema example_control =
    EXAMPLE_SCHEMA(example_control_keys, "The control plane.");

static const struct hm_conf_key example_check_keys[] = {
    {.name = "tcp", .type = HM_CONF_FLAG, .one_of = "kind", .required = true, .help = "connect"},
    {.name = "http", .type = HM_CONF_PATH, .one_of = "kind", .required = true, .help = "GET"},
    {.name = "every",
     .type = HM_CONF_DURATION,
     .fallback = "2s",
     .min = 100,
     .max = 3600000,
     .help = "time between checks"},
    {.name = "fall",
     .type = HM_CONF_INTEGER,
     .fallback = "3",
     .min = 1,
     .max = 100,
     .help = "failures in a row that take the instance out"},
    {.name = "rise",
     .type = HM_CONF_INTEGER,
     .fallback = "1",
     .min = 1,
     .max = 100,
     .help = "passes in a row that bring it back"},
    {.name = "timeout", .type = HM_CONF_DURATION, .fallback = "1s", .help = "for one check"},
};
static const struct hm_conf_schema example_check =
    EXAMPLE_SCHEMA(example_check_keys, "How an instance is checked.");

static const struct hm_conf_key example_service_keys[] = {
    {.name = "name", .type = HM_CONF_SERVICE, .required = true, .help = "the service"},
    {.name = "port",
     .type = HM_CONF_INTEGER,
     .required = true,
     .min = 1,
     .max = 65535,
     .help = "where it listens"},
    {.name = "tags", .type = HM_CONF_LABEL, .shape = HM_CONF_LIST, .help = "free words"},
    {.name = "weight",
     .type = HM_CONF_INTEGER,
     .fallback = "100",
     .min = 1,
     .max = 65535,
     .help = "share of the traffic"},
    {.name = "vhosts", .type = HM_CONF_DOMAIN, .shape = HM_CONF_LIST, .help = "virtual hosts"},
    {.name = "check", .type = HM_CONF_MAP, .child = &example_check, .help = "its check"},
};
static const struct hm_conf_schema example_service =
    EXAMPLE_SCHEMA(example_service_keys, "A service.");

static const struct hm_conf_key example_host_keys[] = {
    {.name = "services",
     .type = HM_CONF_MAP,
     .shape = HM_CONF_LIST,
     .child = &example_service,
     .live = true,
     .help = "what this host serves"},
    {.name = "tags",
     .type = HM_CONF_LABEL,
     .shape = HM_CONF_LIST,
     .live = true,
     .help = "free words"},
    {.name = "addresses",
     .type = HM_CONF_IP,
     .shape = HM_CONF_LIST,
     .live = true,
     .help = "of its instances"},
};
static const struct hm_conf_schema example_host = EXAMPLE_SCHEMA(example_host_keys, "A host.");

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
        {.schema = &example_host, .module = "host", .loaded = true},
        {.section = "dns", .schema = &example_dns, .module = "dns", .loaded = true},
        {.section = "store", .schema = &example_store, .module = "store"},
    };
    return hm_conf_compose(arena, &hm_conf_root_schema, parts, sizeof parts / sizeof *parts);
}

#endif
