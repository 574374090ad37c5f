/* announce, withdraw, drain: what people and scripts on this machine ask of its host. */
#include "modules/host/host.h"

#include <stdarg.h>
#include <stdio.h>

/* Answers with a sentence; the request is done with then. */
static enum hm_status refuse(struct hm_host *host, const struct hm_request *request,
                             enum hm_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static enum hm_status refuse(struct hm_host *host, const struct hm_request *request,
                             enum hm_status status, const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    struct hm_message answer = {.kind = HM_MSG_answer};
    answer.answer.status = (uint16_t)status;
    answer.answer.reason = hm_bytes_of_text(reason);
    hm_module_answer(host->ctx, request, &answer);
    return HM_OK;
}

static enum hm_status refuse_why(struct hm_host *host, const struct hm_request *request,
                                 enum hm_status status, struct hm_buf *why)
{
    refuse(host, request, status, "%.*s", (int)why->size, (const char *)why->data);
    hm_buf_fini(why);
    return HM_OK;
}

/* The cluster is told, and the asker once it knows. */
static enum hm_status report(struct hm_host *host, const struct hm_request *request,
                             const struct hm_name *service, uint16_t port, uint32_t timeout_ms)
{
    struct hm_addr addr = {0};
    if (port) {
        addr = hm_host_addr(host, port);
    }
    struct hm_version version = hm_host_publish(host);
    hm_host_wake(host);
    hm_module_report_change(host->ctx, request, version, service, &addr, timeout_ms);
    return HM_OK;
}

static enum hm_status announce(struct hm_host *host, const struct hm_request *request)
{
    const struct hm_announce *asked = &request->message->announce;
    struct hm_host_services *services = &host->settings.services;
    struct hm_service service = {
        .name = asked->service,
        .port = asked->port,
        .weight = asked->weight ? asked->weight : HM_HOST_WEIGHT_DEFAULT,
        .tags = asked->tags,
        .tags_count = asked->tags_count,
        .vhosts = asked->vhosts,
        .vhosts_count = asked->vhosts_count,
        .draining = host->drain_all,
    };
    struct hm_buf why = {0};
    if (!hm_host_service_is_valid(&service, &why)) {
        return refuse_why(host, request, HM_BAD_ARGUMENT, &why);
    }
    size_t at = hm_host_services_find(services, &service.name, service.port);
    struct hm_host_service *before = at < services->count ? services->items[at] : NULL;
    if (before && before->place) {
        return refuse(host, request, HM_EXISTS,
                      "service '%s' on port %u is declared in %s: change it there and reload",
                      service.name.text, service.port, before->place);
    }
    before = before ? hm_host_services_take(services, at) : NULL;
    if (!hm_host_services_have_room(services, &service, &why)) {
        if (before) {
            hm_host_services_add(services, before);
        }
        return refuse_why(host, request, HM_TOO_LARGE, &why);
    }
    bool kept_before = before && before->expires == HM_NEVER;
    if (before) {
        service.draining = before->service.draining;
        hm_host_service_free(before);
    }
    struct hm_host_service *own = hm_host_service_new(&service, NULL, NULL);
    if (asked->ttl_s) {
        own->expires = hm_module_now(host->ctx) + 1000 * (hm_ms)asked->ttl_s;
    }
    hm_host_services_add(services, own);
    if (kept_before || asked->ttl_s == 0) {
        hm_host_keep(host);
    }
    return report(host, request, &service.name, service.port, asked->timeout_ms);
}

/* Says what could have been meant. */
static enum hm_status refuse_unknown(struct hm_host *host, const struct hm_request *request,
                                     const struct hm_name *service, uint16_t port)
{
    struct hm_buf why = {0};
    hm_buf_printf(&why, "no service '%s'", service->text);
    if (port) {
        hm_buf_printf(&why, " on port %u", port);
    }
    hm_buf_append_text(&why, " on this host");
    for (size_t i = 0; i < host->settings.services.count && why.size < 300; i++) {
        const struct hm_service *one = &host->settings.services.items[i]->service;
        hm_buf_printf(&why, "%s%s:%u", i ? ", " : "; it has ", one->name.text, one->port);
    }
    return refuse_why(host, request, HM_NOT_FOUND, &why);
}

static bool matches(const struct hm_host_service *own, const struct hm_name *service, uint16_t port)
{
    return (service->size == 0 || hm_name_equal_nocase(&own->service.name, service)) &&
           (port == 0 || own->service.port == port);
}

static enum hm_status withdraw(struct hm_host *host, const struct hm_request *request)
{
    const struct hm_withdraw *asked = &request->message->withdraw;
    struct hm_host_services *services = &host->settings.services;
    bool found = false;
    for (size_t i = 0; i < services->count; i++) {
        const struct hm_host_service *own = services->items[i];
        if (!asked->service.size || !matches(own, &asked->service, asked->port)) {
            continue;
        }
        found = true;
        if (own->place) {
            return refuse(host, request, HM_DENIED,
                          "service '%s' on port %u is declared in %s: remove it there and reload, "
                          "or drain it",
                          own->service.name.text, own->service.port, own->place);
        }
    }
    if (!found) {
        return refuse_unknown(host, request, &asked->service, asked->port);
    }
    bool kept = false;
    uint16_t port = 0;
    for (size_t i = services->count; i > 0; i--) {
        if (matches(services->items[i - 1], &asked->service, asked->port)) {
            struct hm_host_service *gone = hm_host_services_take(services, i - 1);
            kept = kept || gone->expires == HM_NEVER;
            port = gone->service.port;
            hm_host_service_free(gone);
        }
    }
    if (kept) {
        hm_host_keep(host);
    }
    return report(host, request, &asked->service, port, asked->timeout_ms);
}

static enum hm_status drain(struct hm_host *host, const struct hm_request *request)
{
    const struct hm_drain *asked = &request->message->drain;
    const struct hm_host_services *services = &host->settings.services;
    uint16_t port = 0;
    for (size_t i = 0; i < services->count; i++) {
        if (matches(services->items[i], &asked->service, 0)) {
            services->items[i]->service.draining = asked->draining;
            port = services->items[i]->service.port;
        }
    }
    if (asked->service.size == 0) {
        host->drain_all = asked->draining;
    } else if (port == 0) {
        return refuse_unknown(host, request, &asked->service, 0);
    }
    return report(host, request, &asked->service, port, asked->timeout_ms);
}

enum hm_status hm_host_request(struct hm_host *host, const struct hm_request *request)
{
    switch (request->message->kind) {
    case HM_MSG_announce:
        return announce(host, request);
    case HM_MSG_withdraw:
        return withdraw(host, request);
    case HM_MSG_drain:
        return drain(host, request);
    default:
        return HM_NOT_FOUND;
    }
}
