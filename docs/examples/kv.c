/* A replicated key-value store on libhivemind, in one file. It uses nothing but what is installed:
 *
 *     cc -o kv kv.c $(pkg-config --cflags --libs hivemind)
 *     hivemind keygen -o key
 *     ./kv a key a.d a=127.0.0.1:7001 b=127.0.0.1:7002 c=127.0.0.1:7003    # and b, and c
 *     ./kv d key d.d --join a=.. b=.. c=.. d=127.0.0.1:7004                # later: another one
 *
 * Commands on standard input, one a line; each answer is one line that begins with the number of
 * its command, in whatever order they become known:
 *
 *     set KEY VALUE    committed, and applied here        N ok INDEX
 *     cas KEY OLD NEW  only if the value is OLD           N ok INDEX, or N refused ..
 *     get KEY          what is committed, anywhere        N value VALUE, or N none
 *     peek KEY         what this process knows            the same
 *     list FROM        pull: the entries from there on    N entry INDEX .., .., N end
 *     follow FROM      push: they, and all that come      + INDEX ..
 *     join             this process asks to be added      N ok
 *     remove NAME, transfer NAME, state, save FILE, quit
 *
 * A file of `save` is what another one may start from: --join-from FILE instead of --join. */
#include <hivemind/log.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEERS_MAX 16
#define LINE_MAX  4096

/* ---- the state machine: pairs, by rising key ---- */

struct pair {
    char *key;
    char *value;
};

struct store {
    struct pair *pairs;
    size_t count;
};

static size_t place_of(const struct store *store, const char *key)
{
    size_t i = 0;
    while (i < store->count && strcmp(store->pairs[i].key, key) < 0) {
        i++;
    }
    return i;
}

static const char *find(const struct store *store, const char *key)
{
    size_t i = place_of(store, key);
    return i < store->count && strcmp(store->pairs[i].key, key) == 0 ? store->pairs[i].value : NULL;
}

static void put(struct store *store, const char *key, const char *value)
{
    size_t i = place_of(store, key);
    if (i < store->count && strcmp(store->pairs[i].key, key) == 0) {
        free(store->pairs[i].value);
        store->pairs[i].value = strdup(value);
        return;
    }
    store->pairs = realloc(store->pairs, (store->count + 1) * sizeof *store->pairs);
    memmove(store->pairs + i + 1, store->pairs + i, (store->count - i) * sizeof *store->pairs);
    store->pairs[i] = (struct pair){strdup(key), strdup(value)};
    store->count++;
}

static void clear(struct store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        free(store->pairs[i].key);
        free(store->pairs[i].value);
    }
    free(store->pairs);
    *store = (struct store){0};
}

/* An entry is three texts, each with its NUL: key, value, and the value that it replaces ("" for
 * whatever). False: it is not. */
static bool read_entry(const void *data, size_t size, const char *out[3])
{
    const char *at = data;
    for (int i = 0; i < 3; i++) {
        const char *end = size ? memchr(at, 0, size) : NULL;
        if (!end) {
            return false;
        }
        out[i] = at;
        size -= (size_t)(end - at) + 1;
        at = end + 1;
    }
    return size == 0;
}

/* The same everywhere: it looks at nothing but the entry and the store. */
static void apply(void *context, const struct hivemind_entry *entry, struct hivemind_result *result)
{
    struct store *store = context;
    const char *texts[3];
    if (!read_entry(entry->data, entry->size, texts)) {
        result->status = HM_BAD_BYTES;
        return;
    }
    const char *value = find(store, texts[0]);
    if (texts[2][0] && (!value || strcmp(value, texts[2]) != 0)) {
        result->status = HM_CONFLICT;
        snprintf(result->reason, sizeof result->reason, "the value is %.100s", value ? value : "");
        return;
    }
    put(store, texts[0], texts[1]);
}

static void snapshot(void *context, struct hivemind_writer *writer)
{
    const struct store *store = context;
    for (size_t i = 0; i < store->count; i++) {
        hivemind_write(writer, store->pairs[i].key, strlen(store->pairs[i].key) + 1);
        hivemind_write(writer, store->pairs[i].value, strlen(store->pairs[i].value) + 1);
    }
}

static enum hm_status install(void *context, const void *data, size_t size)
{
    struct store *store = context;
    const char *at = data;
    const char *end = size ? at + size : at;
    if (size && end[-1] != 0) {
        return HM_BAD_BYTES;
    }
    clear(store);
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (value >= end) {
            return HM_BAD_BYTES;
        }
        put(store, at, value);
        at = value + strlen(value) + 1;
    }
    return HM_OK;
}

/* ---- the program ---- */

struct program {
    const char *name;
    struct store store;
    struct hivemind_server *server;
    struct hivemind_participant *log;
    struct hivemind_peer peers[PEERS_MAX];
    size_t peer_count;
    struct hivemind_peer self;
    uint64_t commands;
    char line[LINE_MAX]; /* what came of the next command */
    size_t line_size;
    bool quit;
};

/* A command that waits for its outcome. */
struct asked {
    struct program *program;
    uint64_t number;
    char key[256]; /* of a get */
};

static struct asked *ask(struct program *program, const char *key)
{
    struct asked *asked = calloc(1, sizeof *asked);
    asked->program = program;
    asked->number = program->commands;
    snprintf(asked->key, sizeof asked->key, "%s", key);
    return asked;
}

static void say_value(struct program *program, uint64_t number, const char *key)
{
    const char *value = find(&program->store, key);
    printf("%" PRIu64 " %s%s\n", number, value ? "value " : "none", value ? value : "");
}

static void say_refused(uint64_t number, enum hm_status status, const char *reason)
{
    printf("%" PRIu64 " refused %s %s\n", number, hm_status_name(status), reason);
}

static void on_done(void *context, const struct hivemind_outcome *outcome)
{
    struct asked *asked = context;
    if (outcome->status == HM_OK) {
        printf("%" PRIu64 " ok %" PRIu64 "\n", asked->number, outcome->index);
    } else {
        say_refused(asked->number, outcome->status, outcome->reason);
    }
    free(asked);
}

/* Now the own store has all that was committed when the command came. */
static void on_barrier(void *context, const struct hivemind_outcome *outcome)
{
    struct asked *asked = context;
    if (outcome->status == HM_OK) {
        say_value(asked->program, asked->number, asked->key);
    } else {
        say_refused(asked->number, outcome->status, outcome->reason);
    }
    free(asked);
}

/* A call that was not taken says so at once. */
static void taken(struct program *program, struct asked *asked, enum hm_status status)
{
    if (status != HM_OK) {
        say_refused(asked->number, status, hivemind_error(program->server));
        free(asked);
    }
}

static void set(struct program *program, const char *key, const char *value, const char *old)
{
    char entry[LINE_MAX + 3];
    size_t size = (size_t)snprintf(entry, sizeof entry, "%s%c%s%c%s", key, 0, value, 0, old) + 1;
    struct asked *asked = ask(program, key);
    taken(program, asked, hivemind_submit(program->log, entry, size, on_done, asked));
}

static void get(struct program *program, const char *key)
{
    struct asked *asked = ask(program, key);
    taken(program, asked, hivemind_barrier(program->log, on_barrier, asked));
}

static void say_entry(const struct hivemind_entry *entry)
{
    const char *texts[3] = {"?", "?", ""};
    (void)read_entry(entry->data, entry->size, texts);
    printf("%" PRIu64 " %s=%s\n", entry->index, texts[0], texts[1]);
}

static void list(struct program *program, uint64_t from)
{
    struct hivemind_entry entries[64];
    size_t count;
    enum hm_status status;
    while ((status = hivemind_read(program->log, from, entries, 64, &count)) == HM_OK && count) {
        for (size_t i = 0; i < count; i++) {
            printf("%" PRIu64 " entry ", program->commands);
            say_entry(&entries[i]);
        }
        from += count;
    }
    if (status == HM_OK) {
        printf("%" PRIu64 " end\n", program->commands);
    } else {
        say_refused(program->commands, status, hivemind_error(program->server));
    }
}

static void on_committed(void *context, const struct hivemind_entry *entry)
{
    (void)context;
    printf("+ ");
    say_entry(entry); /* index 0: a snapshot took the place of some */
}

static void follow(struct program *program, uint64_t from)
{
    uint64_t watch;
    enum hm_status status = hivemind_watch(program->log, from, on_committed, NULL, &watch);
    if (status == HM_OK) {
        printf("%" PRIu64 " ok %" PRIu64 "\n", program->commands, from);
    } else {
        say_refused(program->commands, status, hivemind_error(program->server));
    }
}

static void say_state(struct program *program)
{
    static const char *const roles[] = {"unjoined",  "learner", "follower",
                                        "candidate", "leader",  "removed"};
    struct hivemind_state state = {0};
    struct hivemind_member members[HIVEMIND_MEMBERS_MAX];
    size_t count = 0;
    enum hm_status status = hivemind_state(program->log, &state);
    if (status == HM_OK) {
        status = hivemind_members(program->log, members, HIVEMIND_MEMBERS_MAX, &count);
    }
    if (status != HM_OK) {
        say_refused(program->commands, status, hivemind_error(program->server));
        return;
    }
    printf("%" PRIu64 " role=%s ready=%d term=%" PRIu64 " index=%" PRIu64 " oldest=%" PRIu64
           " members=%zu refused=%" PRIu64 "\n",
           program->commands, roles[state.role], state.ready, state.term, state.index, state.oldest,
           count, state.refused);
}

static void save(struct program *program, const char *path)
{
    const void *data;
    size_t size;
    enum hm_status status = hivemind_snapshot(program->log, &data, &size);
    if (status != HM_OK) {
        say_refused(program->commands, status, hivemind_error(program->server));
        return;
    }
    FILE *file = fopen(path, "wb");
    bool good = file && fwrite(data, 1, size, file) == size;
    good = file && fclose(file) == 0 && good;
    printf("%" PRIu64 " %s\n", program->commands, good ? "ok 0" : "refused IO cannot write");
}

static void change(struct program *program, const char *what, const char *name)
{
    struct asked *asked = ask(program, name);
    struct hivemind_id id = hivemind_id_of(name);
    enum hm_status status;
    if (strcmp(what, "join") == 0) {
        status = hivemind_add(program->log, &program->self, on_done, asked);
    } else if (strcmp(what, "remove") == 0) {
        status = hivemind_remove(program->log, id, on_done, asked);
    } else {
        status = hivemind_transfer(program->log, id, on_done, asked);
    }
    taken(program, asked, status);
}

static void command(struct program *program, char *line)
{
    char *words[4] = {"", "", "", ""};
    size_t count = 0;
    for (char *word; count < 4 && (word = strsep(&line, " ")) != NULL;) {
        words[count++] = word;
    }
    const char *what = words[0];
    program->commands++;
    if (strcmp(what, "set") == 0 && count == 3) {
        set(program, words[1], words[2], "");
    } else if (strcmp(what, "cas") == 0 && count == 4) {
        set(program, words[1], words[3], words[2]);
    } else if (strcmp(what, "get") == 0 && count == 2) {
        get(program, words[1]);
    } else if (strcmp(what, "peek") == 0 && count == 2) {
        say_value(program, program->commands, words[1]);
    } else if (strcmp(what, "list") == 0 && count == 2) {
        list(program, strtoull(words[1], NULL, 10));
    } else if (strcmp(what, "follow") == 0 && count == 2) {
        follow(program, strtoull(words[1], NULL, 10));
    } else if (strcmp(what, "join") == 0 || strcmp(what, "remove") == 0 ||
               strcmp(what, "transfer") == 0) {
        change(program, what, words[1]);
    } else if (strcmp(what, "state") == 0) {
        say_state(program);
    } else if (strcmp(what, "save") == 0 && count == 2) {
        save(program, words[1]);
    } else if (strcmp(what, "quit") == 0) {
        program->quit = true;
    } else {
        say_refused(program->commands, HM_BAD_ARGUMENT, "set, cas, get, peek, list, follow, ..");
    }
}

static void read_commands(struct program *program)
{
    ssize_t got = read(STDIN_FILENO, program->line + program->line_size,
                       sizeof program->line - program->line_size);
    program->quit = program->quit || got <= 0;
    program->line_size += got > 0 ? (size_t)got : 0;
    char *end;
    while ((end = memchr(program->line, '\n', program->line_size)) != NULL) {
        *end = 0;
        size_t size = (size_t)(end - program->line) + 1;
        command(program, program->line);
        program->line_size -= size;
        memmove(program->line, end + 1, program->line_size);
    }
    program->quit = program->quit || program->line_size == sizeof program->line;
}

static void *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *data = NULL;
    size_t got;
    *size = 0;
    do {
        data = realloc(data, *size + 65536);
        got = file ? fread(data + *size, 1, 65536, file) : 0;
        *size += got;
    } while (got);
    if (file) {
        fclose(file);
    }
    return data;
}

/* NAME=ADDRESS */
static bool read_peer(struct program *program, char *text)
{
    char *address = strchr(text, '=');
    if (!address || program->peer_count == PEERS_MAX) {
        return false;
    }
    *address++ = 0;
    struct hivemind_peer peer = {hivemind_id_of(text), address};
    if (strcmp(text, program->name) == 0) {
        program->self = peer;
    }
    program->peers[program->peer_count++] = peer;
    return true;
}

/* Opens all before it starts; false: said why. */
static bool start(struct program *program, const char *key, const char *directory,
                  struct hivemind_log_config log)
{
    char error[512] = "";
    struct hivemind_server_config config = {.id = program->self.id,
                                            .address = program->self.address,
                                            .directory = directory,
                                            .key_file = key};
    log.name = "kv";
    log.machine = (struct hivemind_machine){apply, snapshot, install, NULL};
    log.context = &program->store;
    if (hivemind_server_new(&config, &program->server, error, sizeof error) != HM_OK) {
        fprintf(stderr, "kv: %s\n", error);
        return false;
    }
    if (hivemind_open(program->server, &log, program->peers, program->peer_count, &program->log) !=
            HM_OK ||
        hivemind_start(program->server) != HM_OK) {
        fprintf(stderr, "kv: %s\n", hivemind_error(program->server));
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct program program;
    struct hivemind_log_config log = {0};
    void *snapshot_bytes = NULL;
    int at = 4;
    if (argc < 5) {
        fprintf(stderr,
                "usage: kv NAME KEY DIRECTORY [--join | --join-from FILE] NAME=IP:PORT..\n");
        return 2;
    }
    program.name = argv[1];
    if (strcmp(argv[at], "--join") == 0) {
        log.joins = true;
        at++;
    } else if (strcmp(argv[at], "--join-from") == 0 && argc > at + 1) {
        log.joins = true;
        log.snapshot = snapshot_bytes = read_file(argv[at + 1], &log.snapshot_size);
        at += 2;
    }
    for (; at < argc; at++) {
        if (!read_peer(&program, argv[at])) {
            fprintf(stderr, "kv: not NAME=IP:PORT: %s\n", argv[at]);
            return 2;
        }
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    bool good = start(&program, argv[2], argv[3], log);
    free(snapshot_bytes);
    /* The program's own loop: two descriptors, and no timer. */
    while (good && !program.quit) {
        struct pollfd fds[2] = {{.fd = hivemind_fd(program.server), .events = POLLIN},
                                {.fd = STDIN_FILENO, .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[1].revents) {
            read_commands(&program);
        }
        good = hivemind_step(program.server) == HM_OK;
    }
    hivemind_server_free(program.server);
    clear(&program.store);
    return good ? 0 : 1;
}
