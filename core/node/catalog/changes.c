#include "core/node/catalog/changes.h"

#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

/* The services of one side in order of names, those of one name as the config has them. */
struct sorted {
    const struct hm_service **items;
    size_t count;
};

struct vhosts {
    struct hm_bytes *items;
    size_t count;
    size_t capacity;
};

static int compare_names(const struct hm_name *a, const struct hm_name *b)
{
    return hm_bytes_compare((struct hm_bytes){(const uint8_t *)a->text, a->size},
                            (struct hm_bytes){(const uint8_t *)b->text, b->size});
}

static int compare_services(const void *a, const void *b)
{
    const struct hm_service *left = *(const struct hm_service *const *)a;
    const struct hm_service *right = *(const struct hm_service *const *)b;
    int order = compare_names(&left->name, &right->name);
    /* Both are items of one array. */
    return order ? order : (left > right) - (left < right);
}

static int compare_bytes(const void *a, const void *b)
{
    return hm_bytes_compare(*(const struct hm_bytes *)a, *(const struct hm_bytes *)b);
}

static struct sorted sort(const struct hm_host_config *config)
{
    struct sorted sorted = {.count = config ? config->services_count : 0};
    sorted.items = hm_alloc(sorted.count + 1, sizeof *sorted.items);
    for (size_t i = 0; i < sorted.count; i++) {
        sorted.items[i] = &config->services[i];
    }
    if (sorted.count) {
        qsort(sorted.items, sorted.count, sizeof *sorted.items, compare_services);
    }
    return sorted;
}

static bool same_labels(const struct hm_label *a, uint32_t a_count, const struct hm_label *b,
                        uint32_t b_count)
{
    if (a_count != b_count) {
        return false;
    }
    for (uint32_t i = 0; i < a_count; i++) {
        if (!hm_name_equal(&a[i].name, &b[i].name)) {
            return false;
        }
    }
    return true;
}

static bool same_service(const struct hm_service *a, const struct hm_service *b)
{
    if (a->port != b->port || a->weight != b->weight || a->checked != b->checked ||
        a->health != b->health || a->draining != b->draining ||
        a->vhosts_count != b->vhosts_count ||
        !same_labels(a->tags, a->tags_count, b->tags, b->tags_count)) {
        return false;
    }
    for (uint32_t i = 0; i < a->vhosts_count; i++) {
        if (!hm_bytes_equal(a->vhosts[i].name, b->vhosts[i].name)) {
            return false;
        }
    }
    return true;
}

static bool same_addresses(const struct hm_host_config *a, const struct hm_host_config *b)
{
    if (a->addresses_count != b->addresses_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->addresses_count; i++) {
        if (!hm_addr_equal(&a->addresses[i].addr, &b->addresses[i].addr)) {
            return false;
        }
    }
    return true;
}

/* How many from `at` on have the name of the first. */
static size_t run_length(const struct sorted *sorted, size_t at)
{
    size_t end = at;
    while (end < sorted->count &&
           hm_name_equal(&sorted->items[end]->name, &sorted->items[at]->name)) {
        end++;
    }
    return end - at;
}

static void collect_vhosts(struct vhosts *vhosts, const struct sorted *services, size_t first,
                           size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        for (uint32_t j = 0; j < services->items[i]->vhosts_count; j++) {
            vhosts->items =
                hm_grow(vhosts->items, vhosts->count, &vhosts->capacity, sizeof *vhosts->items);
            vhosts->items[vhosts->count++] = services->items[i]->vhosts[j].name;
        }
    }
}

static void tell_vhosts(struct vhosts *vhosts, hm_change_function *changed, void *context)
{
    if (vhosts->count) {
        qsort(vhosts->items, vhosts->count, sizeof *vhosts->items, compare_bytes);
    }
    for (size_t i = 0; i < vhosts->count; i++) {
        if (i == 0 || !hm_bytes_equal(vhosts->items[i - 1], vhosts->items[i])) {
            changed(context,
                    &(struct hm_change_note){.kind = HM_CHANGE_VHOST, .key = vhosts->items[i]});
        }
    }
    hm_free(vhosts->items);
}

static void tell_services(const struct sorted *before, const struct sorted *after, bool all,
                          hm_change_function *changed, void *context)
{
    struct vhosts vhosts = {0};
    size_t b = 0;
    size_t a = 0;
    while (b < before->count || a < after->count) {
        int order = b == before->count ? 1
                    : a == after->count
                        ? -1
                        : compare_names(&before->items[b]->name, &after->items[a]->name);
        size_t gone = order <= 0 ? run_length(before, b) : 0;
        size_t come = order >= 0 ? run_length(after, a) : 0;
        bool same = !all && gone == come;
        for (size_t i = 0; same && i < gone; i++) {
            same = same_service(before->items[b + i], after->items[a + i]);
        }
        if (!same) {
            const struct hm_service *one = gone ? before->items[b] : after->items[a];
            changed(context,
                    &(struct hm_change_note){.kind = HM_CHANGE_SERVICE, .name = one->name});
            collect_vhosts(&vhosts, before, b, gone);
            collect_vhosts(&vhosts, after, a, come);
        }
        b += gone;
        a += come;
    }
    tell_vhosts(&vhosts, changed, context);
}

static void tell_host(const struct hm_name *name, hm_change_function *changed, void *context)
{
    changed(context, &(struct hm_change_note){.kind = HM_CHANGE_HOST, .name = *name});
}

void hm_catalog_tell(const struct hm_catalog_side *before, const struct hm_catalog_side *after,
                     bool all, hm_change_function *changed, void *context)
{
    bool renamed = !hm_name_equal(&before->name, &after->name);
    bool moved = renamed || !hm_addr_equal(&before->addr, &after->addr) || !before->config ||
                 !after->config || !same_addresses(before->config, after->config);
    struct sorted sorted_before = sort(before->config);
    struct sorted sorted_after = sort(after->config);
    tell_services(&sorted_before, &sorted_after, all || moved, changed, context);
    hm_free(sorted_before.items);
    hm_free(sorted_after.items);
    if (before->config) {
        tell_host(&before->name, changed, context);
    }
    if (after->config && (!before->config || renamed)) {
        tell_host(&after->name, changed, context);
    }
}

void hm_catalog_tell_services(const struct hm_host_config *config, hm_change_function *changed,
                              void *context)
{
    struct sorted none = {0};
    struct sorted sorted = sort(config);
    tell_services(&none, &sorted, true, changed, context);
    hm_free(sorted.items);
}
