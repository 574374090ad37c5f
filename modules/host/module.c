#include "core/base/assert.h"
#include "modules/host/host.h"
#include "modules/modules.h"

#include <string.h>

#define KEPT "announcements"

struct hm_addr hm_host_addr(const struct hm_host *host, uint16_t port)
{
    struct hm_addr addr = host->settings.addresses_count ? host->settings.addresses[0].addr
                                                         : hm_module_node_config(host->ctx)->addr;
    addr.port = port;
    return addr;
}

struct hm_version hm_host_publish(struct hm_host *host)
{
    const struct hm_host_services *services = &host->settings.services;
    struct hm_service *list = hm_alloc(services->count + 1, sizeof *list);
    for (size_t i = 0; i < services->count; i++) {
        const struct hm_host_service *own = services->items[i];
        list[i] = own->service;
        list[i].health = own->check ? (uint8_t)hm_check_health(own->check) : HM_HEALTH_UNKNOWN;
    }
    struct hm_host_config config = {.addresses = host->settings.addresses,
                                    .addresses_count = host->settings.addresses_count,
                                    .tags = host->settings.tags,
                                    .tags_count = host->settings.tags_count,
                                    .services = list,
                                    .services_count = (uint32_t)services->count};
    struct hm_version version = hm_module_publish(host->ctx, &config);
    hm_free(list);
    return version;
}

void hm_host_wake(struct hm_host *host)
{
    hm_ms soonest = hm_checks_deadline(&host->checks);
    for (size_t i = 0; i < host->settings.services.count; i++) {
        hm_ms expires = host->settings.services.items[i]->expires;
        soonest = expires < soonest ? expires : soonest;
    }
    hm_module_wake(host->ctx, soonest);
}

void hm_host_keep(struct hm_host *host)
{
    const struct hm_host_services *services = &host->settings.services;
    struct hm_message message = {.kind = HM_MSG_node_announcements};
    struct hm_node_announcements *kept = &message.node_announcements;
    struct hm_buf bytes = {0};
    kept->services = hm_alloc(services->count + 1, sizeof *kept->services);
    for (size_t i = 0; i < services->count; i++) {
        const struct hm_host_service *own = services->items[i];
        if (!own->place && own->expires == HM_NEVER) {
            kept->services[kept->services_count] = own->service;
            kept->services[kept->services_count++].draining = false;
        }
    }
    hm_message_encode(&bytes, &message);
    hm_module_keep(host->ctx, KEPT, hm_buf_view(&bytes));
    hm_buf_fini(&bytes);
    hm_free(kept->services);
}

static void check(const struct hm_conf_node *section, const struct hm_conf_node *root,
                  struct hm_conf_errors *errors)
{
    (void)section;
    struct hm_host_settings settings;
    hm_host_settings_read(root, &settings, errors);
    hm_host_settings_fini(&settings);
}

/* A configuration that check has found good. */
static void read_settings(const struct hm_conf_node *root, struct hm_host_settings *out)
{
    struct hm_conf_errors errors = {0};
    hm_host_settings_read(root, out, &errors);
    HM_ASSERT(errors.count == 0);
}

static enum hm_status init(struct hm_module_ctx *ctx, const struct hm_conf_node *section,
                           const struct hm_conf_node *root, struct hm_buf *error)
{
    (void)section;
    (void)error;
    struct hm_host *host = hm_module_state(ctx);
    host->ctx = ctx;
    hm_checks_init(&host->checks, ctx);
    read_settings(root, &host->settings);
    return HM_OK;
}

/* Those announced before the restart, unless the configuration has them now. */
static enum hm_status take_kept(struct hm_host *host, struct hm_buf *error)
{
    struct hm_bytes bytes = hm_module_kept(host->ctx, KEPT);
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_buf why = {0};
    if (bytes.size == 0) {
        return HM_OK;
    }
    if (hm_message_decode_only(bytes, HM_MSG_node_announcements, &arena, &message) != HM_OK) {
        hm_buf_append_text(error, "the kept announcements (file host-" KEPT ") are damaged: remove "
                                  "the file and announce anew");
        hm_arena_fini(&arena);
        return HM_DAMAGED;
    }
    for (uint32_t i = 0; i < message.node_announcements.services_count; i++) {
        const struct hm_service *service = &message.node_announcements.services[i];
        struct hm_host_services *services = &host->settings.services;
        size_t same = hm_host_services_find(services, &service->name, service->port);
        hm_buf_clear(&why);
        if (same < services->count) {
            hm_module_log(host->ctx, HM_LOG_WARN, "announcement replaced",
                          "service=%s port=%u by=%s", service->name.text, service->port,
                          services->items[same]->place);
        } else if (!hm_host_services_have_room(services, service, &why)) {
            hm_module_log(host->ctx, HM_LOG_WARN, "announcement dropped",
                          "service=%s port=%u reason=\"%.*s\"", service->name.text, service->port,
                          (int)why.size, (const char *)why.data);
        } else {
            hm_host_services_add(services, hm_host_service_new(service, NULL, NULL));
        }
    }
    hm_buf_fini(&why);
    hm_arena_fini(&arena);
    return HM_OK;
}

/* Starts the check of a service that has none yet. */
static void start_check(struct hm_host *host, struct hm_host_service *service,
                        enum hm_health health)
{
    if (service->plan.every_ms != 0) {
        struct hm_addr addr = hm_host_addr(host, service->service.port);
        service->check =
            hm_check_new(&host->checks, &service->plan, &service->service.name, &addr, health);
    }
}

static enum hm_status start(struct hm_module_ctx *ctx, struct hm_buf *error)
{
    struct hm_host *host = hm_module_state(ctx);
    enum hm_status status = take_kept(host, error);
    if (status != HM_OK) {
        return status;
    }
    for (size_t i = 0; i < host->settings.services.count; i++) {
        start_check(host, host->settings.services.items[i], HM_HEALTH_UNKNOWN);
    }
    hm_host_publish(host);
    hm_host_wake(host);
    return HM_OK;
}

/* What `before` knew of a service goes on: draining, its check when that is the same, and its
 * health when the check is new. What was served without a check is not taken out by getting one. */
static void carry_over(struct hm_host *host, struct hm_host_service *before,
                       struct hm_host_service *after)
{
    enum hm_health health = before && before->check ? hm_check_health(before->check)
                            : before                ? HM_HEALTH_PASSING
                                                    : HM_HEALTH_UNKNOWN;
    struct hm_addr addr = hm_host_addr(host, after->service.port);
    after->service.draining = before ? before->service.draining : host->drain_all;
    if (before && before->check && hm_check_is(before->check, &after->plan, &addr)) {
        after->check = before->check;
        before->check = NULL;
    } else {
        start_check(host, after, health);
    }
}

/* The announcements of `before` go over to `after`, unless the configuration has them now. */
static void carry_announcements(struct hm_host *host, struct hm_host_services *before)
{
    struct hm_host_services *after = &host->settings.services;
    size_t at = 0;
    struct hm_buf why = {0};
    while (at < before->count) {
        const struct hm_service *service = &before->items[at]->service;
        hm_buf_clear(&why);
        if (!before->items[at]->place &&
            hm_host_services_find(after, &service->name, service->port) == after->count &&
            hm_host_services_have_room(after, service, &why)) {
            hm_host_services_add(after, hm_host_services_take(before, at));
            continue;
        }
        if (!before->items[at]->place) {
            hm_module_log(host->ctx, HM_LOG_WARN, "announcement replaced",
                          "service=%s port=%u reason=\"%.*s\"", service->name.text, service->port,
                          (int)why.size, (const char *)why.data);
        }
        at++;
    }
    hm_buf_fini(&why);
}

static void reload(struct hm_module_ctx *ctx, const struct hm_conf_node *section,
                   const struct hm_conf_node *root)
{
    (void)section;
    struct hm_host *host = hm_module_state(ctx);
    struct hm_host_settings before = host->settings;
    read_settings(root, &host->settings);
    struct hm_host_services *services = &host->settings.services;
    for (size_t i = 0; i < services->count; i++) {
        const struct hm_service *service = &services->items[i]->service;
        size_t at = hm_host_services_find(&before.services, &service->name, service->port);
        carry_over(host, at < before.services.count ? before.services.items[at] : NULL,
                   services->items[i]);
    }
    carry_announcements(host, &before.services);
    hm_host_settings_fini(&before);
    hm_host_keep(host);
    hm_host_publish(host);
    hm_host_wake(host);
}

static void tick(struct hm_module_ctx *ctx, hm_ms now)
{
    struct hm_host *host = hm_module_state(ctx);
    struct hm_host_services *services = &host->settings.services;
    bool changed = hm_checks_tick(&host->checks, now);
    size_t at = 0;
    while (at < services->count) {
        if (services->items[at]->expires > now) {
            at++;
            continue;
        }
        struct hm_host_service *expired = hm_host_services_take(services, at);
        hm_module_log(ctx, HM_LOG_WARN, "announcement expired", "service=%s port=%u",
                      expired->service.name.text, expired->service.port);
        hm_host_service_free(expired);
        changed = true;
    }
    if (changed) {
        hm_host_publish(host);
    }
    hm_host_wake(host);
}

static enum hm_status request(struct hm_module_ctx *ctx, const struct hm_request *request)
{
    return hm_host_request(hm_module_state(ctx), request);
}

/* Appends "web, api": the services that `chosen` picks. */
static void list_services(const struct hm_host *host,
                          bool (*chosen)(const struct hm_host_service *), struct hm_buf *out)
{
    for (size_t i = 0; i < host->settings.services.count; i++) {
        const struct hm_host_service *service = host->settings.services.items[i];
        if (chosen(service)) {
            hm_buf_printf(out, "%s%s:%u", out->size ? ", " : "", service->service.name.text,
                          service->service.port);
        }
    }
}

static bool is_draining(const struct hm_host_service *service)
{
    return service->service.draining;
}

static bool is_failing(const struct hm_host_service *service)
{
    return service->check && hm_check_health(service->check) == HM_HEALTH_FAILING;
}

static bool is_waiting(const struct hm_host_service *service)
{
    return service->check && hm_check_health(service->check) == HM_HEALTH_UNKNOWN;
}

static void status(struct hm_module_ctx *ctx)
{
    static const struct {
        const char *fact;
        bool (*chosen)(const struct hm_host_service *);
    } lists[] = {
        {"draining until a restart or undrain", is_draining},
        {"failing their check", is_failing},
        {"waiting for their first pass", is_waiting},
    };
    struct hm_host *host = hm_module_state(ctx);
    size_t announced = 0;
    for (size_t i = 0; i < host->settings.services.count; i++) {
        announced += !host->settings.services.items[i]->place;
    }
    hm_module_fact(ctx, "services", "%zu, %zu of them announced by command",
                   host->settings.services.count, announced);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct hm_buf names = {0};
        list_services(host, lists[i].chosen, &names);
        if (names.size) {
            hm_module_fact(ctx, lists[i].fact, "%.*s", (int)names.size, (const char *)names.data);
        }
        hm_buf_fini(&names);
    }
}

static void fini(struct hm_module_ctx *ctx)
{
    struct hm_host *host = hm_module_state(ctx);
    hm_host_settings_fini(&host->settings);
}

static const char *const performs[] = {"host", NULL};
static const char *const bootstraps[] = {"dns", "nginx", NULL};

const struct hm_module hm_host_module = {
    .abi = HM_MODULE_ABI,
    .kind = HM_MODULE_ROLE,
    .name = "host",
    .performs = performs,
    .bootstraps = bootstraps,
    .root = &hm_host_schema,
    .state_size = sizeof(struct hm_host),
    .check = check,
    .init = init,
    .start = start,
    .reload = reload,
    .request = request,
    .tick = tick,
    .status = status,
    .fini = fini,
};
