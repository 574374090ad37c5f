#include "tests/sim/registrar.h"

#include "core/base/assert.h"
#include "tests/sim/cluster.h"

#include <stdio.h>
#include <string.h>

#define CONNECTIONS_FROM 100u
#define LOG_NAME         "role.names"
#define END_CALL         UINT64_MAX /* of the lookups at the end */

enum verb { REGISTER, RELEASE, CHECK };

static void ask(struct registrar *registrar);

/* ---- what is known of a name ---- */

static struct hm_bytes name_of(size_t number)
{
    static const char *const names[REGISTRAR_NAMES] = {"ant", "bee", "cat", "dog"};
    return hm_bytes_of_text(names[number]);
}

static struct hm_bytes owner_of(size_t number)
{
    static const char *const owners[REGISTRARS] = {"zero", "one", "two"};
    return hm_bytes_of_text(owners[number]);
}

/* Who holds it for certain since before this step; REGISTRARS: nobody. */
static size_t holder_since(const struct cluster *cluster, size_t name, uint64_t step)
{
    for (size_t i = 0; i < REGISTRARS; i++) {
        const struct registrar_hold *hold = &cluster->registrars[i].holds[name];
        if (hold->certain && hold->since <= step) {
            return i;
        }
    }
    return REGISTRARS;
}

/* An answer says that it is this one's (empty: nobody's); whoever has held it since before this
 * step must be the one. */
static void check_told(struct registrar *registrar, struct hm_bytes owner, uint64_t step)
{
    struct cluster *cluster = registrar->cluster;
    size_t holder = holder_since(cluster, registrar->name, step);
    if (holder < REGISTRARS && !hm_bytes_equal(owner, owner_of(holder))) {
        sim_fail(&cluster->world, "registrar %zu hears that name %zu is '%.*s', but %zu holds it",
                 registrar->number, registrar->name, (int)owner.size, (const char *)owner.data,
                 holder);
    }
}

/* Nobody else may hold it, not even since a moment ago: then it had to be released first. */
static void registered(struct registrar *registrar)
{
    check_told(registrar, owner_of(registrar->number), UINT64_MAX);
    registrar->holds[registrar->name] =
        (struct registrar_hold){true, ++registrar->cluster->names_step};
}

/* ---- asking ---- */

static void ask_again(void *context, uint64_t attempt, struct hm_bytes bytes)
{
    (void)bytes;
    struct registrar *registrar = context;
    if (attempt == registrar->attempt && !registrar->stopped) {
        ask(registrar);
    }
}

static void ask_soon(struct registrar *registrar, hm_ms most)
{
    struct sim_world *world = &registrar->cluster->world;
    sim_after(world, sim_between(world, 1, most), ask_again, registrar, registrar->attempt);
}

static void begin(struct registrar *registrar)
{
    struct sim_world *world = &registrar->cluster->world;
    registrar->busy = true;
    registrar->seq++;
    registrar->name = sim_between(world, 0, REGISTRAR_NAMES - 1);
    registrar->verb = (int)sim_between(world, REGISTER, CHECK);
    registrar->asked_at = ++registrar->cluster->names_step;
    if (registrar->verb == RELEASE) {
        registrar->holds[registrar->name].certain = false;
    }
}

static void encode(const struct registrar *registrar, struct hm_buf *out)
{
    struct hm_bytes name = name_of(registrar->name);
    struct hm_bytes owner = owner_of(registrar->number);
    struct hm_message message = {.kind = HM_MSG_names_check, .names_check = {name}};
    if (registrar->verb == REGISTER) {
        message =
            (struct hm_message){.kind = HM_MSG_names_register, .names_register = {name, owner}};
    } else if (registrar->verb == RELEASE) {
        message = (struct hm_message){.kind = HM_MSG_names_release, .names_release = {name, owner}};
    }
    hm_message_encode(out, &message);
}

/* To any node; one that does not run, or is paused, is a question without an answer. */
static void ask(struct registrar *registrar)
{
    struct cluster *cluster = registrar->cluster;
    struct sim_world *world = &cluster->world;
    struct cluster_node *node = &cluster->nodes[sim_between(world, 0, cluster->count - 1)];
    struct hm_buf body = {0};
    if (!registrar->busy) {
        begin(registrar);
    }
    encode(registrar, &body);
    registrar->attempt++;
    struct hm_message question = {.kind = HM_MSG_log_write,
                                  .log_write = {.call = registrar->attempt,
                                                .name = hm_name_of(LOG_NAME),
                                                .session = registrar->session,
                                                .seq = registrar->seq,
                                                .data = hm_buf_view(&body)}};
    if (registrar->verb == CHECK) {
        question = (struct hm_message){.kind = HM_MSG_log_query,
                                       .log_query = {.call = registrar->attempt,
                                                     .name = hm_name_of(LOG_NAME),
                                                     .data = hm_buf_view(&body)}};
    }
    ask_soon(registrar, 8000);
    if (node->runs && node->paused_until <= world->now) {
        cluster_ask(node, CONNECTIONS_FROM + registrar->number, &question);
    }
    hm_buf_fini(&body);
}

/* ---- answers ---- */

static struct hm_bytes owner_told(const struct hm_answer *answer, struct hm_arena *arena)
{
    struct hm_message message;
    return hm_message_decode_only(answer->data, HM_MSG_names_holder, arena, &message) == HM_OK
               ? message.names_holder.item.owner
               : (struct hm_bytes){0};
}

static bool begins_with(struct hm_bytes text, const char *start)
{
    return text.size >= strlen(start) && memcmp(text.data, start, strlen(start)) == 0;
}

/* False: it has to be asked again. */
static bool take(struct registrar *registrar, const struct hm_answer *answer)
{
    struct hm_arena arena = {0};
    struct hm_bytes owner = owner_told(answer, &arena);
    bool known = true;
    switch (answer->status) {
    case HM_OK:
        if (registrar->verb == REGISTER) {
            registered(registrar);
        } else if (registrar->verb == CHECK) {
            check_told(registrar, owner, registrar->asked_at);
        }
        break;
    case HM_NAME_TAKEN:
    case HM_DENIED:
        /* A retry may hear that it was refused when the name has another owner by now, or none. */
        if (owner.size && hm_bytes_equal(owner, owner_of(registrar->number))) {
            sim_fail(&registrar->cluster->world, "registrar %zu is refused its own name",
                     registrar->number);
        }
        break;
    case HM_NOT_FOUND:
        /* Also said where no node with the role is known (yet). */
        if (registrar->verb == CHECK && begins_with(answer->reason, "nobody has registered")) {
            check_told(registrar, (struct hm_bytes){0}, registrar->asked_at);
        }
        known = registrar->verb != REGISTER;
        break;
    case HM_SESSION_EXPIRED:
    case HM_BAD_ARGUMENT:
        sim_fail(&registrar->cluster->world, "registrar %zu: %s", registrar->number,
                 hm_status_text((enum hm_status)answer->status));
        break;
    default:
        known = false;
        break;
    }
    hm_arena_fini(&arena);
    return known;
}

bool registrar_has(uint64_t connection)
{
    return connection >= CONNECTIONS_FROM;
}

static void check_kept(struct cluster *cluster, size_t name, const struct hm_answer *answer)
{
    struct hm_arena arena = {0};
    struct hm_bytes owner = owner_told(answer, &arena);
    size_t holder = holder_since(cluster, name, UINT64_MAX);
    if (holder < REGISTRARS && !hm_bytes_equal(owner, owner_of(holder))) {
        sim_fail(&cluster->world, "name %zu is '%.*s' in the end, %zu holds it", name,
                 (int)owner.size, (const char *)owner.data, holder);
    }
    cluster->names_checked++;
    hm_arena_fini(&arena);
}

void registrar_answered(struct cluster *cluster, uint64_t connection, struct hm_bytes bytes)
{
    struct registrar *registrar = &cluster->registrars[connection - CONNECTIONS_FROM];
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(bytes);
    if (hm_message_decode(&in, &arena, &message) != HM_OK || message.kind != HM_MSG_answer) {
        sim_fail(&cluster->world, "an answer is none");
    } else if (message.answer.call > END_CALL - REGISTRAR_NAMES) {
        check_kept(cluster, (size_t)(END_CALL - message.answer.call), &message.answer);
    } else if (registrar->busy && message.answer.call == registrar->attempt) {
        sim_trace(&cluster->world, "registrar %zu: verb %d of name %zu: %s", registrar->number,
                  registrar->verb, registrar->name,
                  hm_status_name((enum hm_status)message.answer.status));
        registrar->busy = !take(registrar, &message.answer);
        registrar->answered += !registrar->busy;
        registrar->attempt++;
        ask_soon(registrar, 300);
    }
    hm_arena_fini(&arena);
}

void registrars_start(struct cluster *cluster)
{
    struct sim_world *world = &cluster->world;
    for (size_t i = 0; i < REGISTRARS; i++) {
        struct registrar *registrar = &cluster->registrars[i];
        registrar->cluster = cluster;
        registrar->number = i;
        /* A UUID of version 7, of the moment that its clock shows. */
        for (size_t at = 0; at < 6; at++) {
            registrar->session.bytes[at] =
                (uint8_t)((CLUSTER_WALL_START_MS + world->now) >> (40 - 8 * at));
        }
        registrar->session.bytes[15] = (uint8_t)(100 + i);
        ask_soon(registrar, 5000);
    }
}

/* Asks for every name, without waiting for what is on its way. */
void registrars_check_end(struct cluster *cluster)
{
    for (size_t i = 0; i < REGISTRARS; i++) {
        cluster->registrars[i].stopped = true;
        if (cluster->registrars[i].answered < 5) {
            sim_fail(&cluster->world, "registrar %zu: only %llu answers", i,
                     (unsigned long long)cluster->registrars[i].answered);
        }
        if (cluster->registrars[i].busy && cluster->registrars[i].verb == RELEASE) {
            cluster->registrars[i].holds[cluster->registrars[i].name].certain = false;
        }
    }
    for (size_t name = 0; name < REGISTRAR_NAMES && !cluster->world.failed; name++) {
        struct hm_buf body = {0};
        hm_message_encode(&body, &(struct hm_message){.kind = HM_MSG_names_check,
                                                      .names_check = {name_of(name)}});
        cluster_ask(&cluster->nodes[0], CONNECTIONS_FROM,
                    &(struct hm_message){.kind = HM_MSG_log_query,
                                         .log_query = {.call = END_CALL - name,
                                                       .name = hm_name_of(LOG_NAME),
                                                       .data = hm_buf_view(&body)}});
        hm_buf_fini(&body);
    }
    cluster_run(cluster, cluster->world.now + 3000);
    if (!cluster->world.failed && cluster->names_checked < REGISTRAR_NAMES) {
        sim_fail(&cluster->world, "%zu of %u names are found in the end", cluster->names_checked,
                 REGISTRAR_NAMES);
    }
}
