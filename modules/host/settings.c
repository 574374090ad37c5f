#include "modules/host/settings.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct hm_conf_key check_keys[] = {
    {.name = "tcp",
     .type = HM_CONF_FLAG,
     .one_of = "kind",
     .required = true,
     .help = "a TCP connection to the host's first address and the service's port is a pass"},
    {.name = "http",
     .type = HM_CONF_PATH,
     .one_of = "kind",
     .required = true,
     .help = "GET this path there, without TLS; an answer of 2xx or 3xx is a pass"},
    {.name = "every",
     .type = HM_CONF_DURATION,
     .fallback = "2s",
     .min = 100,
     .max = 3600000,
     .help = "time from the start of one check to the next"},
    {.name = "timeout",
     .type = HM_CONF_DURATION,
     .fallback = "1s",
     .min = 10,
     .max = 3600000,
     .help = "a check that takes longer has failed"},
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
};
static const struct hm_conf_schema check_schema = {
    check_keys, COUNT(check_keys),
    "How the health of the service is checked. It is served after its first pass."};

static const struct hm_conf_key service_keys[] = {
    {.name = "name",
     .type = HM_CONF_SERVICE,
     .required = true,
     .help = "what it is called; machines that serve the same use the same name"},
    {.name = "port",
     .type = HM_CONF_INTEGER,
     .required = true,
     .min = 1,
     .max = 65535,
     .help = "where it listens"},
    {.name = "weight",
     .type = HM_CONF_INTEGER,
     .fallback = "100",
     .min = 1,
     .max = 65535,
     .help = "its share of the traffic, relative to other instances"},
    {.name = "tags",
     .type = HM_CONF_LABEL,
     .shape = HM_CONF_LIST,
     .help = "free words, at most 32"},
    {.name = "vhosts",
     .type = HM_CONF_DOMAIN,
     .shape = HM_CONF_LIST,
     .help = "virtual hosts that it answers for, at most 64; a virtual host belongs to the service "
             "that had it first"},
    {.name = "check",
     .type = HM_CONF_MAP,
     .child = &check_schema,
     .help = "how its health is checked; without it the service always counts as healthy"},
};
static const struct hm_conf_schema service_schema = {service_keys, COUNT(service_keys),
                                                     "A service of this host."};

static const struct hm_conf_key root_keys[] = {
    {.name = "services",
     .type = HM_CONF_MAP,
     .shape = HM_CONF_LIST,
     .child = &service_schema,
     .live = true,
     .help = "what this host serves; `hivemind announce` adds to it"},
    {.name = "tags",
     .type = HM_CONF_LABEL,
     .shape = HM_CONF_LIST,
     .live = true,
     .help = "free words about the host, at most 32"},
    {.name = "addresses",
     .type = HM_CONF_IP,
     .shape = HM_CONF_LIST,
     .live = true,
     .absent = "the address of `advertise`",
     .help = "where its services are reached, at most 32"},
};
const struct hm_conf_schema hm_host_schema = {root_keys, COUNT(root_keys),
                                              "A machine that serves something."};

static void read_labels(const struct hm_conf_node *map, const char *key, uint32_t most,
                        struct hm_label *out, uint32_t *count, struct hm_conf_errors *errors)
{
    for (const struct hm_conf_node *item = hm_conf_first(map, key); item; item = item->next) {
        if (*count == most) {
            hm_conf_error(errors, &item->origin, "more than %u %s: remove what follows", most, key);
            return;
        }
        out[(*count)++].name = hm_name_of(item->text);
    }
}

/* What would end the path, or the line, of the request. */
static const char not_in_a_path[] =
    "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
    "\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f \x7f";

static void read_check(const struct hm_conf_node *service, struct hm_check_plan *out,
                       struct hm_conf_errors *errors)
{
    if (!hm_conf_is_set(service, "check")) {
        return;
    }
    const struct hm_conf_node *check = hm_conf_get(service, "check");
    const char *path = hm_conf_text(check, "http");
    if (!path && !hm_conf_flag(check, "tcp")) {
        hm_conf_error(errors, &check->origin,
                      "a check that is neither tcp nor http: write tcp: true, or leave the check "
                      "out");
        return;
    }
    if (path && path[strcspn(path, not_in_a_path)]) {
        hm_conf_error(errors, &hm_conf_get(check, "http")->origin,
                      "the path of a request has no spaces and no control characters: write them "
                      "as %%20 and the like");
        return;
    }
    *out = (struct hm_check_plan){
        .path = path,
        .every_ms = (uint32_t)hm_conf_duration(check, "every"),
        .timeout_ms = (uint32_t)hm_conf_duration(check, "timeout"),
        .fall = (uint32_t)hm_conf_integer(check, "fall"),
        .rise = (uint32_t)hm_conf_integer(check, "rise"),
    };
}

static void read_vhosts(const struct hm_conf_node *node, struct hm_domain *out, uint32_t most,
                        uint32_t *count, struct hm_conf_errors *errors)
{
    for (const struct hm_conf_node *item = hm_conf_first(node, "vhosts"); item; item = item->next) {
        if (*count == most) {
            hm_conf_error(errors, &item->origin,
                          "more than %u vhosts of one service: remove what follows", most);
            return;
        }
        out[(*count)++].name = hm_bytes_of_text(item->text);
    }
}

static void read_service(const struct hm_conf_node *node, struct hm_host_services *services,
                         struct hm_conf_errors *errors)
{
    struct hm_label tags[32];
    struct hm_domain vhosts[64];
    struct hm_check_plan plan = {0};
    char place[512];
    struct hm_buf why = {0};
    struct hm_service service = {
        .name = hm_name_of(hm_conf_text(node, "name")),
        .port = (uint16_t)hm_conf_integer(node, "port"),
        .weight = (uint16_t)hm_conf_integer(node, "weight"),
        .tags = tags,
        .vhosts = vhosts,
    };
    read_check(node, &plan, errors);
    read_labels(node, "tags", COUNT(tags), tags, &service.tags_count, errors);
    read_vhosts(node, vhosts, COUNT(vhosts), &service.vhosts_count, errors);
    size_t other = hm_host_services_find(services, &service.name, service.port);
    if (other < services->count) {
        hm_conf_error(errors, &node->origin,
                      "service '%s' on port %u is declared in %s already: remove one",
                      service.name.text, service.port, services->items[other]->place);
    } else if (!hm_host_services_have_room(services, &service, &why)) {
        hm_conf_error(errors, &node->origin, "%.*s", (int)why.size, (const char *)why.data);
    } else {
        snprintf(place, sizeof place, "%s:%u", node->origin.file, node->origin.line);
        hm_host_services_add(services, hm_host_service_new(&service, place, &plan));
    }
    hm_buf_fini(&why);
}

void hm_host_settings_read(const struct hm_conf_node *root, struct hm_host_settings *out,
                           struct hm_conf_errors *errors)
{
    *out = (struct hm_host_settings){0};
    if (!root) {
        return;
    }
    read_labels(root, "tags", HM_HOST_TAGS_MAX, out->tags, &out->tags_count, errors);
    for (const struct hm_conf_node *item = hm_conf_first(root, "addresses"); item;
         item = item->next) {
        if (out->addresses_count == HM_HOST_ADDRESSES_MAX) {
            hm_conf_error(errors, &item->origin, "more than %u addresses: remove what follows",
                          HM_HOST_ADDRESSES_MAX);
            break;
        }
        out->addresses[out->addresses_count++].addr = item->addr;
    }
    for (const struct hm_conf_node *item = hm_conf_first(root, "services"); item;
         item = item->next) {
        read_service(item, &out->services, errors);
    }
}

void hm_host_settings_fini(struct hm_host_settings *settings)
{
    hm_host_services_fini(&settings->services);
}
