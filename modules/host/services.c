#include "modules/host/services.h"

#include "core/conf/value.h"

#include <ctype.h>
#include <string.h>

static struct hm_bytes lower_copy(struct hm_bytes text)
{
    uint8_t *copy = hm_alloc(text.size + 1, 1);
    for (size_t i = 0; i < text.size; i++) {
        copy[i] = (uint8_t)tolower(text.data[i]);
    }
    return (struct hm_bytes){copy, text.size};
}

static bool has_vhost(const struct hm_service *service, struct hm_bytes name)
{
    for (uint32_t i = 0; i < service->vhosts_count; i++) {
        if (hm_bytes_equal(service->vhosts[i].name, name)) {
            return true;
        }
    }
    return false;
}

struct hm_host_service *hm_host_service_new(const struct hm_service *service, const char *place,
                                            const struct hm_check_plan *plan)
{
    struct hm_host_service *own = hm_alloc(1, sizeof *own);
    *own = (struct hm_host_service){.service = *service, .expires = HM_NEVER};
    struct hm_service *copy = &own->service;
    copy->tags = hm_alloc(service->tags_count + 1, sizeof *copy->tags);
    copy->vhosts = hm_alloc(service->vhosts_count + 1, sizeof *copy->vhosts);
    copy->vhosts_count = 0;
    if (service->tags_count) {
        memcpy(copy->tags, service->tags, service->tags_count * sizeof *copy->tags);
    }
    for (uint32_t i = 0; i < service->vhosts_count; i++) {
        struct hm_bytes name = lower_copy(service->vhosts[i].name);
        if (has_vhost(copy, name)) {
            hm_bytes_free(name);
        } else {
            copy->vhosts[copy->vhosts_count++].name = name;
        }
    }
    if (place) {
        size_t size = strlen(place) + 1;
        own->place = memcpy(hm_alloc(size, 1), place, size);
    }
    if (plan && plan->every_ms) {
        own->plan = *plan;
        copy->checked = true;
        if (plan->path) {
            size_t size = strlen(plan->path) + 1;
            own->plan.path = memcpy(hm_alloc(size, 1), plan->path, size);
        }
    }
    return own;
}

void hm_host_service_free(struct hm_host_service *service)
{
    hm_check_free(service->check);
    for (uint32_t i = 0; i < service->service.vhosts_count; i++) {
        hm_bytes_free(service->service.vhosts[i].name);
    }
    hm_free(service->service.vhosts);
    hm_free(service->service.tags);
    hm_free((void *)service->plan.path);
    hm_free(service->place);
    hm_free(service);
}

void hm_host_services_add(struct hm_host_services *services, struct hm_host_service *service)
{
    services->items = hm_grow(services->items, services->count, &services->capacity,
                              sizeof(struct hm_host_service *));
    services->items[services->count++] = service;
}

size_t hm_host_services_find(const struct hm_host_services *services, const struct hm_name *name,
                             uint16_t port)
{
    size_t at = 0;
    while (at < services->count) {
        const struct hm_service *service = &services->items[at]->service;
        if (hm_name_equal_nocase(&service->name, name) && (port == 0 || service->port == port)) {
            break;
        }
        at++;
    }
    return at;
}

struct hm_host_service *hm_host_services_take(struct hm_host_services *services, size_t at)
{
    struct hm_host_service *taken = services->items[at];
    services->count--;
    memmove(services->items + at, services->items + at + 1,
            (services->count - at) * sizeof(struct hm_host_service *));
    return taken;
}

void hm_host_services_fini(struct hm_host_services *services)
{
    for (size_t i = 0; i < services->count; i++) {
        hm_host_service_free(services->items[i]);
    }
    hm_free(services->items);
    *services = (struct hm_host_services){0};
}

/* Appends what came from outside so that it can be shown. */
static void quote(struct hm_buf *why, const void *text, size_t size)
{
    char copy[256];
    size_t shown = size < sizeof copy ? size : sizeof copy - 1;
    memcpy(copy, text, shown);
    copy[shown] = '\0';
    hm_conf_quote(why, copy);
}

static bool is_domain(struct hm_bytes name)
{
    char text[256];
    if (name.size == 0 || name.size >= sizeof text) {
        return false;
    }
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    return hm_conf_name_fits(HM_CONF_DOMAIN, text);
}

bool hm_host_service_is_valid(const struct hm_service *service, struct hm_buf *why)
{
    if (!hm_conf_name_fits(HM_CONF_SERVICE, service->name.text)) {
        quote(why, service->name.text, service->name.size);
        hm_buf_append_text(why, " is not a service name: use at most 15 letters, digits and single "
                                "inner hyphens, one letter at least (RFC 6335)");
        return false;
    }
    if (service->port == 0) {
        hm_buf_append_text(why, "the port is 0: write one of 1 to 65535");
        return false;
    }
    for (uint32_t i = 0; i < service->tags_count; i++) {
        if (!hm_name_is_label(&service->tags[i].name)) {
            quote(why, service->tags[i].name.text, service->tags[i].name.size);
            hm_buf_append_text(why, " is not a tag: use letters, digits and inner hyphens, at most "
                                    "63 characters");
            return false;
        }
    }
    for (uint32_t i = 0; i < service->vhosts_count; i++) {
        if (!is_domain(service->vhosts[i].name)) {
            quote(why, service->vhosts[i].name.data, service->vhosts[i].name.size);
            hm_buf_append_text(why, " is not a virtual host: write a domain name without its last "
                                    "dot, as in shop.corp.internal");
            return false;
        }
    }
    return true;
}

bool hm_host_services_have_room(const struct hm_host_services *services,
                                const struct hm_service *more, struct hm_buf *why)
{
    size_t vhosts = more->vhosts_count;
    for (size_t i = 0; i < services->count; i++) {
        vhosts += services->items[i]->service.vhosts_count;
    }
    if (services->count >= HM_HOST_SERVICES_MAX) {
        hm_buf_printf(why, "this host has %u services already, which is the most", //
                      HM_HOST_SERVICES_MAX);
        return false;
    }
    if (vhosts > HM_HOST_VHOSTS_MAX) {
        hm_buf_printf(why, "this host would have %zu virtual hosts; %u is the most", vhosts,
                      HM_HOST_VHOSTS_MAX);
        return false;
    }
    return true;
}
