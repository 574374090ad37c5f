/* An ordered list of strings that several processes share, on libhivemind: the log itself is the
 * list. It uses nothing but what is installed:
 *
 *     cc -o strings strings.c $(pkg-config --cflags --libs hivemind)
 *     ./strings a key a.d a=127.0.0.1:7001 b=127.0.0.1:7002 c=127.0.0.1:7003    # and b, and c
 *
 * Every line of standard input is appended. What is committed is printed as it comes: "INDEX TEXT".
 * A line "?FROM" prints what there is from an index on, "=INDEX TEXT" each, then "=end". */
#include <hivemind/log.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the list ---- */

struct list {
    struct hivemind_server *server;
    struct hivemind_participant *log;
    void (*on_new)(void *context, uint64_t index, const char *text);
    void *context;
};

/* Nothing to keep: the entries that the log keeps are all of it. */
static void apply(void *context, const struct hivemind_entry *entry, struct hivemind_result *result)
{
    (void)context;
    (void)entry;
    (void)result;
}

/* NULL: said why. `key`: a file of `hivemind keygen`. */
static struct list *list_new(const char *name, const char *address, const char *key,
                             const char *directory)
{
    char error[512] = "";
    struct list *list = calloc(1, sizeof *list);
    struct hivemind_server_config config = {
        .id = hivemind_id_of(name), .address = address, .directory = directory, .key_file = key};
    struct hivemind_log_config log = {.name = "strings",
                                      .machine = {.apply = apply},
                                      .keep_entries = 131072,
                                      .keep_bytes = 4u << 20};
    if (hivemind_server_new(&config, &list->server, error, sizeof error) == HM_OK) {
        if (hivemind_open(list->server, &log, NULL, 0, &list->log) == HM_OK) {
            return list;
        }
        fprintf(stderr, "strings: %s\n", hivemind_error(list->server));
    } else {
        fprintf(stderr, "strings: %s\n", error);
    }
    hivemind_server_free(list->server);
    free(list);
    return NULL;
}

static void list_free(struct list *list)
{
    hivemind_server_free(list->server);
    free(list);
}

static enum hm_status list_add_peers(struct list *list, const struct hivemind_peer *peers,
                                     size_t count)
{
    return hivemind_add_peers(list->log, peers, count);
}

static enum hm_status list_start(struct list *list)
{
    return hivemind_start(list->server);
}

/* All of them in this order, as far as one leader takes them; `done` is called for each. */
static enum hm_status list_append_entries(struct list *list, const char *const *texts, size_t count,
                                          hivemind_done *done, void *context)
{
    enum hm_status status = HM_OK;
    for (size_t i = 0; i < count && status == HM_OK; i++) {
        status = hivemind_submit(list->log, texts[i], strlen(texts[i]), done, context);
    }
    return status;
}

/* committed_entries[from..]: a copy of them, `*count` texts for the caller to free one by one; from
 * 0 is from 1. */
static enum hm_status list_committed_entries(const struct list *list, uint64_t from, char ***out,
                                             size_t *count)
{
    struct hivemind_entry entries[64];
    char **texts = NULL;
    size_t found = 0;
    size_t got;
    enum hm_status status;
    from = from ? from : 1;
    while ((status = hivemind_read(list->log, from + found, entries, 64, &got)) == HM_OK && got) {
        texts = realloc(texts, (found + got) * sizeof *texts);
        for (size_t i = 0; i < got; i++) {
            texts[found++] = strndup(entries[i].data, entries[i].size);
        }
    }
    *out = texts;
    *count = found;
    return status;
}

static void tell(void *context, const struct hivemind_entry *entry)
{
    const struct list *list = context;
    char *text = strndup(entry->data ? entry->data : "", entry->size);
    list->on_new(list->context, entry->index, text);
    free(text);
}

/* Every entry from `from` on, those that are there and those that come. */
static enum hm_status list_on_new_committed_entry(struct list *list, uint64_t from,
                                                  void (*on_new)(void *context, uint64_t index,
                                                                 const char *text),
                                                  void *context)
{
    uint64_t watch;
    list->on_new = on_new;
    list->context = context;
    return hivemind_watch(list->log, from, tell, list, &watch);
}

/* ---- the program ---- */

static void print(void *context, uint64_t index, const char *text)
{
    (void)context;
    printf("%" PRIu64 " %s\n", index, text);
}

static void on_appended(void *context, const struct hivemind_outcome *outcome)
{
    (void)context;
    if (outcome->status != HM_OK) {
        printf("!%s %s\n", hm_status_name(outcome->status), outcome->reason);
    }
}

static void print_from(const struct list *list, uint64_t from)
{
    char **texts = NULL;
    size_t count = 0;
    if (list_committed_entries(list, from, &texts, &count) != HM_OK) {
        printf("!%s\n", hivemind_error(list->server));
    }
    for (size_t i = 0; i < count; i++) {
        printf("=%" PRIu64 " %s\n", (from ? from : 1) + i, texts[i]);
        free(texts[i]);
    }
    printf("=end\n");
    free(texts);
}

/* False: the input is at its end. */
static bool read_lines(struct list *list)
{
    static char line[4096];
    static size_t size;
    ssize_t got = read(STDIN_FILENO, line + size, sizeof line - size);
    size += got > 0 ? (size_t)got : 0;
    for (char *end; (end = memchr(line, '\n', size)) != NULL;) {
        const char *text = line;
        *end = 0;
        if (line[0] == '?') {
            print_from(list, strtoull(line + 1, NULL, 10));
        } else if (list_append_entries(list, &text, 1, on_appended, NULL) != HM_OK) {
            printf("!%s\n", hivemind_error(list->server));
        }
        size -= (size_t)(end - line) + 1;
        memmove(line, end + 1, size);
    }
    return got > 0 && size < sizeof line;
}

int main(int argc, char **argv)
{
    struct hivemind_peer peers[16];
    const char *address = NULL;
    size_t count = 0;
    for (int i = 4; i < argc && count < 16; i++) {
        char *at = strchr(argv[i], '=');
        if (!at) {
            fprintf(stderr, "strings: not NAME=IP:PORT: %s\n", argv[i]);
            return 2;
        }
        *at++ = 0;
        address = strcmp(argv[i], argv[1]) == 0 ? at : address;
        peers[count++] = (struct hivemind_peer){hivemind_id_of(argv[i]), at};
    }
    if (!address) {
        fprintf(stderr, "usage: strings NAME KEY DIRECTORY NAME=IP:PORT.., NAME among them\n");
        return 2;
    }
    struct list *list = list_new(argv[1], address, argv[2], argv[3]);
    if (!list) {
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    /* Before the start nothing of the list can be asked. */
    if (list_on_new_committed_entry(list, 1, print, NULL) != HM_NOT_STARTED ||
        list_add_peers(list, peers, count) != HM_OK || list_start(list) != HM_OK ||
        list_on_new_committed_entry(list, 1, print, NULL) != HM_OK) {
        fprintf(stderr, "strings: %s\n", hivemind_error(list->server));
        list_free(list);
        return 1;
    }
    bool good = true;
    while (good) {
        struct pollfd fds[2] = {{.fd = hivemind_fd(list->server), .events = POLLIN},
                                {.fd = STDIN_FILENO, .events = POLLIN}};
        poll(fds, 2, -1);
        good = !fds[1].revents || read_lines(list);
        good = hivemind_step(list->server) == HM_OK && good;
    }
    list_free(list);
    return 0;
}
