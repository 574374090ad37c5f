/* A server: who this process is, its directory and its transport. */
#include "core/embed/internal.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/io/keyfile.h"

#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

uint32_t hivemind_abi(void)
{
    return HIVEMIND_ABI;
}

struct hivemind_id hivemind_id_of(const char *name)
{
    struct hivemind_id id;
    crypto_generichash(id.bytes, sizeof id.bytes, (const uint8_t *)name, strlen(name), NULL, 0);
    return id;
}

bool hivemind_id_equal(struct hivemind_id a, struct hivemind_id b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

enum hm_status embed_fail(struct hivemind_server *server, enum hm_status status, const char *format,
                          ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(server->error, sizeof server->error, format, arguments);
    va_end(arguments);
    return status;
}

const char *hivemind_error(const struct hivemind_server *server)
{
    return server->error;
}

const char *hivemind_server_address(const struct hivemind_server *server)
{
    return server->address;
}

/* ---- the transport of our own ---- */

static void on_received(void *context, const struct hm_addr *from, bool stream, uint64_t cluster,
                        struct hm_bytes payload)
{
    struct hivemind_server *server = context;
    (void)from;
    (void)cluster;
    if (!stream || !server->started) {
        server->refused++;
        return;
    }
    embed_on_frame(server, payload);
}

static void on_stream_up(void *context, const struct hm_addr *addr)
{
    (void)context;
    (void)addr;
}

static void on_stream_down(void *context, const struct hm_addr *addr, enum hm_status why)
{
    struct hivemind_server *server = context;
    if (server->started && why != HM_OK) {
        embed_on_lost(server, addr);
        (void)embed_pump(server);
    }
}

static void on_refused(void *context, const struct hm_addr *addr)
{
    (void)context;
    (void)addr;
}

void hivemind_lost(struct hivemind_server *server, const char *address)
{
    struct hm_addr addr;
    if (server->started && hm_addr_parse(address, 0, &addr)) {
        embed_on_lost(server, &addr);
        embed_wake(server);
    }
}

static enum hm_status open_tcp(struct hivemind_server *server, struct hm_buf *error)
{
    const struct hivemind_server_config *config = &server->config;
    const struct hm_transport_events events = {server, on_received, on_stream_up, on_stream_down,
                                               on_refused};
    struct hm_sockets sockets;
    enum hm_status status = HM_OK;
    if (config->key) {
        memcpy(server->key.bytes, config->key, sizeof server->key.bytes);
    } else if (config->key_file) {
        status = hm_keyfile_read(config->key_file, &server->key, error);
    } else {
        hm_buf_append_text(error, "a key or a key file is needed, or a transport of one's own");
        status = HM_BAD_ARGUMENT;
    }
    if (status == HM_OK) {
        status = hm_sockets_open(&server->self.addr, &sockets, error);
    }
    if (status == HM_OK) {
        server->self.addr = sockets.addr;
        server->tcp = hm_transport_new(&server->loop, &sockets, &server->key, NULL, &events);
    }
    return status;
}

/* ---- its life ---- */

/* As hm_addr_parse, but port 0 may be written. */
static bool parse_own(const char *text, struct hm_addr *out)
{
    char free_port[HM_ADDR_TEXT_BYTES];
    size_t size = text ? strlen(text) : 0;
    if (size > 2 && size < sizeof free_port && strcmp(text + size - 2, ":0") == 0) {
        memcpy(free_port, text, size - 1);
        free_port[size - 1] = '1';
        free_port[size] = 0;
        bool good = hm_addr_parse(free_port, 0, out);
        out->port = good ? 0 : out->port;
        return good;
    }
    return text && hm_addr_parse(text, 0, out);
}

static enum hm_status read_config(struct hivemind_server *server, struct hm_buf *error)
{
    const struct hivemind_server_config *config = &server->config;
    memcpy(&server->self.id, &config->id, sizeof server->self.id);
    if (hm_id_is_none(&server->self.id)) {
        hm_buf_append_text(error, "the id of the server is zero");
        return HM_BAD_ARGUMENT;
    }
    if (!parse_own(config->address, &server->self.addr)) {
        hm_buf_printf(error, "no address IP:PORT: %s",
                      config->address ? config->address : "(null)");
        return HM_BAD_ARGUMENT;
    }
    if (config->transport &&
        (!config->transport->connect || !config->transport->send || !config->transport->receive)) {
        hm_buf_append_text(error, "a transport has connect, send and receive");
        return HM_BAD_ARGUMENT;
    }
    uint64_t seed = config->seed;
    if (seed == 0 && getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        hm_buf_append_text(error, "the system gives no random bytes");
        return HM_IO;
    }
    hm_random_init(&server->random, seed);
    return HM_OK;
}

static enum hm_status open_parts(struct hivemind_server *server, struct hm_buf *error)
{
    const struct hivemind_server_config *config = &server->config;
    enum hm_status status = HM_OK;
    if (config->directory) {
        status = hm_disk_lock(config->directory, &server->lock, error);
        server->directory = memcpy(hm_alloc(strlen(config->directory) + 1, 1), config->directory,
                                   strlen(config->directory));
    }
    if (status != HM_OK) {
        return status;
    }
    server->own_transport = config->transport != NULL;
    if (server->own_transport) {
        server->transport = *config->transport;
    } else {
        status = open_tcp(server, error);
    }
    hm_addr_format(&server->self.addr, server->address);
    return status;
}

static void free_parts(struct hivemind_server *server)
{
    hm_disk_free(server->disk);
    hm_transport_free(server->tcp);
    hm_logs_free(server->logs);
    embed_loop_close(server);
    for (size_t i = 0; i < server->participant_count; i++) {
        embed_participant_free(server->participants[i]);
    }
    if (server->lock >= 0) {
        close(server->lock);
    }
    hm_buf_fini(&server->frame);
    hm_free(server->lines);
    hm_free(server->directory);
    hm_key_wipe(&server->key);
    hm_free(server);
}

enum hm_status hivemind_server_new(const struct hivemind_server_config *config,
                                   struct hivemind_server **out, char *error, size_t error_size)
{
    struct hm_buf text = {0};
    struct hivemind_server *server = hm_alloc(1, sizeof *server);
    HM_ASSERT(sodium_init() >= 0);
    server->config = *config;
    server->lock = -1;
    server->retry_at = HM_NEVER;
    enum hm_status status = embed_loop_open(server);
    if (status != HM_OK) {
        snprintf(error, error_size, "%s", server->error);
        hm_free(server);
        return status;
    }
    status = read_config(server, &text);
    if (status == HM_OK) {
        status = open_parts(server, &text);
    }
    /* Texts and secrets of the program are not kept. */
    server->config.address = server->config.directory = server->config.key_file = NULL;
    server->config.key = NULL;
    if (status == HM_OK) {
        /* The loop watches what it was given from its first run on. */
        uv_run(&server->loop, UV_RUN_NOWAIT);
        *out = server;
    } else {
        snprintf(error, error_size, "%.*s", (int)text.size, (const char *)text.data);
        free_parts(server);
    }
    hm_buf_fini(&text);
    return status;
}

enum hm_status hivemind_server_free(struct hivemind_server *server)
{
    if (!server) {
        return HM_OK;
    }
    if (server->stepping) {
        return embed_fail(server, HM_BUSY, "the server is freed within its step");
    }
    free_parts(server);
    return HM_OK;
}

/* ---- its start ---- */

static bool use_log(void *context, uint32_t log, struct hm_participant_config *out)
{
    struct hivemind_server *server = context;
    for (size_t i = 0; i < server->participant_count; i++) {
        if (server->participants[i]->log == log) {
            embed_participant_config(server->participants[i], out);
            return true;
        }
    }
    server->foreign = log;
    return false;
}

static enum hm_status recover(struct hivemind_server *server)
{
    struct hm_disk_file *files = NULL;
    size_t count = 0;
    struct hm_buf error = {0};
    struct hm_buf report = {0};
    if (!server->directory) {
        return HM_OK;
    }
    enum hm_status status = hm_disk_load(server->directory, &files, &count, &error);
    if (status == HM_OK) {
        status = hm_logs_recover(server->logs, embed_now(server), files, count, use_log, server,
                                 &error, &report);
    }
    if (status != HM_OK) {
        (void)embed_fail(server, status, "%s: %.*s", server->directory, (int)error.size,
                         (const char *)error.data);
    } else if (server->foreign) {
        status = embed_fail(server, HM_NOT_FOUND,
                            "%s holds a log that is not opened (its number is %u): open all of "
                            "them before the start",
                            server->directory, server->foreign);
    }
    hm_disk_files_free(files, count);
    hm_buf_fini(&error);
    hm_buf_fini(&report);
    return status;
}

/* Its thread takes no signal: the program's handlers do not run there. */
static void open_disk(struct hivemind_server *server)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    server->disk = hm_disk_new(&server->loop, server->directory, NULL, embed_on_disk_done, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

enum hm_status hivemind_start(struct hivemind_server *server)
{
    if (server->started) {
        return embed_fail(server, HM_EXISTS, "the server is started already");
    }
    uv_update_time(&server->loop);
    server->foreign = 0;
    server->logs = hm_logs_new(&(struct hm_logs_config){.self = server->self,
                                                        .seed = hm_random_u64(&server->random),
                                                        .durable = server->directory != NULL});
    hm_logs_set_wall(server->logs, embed_now(server), embed_wall_ms(server));
    enum hm_status status = recover(server);
    for (size_t i = 0; status == HM_OK && i < server->participant_count; i++) {
        status = embed_begin(server->participants[i]);
    }
    if (status != HM_OK) {
        for (size_t i = 0; i < server->participant_count; i++) {
            server->participants[i]->log_end = NULL;
            server->participants[i]->raft = NULL;
        }
        hm_logs_free(server->logs);
        server->logs = NULL;
        return status;
    }
    if (server->directory) {
        open_disk(server);
    }
    for (size_t i = 0; i < server->participant_count; i++) {
        embed_begun(server->participants[i]);
    }
    server->started = true;
    embed_wake(server);
    return HM_OK;
}
