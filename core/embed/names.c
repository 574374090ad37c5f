/* A registry of names for programs: the machine of core/names under the public functions of a
 * participant, as a program would write it. */
#include "core/embed/internal.h"

#include "core/base/memory.h"
#include "core/base/utf8.h"
#include "core/include/hivemind/names.h"
#include "core/names/names.h"

#include <stdio.h>
#include <string.h>

/* The owner that a refusal is about is its reason, which takes the longest. */
_Static_assert(HIVEMIND_NAME_BYTES_MAX == NAMES_TEXT_BYTES_MAX, "");
_Static_assert(sizeof((struct hivemind_result *)0)->reason > NAMES_TEXT_BYTES_MAX, "");
/* With what a snapshot adds to a name beyond the 16 bytes that are counted. */
_Static_assert(HIVEMIND_NAMES_BYTES_MAX + HIVEMIND_NAMES_BYTES_MAX / 18 * 8 <
                   HIVEMIND_SNAPSHOT_BYTES_MAX,
               "");

/* A question that is not answered. */
struct names_call {
    struct names_call *next;
    struct names_call **link; /* what points to it */
    struct hivemind_names *names;
    hivemind_names_done *done;
    void *context;
    bool checks;
    char owner[NAMES_TEXT_BYTES_MAX + 1];
    char name[NAMES_TEXT_BYTES_MAX + 1];
};

struct hivemind_names {
    struct hivemind_participant *participant;
    struct names registry;
    struct names_call *calls;
};

/* ---- the machine ---- */

/* Whose the name is, where the machine's answer tells it. */
static void explain(struct hivemind_names *names, const struct hm_outcome *out,
                    struct hivemind_result *result)
{
    struct hm_message message;
    result->status = out->status;
    snprintf(result->reason, sizeof result->reason, "%s", out->reason);
    if ((out->status == HM_NAME_TAKEN || out->status == HM_DENIED) &&
        hm_message_decode_only(out->data, HM_MSG_names_holder, &names->registry.arena, &message) ==
            HM_OK) {
        struct hm_bytes owner = message.names_holder.item.owner;
        snprintf(result->reason, sizeof result->reason, "%.*s", (int)owner.size,
                 (const char *)owner.data);
    }
}

static void apply(void *context, const struct hivemind_entry *told, struct hivemind_result *result)
{
    struct hivemind_names *names = context;
    struct hm_outcome out = {.status = HM_OK, .index = told->index};
    struct hm_log_entry entry = {
        .index = told->index, .time_ms = told->time_ms, .request = {told->data, told->size}};
    names_machine.apply(&names->registry, &entry, &out);
    explain(names, &out, result);
}

static void snapshot(void *context, struct hivemind_writer *writer)
{
    struct hivemind_names *names = context;
    struct hm_buf state = {0};
    names_machine.snapshot(&names->registry, &state);
    hivemind_write(writer, state.data, state.size);
    hm_buf_fini(&state);
}

static enum hm_status install(void *context, const void *data, size_t size)
{
    struct hivemind_names *names = context;
    return names_machine.install(&names->registry, (struct hm_bytes){data, size});
}

/* ---- its life ---- */

static void drop_call(struct names_call *call)
{
    *call->link = call->next;
    if (call->next) {
        call->next->link = call->link;
    }
    hm_free(call);
}

static void close_names(void *context)
{
    struct hivemind_names *names = context;
    while (names->calls) {
        drop_call(names->calls);
    }
    names_fini(&names->registry);
    hm_free(names);
}

enum hm_status hivemind_names_open(struct hivemind_server *server,
                                   const struct hivemind_names_config *config,
                                   const struct hivemind_peer *peers, size_t peer_count,
                                   struct hivemind_names **out)
{
    struct hivemind_names *names = hm_alloc(1, sizeof *names);
    struct hivemind_log_config log = {
        .name = config->log,
        .machine = {.apply = apply, .snapshot = snapshot, .install = install},
        .context = names,
        .joins = config->joins,
        .snapshot = config->snapshot,
        .snapshot_size = config->snapshot_size};
    names->registry.bytes_max = HIVEMIND_NAMES_BYTES_MAX;
    enum hm_status status = hivemind_open(server, &log, peers, peer_count, &names->participant);
    if (status != HM_OK) {
        close_names(names);
        return status;
    }
    names->participant->closed = close_names;
    *out = names;
    return HM_OK;
}

struct hivemind_participant *hivemind_names_participant(struct hivemind_names *names)
{
    return names->participant;
}

/* ---- calls ---- */

static const char *text_of(struct hm_bytes bytes, char out[NAMES_TEXT_BYTES_MAX + 1])
{
    snprintf(out, NAMES_TEXT_BYTES_MAX + 1, "%.*s", (int)bytes.size, (const char *)bytes.data);
    return out;
}

static struct names_call *add_call(struct hivemind_names *names, const char *name,
                                   const char *owner, hivemind_names_done *done, void *context)
{
    struct names_call *call = hm_alloc(1, sizeof *call);
    call->names = names;
    call->done = done;
    call->context = context;
    snprintf(call->name, sizeof call->name, "%s", name);
    snprintf(call->owner, sizeof call->owner, "%s", owner);
    call->next = names->calls;
    call->link = &names->calls;
    if (call->next) {
        call->next->link = &call->next;
    }
    names->calls = call;
    return call;
}

static void on_outcome(void *context, const struct hivemind_outcome *outcome)
{
    struct names_call *call = context;
    char owner[NAMES_TEXT_BYTES_MAX + 1];
    enum hm_status status = outcome->status;
    struct names_entry found;
    const struct names_entry *entry =
        names_map_find(&call->names->registry.map, hm_bytes_of_text(call->name), &found);
    bool other = status == HM_NAME_TAKEN || status == HM_DENIED; /* the reason is the owner then */
    struct hivemind_name held = {.name = call->name,
                                 .owner = other ? outcome->reason : call->owner};
    if (status == HM_OK && call->checks) {
        status = entry ? HM_OK : HM_NOT_FOUND;
        held.owner = entry ? text_of(names_owner(entry), owner) : "";
    } else if (other && held.owner[0] == '\0' && entry) {
        held.owner = text_of(names_owner(entry), owner); /* a retry: what was said is forgotten */
    }
    if (entry && hm_bytes_equal(names_owner(entry), hm_bytes_of_text(held.owner))) {
        held.index = entry->index;
        held.time_ms = entry->time_ms;
    } else if (status == HM_OK) {
        held.index = outcome->index; /* not applied here: this participant is no member yet */
    }
    bool known = held.owner[0] != '\0' && (status == HM_OK || other);
    if (call->done) {
        call->done(call->context, status, known ? &held : NULL, other ? "" : outcome->reason);
    }
    drop_call(call);
}

static enum hm_status check_text(struct hivemind_names *names, const char *what, const char *text)
{
    size_t size = text ? strnlen(text, NAMES_TEXT_BYTES_MAX + 1) : 0;
    if (size == 0 || size > NAMES_TEXT_BYTES_MAX ||
        !hm_utf8_is_plain((struct hm_bytes){(const uint8_t *)text, size})) {
        return embed_fail(names->participant->server, HM_BAD_ARGUMENT,
                          "%s is no text of 1 to %u bytes of UTF-8 without control characters",
                          what, NAMES_TEXT_BYTES_MAX);
    }
    return HM_OK;
}

/* `holder`: who has the name once it is done. */
static enum hm_status submit(struct hivemind_names *names, const struct hm_message *request,
                             const char *name, const char *owner, const char *holder,
                             hivemind_names_done *done, void *context)
{
    struct hm_buf body = {0};
    enum hm_status status = check_text(names, "the name", name);
    status = status == HM_OK ? check_text(names, "the owner", owner) : status;
    if (status != HM_OK) {
        return status;
    }
    struct names_call *call = add_call(names, name, holder, done, context);
    hm_message_encode(&body, request);
    status = hivemind_submit(names->participant, body.data, body.size, on_outcome, call);
    if (status != HM_OK) {
        drop_call(call);
    }
    hm_buf_fini(&body);
    return status;
}

static struct hm_bytes bytes_of(const char *text)
{
    return text ? hm_bytes_of_text(text) : (struct hm_bytes){0};
}

enum hm_status hivemind_names_register(struct hivemind_names *names, const char *name,
                                       const char *owner, hivemind_names_done *done, void *context)
{
    struct hm_message request = {.kind = HM_MSG_names_register,
                                 .names_register = {bytes_of(name), bytes_of(owner)}};
    return submit(names, &request, name, owner, owner, done, context);
}

enum hm_status hivemind_names_release(struct hivemind_names *names, const char *name,
                                      const char *owner, hivemind_names_done *done, void *context)
{
    struct hm_message request = {.kind = HM_MSG_names_release,
                                 .names_release = {bytes_of(name), bytes_of(owner)}};
    return submit(names, &request, name, owner, "", done, context);
}

enum hm_status hivemind_names_check(struct hivemind_names *names, const char *name,
                                    hivemind_names_done *done, void *context)
{
    enum hm_status status = check_text(names, "the name", name);
    if (status != HM_OK) {
        return status;
    }
    struct names_call *call = add_call(names, name, "", done, context);
    call->checks = true;
    status = hivemind_barrier(names->participant, on_outcome, call);
    if (status != HM_OK) {
        drop_call(call);
    }
    return status;
}

/* ---- listed ---- */

struct visit {
    struct hm_bytes prefix;
    bool (*visit)(void *context, const struct hivemind_name *name);
    void *context;
};

static bool visit_entry(void *context, const struct names_entry *entry)
{
    const struct visit *visit = context;
    char name[NAMES_TEXT_BYTES_MAX + 1];
    char owner[NAMES_TEXT_BYTES_MAX + 1];
    struct hm_bytes text = names_name(entry);
    if (!hm_bytes_begin(text, visit->prefix)) {
        return false; /* past all that begin so */
    }
    return visit->visit(visit->context,
                        &(struct hivemind_name){.name = text_of(text, name),
                                                .owner = text_of(names_owner(entry), owner),
                                                .index = entry->index,
                                                .time_ms = entry->time_ms});
}

enum hm_status hivemind_names_list(struct hivemind_names *names, const char *prefix,
                                   bool (*visit)(void *context, const struct hivemind_name *name),
                                   void *context)
{
    struct visit look = {bytes_of(prefix), visit, context};
    if (!names->participant->log_end) {
        return embed_fail(names->participant->server, HM_NOT_STARTED, "log %s is not started",
                          names->participant->name.text);
    }
    names_map_walk(&names->registry.map, look.prefix, visit_entry, &look);
    return HM_OK;
}
