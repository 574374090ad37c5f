/* Commands about the node and the cluster: status, members, services, events, leave. What this node
 * does not carry is asked of the control plane. */
#include "core/node/commands.h"

#include "core/node/catalog/catalog.h"
#include "core/node/control/control_status.h"
#include "core/node/desk/requests.h"
#include "core/node/desk/standing.h"
#include "core/node/desk/submit.h"
#include "core/node/member/required.h"
#include "core/node/modules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define EVENTS_MOST     1024u
#define EVENTS_WAIT_MS  30000u
#define EVENT_WAITS_MAX 256u
#define LEAVE_MS        5000u
#define EVENTS_BYTES    (1u << 20)
#define INSTANCES_MAX   65536u
#define MEMBERS_MAX     131072u

/* ---- status ---- */

__attribute__((format(printf, 3, 4))) static void fact(struct hm_node *node, const char *key,
                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    hm_node_add_fact(node, key, format, arguments);
    va_end(arguments);
}

static const char *phase_text(const struct hm_node *node)
{
    switch (node->phase) {
    case HM_PHASE_JOINING:
        return "joining";
    case HM_PHASE_FOUNDING:
        return "founding a cluster";
    case HM_PHASE_MEMBER:
        return hm_node_is_ready(node) ? "ready" : "member, not ready";
    case HM_PHASE_FENCED:
        return "fenced";
    case HM_PHASE_LEAVING:
        return "leaving";
    case HM_PHASE_STOPPING:
    case HM_PHASE_STOPPED:
        return "stopping";
    default:
        return "starting";
    }
}

/* What the removal brake keeps; 0 on a node that does not follow the records. */
static size_t braked_hosts(const struct hm_node *node)
{
    struct hm_id host = {{0}};
    struct hm_braked braked;
    size_t count = 0;
    while (hm_view_next_braked(node->view, &host, &braked)) {
        count++;
    }
    return count;
}

static enum hm_status verdict(struct hm_node *node, char *text, size_t size)
{
    const char *role = hm_node_missing_role(node);
    size_t suspects = 0;
    struct hm_peer subjects[HM_RINGS_MAX];
    size_t count = hm_slice_subjects(&node->slice, subjects);
    for (size_t i = 0; i < count; i++) {
        enum hm_swim_state state = hm_swim_state(&node->swim, &subjects[i].id);
        suspects += state == HM_SWIM_STATE_SUSPECT || state == HM_SWIM_STATE_GONE;
    }
    if (node->disk.failure != HM_OK) {
        snprintf(text, size, "degraded: this node cannot write: %s; until it can, %s",
                 hm_status_text(node->disk.failure),
                 node->control.raft ? "it neither votes nor leads"
                                    : "a restart forgets what it was told last");
        return node->disk.failure;
    }
    if (node->phase == HM_PHASE_FENCED) {
        snprintf(text, size, "fenced: %s", hm_node_fence_text());
        return HM_STALE;
    }
    if (node->stale) {
        snprintf(text, size,
                 "stale: the control plane was recovered; what was known before stays served until "
                 "the new is here");
        return HM_NOT_READY;
    }
    if (node->phase != HM_PHASE_MEMBER) {
        snprintf(text, size, "%s: %s", node->config.name.text, phase_text(node));
        return HM_NOT_READY;
    }
    if (node->control.raft && !hm_raft_has_quorum(node->control.raft, node->now)) {
        snprintf(text, size,
                 "degraded: the control plane has no quorum; nothing joins and nothing is removed, "
                 "what is known stays served");
        return HM_NO_QUORUM;
    }
    if (role) {
        size_t having = hm_members_count_role(&node->view->members, role);
        snprintf(text, size,
                 having ? "not ready: role %s is required and none of the %zu members that have it "
                          "answers this node"
                        : "not ready: role %s is required and no member has it",
                 role, having);
        return HM_NOT_READY;
    }
    if (!hm_node_is_ready(node)) {
        snprintf(text, size, "not ready: still fetching the hosts");
        return HM_NOT_READY;
    }
    size_t kept = braked_hosts(node);
    if (kept) {
        snprintf(text, size,
                 "healthy, but %zu hosts failed at once: the removal brake keeps their instances",
                 kept);
    } else if (suspects) {
        snprintf(text, size, "healthy, %zu of the %zu nodes it watches suspect", suspects, count);
    } else {
        snprintf(text, size, "healthy");
    }
    return HM_OK;
}

static void control_facts(struct hm_node *node)
{
    struct hm_raft *raft = node->control.raft;
    size_t count;
    size_t voting = 0;
    struct hm_id leader = hm_raft_leader(raft);
    const struct hm_member *member = hm_members_find(&node->view->members, &leader);
    const struct hm_voter *voters = hm_raft_voters(raft, &count);
    for (size_t i = 0; i < count; i++) {
        voting += voters[i].voting;
    }
    fact(node, "control.leader", "%s", member ? member->name.text : "none");
    fact(node, "control.term", "%llu", (unsigned long long)hm_raft_term(raft));
    fact(node, "control.voters", "%zu", voting);
    fact(node, "control.learners", "%zu", count - voting);
    fact(node, "control.commit", "%llu", (unsigned long long)hm_raft_commit(raft));
    fact(node, "control.snapshot", "%llu", (unsigned long long)hm_raft_snapshot_index(raft));
    fact(node, "control.journal_bytes", "%llu",
         (unsigned long long)hm_logs_journal_bytes(node->control.logs));
    fact(node, "control.disk", "%s", hm_node_disk_text(node));
}

void hm_node_on_status_query(struct hm_node *node, const struct hm_request *request)
{
    char text[256];
    char addr[HM_ADDR_TEXT_BYTES];
    enum hm_status status = verdict(node, text, sizeof text);
    fact(node, "name", "%s", node->config.name.text);
    fact(node, "addr", "%s", hm_addr_format(&node->config.addr, addr));
    fact(node, "phase", "%s", phase_text(node));
    fact(node, "cluster", "%016llx", (unsigned long long)node->cluster);
    fact(node, "members", "%llu", (unsigned long long)node->view->total);
    fact(node, "members.known", "%zu", node->view->members.count);
    fact(node, "epoch", "%llu", (unsigned long long)node->view->epoch);
    fact(node, "index", "%llu", (unsigned long long)node->view->index);
    fact(node, "dropped", "%llu", (unsigned long long)node->dropped);
    if (node->carries_state) {
        fact(node, "braked", "%zu", braked_hosts(node));
    }
    for (size_t i = 0; i < node->config.counter_count; i++) {
        fact(node, node->config.counters[i].name, "%llu",
             (unsigned long long)*node->config.counters[i].value);
    }
    if (node->keeper.leases) {
        fact(node, "keeps", "%zu of %zu lite hosts", node->keeper.leases, node->keeper.count);
    }
    if (node->control.raft) {
        control_facts(node);
    }
    hm_node_status_facts(node);
    hm_node_answer(
        node, request->token,
        &(struct hm_message){.kind = HM_MSG_status_reply,
                             .status_reply = {.status = (uint16_t)status,
                                              .verdict = hm_bytes_of_text(text),
                                              .facts = node->facts->items,
                                              .facts_count = (uint32_t)node->facts->count}});
    for (size_t i = 0; i < node->facts->count; i++) {
        hm_bytes_free(node->facts->items[i].key);
        hm_bytes_free(node->facts->items[i].value);
    }
    node->facts->count = 0;
}

/* ---- members ---- */

static void add_word(char *words, size_t size, const char *word)
{
    size_t used = strlen(words);
    snprintf(words + used, size - used, "%s%s", used ? "," : "", word);
}

static struct hm_bytes member_state(const struct hm_node *node, const struct hm_member *member,
                                    struct hm_arena *arena)
{
    char words[128] = "";
    bool self = hm_id_equal(&member->id, &node->id);
    if (self) {
        add_word(words, sizeof words, "self");
    }
    if (node->control.raft) {
        struct hm_id leader = hm_raft_leader(node->control.raft);
        size_t count;
        const struct hm_voter *voters = hm_raft_voters(node->control.raft, &count);
        for (size_t i = 0; i < count; i++) {
            if (hm_id_equal(&voters[i].id, &member->id)) {
                add_word(words, sizeof words, voters[i].voting ? "voter" : "learner");
            }
        }
        if (hm_id_equal(&leader, &member->id)) {
            add_word(words, sizeof words, "leader");
        }
    }
    switch (hm_swim_state(&node->swim, &member->id)) {
    case HM_SWIM_STATE_SUSPECT:
    case HM_SWIM_STATE_GONE:
        add_word(words, sizeof words, "suspect");
        break;
    case HM_SWIM_STATE_STOPPING:
        add_word(words, sizeof words, "stopping");
        break;
    default:
        add_word(words, sizeof words, "alive");
        break;
    }
    return hm_node_text(arena, "%s", words);
}

void hm_node_on_members_query(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_members_query *query = &request->message->members_query;
    const struct hm_members *members = &node->view->members;
    if (query->all && !node->control.raft) {
        hm_node_forward(node, request->token, request->message);
        return;
    }
    struct hm_arena arena = {0};
    struct hm_message reply = {
        .kind = HM_MSG_members_reply,
        .members_reply = {.epoch = node->view->epoch, .index = node->view->index}};
    struct hm_members_reply *out = &reply.members_reply;
    out->members = hm_arena_alloc(&arena, members->count, sizeof *out->members);
    for (size_t i = 0; i < members->count && out->members_count < MEMBERS_MAX; i++) {
        const struct hm_member *member = members->items[i];
        if (query->role.size == 0 || hm_member_has_role(member, query->role.text)) {
            out->members[out->members_count++] = (struct hm_member_view){
                .member = *member, .state = member_state(node, member, &arena)};
        }
    }
    hm_node_answer(node, request->token, &reply);
    hm_arena_fini(&arena);
}

/* ---- services ---- */

struct listing {
    const struct hm_node *node;
    struct hm_arena arena;
    struct hm_instance *items;
    size_t count;
    size_t capacity;
};

/* Why it is not served, and of a lite host who keeps it. */
static struct hm_bytes reason_of(struct listing *listing,
                                 const struct hm_catalog_instance *instance)
{
    const struct hm_id *keeper = &instance->host->keeper;
    if (hm_id_is_none(keeper)) {
        return hm_node_text(&listing->arena, "%s", instance->reason);
    }
    const struct hm_member *member = hm_members_find(&listing->node->view->members, keeper);
    return hm_node_text(&listing->arena, "%s%skept by %s", instance->reason,
                        instance->reason[0] ? ", " : "",
                        member ? member->name.text : "nobody at the moment");
}

static void list_instance(void *context, const struct hm_catalog_instance *instance)
{
    struct listing *listing = context;
    if (listing->count >= INSTANCES_MAX) {
        return;
    }
    listing->items =
        hm_grow(listing->items, listing->count, &listing->capacity, sizeof *listing->items);
    listing->items[listing->count++] =
        (struct hm_instance){.service = instance->service->name,
                             .host = instance->host->name,
                             .addr = instance->addr,
                             .weight = instance->service->weight,
                             .health = instance->service->health,
                             .served = instance->served && instance->healthy,
                             .reason = reason_of(listing, instance)};
}

void hm_node_on_services_query(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_services_query *query = &request->message->services_query;
    if (!node->catalog) {
        hm_node_forward(node, request->token, request->message);
        return;
    }
    struct listing listing = {.node = node};
    size_t cursor = 0;
    if (query->service.size) {
        hm_catalog_instances(node->catalog, &query->service, list_instance, &listing);
    } else {
        for (const struct hm_name *name;
             (name = hm_catalog_next_service(node->catalog, &cursor));) {
            hm_catalog_instances(node->catalog, name, list_instance, &listing);
        }
    }
    struct hm_message reply = {.kind = HM_MSG_services_reply};
    reply.services_reply.instances = listing.items;
    reply.services_reply.instances_count = (uint32_t)listing.count;
    if (query->service.size && listing.count == 0) {
        reply.services_reply.status = HM_NOT_FOUND;
        reply.services_reply.reason = hm_node_text(
            &listing.arena, "no host announces service %s; `hivemind services` lists what there is",
            query->service.text);
    }
    hm_node_answer(node, request->token, &reply);
    hm_free(listing.items);
    hm_arena_fini(&listing.arena);
}

/* ---- events ---- */

struct hm_event_wait {
    uint64_t token;
    uint64_t from;
    uint32_t most;
    hm_ms until;
};

/* True when it was answered: there was something to tell, or it may not wait. */
static bool answer_events(struct hm_node *node, const struct hm_event_wait *wait, bool now)
{
    struct hm_event *events;
    uint64_t oldest;
    uint64_t newest;
    hm_state_events_held(node->control.state, &oldest, &newest);
    uint64_t from = wait->from > oldest ? wait->from : oldest;
    if (from > newest && !now) {
        return false;
    }
    struct hm_message reply = {.kind = HM_MSG_events_reply, .events_reply = {.next = from}};
    events = hm_alloc(wait->most, sizeof *events);
    reply.events_reply.events = events;
    size_t bytes = 0; /* with one event of any size it fits a message */
    for (uint64_t i = from;
         i <= newest && reply.events_reply.events_count < wait->most && bytes < EVENTS_BYTES; i++) {
        const struct hm_event *event = hm_state_event(node->control.state, i);
        events[reply.events_reply.events_count++] = *event;
        reply.events_reply.next = i + 1;
        bytes += event->body.size;
    }
    if (wait->from && wait->from < oldest) {
        reply.events_reply.status = HM_COMPACTED;
        reply.events_reply.reason =
            hm_bytes_of_text("older events are no longer held; these are the oldest");
    }
    hm_node_answer(node, wait->token, &reply);
    hm_free(events);
    return true;
}

void hm_node_on_events_query(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_events_query *query = &request->message->events_query;
    if (!node->control.raft) {
        struct hm_message onward = *request->message;
        onward.events_query.wait_ms =
            query->wait_ms < HM_FORWARD_WAIT_MS ? query->wait_ms : HM_FORWARD_WAIT_MS;
        hm_node_forward(node, request->token, &onward);
        return;
    }
    uint32_t wait_ms = query->wait_ms < EVENTS_WAIT_MS ? query->wait_ms : EVENTS_WAIT_MS;
    struct hm_event_wait wait = {.token = request->token,
                                 .from = query->from,
                                 .most = query->most && query->most < EVENTS_MOST ? query->most
                                                                                  : EVENTS_MOST,
                                 .until = node->now + wait_ms};
    if (!answer_events(node, &wait,
                       wait_ms == 0 || node->commands->event_wait_count >= EVENT_WAITS_MAX)) {
        node->commands->event_waits =
            hm_grow(node->commands->event_waits, node->commands->event_wait_count,
                    &node->commands->event_wait_capacity, sizeof *node->commands->event_waits);
        node->commands->event_waits[node->commands->event_wait_count++] = wait;
    }
}

void hm_node_answer_event_waits(struct hm_node *node)
{
    for (size_t i = node->commands->event_wait_count; i > 0; i--) {
        struct hm_event_wait wait = node->commands->event_waits[i - 1];
        if (!hm_node_origin(node, wait.token) ||
            answer_events(node, &wait, node->now >= wait.until)) {
            node->commands->event_waits[i - 1] =
                node->commands->event_waits[--node->commands->event_wait_count];
        }
    }
}

hm_ms hm_node_event_waits_deadline(const struct hm_node *node)
{
    hm_ms soonest = HM_NEVER;
    for (size_t i = 0; i < node->commands->event_wait_count; i++) {
        soonest = node->commands->event_waits[i].until < soonest
                      ? node->commands->event_waits[i].until
                      : soonest;
    }
    return soonest;
}

/* ---- leave ---- */

void hm_node_on_leave(struct hm_node *node, const struct hm_request *request)
{
    if (node->phase != HM_PHASE_MEMBER) {
        hm_node_answer_status(node, request->token, HM_NOT_READY, "node %s is no member: %s",
                              node->config.name.text, phase_text(node));
        return;
    }
    size_t voters = 0;
    if (node->control.raft) {
        hm_raft_voters(node->control.raft, &voters);
    }
    if (voters == 1) {
        hm_node_answer_status(node, request->token, HM_DENIED,
                              "node %s is the whole control plane: with it the cluster would end; "
                              "add a control node first, or stop the node",
                              node->config.name.text);
        return;
    }
    node->phase = HM_PHASE_LEAVING;
    node->commands->leave_token = request->token;
    node->stop_at = node->now + 2 * LEAVE_MS;
    hm_node_submit(
        node, &(struct hm_message){.kind = HM_MSG_request_leave, .request_leave = {.id = node->id}},
        HM_CALL_LEAVE, 0, node->now + LEAVE_MS);
}

void hm_node_leave_submitted(struct hm_node *node, const struct hm_call *call,
                             const struct hm_submitted *answer)
{
    (void)call;
    hm_node_answer_status(node, node->commands->leave_token, (enum hm_status)answer->status,
                          "%s left", node->config.name.text);
    /* A voter stays until its removal from the voters is through, or for a while. */
    node->stop_at = node->is_control ? node->stop_at : node->now;
}

void hm_node_leave_expired(struct hm_node *node, const struct hm_call *call)
{
    (void)call;
    hm_node_answer_status(node, node->commands->leave_token, HM_NO_QUORUM,
                          "the leave is not committed: the control plane has no quorum; node "
                          "%s stays",
                          node->config.name.text);
    if (node->phase == HM_PHASE_LEAVING) { /* it may have been fenced meanwhile */
        node->phase = HM_PHASE_MEMBER;
    }
    node->stop_at = HM_NEVER;
}
