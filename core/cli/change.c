#include "core/cli/change.h"

#include <stdio.h>

/* How much longer than the node waits for others we wait for the node. */
#define PATIENCE_MS 2000

static void print_json(const struct hm_change_report *report)
{
    json_t *serving = json_array();
    for (uint32_t i = 0; i < report->serving_count; i++) {
        const struct hm_serving *role = &report->serving[i];
        json_t *json = json_object();
        json_object_set_new(json, "role", hm_json_name(&role->role));
        json_object_set_new(json, "served", json_integer(role->served));
        json_object_set_new(json, "total", json_integer(role->total));
        json_object_set_new(json, "missing", hm_json_text(role->missing));
        json_array_append_new(serving, json);
    }
    json_t *json = json_object();
    json_object_set_new(json, "status",
                        json_string(hm_status_name((enum hm_status)report->status)));
    json_object_set_new(json, "reason", hm_json_text(report->reason));
    json_object_set_new(json, "index", json_integer((json_int_t)report->index));
    json_object_set_new(json, "addr", hm_json_addr(&report->addr));
    json_object_set_new(json, "serving", serving);
    json_object_set_new(json, "took_us", json_integer(report->took_us));
    hm_json_print(json);
}

/* Roles that nobody performs are left out: "0/0" would read as a fault. */
static void print_serving(const struct hm_change_report *report)
{
    bool any = false;
    for (uint32_t i = 0; i < report->serving_count; i++) {
        const struct hm_serving *role = &report->serving[i];
        if (role->total) {
            printf("%s %u/%u, ", role->role.text, role->served, role->total);
            any = true;
        }
    }
    if (!any) {
        printf("no dns or nginx node yet, ");
    }
    if (report->took_us < 1000) {
        puts("under 1 ms");
    } else {
        printf("%u ms\n", (report->took_us + 500) / 1000);
    }
}

/* "web 10.0.0.5:8080 committed at 12; dns 2/2, nginx 1/1, 3 ms" */
static void print_line(const struct hm_change_report *report, const char *subject)
{
    char addr[HM_ADDR_TEXT_BYTES];
    printf("%s", subject);
    if (!hm_addr_is_none(&report->addr)) {
        printf(" %s", hm_addr_format(&report->addr, addr));
    }
    if (report->index) {
        printf(" committed at %llu; ", (unsigned long long)report->index);
    } else if (report->status == HM_OK) {
        printf(" unchanged; ");
    } else {
        printf(" pushed, not committed; ");
    }
    print_serving(report);
}

static void complain(const struct hm_change_report *report)
{
    for (uint32_t i = 0; i < report->serving_count; i++) {
        const struct hm_serving *role = &report->serving[i];
        if (role->missing.size) {
            hm_complain("not served yet by %s: %.*s", role->role.text, (int)role->missing.size,
                        (const char *)role->missing.data);
        }
    }
    if (report->reason.size) {
        hm_complain("%.*s", (int)report->reason.size, (const char *)report->reason.data);
    }
}

int hm_change_ask(struct hm_given *given, const struct hm_message *request, const char *subject)
{
    struct hm_message reply;
    int code = hm_client_ask(&given->client, request, PATIENCE_MS, HM_MSG_change_report, &reply);
    if (code != EXIT_OK) {
        return code;
    }
    const struct hm_change_report *report = &reply.change_report;
    bool known = report->status == HM_OK || report->status == HM_TIMEOUT ||
                 report->status == HM_NOT_COMMITTED;
    if (!known && !report->index) {
        return hm_complain_status(report->status, report->reason);
    }
    if (given->options.json) {
        print_json(report);
    } else {
        print_line(report, subject);
        complain(report);
    }
    return hm_status_exit_code((enum hm_status)report->status);
}
