#include "ngx_hivemind/balance.h"

#include "core/base/assert.h"
#include "core/base/hash.h"

/* Draws that may land on a tried or shunned endpoint before all are looked at in turn. */
#define DRAWS_MAX 8

struct choice {
    struct hm_balance *balance;
    const struct hm_table_view *view;
    const struct hm_table_service *service;
    const struct hm_addr *tried;
    size_t tried_count;
    hm_ms now;
};

void hm_balance_init(struct hm_balance *balance, uint64_t seed)
{
    *balance = (struct hm_balance){0};
    hm_random_init(&balance->random, seed);
}

static struct hm_balance_cell *cell_of(struct hm_balance *balance, const struct hm_addr *addr)
{
    uint64_t hash = hm_hash(addr->port, (struct hm_bytes){addr->ip, sizeof addr->ip});
    return &balance->cells[hash % HM_BALANCE_CELLS];
}

static bool is_shunned(const struct choice *choice, const struct hm_addr *addr)
{
    const struct hm_balance_cell *cell = cell_of(choice->balance, addr);
    return cell->shunned && choice->now - cell->shunned_at < HM_BALANCE_SHUN_MS;
}

static bool is_tried(const struct choice *choice, const struct hm_addr *addr)
{
    for (size_t i = 0; i < choice->tried_count; i++) {
        if (hm_addr_equal(&choice->tried[i], addr)) {
            return true;
        }
    }
    return false;
}

static uint32_t first_of(const struct hm_table_service *service, enum hm_table_state state)
{
    uint32_t first = service->first;
    for (unsigned before = 0; before < (unsigned)state; before++) {
        first += service->counts[before];
    }
    return first;
}

/* The number, within its state, of an endpoint drawn by weight. */
static uint32_t draw(const struct choice *choice, enum hm_table_state state)
{
    uint32_t first = first_of(choice->service, state), count = choice->service->counts[state];
    uint32_t weights = choice->service->weights[state];
    if (weights == 0) {
        return 0;
    }
    uint32_t point = (uint32_t)hm_random_below(&choice->balance->random, weights);
    uint32_t low = 0, high = count; /* before(low) <= point, and point < before(high) if there */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (hm_table_view_weight_before(choice->view, first + middle) <= point) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool lighter(const struct choice *choice, const struct hm_table_endpoint *a,
                    const struct hm_table_endpoint *b)
{
    uint64_t busy_a = cell_of(choice->balance, &a->addr)->busy + 1ull;
    uint64_t busy_b = cell_of(choice->balance, &b->addr)->busy + 1ull;
    return busy_a * b->weight < busy_b * a->weight;
}

static bool choose_by_draws(const struct choice *choice, struct hm_table_endpoint *out)
{
    uint32_t first = first_of(choice->service, HM_TABLE_PASSING);
    bool found = false;
    if (choice->service->counts[HM_TABLE_PASSING] == 0) {
        return false;
    }
    for (int i = 0; i < DRAWS_MAX; i++) {
        struct hm_table_endpoint drawn;
        uint32_t number = first + draw(choice, HM_TABLE_PASSING);
        if (!hm_table_view_endpoint(choice->view, number, &drawn) ||
            is_tried(choice, &drawn.addr) || is_shunned(choice, &drawn.addr)) {
            continue;
        }
        if (found) {
            if (lighter(choice, &drawn, out)) {
                *out = drawn;
            }
            return true;
        }
        *out = drawn;
        found = true;
    }
    return found;
}

/* The first one in turn from a drawn place on: when few of many are left, draws would not find
 * them.
 */
static bool choose_in_turn(const struct choice *choice, enum hm_table_state state, bool shunned_too,
                           struct hm_table_endpoint *out)
{
    uint32_t first = first_of(choice->service, state), count = choice->service->counts[state];
    if (count == 0) {
        return false;
    }
    uint32_t start = draw(choice, state);
    for (uint32_t i = 0; i < count; i++) {
        struct hm_table_endpoint endpoint;
        if (hm_table_view_endpoint(choice->view, first + (start + i) % count, &endpoint) &&
            !is_tried(choice, &endpoint.addr) &&
            (shunned_too || !is_shunned(choice, &endpoint.addr))) {
            *out = endpoint;
            return true;
        }
    }
    return false;
}

static bool choose(const struct choice *choice, struct hm_table_endpoint *out)
{
    return choose_by_draws(choice, out) || choose_in_turn(choice, HM_TABLE_PASSING, false, out) ||
           choose_in_turn(choice, HM_TABLE_PASSING, true, out) ||
           choose_in_turn(choice, HM_TABLE_SUSPECT, false, out) ||
           choose_in_turn(choice, HM_TABLE_SUSPECT, true, out);
}

static bool find(const struct hm_table_view *view, const struct hm_balance_target *target,
                 struct hm_table_service *service)
{
    return target->vhost.size ? hm_table_view_vhost(view, target->vhost, service)
                              : hm_table_view_service(view, &target->service, service);
}

enum hm_status hm_balance_count(const struct hm_table *table,
                                const struct hm_balance_target *target, struct hm_name *service,
                                uint32_t *count)
{
    for (int attempt = 0; attempt < HM_TABLE_ATTEMPTS; attempt++) {
        struct hm_table_reading reading;
        struct hm_table_service found = {0};
        bool begun = hm_table_begin(table, &reading);
        bool there = begun && find(&reading.view, target, &found);
        if (begun && hm_table_end(table, &reading)) {
            if (!there) {
                return HM_NOT_FOUND;
            }
            *service = found.name;
            *count = found.counts[HM_TABLE_PASSING] + found.counts[HM_TABLE_SUSPECT];
            return HM_OK;
        }
    }
    return HM_BUSY;
}

enum hm_status hm_balance_choose(struct hm_balance *balance, const struct hm_table *table,
                                 const struct hm_balance_target *target,
                                 const struct hm_addr *tried, size_t tried_count, hm_ms now,
                                 struct hm_table_endpoint *out)
{
    for (int attempt = 0; attempt < HM_TABLE_ATTEMPTS; attempt++) {
        struct hm_table_reading reading;
        struct hm_table_service service;
        struct hm_table_endpoint chosen;
        struct choice choice = {balance, &reading.view, &service, tried, tried_count, now};
        bool begun = hm_table_begin(table, &reading);
        bool there = begun && find(&reading.view, target, &service);
        bool found = there && choose(&choice, &chosen);
        if (begun && hm_table_end(table, &reading)) {
            if (found) {
                *out = chosen;
            }
            return found ? HM_OK : there ? HM_UNREACHABLE : HM_NOT_FOUND;
        }
    }
    return HM_BUSY;
}

void hm_balance_started(struct hm_balance *balance, const struct hm_addr *addr)
{
    cell_of(balance, addr)->busy++;
}

void hm_balance_ended(struct hm_balance *balance, const struct hm_addr *addr, bool failed,
                      hm_ms now)
{
    struct hm_balance_cell *cell = cell_of(balance, addr);
    HM_ASSERT(cell->busy > 0);
    cell->busy--;
    cell->shunned = failed;
    cell->shunned_at = now;
}
