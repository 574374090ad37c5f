#include "tests/unit/embed_world.h"

/* ---- a network ---- */

const char *world_address(int number)
{
    static const char *const addresses[HOSTS_MAX] = {"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1",
                                                     "10.0.0.4:1", "10.0.0.5:1"};
    return addresses[number];
}

struct hivemind_peer world_peer(int number)
{
    char name[2] = {LETTERS[number], 0};
    return (struct hivemind_peer){hivemind_id_of(name), world_address(number)};
}

static enum hm_status net_connect(void *context, const char *address)
{
    (void)context;
    (void)address;
    return HM_OK;
}

static bool is_append(struct hm_bytes frame)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(frame);
    bool good = hm_message_decode(&in, &arena, &message) == HM_OK &&
                hm_message_decode(&in, &arena, &message) == HM_OK;
    hm_arena_fini(&arena);
    return good && message.kind == HM_MSG_append;
}

static enum hm_status net_send(void *context, const char *address, const void *frame, size_t size)
{
    struct host *host = context;
    struct world *world = host->world;
    int to = 0;
    while (to < HOSTS_MAX && strcmp(address, world_address(to)) != 0) {
        to++;
    }
    assert_true(to < HOSTS_MAX || world->strangers);
    if (to == HOSTS_MAX) {
        return HM_OK;
    }
    if (world->hosts[to] && world->hosts[to]->late && is_append((struct hm_bytes){frame, size})) {
        return HM_OK;
    }
    if (host->cut || hm_random_chance(&world->random, world->lost_permille)) {
        return HM_OK;
    }
    assert_true(world->frame_count < FRAMES_MAX);
    world->frames[world->frame_count++] =
        (struct frame){to, hm_bytes_copy((struct hm_bytes){frame, size})};
    return HM_OK;
}

static bool net_receive(void *context, const void **frame, size_t *size)
{
    struct host *host = context;
    struct world *world = host->world;
    hm_bytes_free(host->received);
    host->received = (struct hm_bytes){0};
    for (size_t i = 0; i < world->frame_count; i++) {
        if (world->frames[i].to == host->number) {
            host->received = world->frames[i].bytes;
            world->frame_count--;
            memmove(world->frames + i, world->frames + i + 1,
                    (world->frame_count - i) * sizeof *world->frames);
            if (host->cut) {
                hm_bytes_free(host->received);
                host->received = (struct hm_bytes){0};
                i--;
                continue;
            }
            *frame = host->received.data;
            *size = host->received.size;
            return true;
        }
    }
    return false;
}

static uint64_t net_now(void *context)
{
    return ((struct world *)context)->now;
}

/* ---- a machine ---- */

static void list_apply(void *context, const struct hivemind_entry *entry,
                       struct hivemind_result *result)
{
    struct list *list = context;
    assert_int_equal(entry->index, list->applied + 1);
    list->applied = entry->index;
    if (list->refuses_x && entry->size && *(const char *)entry->data == 'x') {
        result->status = HM_CONFLICT;
        snprintf(result->reason, sizeof result->reason, "no x here");
        return;
    }
    hm_buf_append(&list->text, entry->data, entry->size);
    hm_put_u8(&list->text, ' ');
}

static void list_snapshot(void *context, struct hivemind_writer *writer)
{
    struct list *list = context;
    hivemind_write(writer, &list->applied, sizeof list->applied);
    hivemind_write(writer, list->text.data, list->text.size);
}

static enum hm_status list_install(void *context, const void *data, size_t size)
{
    struct list *list = context;
    struct hm_reader in = hm_reader_of((struct hm_bytes){data, size});
    list->applied = hm_get_u64(&in);
    struct hm_bytes text = hm_get_bytes(&in, hm_reader_left(&in));
    hm_buf_clear(&list->text);
    hm_buf_append(&list->text, text.data, text.size);
    return in.bad ? HM_BAD_BYTES : HM_OK;
}

const struct hivemind_machine world_machine = {
    .apply = list_apply, .snapshot = list_snapshot, .install = list_install};

const char *world_text(struct host *host, int log)
{
    struct hm_buf *text = &host->lists[log].text;
    hm_put_u8(text, 0);
    text->size--;
    return (const char *)text->data;
}

/* ---- hosts ---- */

struct host *world_add(struct world *world, int number)
{
    struct host *host = hm_alloc(1, sizeof *host);
    char error[256];
    host->world = world;
    host->number = number;
    host->transport = (struct hivemind_transport){net_connect, net_send, net_receive, host};
    struct hivemind_server_config config = {.id = world_peer(number).id,
                                            .address = world_address(number),
                                            .transport = &host->transport,
                                            .now_ms = net_now,
                                            .clock_context = world,
                                            .seed = (uint64_t)number + 1};
    assert_int_equal(hivemind_server_new(&config, &host->server, error, sizeof error), HM_OK);
    world->hosts[number] = host;
    return host;
}

void world_open(struct host *host, int log, struct hivemind_log_config config, int peers)
{
    struct hivemind_peer all[HOSTS_MAX];
    config.name = log ? "other" : "list";
    config.machine = world_machine;
    config.context = &host->lists[log];
    for (int i = 0; i < peers; i++) {
        all[i] = world_peer(i);
    }
    assert_int_equal(hivemind_open(host->server, &config, all, (size_t)peers, &host->logs[log]),
                     HM_OK);
}

void world_remove(struct world *world, int number)
{
    struct host *host = world->hosts[number];
    assert_int_equal(hivemind_server_free(host->server), HM_OK);
    hm_bytes_free(host->received);
    hm_buf_fini(&host->lists[0].text);
    hm_buf_fini(&host->lists[1].text);
    hm_buf_fini(&host->pushed_text);
    hm_free(host);
    world->hosts[number] = NULL;
}

void world_start(struct world *world, int hosts)
{
    *world = (struct world){.now = 1000000};
    hm_random_init(&world->random, 7);
    for (int i = 0; i < hosts; i++) {
        struct host *host = world_add(world, i);
        world_open(host, 0, (struct hivemind_log_config){0}, hosts);
        assert_int_equal(hivemind_start(host->server), HM_OK);
    }
}

void world_end(struct world *world)
{
    for (int i = 0; i < HOSTS_MAX; i++) {
        if (world->hosts[i]) {
            world_remove(world, i);
        }
    }
    for (size_t i = 0; i < world->frame_count; i++) {
        hm_bytes_free(world->frames[i].bytes);
    }
}

void world_step(struct world *world)
{
    for (int i = 0; i < HOSTS_MAX; i++) {
        if (world->hosts[i]) {
            (void)hivemind_step(world->hosts[i]->server);
        }
    }
}

struct hivemind_state world_state(struct host *host, int log)
{
    struct hivemind_state state;
    assert_int_equal(hivemind_state(host->logs[log], &state), HM_OK);
    return state;
}

struct host *world_leader(struct world *world, int log)
{
    for (int i = 0; i < HOSTS_MAX; i++) {
        struct host *host = world->hosts[i];
        if (host && !host->cut && host->logs[log]) {
            struct hivemind_state state = world_state(host, log);
            if (state.role == HIVEMIND_LEADER && state.ready) {
                return host;
            }
        }
    }
    return NULL;
}

void world_done(void *context, const struct hivemind_outcome *outcome)
{
    struct host *host = context;
    assert_true(host->outcome_count < OUTCOMES_MAX);
    host->outcomes[host->outcome_count] = *outcome;
    host->outcomes[host->outcome_count++].reason = NULL;
}

void world_submit(struct host *host, int log, const char *text)
{
    assert_int_equal(hivemind_submit(host->logs[log], text, strlen(text), world_done, host), HM_OK);
}

bool world_all_have(struct world *world, int log, uint64_t index)
{
    for (int i = 0; i < HOSTS_MAX; i++) {
        struct host *host = world->hosts[i];
        if (host && !host->cut && host->logs[log] && world_state(host, log).index < index) {
            return false;
        }
    }
    return true;
}

struct host *world_follower(struct world *world)
{
    struct host *leader = world_leader(world, 0);
    return world->hosts[leader->number == 0 ? 1 : 0];
}
