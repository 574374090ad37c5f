/* hivemind announce: this host serves this, and who has heard of it. */
#include "core/cli/change.h"

#include <string.h>

#define TAGS_MAX   32
#define VHOSTS_MAX 64
#define TTL_S_MAX  (7 * 24 * 3600)

enum { KEY_WEIGHT = 0x200, KEY_TTL };

struct arguments {
    struct hm_announce announce;
    struct hm_label tags[TAGS_MAX];
    struct hm_domain vhosts[VHOSTS_MAX];
};

static const struct argp_option options[] = {
    {"vhost", 'H', "NAME", 0, "A virtual host that it answers for; may be given again", 0},
    {"tag", 't', "WORD", 0, "A free word; may be given again", 0},
    {"weight", KEY_WEIGHT, "N", 0, "Its share of the traffic, 1 to 65535", 0},
    {"ttl", KEY_TTL, "TIME", 0,
     "Ends by itself unless announced again within this time, and with the node (else it survives "
     "restarts)",
     0},
    {0},
};

static void take_option(struct hm_given *given, int key, char *text, struct argp_state *state)
{
    struct arguments *own = given->own;
    struct hm_announce *announce = &own->announce;
    switch (key) {
    case 'H':
        if (announce->vhosts_count == VHOSTS_MAX) {
            argp_error(state, "--vhost %s: a service has at most %d", text, VHOSTS_MAX);
        }
        own->vhosts[announce->vhosts_count++].name = hm_option_domain(state, text, "--vhost");
        break;
    case 't':
        if (announce->tags_count == TAGS_MAX) {
            argp_error(state, "--tag %s: a service has at most %d", text, TAGS_MAX);
        }
        own->tags[announce->tags_count++].name = hm_option_name(state, text, "a tag");
        break;
    case KEY_WEIGHT:
        announce->weight = (uint16_t)hm_option_number(state, text, "--weight", 1, 65535);
        break;
    case KEY_TTL:
        announce->ttl_s = hm_option_duration(state, text, "--ttl") / 1000;
        if (announce->ttl_s < 1 || announce->ttl_s > TTL_S_MAX) {
            argp_error(state, "--ttl is from 1s to 168h (7 days), not '%s'", text);
        }
        break;
    }
}

static void check(struct hm_given *given, struct argp_state *state)
{
    struct arguments *own = given->own;
    own->announce.service = hm_option_name(state, given->words[0], "a service");
    own->announce.port = (uint16_t)hm_option_number(state, given->words[1], "PORT", 1, 65535);
    own->announce.tags = own->tags;
    own->announce.vhosts = own->vhosts;
    own->announce.timeout_ms = given->options.timeout_ms;
}

static int run(struct hm_given *given)
{
    const struct arguments *own = given->own;
    struct hm_message request = {.kind = HM_MSG_announce, .announce = own->announce};
    return hm_change_ask(given, &request, own->announce.service.text);
}

const struct hm_command hm_command_announce = {
    .name = "announce",
    .words = "NAME PORT",
    .help = "announce a service of this host",
    .doc = "Announce that this host serves NAME at PORT, and wait until all who answer for it know."
           "\vExits with 0 when it is committed and all serve it, 1 when some do not yet (they are "
           "named) or a virtual host is refused, 5 when it was pushed but the control plane has no "
           "quorum to commit it.",
    .example = "web 8080",
    .options = options,
    .own_bytes = sizeof(struct arguments),
    .option = take_option,
    .check = check,
    .run = run,
};
