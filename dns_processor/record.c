#include "dns_processor/record.h"

#include <stdlib.h>
#include <string.h>

/* As the message table has them. */
#define NAMESERVERS_MAX  64u
#define ADDRESSES_MAX    16u
#define PREFIXES_MAX     64u
#define VHOSTS_ALLOW_MAX 64u
/* Reverse zones of one zone: every name that is put looks at them all. */
#define REVERSE_MAX     256u
#define TTL_MAX         604800u /* a week */
#define MAX_ANSWERS_MAX 1000u

/* ---- from a file ---- */

static struct hm_bytes copy(struct hm_arena *arena, const char *text)
{
    size_t size = strlen(text);
    uint8_t *bytes = hm_arena_alloc(arena, size + 1, 1);
    memcpy(bytes, text, size);
    return (struct hm_bytes){bytes, size};
}

/* A name in its one way of writing. */
static struct hm_bytes canonical(struct hm_arena *arena, const struct hm_dns_name *name)
{
    char text[HM_DNS_NAME_TEXT_BYTES];
    return copy(arena, hm_dns_name_format(name, text));
}

static bool parse_name(const struct hm_conf_node *node, const char *text, const char *what,
                       const struct hm_dns_name *origin, struct hm_dns_name *out,
                       struct hm_conf_errors *errors)
{
    enum hm_status status =
        origin ? hm_dns_name_parse_in(text, origin, out) : hm_dns_name_parse(text, out);
    if (status != HM_OK) {
        hm_conf_error(errors, &node->origin, "%s '%s' is not a domain name such as corp.internal",
                      what, text);
    }
    return status == HM_OK;
}

static uint32_t seconds(const struct hm_conf_node *map, const char *name)
{
    return (uint32_t)(hm_conf_duration(map, name) / 1000);
}

static void read_addresses(const struct hm_conf_node *list, struct hm_arena *arena,
                           struct hm_zone_nameserver *out, struct hm_conf_errors *errors)
{
    out->addresses = hm_arena_alloc(arena, list->count, sizeof *out->addresses);
    for (const struct hm_conf_node *at = list->first; at; at = at->next) {
        if (out->addresses_count == ADDRESSES_MAX) {
            hm_conf_error(errors, &at->origin,
                          "more than %u addresses of one nameserver: remove what follows",
                          ADDRESSES_MAX);
            return;
        }
        out->addresses[out->addresses_count++].addr = at->addr;
    }
}

static void read_nameservers(const struct hm_conf_node *zone, const struct hm_dns_name *origin,
                             struct hm_arena *arena, struct hm_zone_settings *out,
                             struct hm_conf_errors *errors)
{
    const struct hm_conf_node *table = hm_conf_get(zone, "nameservers");
    out->nameservers = hm_arena_alloc(arena, table->count, sizeof *out->nameservers);
    for (const struct hm_conf_node *at = table->first; at; at = at->next) {
        struct hm_dns_name name;
        if (out->nameservers_count == NAMESERVERS_MAX) {
            hm_conf_error(errors, &at->origin, "more than %u nameservers: remove what follows",
                          NAMESERVERS_MAX);
            return;
        }
        if (parse_name(at, at->name, "nameserver", origin, &name, errors)) {
            struct hm_zone_nameserver *server = &out->nameservers[out->nameservers_count++];
            server->name = canonical(arena, &name);
            read_addresses(at, arena, server, errors);
        }
    }
}

static int compare_prefixes(const void *left, const void *right)
{
    const struct hm_zone_prefix *a = left;
    const struct hm_zone_prefix *b = right;
    int order = (int)a->addr.family - (int)b->addr.family;
    order = order ? order : memcmp(a->addr.ip, b->addr.ip, sizeof a->addr.ip);
    return order ? order : (int)a->bits - (int)b->bits;
}

static void read_reverse(const struct hm_conf_node *zone, struct hm_arena *arena,
                         struct hm_zone_settings *out, struct hm_conf_errors *errors)
{
    const struct hm_conf_node *list = hm_conf_get(zone, "reverse");
    size_t zones = 0;
    out->reverse = hm_arena_alloc(arena, list->count, sizeof *out->reverse);
    for (const struct hm_conf_node *at = list->first; at; at = at->next) {
        if (out->reverse_count == PREFIXES_MAX) {
            hm_conf_error(errors, &at->origin, "more than %u prefixes: remove what follows",
                          PREFIXES_MAX);
            return;
        }
        if (at->integer < 1) {
            hm_conf_error(errors, &at->origin,
                          "a reverse zone for all addresses: write a prefix of at least 1 bit");
            continue;
        }
        zones += hm_dns_prefix_zones(&at->addr, (unsigned)at->integer);
        if (zones > REVERSE_MAX) {
            hm_conf_error(errors, &at->origin,
                          "these prefixes come to more than %u reverse zones: write them so that "
                          "they end where a label does, as /8, /16 or /24",
                          REVERSE_MAX);
            return;
        }
        out->reverse[out->reverse_count++] =
            (struct hm_zone_prefix){.addr = at->addr, .bits = (uint8_t)at->integer};
    }
    if (out->reverse_count) {
        qsort(out->reverse, out->reverse_count, sizeof *out->reverse, compare_prefixes);
    }
}

static int compare_domains(const void *left, const void *right)
{
    const struct hm_domain *a = left;
    const struct hm_domain *b = right;
    return hm_bytes_compare(a->name, b->name);
}

/* In order, each once; where none is written the zone itself. */
static void read_vhosts_allow(const struct hm_conf_node *section, struct hm_bytes zone,
                              struct hm_arena *arena, struct hm_zone_settings *out,
                              struct hm_conf_errors *errors)
{
    const struct hm_conf_node *list = hm_conf_get(section, "vhosts_allow");
    out->vhosts_allow = hm_arena_alloc(arena, list->count + 1, sizeof *out->vhosts_allow);
    uint32_t count = 0;
    for (const struct hm_conf_node *at = list->first; at; at = at->next) {
        struct hm_dns_name name;
        if (count == VHOSTS_ALLOW_MAX) {
            hm_conf_error(errors, &at->origin, "more than %u domains: remove what follows",
                          VHOSTS_ALLOW_MAX);
            break;
        }
        if (parse_name(at, at->text, "vhosts_allow:", NULL, &name, errors)) {
            out->vhosts_allow[count++].name = canonical(arena, &name);
        }
    }
    if (list->count == 0) {
        out->vhosts_allow[count++].name = zone;
    }
    qsort(out->vhosts_allow, count, sizeof *out->vhosts_allow, compare_domains);
    for (uint32_t i = 0; i < count; i++) {
        struct hm_domain *kept = out->vhosts_allow;
        if (i == 0 || !hm_bytes_equal(kept[out->vhosts_allow_count - 1].name, kept[i].name)) {
            kept[out->vhosts_allow_count++] = kept[i];
        }
    }
}

/* Room for host.ZONE and _tcp.ZONE. */
static bool has_room(const struct hm_dns_name *zone)
{
    struct hm_dns_name below;
    return hm_dns_name_prepend(hm_bytes_of_text("host"), zone, &below) == HM_OK;
}

void hm_dns_record_of(const struct hm_conf_node *section, const struct hm_conf_node *zone,
                      struct hm_arena *arena, struct hm_dns_record *out,
                      struct hm_conf_errors *errors)
{
    const struct hm_conf_node *ttl = hm_conf_get(zone, "ttl");
    struct hm_dns_name name;
    *out = (struct hm_dns_record){.name = hm_conf_text(zone, "name")};
    if (!parse_name(zone, out->name, "zone", NULL, &name, errors)) {
        return;
    }
    if (!has_room(&name)) {
        hm_conf_error(
            errors, &zone->origin,
            "zone '%s' is too long a name: host.ZONE and NAME.host.ZONE must be names too",
            out->name);
        return;
    }
    struct hm_bytes text = canonical(arena, &name);
    out->name = (const char *)text.data;
    out->settings = (struct hm_zone_settings){
        .ttl_service = seconds(ttl, "service"),
        .ttl_host = seconds(ttl, "host"),
        .ttl_zone = seconds(ttl, "zone"),
        .ttl_negative = seconds(ttl, "negative"),
        .max_answers = (uint16_t)hm_conf_integer(zone, "max_answers"),
        .none_healthy_nodata = strcmp(hm_conf_text(zone, "none_healthy"), "nodata") == 0,
    };
    read_nameservers(zone, &name, arena, &out->settings, errors);
    read_reverse(zone, arena, &out->settings, errors);
    read_vhosts_allow(section, text, arena, &out->settings, errors);
}

/* ---- from a record, and into one ---- */

static bool is_name(struct hm_bytes text)
{
    char copied[HM_DNS_NAME_TEXT_BYTES];
    struct hm_dns_name name;
    if (text.size >= sizeof copied || memchr(text.data, 0, text.size)) {
        return false;
    }
    memcpy(copied, text.data, text.size);
    copied[text.size] = '\0';
    return hm_dns_name_parse(copied, &name) == HM_OK;
}

static bool are_sound(const struct hm_zone_settings *settings)
{
    bool sound = settings->ttl_service <= TTL_MAX && settings->ttl_host <= TTL_MAX &&
                 settings->ttl_zone <= TTL_MAX && settings->ttl_negative <= TTL_MAX &&
                 settings->max_answers >= 1 && settings->max_answers <= MAX_ANSWERS_MAX;
    for (uint32_t i = 0; i < settings->nameservers_count && sound; i++) {
        const struct hm_zone_nameserver *server = &settings->nameservers[i];
        sound = is_name(server->name);
        for (uint32_t j = 0; j < server->addresses_count && sound; j++) {
            sound = !hm_addr_is_none(&server->addresses[j].addr);
        }
    }
    size_t zones = 0;
    for (uint32_t i = 0; i < settings->reverse_count && sound; i++) {
        const struct hm_zone_prefix *prefix = &settings->reverse[i];
        sound = !hm_addr_is_none(&prefix->addr) && prefix->bits >= 1 &&
                prefix->bits <= 8 * hm_addr_ip_bytes(&prefix->addr);
        zones += sound ? hm_dns_prefix_zones(&prefix->addr, prefix->bits) : 0;
        sound = sound && zones <= REVERSE_MAX;
    }
    for (uint32_t i = 0; i < settings->vhosts_allow_count && sound; i++) {
        sound = is_name(settings->vhosts_allow[i].name);
    }
    return sound;
}

enum hm_status hm_dns_record_read(const char *name, struct hm_bytes value, struct hm_arena *arena,
                                  struct hm_dns_record *out)
{
    struct hm_message message;
    if (hm_message_decode_only(value, HM_MSG_zone_settings, arena, &message) != HM_OK ||
        !are_sound(&message.zone_settings)) {
        return HM_BAD_BYTES;
    }
    *out = (struct hm_dns_record){.name = name, .settings = message.zone_settings};
    return HM_OK;
}

void hm_dns_record_write(const struct hm_dns_record *record, struct hm_buf *out)
{
    hm_message_encode(
        out, &(struct hm_message){.kind = HM_MSG_zone_settings, .zone_settings = record->settings});
}

struct hm_dns_zone_config hm_dns_record_config(const struct hm_dns_record *record,
                                               struct hm_arena *arena)
{
    const struct hm_zone_settings *settings = &record->settings;
    struct hm_dns_prefix *reverse = hm_arena_alloc(arena, settings->reverse_count, sizeof *reverse);
    for (uint32_t i = 0; i < settings->reverse_count; i++) {
        reverse[i] = (struct hm_dns_prefix){settings->reverse[i].addr, settings->reverse[i].bits};
    }
    return (struct hm_dns_zone_config){
        .name = record->name,
        .ttl_service = settings->ttl_service,
        .ttl_host = settings->ttl_host,
        .ttl_zone = settings->ttl_zone,
        .ttl_negative = settings->ttl_negative,
        .max_answers = settings->max_answers,
        .none_healthy = settings->none_healthy_nodata ? HM_DNS_NONE_NODATA : HM_DNS_NONE_ALL,
        .reverse = reverse,
        .reverse_count = settings->reverse_count,
    };
}

/* ---- what differs ---- */

static void put_number(struct hm_buf *out, const char *what, const char *unit, unsigned file,
                       unsigned committed)
{
    if (file != committed) {
        hm_buf_printf(out, "%s%s %u%s in the file, %u%s committed", out->size ? "; " : "", what,
                      file, unit, committed, unit);
    }
}

/* Both have one list and nothing else: it differs when their bytes do. */
static void put_list(struct hm_buf *out, const char *what, const struct hm_zone_settings *file,
                     const struct hm_zone_settings *committed)
{
    struct hm_buf left = {0};
    struct hm_buf right = {0};
    hm_message_encode(&left,
                      &(struct hm_message){.kind = HM_MSG_zone_settings, .zone_settings = *file});
    hm_message_encode(
        &right, &(struct hm_message){.kind = HM_MSG_zone_settings, .zone_settings = *committed});
    if (!hm_bytes_equal(hm_buf_view(&left), hm_buf_view(&right))) {
        hm_buf_printf(out, "%s%s", out->size ? "; " : "", what);
    }
    hm_buf_fini(&left);
    hm_buf_fini(&right);
}

void hm_dns_record_differences(const struct hm_dns_record *file,
                               const struct hm_dns_record *committed, struct hm_buf *out)
{
    const struct hm_zone_settings *a = &file->settings;
    const struct hm_zone_settings *b = &committed->settings;
    struct hm_buf text = {0};
    put_number(&text, "ttl.service", "s", a->ttl_service, b->ttl_service);
    put_number(&text, "ttl.host", "s", a->ttl_host, b->ttl_host);
    put_number(&text, "ttl.zone", "s", a->ttl_zone, b->ttl_zone);
    put_number(&text, "ttl.negative", "s", a->ttl_negative, b->ttl_negative);
    put_number(&text, "max_answers", "", a->max_answers, b->max_answers);
    if (a->none_healthy_nodata != b->none_healthy_nodata) {
        static const char *const words[] = {"all", "nodata"};
        hm_buf_printf(&text, "%snone_healthy %s in the file, %s committed", text.size ? "; " : "",
                      words[a->none_healthy_nodata], words[b->none_healthy_nodata]);
    }
    put_list(&text, "nameservers",
             &(struct hm_zone_settings){.nameservers = a->nameservers,
                                        .nameservers_count = a->nameservers_count},
             &(struct hm_zone_settings){.nameservers = b->nameservers,
                                        .nameservers_count = b->nameservers_count});
    put_list(&text, "reverse",
             &(struct hm_zone_settings){.reverse = a->reverse, .reverse_count = a->reverse_count},
             &(struct hm_zone_settings){.reverse = b->reverse, .reverse_count = b->reverse_count});
    put_list(&text, "vhosts_allow",
             &(struct hm_zone_settings){.vhosts_allow = a->vhosts_allow,
                                        .vhosts_allow_count = a->vhosts_allow_count},
             &(struct hm_zone_settings){.vhosts_allow = b->vhosts_allow,
                                        .vhosts_allow_count = b->vhosts_allow_count});
    hm_buf_append(out, text.data, text.size);
    hm_buf_fini(&text);
}
