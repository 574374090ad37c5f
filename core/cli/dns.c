/* hivemind dns: the zones that the cluster has agreed on, asked of a node with role dns. */
#include "core/cli/cli.h"

#include <stdio.h>
#include <string.h>

/* ---- zones ---- */

static void put_namers(struct hm_sheet *sheet, const struct hm_zone_view *zone)
{
    struct hm_buf text = {0};
    for (uint32_t i = 0; i < zone->namers_count; i++) {
        hm_buf_printf(&text, "%s%s%s", i ? "," : "", zone->namers[i].node.text,
                      zone->namers[i].failed ? "(failed)" : "");
    }
    hm_sheet_put(sheet, "%.*s", text.size ? (int)text.size : 6,
                 text.size ? (const char *)text.data : "nobody");
    hm_buf_fini(&text);
}

static void print_zones(const struct hm_zones_reply *reply)
{
    static const char *const headings[] = {"ZONE", "COMMITTED", "NAMED BY", NULL};
    struct hm_sheet sheet = {.headings = headings};
    for (uint32_t i = 0; i < reply->zones_count; i++) {
        const struct hm_zone_view *zone = &reply->zones[i];
        hm_sheet_put(&sheet, "%.*s", (int)zone->zone.size, (const char *)zone->zone.data);
        hm_sheet_put(&sheet, "%llu", (unsigned long long)zone->index);
        put_namers(&sheet, zone);
    }
    hm_sheet_print(&sheet);
    hm_sheet_fini(&sheet);
}

static void print_zones_json(const struct hm_zones_reply *reply)
{
    json_t *zones = json_array();
    for (uint32_t i = 0; i < reply->zones_count; i++) {
        const struct hm_zone_view *zone = &reply->zones[i];
        json_t *json = json_object();
        json_t *namers = json_array();
        for (uint32_t j = 0; j < zone->namers_count; j++) {
            json_t *namer = json_object();
            json_object_set_new(namer, "node", hm_json_name(&zone->namers[j].node));
            json_object_set_new(namer, "failed", json_boolean(zone->namers[j].failed));
            json_array_append_new(namers, namer);
        }
        json_object_set_new(json, "zone", hm_json_text(zone->zone));
        json_object_set_new(json, "index", json_integer((json_int_t)zone->index));
        json_object_set_new(json, "named_by", namers);
        json_array_append_new(zones, json);
    }
    hm_json_print(zones);
}

static int run_zones(struct hm_given *given)
{
    struct hm_message reply;
    struct hm_message query = {.kind = HM_MSG_zones_query};
    int code = hm_client_ask(&given->client, &query, 0, HM_MSG_zones_reply, &reply);
    if (code == EXIT_OK) {
        (given->options.json ? print_zones_json : print_zones)(&reply.zones_reply);
    }
    return code;
}

static const struct hm_command zones = {
    .name = "zones",
    .help = "which zones there are, and who names them",
    .doc = "Which zones the cluster has agreed on, and the dns nodes whose configuration names "
           "them.",
    .run = run_zones,
};

/* ---- forget ---- */

struct forgotten {
    char text[HM_OPTION_DOMAIN_MAX + 2]; /* with a final dot, and a 0 */
    struct hm_bytes zone;
};

static const struct argp_option forget_options[] = {
    {"yes", 'y', NULL, 0, "Do not ask: for scripts", 0},
    {0},
};

static void check_forget(struct hm_given *given, struct argp_state *state)
{
    struct forgotten *own = given->own;
    const char *word = given->words[0];
    if (strlen(word) >= sizeof own->text) {
        argp_error(state, "a zone is a domain name of at most %d bytes, not '%s'",
                   HM_OPTION_DOMAIN_MAX, word);
    }
    memcpy(own->text, word, strlen(word) + 1);
    own->zone = hm_option_domain(state, own->text, "a zone");
}

static int run_forget(struct hm_given *given)
{
    const struct forgotten *own = given->own;
    struct hm_message reply;
    struct hm_message request = {
        .kind = HM_MSG_zone_forget,
        .zone_forget = {.zone = own->zone, .timeout_ms = given->options.timeout_ms}};
    int code = hm_client_answer(&given->client, &request, 0, &reply);
    if (code != EXIT_OK) {
        return code;
    }
    if (!given->options.json || !hm_given_option(given, 'y')) {
        fprintf(given->options.json ? stderr : stdout, "%.*s\n", (int)reply.answer.reason.size,
                (const char *)reply.answer.reason.data);
    }
    if (!hm_is_confirmed(given)) {
        return EXIT_FAILED;
    }
    request.zone_forget.now = true;
    code = hm_client_answer(&given->client, &request, given->options.timeout_ms, &reply);
    if (code == EXIT_OK && given->options.json) {
        json_t *json = json_object();
        json_object_set_new(json, "zone", hm_json_text(own->zone));
        json_object_set_new(json, "index", json_integer((json_int_t)reply.answer.index));
        hm_json_print(json);
    } else if (code == EXIT_OK) {
        printf("%.*s is forgotten, committed at %llu\n", (int)own->zone.size,
               (const char *)own->zone.data, (unsigned long long)reply.answer.index);
    }
    return code;
}

static const struct hm_command forget = {
    .name = "forget",
    .words = "ZONE",
    .help = "forget a zone that no dns node names any more",
    .doc = "Forget a zone that no dns node names any more: its settings, and that virtual hosts "
           "may be in it. Take it out of dns.zones of every dns node first, and reload them.\v"
           "Exits with 0 when that is committed, 1 when a node still names it, 3 when there is no "
           "such zone, 5 when the control plane has no quorum. Virtual hosts that were granted in "
           "it stay with their services. To forget a zone while it is named would be in vain: who "
           "names a zone founds it.",
    .example = "old.corp.internal",
    .options = forget_options,
    .own_bytes = sizeof(struct forgotten),
    .check = check_forget,
    .run = run_forget,
};

/* ---- the group ---- */

static const struct hm_command *const verbs[] = {&zones, &forget, NULL};

const struct hm_command hm_command_dns = {
    .name = "dns",
    .words = "COMMAND",
    .help = "the zones that the cluster has agreed on",
    .doc = "The zones that the cluster has agreed on. It is asked of a node with role dns.",
    .verbs = verbs,
};
