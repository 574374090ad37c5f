/* The node's side of the ABI for role `dns`: settings from YAML, records and a catalog of one host,
 * writes that are decided here, questions over UDP. */
#ifndef HM_TESTS_DNS_NODE_H
#define HM_TESTS_DNS_NODE_H

#include "core/conf/parse.h"
#include "core/include/hivemind/module.h"
#include "tests/unit/dns_fixture.h"

extern const struct hm_module hm_module;

#define TOKEN 7u /* of all requests */

struct hm_module_ctx {
    void *state;
    struct hm_view view;
    struct hm_node_config config;
    struct hm_id id;
    hm_ms now;
    hm_ms wake;
    struct hm_buf facts;
    struct hm_buf logs;
    struct hm_buf write;  /* what is to be written */
    hm_ms deadline;       /* of that */
    struct hm_buf answer; /* the last one */
    uint64_t writes;
    uint64_t index; /* of the last event */
};

struct hm_catalog {
    struct hm_catalog_host host;
    struct hm_host_config config;
    struct hm_service service;
    struct hm_label tag;
    bool has_host;
    bool healthy;
};

extern struct hm_catalog catalog;

struct running {
    struct hm_conf_errors errors;
    struct hm_conf *conf;
    const struct hm_conf_node *section;
    struct hm_module_ctx ctx;
    int fd; /* connected to the server */
};

/* Reads a section; asserts that it is one. */
void read_section(struct running *running, const char *text);
void end_section(struct running *running);
uint16_t free_port(void);
void start(struct running *running, uint16_t port, const char *more);
void stop(struct running *running);
/* Asks over UDP; asserts the rcode, and the text of the first record unless it is NULL. */
void expect(struct running *running, const char *name, ldns_rr_type type, int rcode,
            const char *first);
void change(struct running *running, enum hm_change_kind kind, const char *name);
/* As an event does: the record, then the note. */
void put_record(struct running *running, const char *scope, const char *key, struct hm_bytes value);
/* A consumer at 127.0.0.`id`. */
void put_consumer(struct running *running, uint8_t id, const char *name, const char *role,
                  bool failed);
/* A dns node records that it names a zone: "ZONE NODE". */
void put_namer(struct running *running, const char *key);
const struct hm_record *find(const struct running *running, const char *scope, const char *key);
/* The write under way is decided: its changes come as events, its answer too. */
enum hm_status decide(struct running *running);
void commit(struct running *running);
void expect_fact(struct running *running, const char *fact);
void put_vhost(struct running *running, const char *name, uint64_t index);
void set_catalog(void);
/* A reload with other zones, as the node does it. */
void reload(struct running *running, const char *zones);
/* Settings that somebody else committed. */
void put_zone(struct running *running, const char *name, uint32_t ttl_service,
              struct hm_zone_prefix *reverse);
void complete(struct running *running);
bool was_logged(struct running *running, const char *text);

#endif
