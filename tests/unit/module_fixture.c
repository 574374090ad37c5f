#include "tests/unit/module_fixture.h"

#include "core/base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- module.h ---- */

void *hm_module_state(struct hm_module_ctx *ctx)
{
    return ctx->state;
}

hm_ms hm_module_now(const struct hm_module_ctx *ctx)
{
    return ctx->now;
}

void hm_module_wake(struct hm_module_ctx *ctx, hm_ms at)
{
    ctx->wake_at = at;
}

static void append_line(struct hm_buf *buf, const char *head, const char *between,
                        const char *format, va_list arguments)
{
    char rest[1024];
    vsnprintf(rest, sizeof rest, format, arguments);
    hm_buf_printf(buf, "%s%s%s\n", head, between, rest);
}

void hm_module_log(struct hm_module_ctx *ctx, enum hm_log_level level, const char *event,
                   const char *format, ...)
{
    static const char *const words[] = {"error: ", "warn: ", "info: ", "debug: "};
    va_list arguments;
    hm_buf_append_text(&ctx->logs, words[level]);
    va_start(arguments, format);
    append_line(&ctx->logs, event, " ", format, arguments);
    va_end(arguments);
}

bool hm_module_logs(const struct hm_module_ctx *ctx, enum hm_log_level level)
{
    (void)ctx, (void)level;
    return true;
}

void hm_module_fact(struct hm_module_ctx *ctx, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    append_line(&ctx->facts, key, "=", format, arguments);
    va_end(arguments);
}

const struct hm_view *hm_module_view(const struct hm_module_ctx *ctx)
{
    return &ctx->view;
}

const struct hm_node_config *hm_module_node_config(const struct hm_module_ctx *ctx)
{
    return &ctx->config;
}

struct hm_version hm_module_publish(struct hm_module_ctx *ctx, const struct hm_host_config *config)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes,
                      &(struct hm_message){.kind = HM_MSG_host_config, .host_config = *config});
    if (ctx->seq && hm_bytes_equal(hm_buf_view(&bytes), hm_buf_view(&ctx->published))) {
        hm_buf_fini(&bytes);
    } else {
        hm_buf_fini(&ctx->published);
        ctx->published = bytes;
        ctx->seq++;
    }
    return (struct hm_version){1, ctx->seq};
}

void hm_module_report_change(struct hm_module_ctx *ctx, const struct hm_request *request,
                             struct hm_version version, const struct hm_name *service,
                             const struct hm_addr *addr, uint32_t timeout_ms)
{
    char text[HM_ADDR_TEXT_BYTES];
    (void)request;
    (void)service;
    (void)timeout_ms;
    hm_buf_clear(&ctx->answer);
    hm_buf_printf(&ctx->answer, "report %u %s", (unsigned)version.seq,
                  addr->family ? hm_addr_format(addr, text) : "-");
}

void hm_module_answer(struct hm_module_ctx *ctx, const struct hm_request *request,
                      struct hm_message *message)
{
    (void)request;
    hm_buf_clear(&ctx->answer);
    hm_buf_printf(&ctx->answer, "%s: %.*s", hm_status_name((enum hm_status)message->answer.status),
                  (int)message->answer.reason.size, (const char *)message->answer.reason.data);
}

void hm_module_keep(struct hm_module_ctx *ctx, const char *file, struct hm_bytes content)
{
    (void)file;
    hm_buf_clear(&ctx->kept);
    hm_buf_append(&ctx->kept, content.data, content.size);
}

struct hm_bytes hm_module_kept(struct hm_module_ctx *ctx, const char *file)
{
    (void)file;
    return hm_buf_view(&ctx->kept);
}

const struct hm_module_io *hm_module_io(const struct hm_module_ctx *ctx)
{
    return ctx->has_io ? &ctx->io : NULL;
}

/* ---- descriptors ---- */

static struct hm_module_watch *watch(void *context, int fd, int events,
                                     void (*ready)(void *user, int events), void *user)
{
    struct hm_module_ctx *ctx = context;
    for (size_t i = 0; i < FIXTURE_WATCHES_MAX; i++) {
        if (ctx->watches[i].fd < 0) {
            ctx->watches[i] = (struct hm_module_watch){fd, events, ready, user};
            return &ctx->watches[i];
        }
    }
    return NULL;
}

static void rewatch(struct hm_module_watch *watch, int events)
{
    watch->events = events;
}

static void unwatch(struct hm_module_watch *watch)
{
    watch->fd = -1;
}

void fixture_poll(struct hm_module_ctx *ctx, int also)
{
    struct pollfd fds[FIXTURE_WATCHES_MAX + 1];
    struct hm_module_watch *of[FIXTURE_WATCHES_MAX];
    nfds_t count = 0;
    for (size_t i = 0; i < FIXTURE_WATCHES_MAX; i++) {
        struct hm_module_watch *one = &ctx->watches[i];
        if (one->fd >= 0 && one->events) {
            short events = (short)((one->events & HM_WATCH_READ ? POLLIN : 0) |
                                   (one->events & HM_WATCH_WRITE ? POLLOUT : 0));
            of[count] = one;
            fds[count++] = (struct pollfd){.fd = one->fd, .events = events};
        }
    }
    nfds_t own = count;
    if (also >= 0) {
        fds[count++] = (struct pollfd){.fd = also, .events = POLLIN};
    }
    assert_true(poll(fds, count, 10000) > 0);
    for (nfds_t i = 0; i < own; i++) {
        /* One call a poll: it may end the others. */
        if (fds[i].revents) {
            int events = (fds[i].revents & (POLLIN | POLLERR | POLLHUP) ? HM_WATCH_READ : 0) |
                         (fds[i].revents & (POLLOUT | POLLERR | POLLHUP) ? HM_WATCH_WRITE : 0);
            of[i]->ready(of[i]->user, events & of[i]->events);
            return;
        }
    }
}

/* ---- the place ---- */

void fixture_init(struct hm_module_ctx *ctx, const struct hm_module *module, bool with_io)
{
    *ctx = (struct hm_module_ctx){.module = module,
                                  .state = hm_alloc(1, module->state_size + 1),
                                  .now = 1000,
                                  .wake_at = HM_NEVER,
                                  .has_io = with_io,
                                  .io = {ctx, watch, rewatch, unwatch}};
    for (size_t i = 0; i < FIXTURE_WATCHES_MAX; i++) {
        ctx->watches[i].fd = -1;
    }
    assert_true(hm_addr_parse("127.0.0.1:9610", 0, &ctx->config.addr));
}

void fixture_fini(struct hm_module_ctx *ctx)
{
    if (ctx->module->fini) {
        ctx->module->fini(ctx);
    }
    for (size_t i = 0; i < FIXTURE_WATCHES_MAX; i++) {
        assert_int_equal(ctx->watches[i].fd, -1);
    }
    hm_view_fini(&ctx->view);
    hm_buf_fini(&ctx->logs);
    hm_buf_fini(&ctx->facts);
    hm_buf_fini(&ctx->published);
    hm_buf_fini(&ctx->answer);
    hm_buf_fini(&ctx->kept);
    hm_conf_free(ctx->conf);
    hm_arena_fini(&ctx->arena);
    hm_free(ctx->state);
}

const struct hm_conf_node *fixture_conf(struct hm_module_ctx *ctx, const char *yaml)
{
    const struct hm_module *module = ctx->module;
    struct hm_conf_part parts[2];
    size_t count = 0;
    struct hm_conf_errors errors = {0};
    if (module->schema) {
        parts[count++] = (struct hm_conf_part){.section = module->name,
                                               .schema = module->schema,
                                               .module = module->name,
                                               .loaded = true};
    }
    if (module->root) {
        parts[count++] =
            (struct hm_conf_part){.schema = module->root, .module = module->name, .loaded = true};
    }
    const struct hm_conf_schema *schema =
        hm_conf_compose(&ctx->arena, &hm_conf_root_schema, parts, count);
    hm_conf_free(ctx->conf);
    ctx->conf = NULL;
    enum hm_status status =
        hm_conf_parse(schema, "a.yaml", hm_bytes_of_text(yaml), &errors, &ctx->conf);
    if (status != HM_OK) {
        struct hm_buf printed = {0};
        hm_conf_errors_print(&errors, &printed);
        fail_msg("%s", fixture_text(&printed));
    }
    hm_conf_errors_fini(&errors);
    return hm_conf_root(ctx->conf);
}

enum hm_status fixture_start(struct hm_module_ctx *ctx, const char *yaml, struct hm_buf *error)
{
    const struct hm_module *module = ctx->module;
    const struct hm_conf_node *root = fixture_conf(ctx, yaml);
    const struct hm_conf_node *section = module->schema ? hm_conf_get(root, module->name) : NULL;
    struct hm_conf_errors errors = {0};
    if (module->check) {
        module->check(section, root, &errors);
    }
    enum hm_status status = errors.count ? HM_BAD_CONFIG : HM_OK;
    hm_conf_errors_print(&errors, error);
    hm_conf_errors_fini(&errors);
    if (status == HM_OK && module->init) {
        status = module->init(ctx, section, root, error);
    }
    return status == HM_OK && module->start ? module->start(ctx, error) : status;
}

void fixture_advance(struct hm_module_ctx *ctx, hm_ms now)
{
    ctx->now = now;
    for (int i = 0; ctx->wake_at <= now; i++) {
        assert_true(i < 1000);
        ctx->wake_at = HM_NEVER;
        ctx->module->tick(ctx, now);
    }
}

enum hm_status fixture_request(struct hm_module_ctx *ctx, const struct hm_id *from,
                               const struct hm_message *message)
{
    struct hm_request request = {.message = message, .token = 1};
    if (from) {
        request.from = *from;
    }
    hm_buf_clear(&ctx->answer);
    return ctx->module->request(ctx, &request);
}

const char *fixture_text(struct hm_buf *buf)
{
    hm_put_u8(buf, 0);
    buf->size--;
    return (const char *)buf->data;
}
