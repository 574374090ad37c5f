/* Runs a transcript: commands to Raft nodes A to G, and below each what they did about it. Lines
 * that begin with `>` are commands, with `#` comments, the others are expected. `--rewrite` writes
 * what happened in place of what was expected.
 *
 *   > seed A B C           before start: all hold a log of term 1 with these voters
 *   > entry A T I TEXT     before start: A's disk also holds a request of term T at index I
 *   > term A T             before start: A has been in term T
 *   > start A              starts or restarts A from its disk
 *   > found A              A founds the log
 *   > tick A [MS]          time moves to A's deadline, or by MS, and A ticks
 *   > deliver A B          the oldest message from A to B arrives
 *   > drop A [B]           all messages from A (to B) are lost
 *   > write A              everything that A gave to PERSIST becomes durable, and A is told
 *   > run [A B ..]         deliver and write among these, or all, until nothing moves
 *   > crash A              A is gone with what was not durable
 *   > propose A TEXT, read A N, compact A [BYTES], learner A B, promote A B, remove A B,
 *     transfer A [B]
 *   > fail A, recover A    A's disk
 *   > reset A B            A's connection to B was reset
 *   > state                one line a node
 *
 * Messages wait in order between two nodes; nothing moves that no command moves. */
#include "core/base/memory.h"
#include "core/engine/raft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX   7
#define WORDS_MAX   10
#define ELECTION_MS 100u

struct parcel {
    int from;
    int to; /* -1: a PERSIST of `from` */
    uint64_t number;
    struct hm_bytes bytes;
};

static struct node {
    struct hm_peer me;
    struct hm_raft *raft;
    struct hm_bytes disk[4096]; /* all PERSISTs that are durable, in order */
    size_t disk_count;
    uint64_t applied;
    size_t state_bytes; /* of the state machine, at least */
} nodes[NODES_MAX];

static struct parcel parcels[4096];
static size_t parcels_count;
static hm_ms now;
static struct hm_buf out; /* what happened, in the form of the file */

static void say_message(struct hm_bytes bytes)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(bytes);
    if (hm_message_decode(&in, &arena, &message) == HM_OK) {
        struct hm_buf text = {0};
        hm_message_print(&text, &message);
        hm_put_u8(&text, 0);
        /* Ids are as long as they are dull: node 1 is A. */
        for (char *at = (char *)text.data; *at;) {
            static const char zeros[] = "000000000000000000000000000000";
            if (strncmp(at, zeros, sizeof zeros - 1) == 0) {
                int number = (int)strtol(at + sizeof zeros - 1, NULL, 16);
                hm_buf_printf(&out, "%c", number ? 'A' + number - 1 : '-');
                at += 32;
            } else {
                hm_put_u8(&out, (uint8_t)*at++);
            }
        }
        hm_buf_fini(&text);
    } else {
        hm_buf_printf(&out, "\"%.*s\"", (int)bytes.size, (const char *)bytes.data);
    }
    hm_arena_fini(&arena);
}

static void keep(int from, int to, const struct hm_effect *effect)
{
    if (parcels_count == sizeof parcels / sizeof *parcels) {
        fprintf(stderr, "too many messages\n");
        exit(1);
    }
    parcels[parcels_count++] =
        (struct parcel){from, to, effect->number, hm_bytes_copy(effect->message)};
}

static void say_notice(const struct hm_effect *effect, const struct hm_raft *raft)
{
    static const char *const names[] = {
        "role",   "read ready",       "read lost",       "dropped",         "removed",
        "voters", "other generation", "snapshot wanted", "snapshot lacking"};
    static const char *const roles[] = {"follower", "precandidate", "candidate", "leader"};
    hm_buf_printf(&out, "%s", names[effect->notice]);
    if (effect->notice == HM_RAFT_ROLE_CHANGED) {
        int leader = effect->peer.id.bytes[15];
        hm_buf_printf(&out, " now %s, leader %c, term", roles[hm_raft_role(raft)],
                      leader ? 'A' + leader - 1 : '-');
    }
    hm_buf_printf(&out, " %llu\n", (unsigned long long)effect->number);
}

/* The state machine's state: a text, and as much as `compact` said. */
static enum hm_status with_state(struct node *node,
                                 enum hm_status (*use)(struct hm_raft *raft, uint64_t index,
                                                       struct hm_bytes state))
{
    struct hm_buf state = {0};
    hm_buf_append_text(&state, "the state");
    while (state.size < node->state_bytes) {
        hm_put_u8(&state, 's');
    }
    enum hm_status status = use(node->raft, node->applied, hm_buf_view(&state));
    hm_buf_fini(&state);
    return status;
}

static void pump(int self)
{
    struct hm_effect effect;
    struct node *node = &nodes[self];
    while (node->raft && hm_raft_output(node->raft, &effect)) {
        char name = (char)('A' + self);
        if (effect.kind == HM_EFFECT_SEND) {
            int to = effect.peer.id.bytes[15] - 1;
            hm_buf_printf(&out, "  %c>%c ", name, 'A' + to);
            say_message(effect.message);
            hm_buf_append_text(&out, "\n");
            keep(self, to, &effect);
        } else if (effect.kind == HM_EFFECT_PERSIST) {
            hm_buf_printf(&out, "  %c persist ", name);
            say_message(effect.message);
            hm_buf_append_text(&out, "\n");
            keep(self, -1, &effect);
        } else if (effect.kind == HM_EFFECT_APPLY) {
            hm_buf_printf(&out, "  %c apply %llu ", name, (unsigned long long)effect.number);
            say_message(effect.message);
            hm_buf_append_text(&out, "\n");
            node->applied = effect.number;
        } else {
            hm_buf_printf(&out, "  %c ", name);
            say_notice(&effect, node->raft);
            if (effect.notice == HM_RAFT_SNAPSHOT_LACKING) {
                (void)with_state(node, hm_raft_serve);
            }
        }
    }
}

static struct parcel take(size_t at)
{
    struct parcel parcel = parcels[at];
    memmove(&parcels[at], &parcels[at + 1], (--parcels_count - at) * sizeof *parcels);
    return parcel;
}

static void deliver(size_t at)
{
    struct parcel parcel = take(at);
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(parcel.bytes);
    struct node *to = &nodes[parcel.to];
    if (to->raft && hm_message_decode(&in, &arena, &message) == HM_OK) {
        enum hm_status status = hm_raft_input(to->raft, now, &nodes[parcel.from].me, &message);
        if (status != HM_OK) {
            hm_buf_printf(&out, "  %c %s\n", 'A' + parcel.to, hm_status_name(status));
        }
        pump(parcel.to);
    }
    hm_arena_fini(&arena);
    hm_bytes_free(parcel.bytes);
}

static bool write_all(int self)
{
    uint64_t number = 0;
    for (size_t i = 0; i < parcels_count;) {
        if (parcels[i].from == self && parcels[i].to < 0) {
            struct parcel parcel = take(i);
            number = parcel.number;
            nodes[self].disk[nodes[self].disk_count++] = parcel.bytes;
        } else {
            i++;
        }
    }
    if (number) {
        hm_raft_durable(nodes[self].raft, now, number);
        pump(self);
    }
    return number != 0;
}

static void lose(int from, int to, bool writes)
{
    for (size_t i = 0; i < parcels_count;) {
        bool meant = parcels[i].to < 0 ? writes : !writes && (to < 0 || parcels[i].to == to);
        if (parcels[i].from == from && meant) {
            hm_bytes_free(take(i).bytes);
        } else {
            i++;
        }
    }
}

static void run(unsigned among)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < NODES_MAX; i++) {
            moved = ((among >> i & 1) && nodes[i].raft && write_all(i)) || moved;
        }
        for (size_t i = 0; i < parcels_count; i++) {
            if (parcels[i].to >= 0 && (among >> parcels[i].from & 1) &&
                (among >> parcels[i].to & 1)) {
                deliver(i);
                moved = true;
                break;
            }
        }
    }
}

static void to_disk(int self, const struct hm_message *message)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, message);
    nodes[self].disk[nodes[self].disk_count++] = hm_bytes_copy(hm_buf_view(&bytes));
    hm_buf_fini(&bytes);
}

/* The disk keeps the PERSISTs themselves; what a journal would make of them is found here. */
static void start(int self)
{
    struct node *node = &nodes[self];
    struct hm_raft_config config = {
        .self = node->me, .election_ms = ELECTION_MS, .heartbeat_ms = 20, .seed = (uint64_t)self};
    node->raft = hm_raft_new(&config, now);
    struct hm_arena arena = {0};
    static const enum hm_message_kind order[] = {HM_MSG_log_hard_state, HM_MSG_log_snapshot,
                                                 HM_MSG_log_append};
    for (size_t kind = 0; kind < 3; kind++) {
        for (size_t i = 0; i < node->disk_count; i++) {
            struct hm_message message;
            bool last = true; /* of a kind of which only the latest counts */
            if (hm_message_decode_only(node->disk[i], order[kind], &arena, &message) != HM_OK) {
                continue;
            }
            for (size_t j = i + 1; j < node->disk_count && kind < 2; j++) {
                last = last && node->disk[j].data[0] != node->disk[i].data[0];
            }
            if (last && hm_raft_restore(node->raft, &message) != HM_OK) {
                hm_buf_append_text(&out, "  does not restore\n");
            }
        }
    }
    hm_arena_fini(&arena);
    pump(self);
}

static void seed(unsigned who)
{
    struct hm_voter voters[NODES_MAX];
    uint32_t count = 0;
    for (int i = 0; i < NODES_MAX; i++) {
        if (who >> i & 1) {
            voters[count++] = (struct hm_voter){.id = nodes[i].me.id, .voting = true};
        }
    }
    struct hm_message config = {.kind = HM_MSG_log_voters,
                                .log_voters = {.voters = voters, .voters_count = count}};
    struct hm_buf body = {0};
    hm_message_encode(&body, &config);
    struct hm_entry entry = {.term = 1, .kind = HM_RAFT_VOTERS, .body = hm_buf_view(&body)};
    for (int i = 0; i < NODES_MAX; i++) {
        if (who >> i & 1) {
            to_disk(i, &(struct hm_message){.kind = HM_MSG_log_hard_state,
                                            .log_hard_state = {.term = 1}});
            to_disk(i,
                    &(struct hm_message){
                        .kind = HM_MSG_log_append,
                        .log_append = {.first_index = 1, .entries = &entry, .entries_count = 1}});
        }
    }
    hm_buf_fini(&body);
}

static void say_state(void)
{
    static const char *const roles[] = {"follower", "precandidate", "candidate", "leader"};
    for (int i = 0; i < NODES_MAX; i++) {
        struct hm_raft *raft = nodes[i].raft;
        if (!raft) {
            continue;
        }
        hm_buf_printf(&out, "  %c %s term %llu, commit %llu, last %llu, applied %llu\n", 'A' + i,
                      roles[hm_raft_role(raft)], (unsigned long long)hm_raft_term(raft),
                      (unsigned long long)hm_raft_commit(raft),
                      (unsigned long long)hm_raft_last_index(raft),
                      (unsigned long long)nodes[i].applied);
    }
}

static void tick(int self, const char *ms)
{
    hm_ms deadline = hm_raft_deadline(nodes[self].raft);
    if (ms) {
        now += strtoull(ms, NULL, 10);
    } else if (deadline != HM_NEVER && deadline > now) {
        now = deadline;
    }
    hm_raft_tick(nodes[self].raft, now);
}

static enum hm_status ask(struct hm_raft *raft, char **word, int other)
{
    uint64_t index;
    uint64_t term;
    const char *verb = word[0];
    const struct hm_peer *peer = other >= 0 ? &nodes[other].me : NULL;
    if (strcmp(verb, "propose") == 0) {
        return hm_raft_propose(raft, now, hm_bytes_of_text(word[2]), &index, &term);
    }
    if (strcmp(verb, "read") == 0) {
        return hm_raft_read(raft, now, strtoull(word[2], NULL, 10));
    }
    if (strcmp(verb, "learner") == 0) {
        return hm_raft_add_learner(raft, now, peer);
    }
    if (strcmp(verb, "promote") == 0) {
        return hm_raft_promote(raft, now, peer);
    }
    if (strcmp(verb, "remove") == 0) {
        return hm_raft_remove(raft, now, peer);
    }
    if (strcmp(verb, "transfer") == 0) {
        return hm_raft_transfer(raft, now, peer ? &peer->id : NULL);
    }
    if (strcmp(verb, "found") == 0) {
        return hm_raft_found(raft, now);
    }
    fprintf(stderr, "unknown command: %s\n", verb);
    exit(1);
}

static void compact(struct node *node, const char *bytes)
{
    node->state_bytes = bytes ? strtoull(bytes, NULL, 10) : 0;
    enum hm_status status = with_state(node, hm_raft_compact);
    hm_buf_append_text(&out, status == HM_OK ? "" : "  refused\n");
}

/* Commands about a node's disk, time or connections; false: not one of them. */
static bool disturb(int self, char **word, int other)
{
    struct node *node = &nodes[self];
    const char *verb = word[0];
    if (strcmp(verb, "start") == 0) {
        start(self);
    } else if (strcmp(verb, "crash") == 0) {
        hm_raft_free(node->raft);
        node->raft = NULL;
        lose(self, -1, true);
        lose(self, -1, false);
    } else if (strcmp(verb, "tick") == 0) {
        tick(self, word[2]);
    } else if (strcmp(verb, "write") == 0) {
        write_all(self);
    } else if (strcmp(verb, "drop") == 0) {
        lose(self, other, false);
    } else if (strcmp(verb, "deliver") == 0) {
        for (size_t i = 0; i < parcels_count; i++) {
            if (parcels[i].from == self && parcels[i].to == other) {
                deliver(i);
                break;
            }
        }
    } else if (strcmp(verb, "entry") == 0) {
        struct hm_entry entry = {.term = strtoull(word[2], NULL, 10),
                                 .kind = HM_RAFT_REQUEST,
                                 .body = hm_bytes_of_text(word[4])};
        to_disk(self, &(struct hm_message){.kind = HM_MSG_log_hard_state,
                                           .log_hard_state = {.term = entry.term}});
        to_disk(self,
                &(struct hm_message){.kind = HM_MSG_log_append,
                                     .log_append = {.first_index = strtoull(word[3], NULL, 10),
                                                    .entries = &entry,
                                                    .entries_count = 1}});
    } else if (strcmp(verb, "term") == 0) {
        to_disk(self,
                &(struct hm_message){.kind = HM_MSG_log_hard_state,
                                     .log_hard_state = {.term = strtoull(word[2], NULL, 10)}});
    } else if (strcmp(verb, "fail") == 0) {
        lose(self, -1, true);
        hm_raft_persist_failed(node->raft, now);
    } else if (strcmp(verb, "recover") == 0) {
        hm_raft_persist_recovered(node->raft, now);
    } else if (strcmp(verb, "reset") == 0) {
        hm_raft_peer_reset(node->raft, now, &nodes[other].me.id);
    } else if (strcmp(verb, "compact") == 0) {
        compact(node, word[2]);
    } else {
        return false;
    }
    return true;
}

static void command(char *line)
{
    char *word[WORDS_MAX + 1] = {NULL};
    size_t count = 0;
    unsigned who = 0;
    char *rest = line;
    for (char *w; count < WORDS_MAX && (w = strtok_r(rest, " \n", &rest));) {
        word[count++] = w;
        who |= count > 1 && w[0] >= 'A' && w[0] < 'A' + NODES_MAX && !w[1] ? 1u << (w[0] - 'A') : 0;
    }
    int self = count > 1 ? word[1][0] - 'A' : -1;
    int other = count > 2 && !word[2][1] ? word[2][0] - 'A' : -1;
    if (strcmp(word[0], "run") == 0) {
        run(who ? who : ~0u);
    } else if (strcmp(word[0], "seed") == 0) {
        seed(who);
    } else if (strcmp(word[0], "state") == 0) {
        say_state();
    } else if (self < 0 || self >= NODES_MAX) {
        fprintf(stderr, "no such node: %s\n", line);
        exit(1);
    } else if (!disturb(self, word, other)) {
        enum hm_status status = ask(nodes[self].raft, word, other);
        if (status != HM_OK) {
            hm_buf_printf(&out, "  %c %s\n", 'A' + self, hm_status_name(status));
        }
    }
    if (self >= 0) {
        pump(self);
    }
}

static void end(void)
{
    for (int i = 0; i < NODES_MAX; i++) {
        hm_raft_free(nodes[i].raft);
        for (size_t j = 0; j < nodes[i].disk_count; j++) {
            hm_bytes_free(nodes[i].disk[j]);
        }
    }
    while (parcels_count) {
        hm_bytes_free(take(parcels_count - 1).bytes);
    }
}

/* Keeps comments and empty lines, runs commands, drops what was expected. */
static void play(struct hm_buf *file)
{
    hm_put_u8(file, 0);
    char *rest = (char *)file->data;
    while (rest && *rest) {
        char *line = rest;
        char *newline = strchr(line, '\n');
        rest = newline ? newline + 1 : NULL;
        size_t size = newline ? (size_t)(newline - line) : strlen(line);
        if (size == 0 || line[0] == '#' || line[0] == '>') {
            hm_buf_append(&out, line, size);
            hm_buf_append_text(&out, "\n");
        }
        if (size && line[0] == '>') {
            if (newline) {
                *newline = 0;
            }
            command(line + 1);
        }
    }
}

static void tell_difference(const char *name, const struct hm_buf *expected)
{
    size_t at = 0;
    size_t line = 1;
    while (at < expected->size && at < out.size && expected->data[at] == out.data[at]) {
        line += expected->data[at++] == '\n';
    }
    while (at > 0 && out.data[at - 1] != '\n') {
        at--;
    }
    fprintf(stderr, "%s:%zu: expected\n%.*s\ngot\n%.*s\n", name, line,
            (int)strcspn((const char *)expected->data + at, "\n"),
            (const char *)expected->data + at, (int)strcspn((const char *)out.data + at, "\n"),
            (const char *)out.data + at);
}

int main(int argc, char **argv)
{
    bool rewrite = argc == 3 && strcmp(argv[1], "--rewrite") == 0;
    if (argc != 2 + rewrite) {
        fprintf(stderr, "usage: raft_scenario [--rewrite] FILE\n");
        return 2;
    }
    const char *name = argv[argc - 1];
    FILE *in = fopen(name, "r");
    if (!in) {
        perror(name);
        return 1;
    }
    struct hm_buf file = {0};
    struct hm_buf expected = {0};
    for (int c; (c = fgetc(in)) != EOF;) {
        hm_put_u8(&file, (uint8_t)c);
    }
    fclose(in);
    hm_buf_append(&expected, file.data, file.size);
    for (int i = 0; i < NODES_MAX; i++) {
        nodes[i].me.id.bytes[15] = (uint8_t)(i + 1);
    }
    play(&file);
    int result = 0;
    if (rewrite) {
        FILE *to = fopen(name, "w");
        if (!to || fwrite(out.data, 1, out.size, to) != out.size || fclose(to)) {
            perror(name);
            result = 1;
        }
    } else if (!hm_bytes_equal(hm_buf_view(&expected), hm_buf_view(&out))) {
        hm_put_u8(&expected, 0);
        hm_put_u8(&out, 0);
        tell_difference(name, &expected);
        result = 1;
    }
    end();
    hm_buf_fini(&file);
    hm_buf_fini(&expected);
    hm_buf_fini(&out);
    return result;
}
