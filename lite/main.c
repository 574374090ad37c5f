/* hivemind-lite: announces a device or container to a cluster of which it is no member. One socket,
 * one poll loop. */
#include "core/io/keyfile.h"
#include "core/wire/seal.h"
#include "lite/options.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_BYTES_MAX 2048
#define SENDERS_MAX     16 /* keepers and members that it hears */
#define EXIT_FAILED     1
#define EXIT_SILENT     4

struct lite {
    struct lite_options options;
    struct lite_session session;
    struct hm_sealer sealer;
    struct hm_opener opener;
    struct hm_addr connected; /* the socket's peer */
    int fd;                   /* -1: none */
    struct hm_buf config;
    struct hm_buf payload;
    struct hm_buf frame;
    bool told_silent; /* said once, until it is kept */
};

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

static hm_ms now_ms(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (hm_ms)time.tv_sec * 1000 + (hm_ms)time.tv_nsec / 1000000;
}

/* ---- who this is ---- */

static size_t read_machine_id(char *out, size_t size)
{
    FILE *file = fopen("/etc/machine-id", "re");
    size_t read = file ? fread(out, 1, size, file) : 0;
    if (file) {
        fclose(file);
    }
    return read;
}

/* The same after a restart, another on another device: so a device that comes back takes its name
 * again at once, and a second one of that name is refused. */
static struct hm_id make_id(const struct lite_options *options)
{
    struct hm_id id;
    char device[256];
    crypto_generichash_state state;
    size_t size = read_machine_id(device, sizeof device);
    if (options->device) {
        size = (size_t)snprintf(device, sizeof device, "%s", options->device);
        size = size < sizeof device ? size : sizeof device - 1;
    } else if (size == 0) {
        gethostname(device, sizeof device - 1);
        size = strnlen(device, sizeof device - 1);
    }
    crypto_generichash_init(&state, NULL, 0, sizeof id.bytes);
    crypto_generichash_update(&state, (const uint8_t *)&options->name, sizeof options->name);
    crypto_generichash_update(&state, (const uint8_t *)device, size);
    crypto_generichash_final(&state, id.bytes, sizeof id.bytes);
    return id;
}

/* ---- the socket ---- */

/* So that only the peer is heard, and a refusal of its machine comes back as an error. */
static bool connect_to(struct lite *lite, const struct hm_addr *addr)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;
    if (lite->fd >= 0 && lite->connected.family != addr->family) {
        close(lite->fd);
        lite->fd = -1;
    }
    if (lite->fd < 0) {
        lite->fd = socket(addr->family == 4 ? AF_INET : AF_INET6,
                          SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (addr->family == 4) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(addr->port);
        memcpy(&v4->sin_addr, addr->ip, 4);
    } else {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(addr->port);
        memcpy(&v6->sin6_addr, addr->ip, 16);
    }
    lite->connected = *addr;
    return lite->fd >= 0 && connect(lite->fd, (struct sockaddr *)&storage,
                                    addr->family == 4 ? sizeof *v4 : sizeof *v6) == 0;
}

static void send_payload(struct lite *lite, hm_ms now)
{
    hm_buf_clear(&lite->frame);
    hm_seal(&lite->sealer, 0, hm_buf_view(&lite->payload), &lite->frame);
    if ((!hm_addr_equal(&lite->connected, &lite->session.current) &&
         !connect_to(lite, &lite->session.current)) ||
        send(lite->fd, lite->frame.data, lite->frame.size, 0) < 0) {
        lite_session_unreachable(&lite->session, now);
    }
}

/* ---- what has become of it ---- */

static void list_joins(const struct lite *lite, char *out, size_t size)
{
    out[0] = '\0';
    for (size_t i = 0; i < lite->options.join_count; i++) {
        const struct lite_place *place = &lite->options.joins[i];
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s%s%s%s", i ? ", " : "", place->text,
                 place->why ? " (" : "", place->why ? place->why : "", place->why ? ")" : "");
    }
}

static void tell_silent(const struct lite *lite)
{
    char joins[1024];
    list_joins(lite, joins, sizeof joins);
    if (lite->session.keeper_count + lite->session.join_count == 0) {
        lite_say("nobody to ask: %s", joins);
    } else {
        lite_say("no answer from %s: not reachable, no member, or of another key; ours is %08x",
                 joins, lite->opener.key_id);
    }
}

/* Names may stand for other addresses by now. Not while it goes: that has no time. */
static void look_up(struct lite *lite)
{
    struct hm_addr addrs[LITE_TARGETS_MAX];
    if (!lite->session.withdrawing) {
        size_t count =
            lite_look_up(lite->options.joins, lite->options.join_count, addrs, LITE_TARGETS_MAX);
        lite_session_set_joins(&lite->session, addrs, count);
    }
}

/* True: the program ends with *code. */
static bool tell(struct lite *lite, enum lite_news news, const struct hm_addr *from, int *code)
{
    char addr[HM_ADDR_TEXT_BYTES];
    hm_addr_format(from, addr);
    switch (news) {
    case LITE_KEPT:
    case LITE_COMMITTED:
        lite->told_silent = false;
        lite_say("%s is kept by %s%s", lite->options.name.text, addr,
                 news == LITE_KEPT ? ", not committed yet" : "");
        return false;
    case LITE_REFUSED:
        lite_say("refused by %s: %s", addr, lite->session.reason);
        *code = EXIT_FAILED;
        return lite->options.once;
    case LITE_SILENT:
    case LITE_LOST:
        if (!lite->told_silent) {
            tell_silent(lite);
        }
        lite->told_silent = true;
        if (news == LITE_LOST) {
            lite_say("%s is not kept any more", lite->options.name.text);
        }
        *code = EXIT_SILENT;
        if (!lite->options.once) {
            look_up(lite);
        }
        return lite->options.once;
    case LITE_WITHDRAWN:
        lite_say("%s is withdrawn", lite->options.name.text);
        *code = 0;
        return true;
    case LITE_ABANDONED:
        lite_say("nobody heard that %s goes; its lease ends by itself", lite->options.name.text);
        *code = EXIT_FAILED;
        return true;
    default:
        return false;
    }
}

static bool receive(struct lite *lite, int *code)
{
    uint8_t bytes[FRAME_BYTES_MAX];
    for (;;) {
        ssize_t size = recv(lite->fd, bytes, sizeof bytes, 0);
        hm_ms now = now_ms(CLOCK_MONOTONIC);
        uint64_t cluster;
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            if (errno == ECONNREFUSED || errno == EHOSTUNREACH || errno == ENETUNREACH) {
                lite_session_unreachable(&lite->session, now);
            }
            return false;
        }
        hm_buf_clear(&lite->payload);
        if (hm_open(&lite->opener, (struct hm_bytes){bytes, (size_t)size}, &cluster,
                    &lite->payload) == HM_OK) {
            struct hm_addr from = lite->connected;
            enum lite_news news =
                lite_session_receive(&lite->session, now, hm_buf_view(&lite->payload));
            if (tell(lite, news, &from, code)) {
                return true;
            }
        }
    }
}

static void wait_for_it(struct lite *lite, const sigset_t *waiting)
{
    struct pollfd poll = {.fd = lite->fd, .events = POLLIN};
    hm_ms now = now_ms(CLOCK_MONOTONIC);
    hm_ms at = lite_session_deadline(&lite->session);
    hm_ms wait = at > now ? at - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait / 1000),
                               .tv_nsec = (long)(wait % 1000) * 1000000};
    (void)ppoll(&poll, 1, at == HM_NEVER ? NULL : &timeout, waiting);
}

static int run(struct lite *lite)
{
    int code = 0;
    sigset_t blocked;
    sigset_t before;
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, &before); /* so that none comes between look and wait */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    for (;;) {
        enum lite_news news;
        hm_ms now = now_ms(CLOCK_MONOTONIC);
        if (stopping && !lite->session.withdrawing && !lite_session_withdraw(&lite->session, now)) {
            return 0;
        }
        hm_buf_clear(&lite->payload);
        bool sends = lite_session_tick(&lite->session, now, &lite->payload, &news);
        if (tell(lite, news, &lite->session.current, &code)) {
            return code;
        }
        if (sends) {
            send_payload(lite, now);
        }
        wait_for_it(lite, &before);
        if (lite->fd >= 0 && receive(lite, &code)) {
            return code;
        }
    }
}

int main(int argc, char **argv)
{
    static struct lite lite = {.fd = -1};
    struct hm_key key;
    struct hm_buf error = {0};
    uint64_t salt;
    int code;
    if (!lite_options_read(&lite.options, argc, argv, &code)) {
        return code;
    }
    if (sodium_init() < 0 || getrandom(&salt, sizeof salt, 0) != sizeof salt) {
        lite_say("no randomness on this machine");
        return EXIT_FAILED;
    }
    if (hm_keyfile_read(lite.options.key, &key, &error) != HM_OK) {
        lite_say("%.*s", (int)error.size, (const char *)error.data);
        return EXIT_FAILED;
    }
    hm_sealer_init(&lite.sealer, &key, salt);
    hm_opener_init(&lite.opener, &key, SENDERS_MAX);
    hm_key_wipe(&key);
    hm_message_encode(&lite.config, &(struct hm_message){.kind = HM_MSG_host_config,
                                                         .host_config = lite.options.config});
    lite.session = (struct lite_session){.id = make_id(&lite.options),
                                         .name = lite.options.name,
                                         .version = {now_ms(CLOCK_REALTIME), 2},
                                         .config = hm_buf_view(&lite.config),
                                         .interval_ms = lite.options.interval_ms};
    lite_lookup_init();
    look_up(&lite);
    lite_session_start(&lite.session, now_ms(CLOCK_MONOTONIC));
    code = run(&lite);
    hm_sealer_fini(&lite.sealer);
    hm_opener_fini(&lite.opener);
    hm_buf_fini(&lite.config);
    hm_buf_fini(&lite.payload);
    hm_buf_fini(&lite.frame);
    hm_buf_fini(&error);
    if (lite.fd >= 0) {
        close(lite.fd);
    }
    return code;
}
