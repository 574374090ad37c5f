/* Modules inside a node, and what module.h lets them call. */
#include "core/node/modules.h"

#include "core/node/desk/acts.h"
#include "core/node/desk/disk.h"
#include "core/node/desk/requests.h"
#include "core/node/desk/submit.h"
#include "core/node/host/host.h"
#include "core/node/host/report.h"
#include "core/node/logs/named.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What the module finds in the configuration, for a program that did not ask it before. */
static enum hm_status check(const struct hm_module_ctx *ctx, const struct hm_conf_node *root,
                            struct hm_buf *error)
{
    struct hm_conf_errors errors = {0};
    if (ctx->module->check) {
        ctx->module->check(ctx->section, root, &errors);
    }
    enum hm_status status = errors.count ? HM_BAD_CONFIG : HM_OK;
    if (status != HM_OK) {
        hm_conf_errors_print(&errors, error);
        error->size--; /* a sentence, not a line */
    }
    hm_conf_errors_fini(&errors);
    return status;
}

/* The log of the module's role. Two roles whose logs would have one id cannot be in one node. */
static enum hm_status open_machine(struct hm_module_ctx *ctx, struct hm_buf *error)
{
    const char *role = ctx->module->performs[0];
    ctx->machine = *ctx->module->machine;
    ctx->machine.admit = ctx->machine.admit ? ctx->machine.admit : hm_list_machine.admit;
    ctx->log = hm_node_role_log_id(role);
    for (const struct hm_module_ctx *other = ctx->node->modules; other < ctx; other++) {
        if (other->log == ctx->log) {
            hm_buf_printf(error, "roles %s and %s cannot be in one cluster: rename one of them",
                          other->module->performs[0], role);
            return HM_BAD_CONFIG;
        }
    }
    return HM_OK;
}

enum hm_status hm_node_open_modules(struct hm_node *node, struct hm_buf *error)
{
    const struct hm_node_config *config = &node->config;
    node->modules = hm_alloc(config->module_count, sizeof *node->modules);
    for (size_t i = 0; i < config->module_count; i++) {
        struct hm_module_ctx *ctx = &node->modules[i];
        *ctx = (struct hm_module_ctx){
            .node = node,
            .module = config->modules[i],
            .section = config->sections ? config->sections[i] : NULL,
            .state = hm_alloc(1, config->modules[i]->state_size),
            .wake_at = HM_NEVER,
        };
        enum hm_status status = check(ctx, config->root, error);
        if (status == HM_OK && ctx->module->machine) {
            status = open_machine(ctx, error);
        }
        if (status == HM_OK && ctx->module->init) {
            status = ctx->module->init(ctx, ctx->section, config->root, error);
        }
        if (status != HM_OK) {
            return status;
        }
    }
    return HM_OK;
}

enum hm_status hm_node_start_modules(struct hm_node *node, struct hm_buf *error)
{
    for (size_t i = 0; i < node->config.module_count; i++) {
        struct hm_module_ctx *ctx = &node->modules[i];
        enum hm_status status = ctx->module->start ? ctx->module->start(ctx, error) : HM_OK;
        if (status != HM_OK) {
            return status;
        }
    }
    return HM_OK;
}

void hm_node_close_modules(struct hm_node *node)
{
    for (size_t i = node->modules ? node->config.module_count : 0; i > 0; i--) {
        struct hm_module_ctx *ctx = &node->modules[i - 1];
        if (ctx->module && ctx->module->fini) {
            ctx->module->fini(ctx);
        }
        hm_free(ctx->state);
    }
    hm_free(node->modules);
    node->modules = NULL;
}

void hm_node_reload(struct hm_node *node, hm_ms now, const struct hm_conf_node *const *sections,
                    const struct hm_conf_node *root)
{
    node->now = now;
    node->config.sections = sections;
    node->config.root = root;
    if (root) {
        node->config.serve_joins = hm_conf_flag(root, "serve_joins");
    }
    for (size_t i = 0; i < node->config.module_count; i++) {
        struct hm_module_ctx *ctx = &node->modules[i];
        ctx->section = sections ? sections[i] : NULL;
        if (ctx->module->reload) {
            ctx->module->reload(ctx, ctx->section, root);
        }
    }
    node->fed = true;
}

void hm_node_tick_modules(struct hm_node *node)
{
    for (size_t i = 0; i < node->config.module_count; i++) {
        struct hm_module_ctx *ctx = &node->modules[i];
        if (node->now >= ctx->wake_at) {
            ctx->wake_at = HM_NEVER;
            ctx->module->tick(ctx, node->now);
        }
    }
}

hm_ms hm_node_modules_deadline(const struct hm_node *node)
{
    hm_ms soonest = HM_NEVER;
    for (size_t i = 0; i < node->config.module_count; i++) {
        soonest = node->modules[i].wake_at < soonest ? node->modules[i].wake_at : soonest;
    }
    return soonest;
}

void hm_node_catalog_changed(void *context, const struct hm_change_note *note)
{
    struct hm_node *node = context;
    for (size_t i = 0; i < node->config.module_count; i++) {
        struct hm_module_ctx *ctx = &node->modules[i];
        if (ctx->module->change) {
            ctx->module->change(ctx, note);
        }
    }
}

enum hm_status hm_node_run_chain(struct hm_node *node, const struct hm_request *request)
{
    for (size_t i = 0; i < node->config.module_count; i++) {
        struct hm_module_ctx *ctx = &node->modules[i];
        if (ctx->module->kind != HM_MODULE_MIDDLEWARE || !ctx->module->request) {
            continue;
        }
        enum hm_status status = ctx->module->request(ctx, request);
        if (status != HM_OK) {
            return status;
        }
    }
    return HM_OK;
}

enum hm_status hm_node_offer_request(struct hm_node *node, const struct hm_request *request)
{
    for (size_t i = 0; i < node->config.module_count; i++) {
        struct hm_module_ctx *ctx = &node->modules[i];
        if (ctx->module->kind != HM_MODULE_ROLE || !ctx->module->request) {
            continue;
        }
        enum hm_status status = ctx->module->request(ctx, request);
        if (status != HM_NOT_FOUND) {
            return status;
        }
    }
    return HM_NOT_FOUND;
}

void hm_node_module_written(struct hm_node *node, const struct hm_call *call,
                            const struct hm_submitted *answer)
{
    struct hm_module_ctx *ctx = &node->modules[call->user];
    if (ctx->module->written) {
        ctx->module->written(ctx, answer->call, answer);
    }
}

void hm_node_module_write_expired(struct hm_node *node, const struct hm_call *call)
{
    struct hm_submitted answer = {
        .call = call->id,
        .status = HM_NO_QUORUM,
        .reason = hm_bytes_of_text("the control plane did not answer in time, or has no quorum")};
    hm_node_module_written(node, call, &answer);
}

void hm_node_status_facts(struct hm_node *node)
{
    for (size_t i = 0; i < node->config.module_count; i++) {
        struct hm_module_ctx *ctx = &node->modules[i];
        if (ctx->module->status) {
            ctx->module->status(ctx);
        }
    }
}

void hm_node_run_event(struct hm_node *node, const struct hm_event *event,
                       const struct hm_message *body)
{
    for (size_t i = 0; i < node->config.module_count; i++) {
        struct hm_module_ctx *ctx = &node->modules[i];
        if (ctx->module->event) {
            ctx->module->event(ctx, event, body);
        }
    }
}

/* ---- module.h ---- */

void *hm_module_state(struct hm_module_ctx *ctx)
{
    return ctx->state;
}

hm_ms hm_module_now(const struct hm_module_ctx *ctx)
{
    return ctx->node->now;
}

void hm_module_wake(struct hm_module_ctx *ctx, hm_ms at)
{
    ctx->wake_at = at;
}

bool hm_module_logs(const struct hm_module_ctx *ctx, enum hm_log_level level)
{
    return level <= ctx->node->log_level;
}

void hm_module_log(struct hm_module_ctx *ctx, enum hm_log_level level, const char *event,
                   const char *format, ...)
{
    char rest[800];
    va_list arguments;
    if (!hm_module_logs(ctx, level)) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(rest, sizeof rest, format, arguments);
    va_end(arguments);
    hm_node_log(ctx->node, level, event, "module=%s %s", ctx->module->name, rest);
}

void hm_node_add_fact(struct hm_node *node, const char *key, const char *format, va_list arguments)
{
    char value[512];
    vsnprintf(value, sizeof value, format, arguments);
    node->facts->items = hm_grow(node->facts->items, node->facts->count, &node->facts->capacity,
                                 sizeof *node->facts->items);
    node->facts->items[node->facts->count++] =
        (struct hm_pair){.key = hm_bytes_copy(hm_bytes_of_text(key)),
                         .value = hm_bytes_copy(hm_bytes_of_text(value))};
}

void hm_module_fact(struct hm_module_ctx *ctx, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    hm_node_add_fact(ctx->node, key, format, arguments);
    va_end(arguments);
}

const struct hm_view *hm_module_view(const struct hm_module_ctx *ctx)
{
    return ctx->node->view;
}

const struct hm_catalog *hm_module_catalog(const struct hm_module_ctx *ctx)
{
    return ctx->node->catalog;
}

struct hm_id hm_module_node_id(const struct hm_module_ctx *ctx)
{
    return ctx->node->id;
}

const struct hm_node_config *hm_module_node_config(const struct hm_module_ctx *ctx)
{
    return &ctx->node->config;
}

struct hm_version hm_module_publish(struct hm_module_ctx *ctx, const struct hm_host_config *config)
{
    return hm_node_publish(ctx->node, config);
}

void hm_module_report_change(struct hm_module_ctx *ctx, const struct hm_request *request,
                             struct hm_version version, const struct hm_name *service,
                             const struct hm_addr *addr, uint32_t timeout_ms)
{
    hm_node_report_change(ctx->node, request->token, version, service, addr, timeout_ms);
}

uint64_t hm_module_write(struct hm_module_ctx *ctx, const struct hm_request_write *write,
                         hm_ms deadline)
{
    struct hm_message request = {.kind = HM_MSG_request_write, .request_write = *write};
    return hm_node_submit(ctx->node, &request, HM_CALL_WRITE, (uint64_t)(ctx - ctx->node->modules),
                          deadline);
}

void hm_module_answer(struct hm_module_ctx *ctx, const struct hm_request *request,
                      struct hm_message *message)
{
    hm_node_answer(ctx->node, request->token, message);
}

static void kept_name(const struct hm_module_ctx *ctx, const char *file,
                      char out[HM_DISK_FILE_BYTES_MAX])
{
    snprintf(out, HM_DISK_FILE_BYTES_MAX, "%s-%s", ctx->module->name, file);
}

void hm_module_keep(struct hm_module_ctx *ctx, const char *file, struct hm_bytes content)
{
    char name[HM_DISK_FILE_BYTES_MAX];
    kept_name(ctx, file, name);
    hm_node_keep_file(ctx->node, name, content);
}

struct hm_bytes hm_module_kept(struct hm_module_ctx *ctx, const char *file)
{
    char name[HM_DISK_FILE_BYTES_MAX];
    kept_name(ctx, file, name);
    for (size_t i = 0; i < ctx->node->kept_count; i++) {
        if (strcmp(ctx->node->kept[i].name, name) == 0) {
            return ctx->node->kept[i].content;
        }
    }
    return (struct hm_bytes){0};
}

const struct hm_module_io *hm_module_io(const struct hm_module_ctx *ctx)
{
    return ctx->node->config.io;
}
