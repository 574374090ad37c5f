/* dns_hotpath [NAMES]: nanoseconds an answer in process, without sockets, over NAMES services
 * (100,000) of two addresses each, asked in random order. */
#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "dns_processor/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS  5
#define ANSWERS 2000000u
#define ASKED   65536u /* different questions, a power of two */

struct question {
    uint8_t size;
    uint8_t packet[63];
};

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct hm_dns_name name_of(const char *text)
{
    struct hm_dns_name name;
    enum hm_status status = hm_dns_name_parse(text, &name);
    HM_ASSERT(status == HM_OK);
    return name;
}

static struct hm_dns_name service_name(const struct hm_dns_name *apex, size_t i)
{
    char label[32];
    struct hm_dns_name name;
    (void)snprintf(label, sizeof label, "service-%zu", i);
    enum hm_status status = hm_dns_name_prepend(hm_bytes_of_text(label), apex, &name);
    HM_ASSERT(status == HM_OK);
    return name;
}

static struct hm_dns_map *fill(size_t names, const struct hm_dns_name *apex)
{
    struct hm_dns_map *map = hm_dns_map_new();
    HM_ASSERT(map != NULL);
    struct hm_dns_zone *zone;
    enum hm_status status = hm_dns_map_add_zone(map, apex, &zone);
    HM_ASSERT(status == HM_OK);
    hm_dns_zone_set_soa(zone, &(struct hm_dns_soa_fields){.mname = *apex, .rname = *apex});
    for (size_t i = 0; i < names; i++) {
        struct hm_dns_set set = {.type = HM_DNS_A, .ttl = 5, .max = 8};
        struct hm_dns_name name = service_name(apex, i);
        for (uint8_t last = 1; last <= 2; last++) {
            uint8_t ip[4] = {10, (uint8_t)(i >> 8), (uint8_t)i, last};
            status = hm_dns_set_add(&set, (struct hm_bytes){ip, 4}, true, (struct hm_bytes){0});
            HM_ASSERT(status == HM_OK);
        }
        status = hm_dns_map_put(map, zone, &name, &set, 1);
        HM_ASSERT(status == HM_OK);
        hm_dns_set_fini(&set);
    }
    return map;
}

static struct question *ask(size_t names, const struct hm_dns_name *apex)
{
    struct hm_random random;
    hm_random_init(&random, 1);
    struct question *questions = hm_alloc(ASKED, sizeof *questions);
    for (size_t i = 0; i < ASKED; i++) {
        struct hm_dns_name name = service_name(apex, hm_random_below(&random, names));
        struct question *question = &questions[i];
        static const uint8_t header[12] = {0, 1, 1, 0, 0, 1};
        static const uint8_t tail[4] = {0, HM_DNS_A, 0, HM_DNS_CLASS_IN};
        HM_ASSERT(sizeof header + name.size + sizeof tail <= sizeof question->packet);
        memcpy(question->packet, header, sizeof header);
        memcpy(question->packet + sizeof header, name.wire, name.size);
        memcpy(question->packet + sizeof header + name.size, tail, sizeof tail);
        question->size = (uint8_t)(sizeof header + name.size + sizeof tail);
    }
    return questions;
}

int main(int argc, char **argv)
{
    size_t names = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    if (names == 0) {
        (void)fprintf(stderr, "usage: dns_hotpath [NAMES]\n");
        return 2;
    }
    hm_dns_thread_enter();
    urcu_qsbr_thread_online();
    struct hm_dns_name apex = name_of("corp.internal");
    double started = seconds();
    struct hm_dns_map *map = fill(names, &apex);
    printf("%zu names put in %.0f ms\n", names, (seconds() - started) * 1e3);
    struct question *questions = ask(names, &apex);
    struct hm_dns_answerer answerer = {.map = map, .udp_payload = HM_DNS_UDP_DEFAULT};
    uint8_t out[HM_DNS_UDP_DEFAULT];
    for (int round = 0; round < ROUNDS; round++) {
        started = seconds();
        for (uint32_t i = 0; i < ANSWERS; i++) {
            const struct question *question = &questions[i % ASKED];
            struct hm_bytes packet = {question->packet, question->size};
            size_t size = hm_dns_answer(&answerer, packet, false, out);
            HM_ASSERT(size == question->size + 32U);
            if (i % 16 == 0) {
                urcu_qsbr_quiescent_state();
            }
        }
        printf("%.0f ns an answer\n", (seconds() - started) * 1e9 / ANSWERS);
    }
    hm_free(questions);
    hm_dns_map_free(map);
    hm_dns_thread_leave();
    return 0;
}
