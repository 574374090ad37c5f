/* Any bytes as the committed settings of a zone: what is taken for settings makes a zone, beside
 * another one with the same, and is written as the same bytes. */
#include "core/base/assert.h"
#include "dns_processor/record.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool see_nothing(void *context, const struct hm_name *name, struct hm_dns_gather *out)
{
    (void)context;
    (void)name;
    (void)out;
    return false;
}

static bool see_no_vhost(void *context, const char *name, struct hm_dns_gather *out)
{
    (void)context;
    (void)name;
    (void)out;
    return false;
}

/* The nameservers as a node hands them to the builder: whole names. */
static void put_nameservers(struct hm_dns_build *build, const struct hm_zone_settings *settings,
                            struct hm_arena *arena)
{
    struct hm_buf error = {0};
    struct hm_dns_nameserver *list =
        hm_arena_alloc(arena, settings->nameservers_count, sizeof *list);
    for (uint32_t i = 0; i < settings->nameservers_count; i++) {
        const struct hm_zone_nameserver *from = &settings->nameservers[i];
        char *name = hm_arena_alloc(arena, from->name.size + 2, 1);
        struct hm_addr *addresses = hm_arena_alloc(arena, from->addresses_count, sizeof *addresses);
        memcpy(name, from->name.data, from->name.size);
        name[from->name.size] = '.';
        for (uint32_t j = 0; j < from->addresses_count; j++) {
            addresses[j] = from->addresses[j].addr;
        }
        list[i] = (struct hm_dns_nameserver){name, addresses, from->addresses_count};
    }
    (void)hm_dns_build_nameservers(build, 0, list, settings->nameservers_count, &error);
    hm_dns_build_serial(build, 1);
    hm_buf_fini(&error);
}

static void build_zone(const struct hm_dns_record *record, struct hm_arena *arena)
{
    struct hm_dns_zone_config zones[2] = {hm_dns_record_config(record, arena),
                                          hm_dns_record_config(record, arena)};
    struct hm_dns_view view = {NULL, see_nothing, see_nothing, see_no_vhost};
    struct hm_dns_twice twice;
    struct hm_dns_build *build;
    struct hm_buf error = {0};
    zones[1].name = "b.internal";
    HM_ASSERT((hm_dns_build_twice(zones, 2, &twice, 1) == 0) == (zones[0].reverse_count == 0));
    struct hm_dns_map *map = hm_dns_map_new();
    if (hm_dns_build_twice(zones, 1, &twice, 1) == 0) {
        enum hm_status status = hm_dns_build_new(map, &view, zones, 1, &error, &build);
        HM_ASSERT(status == HM_OK);
        put_nameservers(build, &record->settings, arena);
        hm_dns_build_free(build);
    }
    urcu_qsbr_thread_online();
    hm_dns_map_free(map);
    urcu_qsbr_thread_offline();
    hm_buf_fini(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_arena arena = {0};
    struct hm_dns_record record;
    struct hm_buf again = {0};
    struct hm_buf text = {0};
    hm_dns_thread_enter();
    if (hm_dns_record_read("a.internal", (struct hm_bytes){data, size}, &arena, &record) == HM_OK) {
        struct hm_dns_record other = {.name = "a.internal"};
        hm_dns_record_write(&record, &again);
        HM_ASSERT(again.size == size && memcmp(again.data, data, size) == 0);
        hm_dns_record_differences(&record, &other, &text);
        build_zone(&record, &arena);
    }
    hm_dns_thread_leave();
    hm_buf_fini(&text);
    hm_buf_fini(&again);
    hm_arena_fini(&arena);
    return 0;
}
