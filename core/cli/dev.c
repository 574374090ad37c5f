/* hivemind dev: one process with every role, on loopback, that leaves nothing behind. */
#include "core/cli/cli.h"
#include "core/cli/dev_nginx.h"
#include "core/cli/loader.h"
#include "core/cli/run.h"
#include "core/io/keyfile.h"
#include "core/io/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIRECTORY_BYTES 200
#define REMOVE_OPEN_MAX 8

struct dev {
    char directory[DIRECTORY_BYTES];
    bool own_socket; /* in there, not where commands look */
    struct hm_name name;
    const char *zone;
    bool has_dns;
    bool has_names;
    uint16_t port;
    uint16_t dns_port;
    struct hm_dev_nginx nginx;
};

enum { KEY_NAME = 0x300, KEY_ZONE };

static const struct argp_option options[] = {
    {"name", KEY_NAME, "NAME", 0, "The node's name (dev)", 0},
    {"zone", KEY_ZONE, "DOMAIN", 0, "The DNS zone (home.arpa)", 0},
    {0},
};

static void check(struct hm_given *given, struct argp_state *state)
{
    struct dev *dev = given->own;
    const char *name = hm_given_option(given, KEY_NAME);
    const char *zone = hm_given_option(given, KEY_ZONE);
    dev->name = hm_option_name(state, name ? name : "dev", "a node's name");
    dev->zone = zone ? zone : "home.arpa";
    if (strspn(dev->zone, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") !=
        strlen(dev->zone)) {
        argp_error(state, "--zone is a domain name such as home.arpa, not '%s'", zone);
    }
}

/* ---- its directory ---- */

static bool make_directory(struct dev *dev)
{
    const char *places[] = {getenv("XDG_RUNTIME_DIR"), "/dev/shm", "/tmp"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i] && places[i][0] == '/' && strlen(places[i]) < DIRECTORY_BYTES - 32) {
            snprintf(dev->directory, sizeof dev->directory, "%s/hivemind-dev-XXXXXX", places[i]);
            if (mkdtemp(dev->directory)) {
                return true;
            }
        }
    }
    hm_complain("no directory can be made in $XDG_RUNTIME_DIR, /dev/shm or /tmp: %s; set "
                "$XDG_RUNTIME_DIR to one that you may write to",
                strerror(errno));
    return false;
}

static int remove_one(const char *path, const struct stat *what, int type, struct FTW *place)
{
    (void)what;
    (void)type;
    (void)place;
    return remove(path);
}

/* ---- its configuration ---- */

/* One that UDP and TCP are free at. Whoever takes it before the node does is named by the node. */
static bool free_port(uint16_t *out)
{
    const struct hm_addr any = {.family = 4, .ip = {127, 0, 0, 1}};
    struct hm_sockets sockets;
    struct hm_buf error = {0};
    bool found = hm_sockets_open(&any, &sockets, &error) == HM_OK;
    if (found) {
        *out = sockets.addr.port;
        hm_sockets_close(&sockets);
    } else {
        hm_complain("%.*s", (int)error.size, (const char *)error.data);
    }
    hm_buf_fini(&error);
    return found;
}

/* Where commands look for it nothing may be made: not root, and $XDG_RUNTIME_DIR is not set, or is
 * somebody else's, as after su. */
static bool needs_own_socket(const struct hm_name *name)
{
    struct hm_buf path = {0};
    hm_control_path(name->text, &path);
    hm_put_u8(&path, 0);
    char *directory = (char *)path.data;
    *strrchr(directory, '/') = '\0';
    bool usable = access(directory, W_OK | X_OK) == 0;
    if (!usable && errno == ENOENT) { /* the node makes it */
        *strrchr(directory, '/') = '\0';
        usable = access(directory, W_OK | X_OK) == 0;
    }
    hm_buf_fini(&path);
    return !usable;
}

static bool is_installed(const char *module)
{
    struct hm_loader loader = {0};
    bool found = false;
    size_t count;
    hm_loader_add_defaults(&loader);
    char **names = hm_loader_names(&loader, &count);
    for (size_t i = 0; i < count; i++) {
        found = found || strcmp(names[i], module) == 0;
    }
    hm_loader_names_free(names, count);
    hm_loader_fini(&loader);
    return found;
}

static bool write_config(const struct dev *dev, const char *path)
{
    struct hm_buf text = {0};
    hm_buf_printf(&text,
                  "key: %s/key\nname: %s\nroles: [control, host%s%s]\nadvertise: 127.0.0.1:%u\n"
                  "control: {bootstrap: true}\nlog_level: warn\n",
                  dev->directory, dev->name.text, dev->has_names ? ", names" : "",
                  dev->has_dns ? ", dns" : "", dev->port);
    if (dev->own_socket) {
        hm_buf_printf(&text, "socket: %s/dev.sock\n", dev->directory);
    }
    if (dev->has_dns) {
        hm_buf_printf(&text, "dns:\n  listen: [\"127.0.0.1:%u\"]\n  zones: [{name: %s}]\n",
                      dev->dns_port, dev->zone);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, text.data, text.size) == (ssize_t)text.size;
    if (!written) {
        hm_complain("%s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    hm_buf_fini(&text);
    return written;
}

static bool write_key(const struct dev *dev)
{
    char path[DIRECTORY_BYTES + 8];
    struct hm_key key;
    struct hm_buf error = {0};
    snprintf(path, sizeof path, "%s/key", dev->directory);
    bool written = hm_keyfile_generate(path, &key, &error) == HM_OK;
    if (written) {
        hm_key_wipe(&key);
    } else {
        hm_complain("%.*s", (int)error.size, (const char *)error.data);
    }
    hm_buf_fini(&error);
    return written;
}

/* ---- what to try ---- */

static void on_ready(void *context)
{
    struct dev *dev = context;
    const char *self = program_invocation_name; /* as it can be called again */
    bool nginx = hm_dev_nginx_start(&dev->nginx);
    printf("Node %s runs with the roles control, host%s%s%s. In another terminal:\n\n"
           "  python3 -m http.server 8080 &\n",
           dev->name.text, dev->has_names ? ", names" : "", dev->has_dns ? ", dns" : "",
           nginx ? ", an nginx beside it" : "");
    if (dev->own_socket) {
        printf("  export HIVEMIND_SOCKET=%s/dev.sock\n", dev->directory);
    }
    printf("  %s announce web 8080 --vhost www.%s\n", self, dev->zone);
    if (dev->has_dns) {
        printf("  dig @127.0.0.1 -p %u web.%s\n"
               "  dig @127.0.0.1 -p %u _web._tcp.%s SRV\n",
               dev->dns_port, dev->zone, dev->dns_port, dev->zone);
    }
    if (nginx) {
        printf("  curl -H 'Host: www.%s' http://127.0.0.1:%u/\n", dev->zone, dev->nginx.http_port);
    }
    printf("  %s services\n"
           "  %s events --follow\n",
           self, self);
    if (dev->has_names) {
        printf("  %s names register printer --owner me\n", self);
    }
    printf("  %s withdraw web\n\nCtrl-C ends it and leaves nothing behind.\n", self);
    fflush(stdout);
}

static int run(struct hm_given *given)
{
    struct dev *dev = given->own;
    char file[DIRECTORY_BYTES + 16];
    int code = EXIT_FAILED;
    dev->has_dns = is_installed("dns");
    dev->has_names = is_installed("names");
    if (!make_directory(dev)) {
        return EXIT_FAILED;
    }
    dev->own_socket = needs_own_socket(&dev->name);
    snprintf(file, sizeof file, "%s/dev.yaml", dev->directory);
    if (write_key(dev) && free_port(&dev->port) && free_port(&dev->dns_port) &&
        write_config(dev, file)) {
        const struct hm_run_options run = {file, true, on_ready, dev};
        dev->nginx.directory = dev->directory;
        dev->nginx.name = &dev->name;
        dev->nginx.join_port = dev->port;
        if (hm_dev_nginx_find(&dev->nginx) &&
            !(free_port(&dev->nginx.port) && free_port(&dev->nginx.http_port))) {
            dev->nginx.program[0] = '\0';
        }
        code = hm_run(&run);
        hm_dev_nginx_stop(&dev->nginx);
    }
    nftw(dev->directory, remove_one, REMOVE_OPEN_MAX, FTW_DEPTH | FTW_PHYS);
    return code;
}

const struct hm_command hm_command_dev = {
    .name = "dev",
    .help = "a cluster of one to try things on, gone at its end",
    .doc =
        "Try Hivemind: one process with every role, on loopback and on free ports, with a key of "
        "its own. It prints what to try.\vNothing is written but into a temporary directory, "
        "which is gone when it ends.",
    .alone = true,
    .options = options,
    .own_bytes = sizeof(struct dev),
    .check = check,
    .run = run,
};
