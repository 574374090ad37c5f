#include "modules/host/check.h"

#include "modules/host/probe.h"

#include <string.h>

struct hm_check {
    struct hm_checks *checks;
    struct hm_check *next;
    struct hm_check_plan plan; /* plan.path is ours */
    struct hm_name name;
    struct hm_addr addr;
    enum hm_health health;
    uint32_t passes;        /* in a row */
    uint32_t fails;         /* in a row */
    struct hm_probe *probe; /* NULL: none runs */
    hm_ms next_at;          /* when to start the next */
    hm_ms deadline;         /* of the one that runs */
};

void hm_checks_init(struct hm_checks *checks, struct hm_module_ctx *ctx)
{
    *checks = (struct hm_checks){.ctx = ctx};
}

struct hm_check *hm_check_new(struct hm_checks *checks, const struct hm_check_plan *plan,
                              const struct hm_name *name, const struct hm_addr *addr,
                              enum hm_health health)
{
    struct hm_check *check = hm_alloc(1, sizeof *check);
    *check = (struct hm_check){.checks = checks,
                               .next = checks->first,
                               .plan = *plan,
                               .name = *name,
                               .addr = *addr,
                               .health = health,
                               .next_at = hm_module_now(checks->ctx)};
    if (plan->path) {
        size_t size = strlen(plan->path) + 1;
        check->plan.path = memcpy(hm_alloc(size, 1), plan->path, size);
    }
    checks->first = check;
    return check;
}

static void cancel(struct hm_check *check)
{
    if (check->probe) {
        hm_probe_cancel(check->probe);
        check->probe = NULL;
    }
}

void hm_check_free(struct hm_check *check)
{
    if (!check) {
        return;
    }
    cancel(check);
    struct hm_check **at = &check->checks->first;
    while (*at != check) {
        at = &(*at)->next;
    }
    *at = check->next;
    hm_free((void *)check->plan.path);
    hm_free(check);
}

bool hm_check_is(const struct hm_check *check, const struct hm_check_plan *plan,
                 const struct hm_addr *addr)
{
    const struct hm_check_plan *own = &check->plan;
    bool same_path =
        own->path && plan->path ? strcmp(own->path, plan->path) == 0 : own->path == plan->path;
    return same_path && own->every_ms == plan->every_ms && own->timeout_ms == plan->timeout_ms &&
           own->fall == plan->fall && own->rise == plan->rise && hm_addr_equal(&check->addr, addr);
}

enum hm_health hm_check_health(const struct hm_check *check)
{
    return check->health;
}

static void tell(const struct hm_check *check, enum hm_log_level level, const char *event,
                 const char *why)
{
    char addr[HM_ADDR_TEXT_BYTES];
    hm_module_log(check->checks->ctx, level, event, "service=%s addr=%s%s%s%s", check->name.text,
                  hm_addr_format(&check->addr, addr), *why ? " reason=\"" : "", why,
                  *why ? "\"" : "");
}

static void turn(struct hm_check *check, enum hm_health health)
{
    check->health = health;
    check->checks->changed = true;
}

/* A service waits for its first pass, however many it takes to bring it back later. */
static void judge(struct hm_check *check, bool passed, const char *why)
{
    check->passes = passed ? check->passes + 1 : 0;
    check->fails = passed ? 0 : check->fails + 1;
    if (passed && (check->health == HM_HEALTH_UNKNOWN ||
                   (check->health == HM_HEALTH_FAILING && check->passes >= check->plan.rise))) {
        turn(check, HM_HEALTH_PASSING);
        tell(check, HM_LOG_INFO, "check passes", "");
    } else if (!passed && check->health == HM_HEALTH_PASSING && check->fails >= check->plan.fall) {
        turn(check, HM_HEALTH_FAILING);
        tell(check, HM_LOG_WARN, "check fails", why);
    } else if (check->health == HM_HEALTH_UNKNOWN && check->fails == check->plan.fall) {
        tell(check, HM_LOG_WARN, "check has never passed", why);
    }
}

static void done(void *user, bool passed, const char *why)
{
    struct hm_check *check = user;
    check->probe = NULL;
    judge(check, passed, why);
    hm_module_wake(check->checks->ctx, 0);
}

static void start(struct hm_check *check, hm_ms now)
{
    const char *why;
    check->next_at = now + check->plan.every_ms;
    check->deadline = now + check->plan.timeout_ms;
    check->probe = hm_probe_start(hm_module_io(check->checks->ctx), &check->addr, check->plan.path,
                                  done, check, &why);
    if (!check->probe) {
        judge(check, false, why);
    }
}

bool hm_checks_tick(struct hm_checks *checks, hm_ms now)
{
    if (!hm_module_io(checks->ctx)) {
        return false;
    }
    for (struct hm_check *check = checks->first; check; check = check->next) {
        if (check->probe && now >= check->deadline) {
            cancel(check);
            judge(check, false, "timed out");
        }
        if (!check->probe && now >= check->next_at) {
            start(check, now);
        }
    }
    bool changed = checks->changed;
    checks->changed = false;
    return changed;
}

hm_ms hm_checks_deadline(const struct hm_checks *checks)
{
    hm_ms soonest = HM_NEVER;
    if (!hm_module_io(checks->ctx)) {
        return HM_NEVER;
    }
    for (const struct hm_check *check = checks->first; check; check = check->next) {
        hm_ms at = check->probe ? check->deadline : check->next_at;
        soonest = at < soonest ? at : soonest;
    }
    return soonest;
}
