#include "tests/unit/dns_node.h"

#include "core/base/memory.h"
#include "dns_processor/namers.h"
#include "dns_processor/record.h"
#include "dns_processor/socket.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct hm_catalog catalog;

/* --- What the module calls -------------------------------------------------------------------- */

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
    ctx->wake = at;
}

void hm_module_log(struct hm_module_ctx *ctx, enum hm_log_level level, const char *event,
                   const char *format, ...)
{
    char text[512];
    va_list arguments;
    (void)level;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    hm_buf_printf(&ctx->logs, "%s %s\n", event, text);
}

uint64_t hm_module_write(struct hm_module_ctx *ctx, const struct hm_request_write *write,
                         hm_ms deadline)
{
    ctx->deadline = deadline;
    hm_buf_clear(&ctx->write);
    hm_message_encode(&ctx->write,
                      &(struct hm_message){.kind = HM_MSG_request_write, .request_write = *write});
    return ++ctx->writes;
}

void hm_module_answer(struct hm_module_ctx *ctx, const struct hm_request *request,
                      struct hm_message *message)
{
    assert_int_equal(request->token, TOKEN);
    hm_buf_clear(&ctx->answer);
    hm_message_print(&ctx->answer, message);
}

void hm_module_fact(struct hm_module_ctx *ctx, const char *key, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    hm_buf_printf(&ctx->facts, "%s=%s\n", key, text);
}

const struct hm_view *hm_module_view(const struct hm_module_ctx *ctx)
{
    return &ctx->view;
}

const struct hm_catalog *hm_module_catalog(const struct hm_module_ctx *ctx)
{
    (void)ctx;
    return &catalog;
}

struct hm_id hm_module_node_id(const struct hm_module_ctx *ctx)
{
    return ctx->id;
}

const struct hm_node_config *hm_module_node_config(const struct hm_module_ctx *ctx)
{
    return &ctx->config;
}

const struct hm_module_io *hm_module_io(const struct hm_module_ctx *ctx)
{
    (void)ctx;
    static const struct hm_module_io io;
    return &io;
}

const struct hm_catalog_host *hm_catalog_host_named(const struct hm_catalog *of,
                                                    const struct hm_name *name)
{
    return of->has_host && hm_name_equal_nocase(&of->host.name, name) ? &of->host : NULL;
}

const struct hm_catalog_host *hm_catalog_next_host(const struct hm_catalog *of, size_t *cursor)
{
    return of->has_host && (*cursor)++ == 0 ? &of->host : NULL;
}

const struct hm_name *hm_catalog_next_service(const struct hm_catalog *of, size_t *cursor)
{
    return of->has_host && (*cursor)++ == 0 ? &of->service.name : NULL;
}

void hm_catalog_instances(const struct hm_catalog *of, const struct hm_name *service,
                          void (*each)(void *context, const struct hm_catalog_instance *instance),
                          void *context)
{
    if (of->has_host && hm_name_equal(service, &of->service.name)) {
        struct hm_catalog_instance instance = {
            .host = &of->host, .service = &of->service, .served = true, .healthy = of->healthy};
        assert_true(hm_addr_parse("10.0.0.5:8080", 0, &instance.addr));
        each(context, &instance);
    }
}

bool hm_catalog_vhost(const struct hm_catalog *of, struct hm_bytes vhost, struct hm_name *service)
{
    if (!of->has_host || (!hm_bytes_equal(vhost, hm_bytes_of_text("shop.corp.internal")) &&
                          !hm_bytes_equal(vhost, hm_bytes_of_text("corp.internal")))) {
        return false;
    }
    *service = of->service.name;
    return true;
}

/* --- What the tests call ---------------------------------------------------------------------- */

void read_section(struct running *running, const char *text)
{
    if (hm_conf_parse(hm_module.schema, "dns.yaml", hm_bytes_of_text(text), &running->errors,
                      &running->conf) != HM_OK) {
        fail_msg("%s", running->errors.items[0].text);
    }
    running->section = hm_conf_root(running->conf);
}

void end_section(struct running *running)
{
    hm_conf_free(running->conf);
    hm_conf_errors_fini(&running->errors);
}

uint16_t free_port(void)
{
    struct hm_dns_bind bind = {.addr = {4, {127, 0, 0, 1}, 0}};
    struct hm_buf error = {0};
    int fd = hm_dns_socket_tcp(&bind, &error);
    assert_true(fd >= 0);
    close(fd);
    hm_buf_fini(&error);
    return bind.addr.port;
}

void start(struct running *running, uint16_t port, const char *more)
{
    struct hm_buf text = {0};
    struct hm_buf error = {0};
    hm_buf_printf(&text, "listen: ['127.0.0.1:%u']\nthreads: 1\n%s", port, more);
    hm_put_u8(&text, 0);
    read_section(running, (const char *)text.data);
    hm_buf_fini(&text);
    running->ctx.now = 1000;
    running->ctx.config.name = hm_name_of("D1");
    running->ctx.state = hm_alloc(1, hm_module.state_size);
    assert_int_equal(hm_module.init(&running->ctx, running->section, NULL, &error), HM_OK);
    assert_int_equal(hm_module.start(&running->ctx, &error), HM_OK);
    hm_buf_fini(&error);
    running->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct timeval deadline = {.tv_sec = 20};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(setsockopt(running->fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline),
                     0);
    assert_int_equal(connect(running->fd, (struct sockaddr *)&address, sizeof address), 0);
}

void stop(struct running *running)
{
    close(running->fd);
    hm_module.fini(&running->ctx);
    hm_free(running->ctx.state);
    hm_view_fini(&running->ctx.view);
    hm_buf_fini(&running->ctx.facts);
    hm_buf_fini(&running->ctx.logs);
    hm_buf_fini(&running->ctx.write);
    hm_buf_fini(&running->ctx.answer);
    end_section(running);
}

void expect(struct running *running, const char *name, ldns_rr_type type, int rcode,
            const char *first)
{
    size_t size;
    uint8_t *question = dns_question(&(struct dns_ask){name, type}, &size);
    uint8_t packet[HM_DNS_UDP_MAX];
    assert_int_equal(send(running->fd, question, size, 0), size);
    LDNS_FREE(question);
    ssize_t came = recv(running->fd, packet, sizeof packet, 0);
    assert_true(came > 0);
    ldns_pkt *answer = NULL;
    assert_int_equal(ldns_wire2pkt(&answer, packet, (size_t)came), LDNS_STATUS_OK);
    assert_int_equal(ldns_pkt_get_rcode(answer), rcode);
    if (first) {
        assert_string_equal(dns_rr_text(ldns_pkt_answer(answer), 0), first);
    } else {
        assert_int_equal(ldns_pkt_ancount(answer), 0);
    }
    ldns_pkt_free(answer);
}

void change(struct running *running, enum hm_change_kind kind, const char *name)
{
    struct hm_change_note note = {.kind = kind, .name = hm_name_of(name)};
    note.key = hm_bytes_of_text(name);
    hm_module.change(&running->ctx, &note);
}

void put_record(struct running *running, const char *scope, const char *key, struct hm_bytes value)
{
    struct hm_name name = hm_name_of(scope);
    struct hm_change_note note = {
        .kind = HM_CHANGE_RECORD, .scope = name, .key = hm_bytes_of_text(key)};
    hm_records_put(&running->ctx.view.records, &name, note.key, value, ++running->ctx.index);
    hm_module.change(&running->ctx, &note);
}

void put_consumer(struct running *running, uint8_t id, const char *name, const char *role,
                  bool failed)
{
    struct hm_label label = {.name = hm_name_of(role)};
    struct hm_buf value = {0};
    struct hm_message message = {.kind = HM_MSG_consumer};
    message.consumer = (struct hm_consumer){.roles = &label, .roles_count = 1, .failed = failed};
    message.consumer.addr = (struct hm_addr){4, {127, 0, 0, id}, 9610};
    hm_message_encode(&value, &message);
    put_record(running, HM_SCOPE_CONSUMERS, name, hm_buf_view(&value));
    hm_buf_fini(&value);
}

void put_namer(struct running *running, const char *key)
{
    put_record(running, HM_DNS_SCOPE_NAMED, key, (struct hm_bytes){0});
}

const struct hm_record *find(const struct running *running, const char *scope, const char *key)
{
    struct hm_name name = hm_name_of(scope);
    return hm_records_find(&running->ctx.view.records, &name, hm_bytes_of_text(key));
}

static bool conditions_hold(const struct hm_module_ctx *ctx, const struct hm_request_write *write)
{
    for (uint32_t i = 0; i < write->conditions_count; i++) {
        const struct hm_condition *condition = &write->conditions[i];
        const struct hm_record *record =
            hm_records_find(&ctx->view.records, &condition->scope, condition->key);
        if (condition->index != (record ? record->index : 0)) {
            return false;
        }
    }
    return true;
}

static void apply(struct running *running, const struct hm_request_write *write)
{
    struct hm_module_ctx *ctx = &running->ctx;
    for (uint32_t i = 0; i < write->changes_count; i++) {
        const struct hm_change *one = &write->changes[i];
        struct hm_change_note note = {
            .kind = HM_CHANGE_RECORD, .scope = one->scope, .key = one->key};
        if (one->present) {
            hm_records_put(&ctx->view.records, &one->scope, one->key, one->value, ++ctx->index);
        } else {
            hm_records_delete(&ctx->view.records, &one->scope, one->key, ++ctx->index);
        }
        hm_module.change(ctx, &note);
    }
}

enum hm_status decide(struct running *running)
{
    struct hm_module_ctx *ctx = &running->ctx;
    struct hm_arena arena = {0};
    struct hm_message message;
    uint64_t number = ctx->writes;
    assert_int_equal(
        hm_message_decode_only(hm_buf_view(&ctx->write), HM_MSG_request_write, &arena, &message),
        HM_OK);
    struct hm_buf encoded = ctx->write; /* the next one may be asked for meanwhile */
    ctx->write = (struct hm_buf){0};
    struct hm_submitted answer = {.status = HM_CONFLICT};
    if (conditions_hold(ctx, &message.request_write)) {
        apply(running, &message.request_write);
        answer = (struct hm_submitted){.status = HM_OK, .index = ctx->index};
    }
    hm_module.written(ctx, number, &answer);
    hm_buf_fini(&encoded);
    hm_arena_fini(&arena);
    return (enum hm_status)answer.status;
}

void commit(struct running *running)
{
    assert_int_equal(decide(running), HM_OK);
}

void expect_fact(struct running *running, const char *fact)
{
    hm_buf_clear(&running->ctx.facts);
    hm_module.status(&running->ctx);
    hm_put_u8(&running->ctx.facts, 0);
    if (!strstr((const char *)running->ctx.facts.data, fact)) {
        fail_msg("no %s in\n%s", fact, (const char *)running->ctx.facts.data);
    }
}

void put_vhost(struct running *running, const char *name, uint64_t index)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_VHOSTS);
    hm_records_put(&running->ctx.view.records, &scope, hm_bytes_of_text(name),
                   hm_bytes_of_text("web"), index);
}

void set_catalog(void)
{
    static struct hm_address address = {.addr = {4, {10, 0, 0, 5}, 0}};
    catalog = (struct hm_catalog){.has_host = true, .healthy = true};
    catalog.host.name = hm_name_of("h1");
    catalog.host.config = &catalog.config;
    catalog.service.name = hm_name_of("web");
    catalog.service.weight = 7;
    catalog.tag.name = hm_name_of("ssd");
    catalog.config.addresses = &address;
    catalog.config.addresses_count = 1;
    catalog.config.tags = &catalog.tag;
    catalog.config.tags_count = 1;
}

void reload(struct running *running, const char *zones)
{
    struct running fresh = {0};
    struct hm_conf_errors errors = {0};
    struct hm_buf text = {0};
    hm_buf_printf(&text, "listen: ['127.0.0.1:1']\nthreads: 1\n%s", zones);
    hm_put_u8(&text, 0);
    read_section(&fresh, (const char *)text.data);
    hm_module.check(fresh.section, NULL, &errors);
    assert_int_equal(errors.count, 0);
    hm_module.reload(&running->ctx, fresh.section, NULL);
    end_section(running);
    running->conf = fresh.conf;
    running->section = fresh.section;
    hm_buf_fini(&text);
}

void put_zone(struct running *running, const char *name, uint32_t ttl_service,
              struct hm_zone_prefix *reverse)
{
    struct hm_buf value = {0};
    struct hm_message message = {.kind = HM_MSG_zone_settings};
    message.zone_settings =
        (struct hm_zone_settings){.ttl_service = ttl_service, .max_answers = 8, .reverse = reverse};
    message.zone_settings.reverse_count = reverse ? 1 : 0;
    hm_message_encode(&value, &message);
    put_record(running, HM_DNS_SCOPE_ZONES, name, hm_buf_view(&value));
    hm_buf_fini(&value);
}

void complete(struct running *running)
{
    running->ctx.view.state_position = 1;
    change(running, HM_CHANGE_ALL, "");
}

bool was_logged(struct running *running, const char *text)
{
    hm_put_u8(&running->ctx.logs, 0);
    running->ctx.logs.size--;
    return strstr((const char *)running->ctx.logs.data, text) != NULL;
}
