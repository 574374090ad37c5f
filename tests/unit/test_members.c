/* The table of members: what is found, and what 100,000 of them take. */
#include "core/base/random.h"
#include "core/state/members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MANY 30000u

static struct hm_member member_of(uint32_t number, struct hm_label *roles, uint32_t roles_count)
{
    char name[32];
    struct hm_random random;
    hm_random_init(&random, number);
    snprintf(name, sizeof name, "host-%u", number);
    return (struct hm_member){
        .id = hm_random_id(&random),
        .name = hm_name_of(name),
        .addr = {.family = 4,
                 .ip = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number},
                 .port = 9610},
        .roles = roles,
        .roles_count = roles_count};
}

static size_t count_by_walk(const struct hm_members *members, const char *role)
{
    size_t count = 0;
    for (size_t i = 0; i < members->count; i++) {
        count += hm_member_has_role(members->items[i], role);
    }
    assert_int_equal(hm_members_count_role(members, role), count);
    return count;
}

/* More lists of roles than are shared; everything stays found. */
static void test_it_finds_what_it_holds(void **state)
{
    (void)state;
    struct hm_members members = {0};
    struct hm_random random;
    bool present[300] = {false};
    hm_random_init(&random, 1);
    for (size_t round = 0; round < 5000; round++) {
        uint32_t number = (uint32_t)hm_random_below(&random, 300);
        struct hm_label roles[2] = {{hm_name_of("host")}, {hm_name_of("r0")}};
        roles[1].name.text[1] = (char)('0' + number % 100);
        roles[0].name = number % 3 ? hm_name_of("host") : hm_name_of("dns");
        struct hm_member member = member_of(number, roles, 1 + number % 2);
        if (present[number] && hm_random_chance(&random, 500)) {
            assert_true(hm_members_remove(&members, &member.id));
            present[number] = false;
        } else {
            member.addr.port = (uint16_t)(1000 + round);
            hm_members_put(&members, &member);
            present[number] = true;
            assert_true(hm_members_find_addr(&members, &member.addr)->boot == 0);
        }
        const struct hm_member *found = hm_members_find_name(&members, &member.name);
        assert_int_equal(found != NULL, present[number]);
        assert_ptr_equal(found, hm_members_find(&members, &member.id));
        if (found) {
            assert_ptr_equal(found, hm_members_at(&members, hm_members_number(found)));
            assert_int_equal(found->roles_count, member.roles_count);
            assert_true(hm_name_equal(&found->roles[0].name, &roles[0].name));
        }
        if (round % 50 == 0) {
            size_t hosts = count_by_walk(&members, "host");
            assert_int_equal(hosts + count_by_walk(&members, "dns"), members.count);
            count_by_walk(&members, "r7");
        }
    }
    hm_members_put(&members, members.items[0]); /* its own */
    hm_members_fini(&members);
}

static void test_many_are_small(void **state)
{
    (void)state;
    struct hm_members members = {0};
    struct hm_label host = {hm_name_of("host")};
    struct hm_label control = {hm_name_of("control")};
    hm_members_keep_rings(&members, 8, true);
    for (uint32_t i = 0; i < MANY; i++) {
        struct hm_member member = member_of(i, i % 1000 ? &host : &control, 1);
        member.feeds = (uint8_t)(i % 1000 ? 0 : HM_MEMBER_CARRIES_STATE);
        hm_members_put(&members, &member);
    }
    size_t bytes = hm_members_bytes(&members) / MANY;
    print_message("%zu bytes a member\n", bytes);
    assert_true(bytes <= 256);
    assert_int_equal(members.rings.count, MANY);
    assert_int_equal(members.state_rings.count, MANY / 1000);
    for (uint32_t i = 0; i < MANY; i += 2) {
        struct hm_member member = member_of(i, &host, 1);
        assert_true(hm_members_remove(&members, &member.id));
    }
    assert_int_equal(members.rings.count, MANY / 2);
    hm_members_clear(&members);
    assert_int_equal(members.rings.count, 0);
    assert_int_equal(members.rings.config.rings, 8);
    hm_members_fini(&members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_finds_what_it_holds),
        cmocka_unit_test(test_many_are_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
