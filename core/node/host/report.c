/* Who serves a change: the announcing node asks a control node who the consumers are, and each of
 * them for version[host]. And the consumer's side: it answers as soon as it serves that version. */
#include "core/node/host/report.h"

#include "core/node/catalog/catalog.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/calls.h"
#include "core/node/desk/peers.h"
#include "core/node/desk/requests.h"
#include "core/node/desk/roles.h"
#include "core/node/desk/submit.h"
#include "core/node/host/host.h"

#include <stdio.h>
#include <string.h>

#define ROLES_MAX         16u
#define WHO_MS            500u /* then our own list of members must do */
#define VERSION_WAITS_MAX 4096u
#define CHANGE_WAITS_MAX  256u
#define WAIT_MS           55000u /* shorter than an asker is remembered */
#define NO_QUORUM_MS      2000u  /* longer than an election that is held twice */

/* A consumer whose word is awaited. */
struct awaited {
    size_t role; /* in the wait's roles */
    struct hm_name name;
    uint64_t call;
    bool serves;
};

struct hm_change_wait {
    uint64_t number;
    uint64_t token;
    struct hm_version version;
    struct hm_name service; /* empty: all of the host */
    struct hm_addr addr;
    hm_ms since;
    hm_ms until;
    size_t role_count;
    struct hm_name roles[ROLES_MAX];
    uint64_t who_calls[ROLES_MAX]; /* 0: the consumers of this role are known */
    struct awaited *awaited;
    size_t awaited_count;
    size_t awaited_capacity;
};

struct hm_version_wait {
    uint64_t token;
    struct hm_id host;
    struct hm_version version;
    hm_ms until;
};

/* ---- the consumer ---- */

static bool answer_version(struct hm_node *node, const struct hm_version_wait *wait, bool now)
{
    const struct hm_catalog_host *host =
        node->catalog ? hm_catalog_host(node->catalog, &wait->host) : NULL;
    struct hm_version version = host ? host->version : (struct hm_version){0, 0};
    if (!now && hm_version_compare(&version, &wait->version) < 0) {
        return false;
    }
    hm_node_answer(
        node, wait->token,
        &(struct hm_message){.kind = HM_MSG_version_reply, .version_reply = {.version = version}});
    return true;
}

void hm_node_on_version_query(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_version_query *query = &request->message->version_query;
    uint32_t timeout = query->timeout_ms < WAIT_MS ? query->timeout_ms : WAIT_MS;
    struct hm_version_wait wait = {.token = request->token,
                                   .host = query->host,
                                   .version = query->version,
                                   .until = node->now + timeout};
    if (!answer_version(node, &wait, node->reports->version_wait_count >= VERSION_WAITS_MAX)) {
        node->reports->version_waits =
            hm_grow(node->reports->version_waits, node->reports->version_wait_count,
                    &node->reports->version_wait_capacity, sizeof *node->reports->version_waits);
        node->reports->version_waits[node->reports->version_wait_count++] = wait;
    }
}

static void check_version_waits(struct hm_node *node)
{
    for (size_t i = node->reports->version_wait_count; i > 0; i--) {
        struct hm_version_wait wait = node->reports->version_waits[i - 1];
        if (!hm_node_origin(node, wait.token) ||
            answer_version(node, &wait, node->now >= wait.until)) {
            node->reports->version_waits[i - 1] =
                node->reports->version_waits[--node->reports->version_wait_count];
        }
    }
}

/* ---- the announcer ---- */

static struct hm_change_wait *find_wait(struct hm_node *node, uint64_t number)
{
    for (size_t i = 0; i < node->reports->change_wait_count; i++) {
        if (node->reports->change_waits[i].number == number) {
            return &node->reports->change_waits[i];
        }
    }
    return NULL;
}

static void ask_who(struct hm_node *node, struct hm_change_wait *wait, size_t role)
{
    struct hm_peer control;
    struct hm_message question = {.kind = HM_MSG_members_query,
                                  .members_query = {.role = wait->roles[role]}};
    hm_ms deadline = hm_node_pick_control(node, 1, &control) ? node->now + WHO_MS : node->now;
    wait->who_calls[role] = hm_node_ask(node, HM_CALL_MEMBERS, wait->number, deadline, &question);
}

void hm_node_report_change(struct hm_node *node, uint64_t token, struct hm_version version,
                           const struct hm_name *service, const struct hm_addr *addr,
                           uint32_t timeout_ms)
{
    if (node->reports->change_wait_count >= CHANGE_WAITS_MAX) {
        hm_node_answer_status(node, token, HM_FULL, "%u changes are waited for already",
                              CHANGE_WAITS_MAX);
        return;
    }
    timeout_ms = timeout_ms < WAIT_MS ? timeout_ms : WAIT_MS;
    node->reports->change_waits =
        hm_grow(node->reports->change_waits, node->reports->change_wait_count,
                &node->reports->change_wait_capacity, sizeof *node->reports->change_waits);
    struct hm_change_wait *wait = &node->reports->change_waits[node->reports->change_wait_count++];
    *wait = (struct hm_change_wait){.number = ++node->requests.last_token,
                                    .token = token,
                                    .version = version,
                                    .service = *service,
                                    .addr = *addr,
                                    .since = node->now,
                                    .until = node->now + timeout_ms};
    size_t cursor = 0;
    for (const char *role;
         wait->role_count < ROLES_MAX && (role = hm_node_next_bootstrap_role(node, &cursor));) {
        wait->roles[wait->role_count++] = hm_name_of(role);
    }
    for (size_t i = 0; i < wait->role_count; i++) {
        ask_who(node, wait, i);
    }
}

static void ask_version(struct hm_node *node, struct hm_change_wait *wait, size_t role,
                        const struct hm_member *member)
{
    struct hm_call *call = hm_calls_add(&node->calls, HM_CALL_VERSION, wait->number);
    call->deadline = wait->until;
    hm_calls_timed(&node->calls, call);
    wait->awaited =
        hm_grow(wait->awaited, wait->awaited_count, &wait->awaited_capacity, sizeof *wait->awaited);
    wait->awaited[wait->awaited_count++] =
        (struct awaited){.role = role, .name = member->name, .call = call->id};
    hm_ms left = wait->until > node->now ? wait->until - node->now : 0;
    hm_node_send(node, &(struct hm_peer){member->id, member->addr},
                 &(struct hm_message){.kind = HM_MSG_version_query,
                                      .version_query = {.call = call->id,
                                                        .host = node->id,
                                                        .version = wait->version,
                                                        .timeout_ms = (uint32_t)left}});
}

static void use_members(struct hm_node *node, struct hm_change_wait *wait, size_t role,
                        const struct hm_members_reply *reply)
{
    wait->who_calls[role] = 0;
    for (uint32_t i = 0; reply && i < reply->members_count; i++) {
        ask_version(node, wait, role, &reply->members[i].member);
    }
    for (size_t i = 0; !reply && i < node->view->members.count; i++) {
        const struct hm_member *member = node->view->members.items[i];
        if (hm_member_has_role(member, wait->roles[role].text)) {
            ask_version(node, wait, role, member);
        }
    }
}

static void take_members(struct hm_node *node, uint64_t call, const struct hm_members_reply *reply)
{
    struct hm_call *found = hm_calls_find(&node->calls, call);
    struct hm_change_wait *wait = found ? find_wait(node, found->user) : NULL;
    hm_calls_remove(&node->calls, call);
    for (size_t i = 0; wait && i < wait->role_count; i++) {
        if (wait->who_calls[i] == call) {
            use_members(node, wait, i, reply);
            return;
        }
    }
}

void hm_node_report_members(struct hm_node *node, struct hm_call *call,
                            const struct hm_message *answer)
{
    if (answer->kind == HM_MSG_members_reply) {
        take_members(node, call->id, &answer->members_reply);
    }
}

void hm_node_report_nobody(struct hm_node *node, const struct hm_call *call)
{
    take_members(node, call->id, NULL);
}

void hm_node_report_version(struct hm_node *node, uint64_t call, const struct hm_version *version)
{
    struct hm_call *found = hm_calls_find(&node->calls, call);
    struct hm_change_wait *wait = found ? find_wait(node, found->user) : NULL;
    hm_calls_remove(&node->calls, call);
    for (size_t i = 0; wait && i < wait->awaited_count; i++) {
        if (wait->awaited[i].call == call) {
            wait->awaited[i].serves = hm_version_compare(version, &wait->version) >= 0;
        }
    }
}

/* ---- the report ---- */

static void fill_serving(const struct hm_change_wait *wait, struct hm_arena *arena,
                         struct hm_change_report *out)
{
    out->serving = hm_arena_alloc(arena, wait->role_count, sizeof *out->serving);
    out->serving_count = (uint32_t)wait->role_count;
    for (size_t role = 0; role < wait->role_count; role++) {
        char missing[1024] = "";
        out->serving[role] = (struct hm_serving){.role = wait->roles[role]};
        for (size_t i = 0; i < wait->awaited_count; i++) {
            const struct awaited *awaited = &wait->awaited[i];
            size_t used = strlen(missing);
            if (awaited->role != role) {
                continue;
            }
            out->serving[role].total++;
            out->serving[role].served += awaited->serves;
            if (!awaited->serves) {
                snprintf(missing + used, sizeof missing - used, "%s%s", used ? "," : "",
                         awaited->name.text);
            }
        }
        out->serving[role].missing = hm_node_text(arena, "%s", missing);
    }
}

static bool is_committed(const struct hm_node *node, const struct hm_change_wait *wait)
{
    return hm_version_compare(&node->own->committed, &wait->version) >= 0;
}

static bool is_served(const struct hm_change_wait *wait)
{
    for (size_t i = 0; i < wait->role_count; i++) {
        if (wait->who_calls[i]) {
            return false;
        }
    }
    for (size_t i = 0; i < wait->awaited_count; i++) {
        if (!wait->awaited[i].serves) {
            return false;
        }
    }
    return true;
}

/* Committed and served by all; or served by all, and the control plane has no quorum. */
static bool is_decided(const struct hm_node *node, const struct hm_change_wait *wait)
{
    bool told = node->own->unheard && node->now >= wait->since + NO_QUORUM_MS;
    return (is_committed(node, wait) || told) && is_served(wait);
}

/* What the commit refused of that which was changed; empty: nothing. Out of `arena`. */
static struct hm_bytes refused_of(const struct hm_own_host *own, const struct hm_name *service,
                                  struct hm_arena *arena)
{
    struct hm_message message;
    if (service->size == 0) {
        return hm_bytes_of_text(own->refused);
    }
    if (hm_message_decode_only(hm_buf_view(&own->refusals), HM_MSG_refusals, arena, &message) ==
        HM_OK) {
        for (uint32_t i = 0; i < message.refusals.refusals_count; i++) {
            const struct hm_claim_refusal *one = &message.refusals.refusals[i];
            if (one->service.size == 0 || hm_name_equal_nocase(&one->service, service)) {
                return one->reason;
            }
        }
    }
    return (struct hm_bytes){0};
}

static void answer_report(struct hm_node *node, struct hm_change_wait *wait)
{
    struct hm_arena arena = {0};
    struct hm_message message = {.kind = HM_MSG_change_report};
    struct hm_change_report *report = &message.change_report;
    bool committed = is_committed(node, wait);
    fill_serving(wait, &arena, report);
    report->addr = wait->addr;
    report->took_us = (uint32_t)((node->now - wait->since) * 1000);
    report->index = committed ? node->own->committed_index : 0;
    if (!committed) {
        report->status = HM_NOT_COMMITTED;
        report->reason = hm_bytes_of_text(
            "pushed, not committed: the control plane has not answered; it is appended to the log "
            "as soon as there is a quorum");
    } else if (!is_served(wait)) {
        report->status = HM_TIMEOUT;
        report->reason = hm_bytes_of_text("committed, but not served by all yet");
    } else {
        report->reason = refused_of(node->own, &wait->service, &arena);
        report->status = report->reason.size ? HM_NAME_TAKEN : HM_OK;
    }
    hm_node_answer(node, wait->token, &message);
    hm_arena_fini(&arena);
}

void hm_node_check_reports(struct hm_node *node)
{
    check_version_waits(node);
    for (size_t i = node->reports->change_wait_count; i > 0; i--) {
        struct hm_change_wait *wait = &node->reports->change_waits[i - 1];
        bool asked = hm_node_origin(node, wait->token) != NULL;
        if (!asked || node->now >= wait->until || is_decided(node, wait)) {
            answer_report(node, wait);
            hm_free(wait->awaited);
            *wait = node->reports->change_waits[--node->reports->change_wait_count];
        }
    }
}

hm_ms hm_node_reports_deadline(const struct hm_node *node)
{
    hm_ms soonest = HM_NEVER;
    for (size_t i = 0; i < node->reports->change_wait_count; i++) {
        const struct hm_change_wait *wait = &node->reports->change_waits[i];
        hm_ms told = wait->since + NO_QUORUM_MS;
        hm_ms due = told > node->now && told < wait->until ? told : wait->until;
        soonest = due < soonest ? due : soonest;
    }
    for (size_t i = 0; i < node->reports->version_wait_count; i++) {
        soonest = node->reports->version_waits[i].until < soonest
                      ? node->reports->version_waits[i].until
                      : soonest;
    }
    return soonest;
}

void hm_node_free_reports(struct hm_node *node)
{
    for (size_t i = 0; i < node->reports->change_wait_count; i++) {
        hm_free(node->reports->change_waits[i].awaited);
    }
    hm_free(node->reports->change_waits);
    hm_free(node->reports->version_waits);
}
