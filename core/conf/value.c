#include "core/conf/value.h"

#include "core/base/assert.h"
#include "core/conf/suggest.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define SERVICE_CHARACTERS_MAX 15u
#define DOMAIN_BYTES_MAX       253u

struct unit {
    const char *word;
    int64_t factor;
};

/* Largest last: printing takes the largest that divides. */
static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
};
static const struct unit size_units[] = {
    {"", 1},     {"B", 1},       {"KiB", 1024},     {"MiB", 1048576}, {"GiB", 1073741824},
    {"K", 1024}, {"M", 1048576}, {"G", 1073741824},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Digits without sign and leading zeros (YAML 1.1 would read 010 as 8); what follows them is left
 * in *rest. */
static bool read_digits(const char *text, int64_t *out, const char **rest)
{
    int64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *at - '0', &number)) {
            return false;
        }
    }
    if (at == text || (*text == '0' && at - text > 1)) {
        return false;
    }
    *out = number;
    *rest = at;
    return true;
}

static bool read_integer(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    const char *rest;
    int64_t number;
    if (!read_digits(text + negative, &number, &rest) || *rest != '\0') {
        return false;
    }
    *out = negative ? -number : number;
    return true;
}

static bool read_with_unit(const char *text, const struct unit *units, size_t count, int64_t *out)
{
    const char *rest;
    int64_t number;
    if (!read_digits(text, &number, &rest)) {
        return false;
    }
    while (*rest == ' ') {
        rest++;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rest, units[i].word) == 0) {
            return !__builtin_mul_overflow(number, units[i].factor, out);
        }
    }
    return false;
}

static bool read_flag(const char *text, int64_t *out)
{
    static const char *const words[2][3] = {{"false", "no", "off"}, {"true", "yes", "on"}};
    for (int value = 0; value < 2; value++) {
        for (size_t i = 0; i < 3; i++) {
            if (strcasecmp(text, words[value][i]) == 0) {
                *out = value;
                return true;
            }
        }
    }
    return false;
}

static bool is_label(const char *text, size_t size)
{
    struct hm_name name;
    return size > 0 && hm_name_set(&name, text, size) && hm_name_is_label(&name);
}

static bool is_all_digits(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
    }
    return true;
}

/* RFC 1123, section 2.1: labels of letters, digits and hyphens. A last label of digits alone is
 * a mistyped IPv4 address. */
static bool is_domain(const char *text, size_t size)
{
    if (size == 0 || size > DOMAIN_BYTES_MAX) {
        return false;
    }
    const char *label = text;
    const char *end = text + size;
    for (;;) {
        const char *dot = memchr(label, '.', (size_t)(end - label));
        size_t label_bytes = (size_t)((dot ? dot : end) - label);
        if (!is_label(label, label_bytes)) {
            return false;
        }
        if (!dot) {
            return !is_all_digits(label, label_bytes);
        }
        label = dot + 1;
    }
}

static bool is_service(const char *text)
{
    size_t size = strlen(text);
    return size <= SERVICE_CHARACTERS_MAX && is_label(text, size) && !is_all_digits(text, size) &&
           strstr(text, "--") == NULL;
}

/* A written port 0 would read as "no port written". */
static bool read_address(const char *text, struct hm_addr *out)
{
    struct hm_addr with_zero, with_one;
    if (!hm_addr_parse(text, 0, &with_zero) || !hm_addr_parse(text, 1, &with_one) ||
        (with_zero.port == 0 && with_one.port == 0)) {
        return false;
    }
    *out = with_zero;
    return true;
}

static bool read_ip(const char *text, struct hm_addr *out)
{
    struct hm_addr with_zero, with_one;
    if (!hm_addr_parse(text, 0, &with_zero) || !hm_addr_parse(text, 1, &with_one) ||
        with_zero.port == with_one.port || *text == '[') {
        return false;
    }
    *out = with_zero;
    return true;
}

/* Cuts NAME:PORT; `text` is ours. */
static bool read_host(char *text, struct hm_addr *out)
{
    if (read_address(text, out)) {
        return true;
    }
    struct hm_addr name = {0};
    char *colon = strchr(text, ':');
    int64_t port = 0;
    if (colon && (!read_integer(colon + 1, &port) || port < 1 || port > UINT16_MAX)) {
        return false;
    }
    size_t size = colon ? (size_t)(colon - text) : strlen(text);
    size -= size > 1 && text[size - 1] == '.';
    if (!is_domain(text, size)) {
        return false;
    }
    text[size] = '\0';
    name.port = (uint16_t)port;
    *out = name;
    return true;
}

static bool read_prefix(const char *text, struct hm_addr *out, int64_t *bits_out)
{
    char ip[HM_ADDR_TEXT_BYTES];
    const char *slash = strchr(text, '/');
    struct hm_addr addr;
    int64_t bits;
    if (!slash || (size_t)(slash - text) >= sizeof ip) {
        return false;
    }
    memcpy(ip, text, (size_t)(slash - text));
    ip[slash - text] = '\0';
    if (!read_ip(ip, &addr) || !read_integer(slash + 1, &bits)) {
        return false;
    }
    int64_t bits_max = (int64_t)hm_addr_ip_bytes(&addr) * 8;
    if (bits < 0 || bits > bits_max) {
        return false;
    }
    for (int64_t bit = bits; bit < bits_max; bit++) {
        if (addr.ip[bit / 8] & (0x80u >> (bit % 8))) {
            return false;
        }
    }
    *out = addr;
    *bits_out = bits;
    return true;
}

static const struct hm_conf_type_words type_words[] = {
    [HM_CONF_TEXT] = {"text", "a text", NULL},
    [HM_CONF_CHOICE] = {"choice", "one of the choices", NULL},
    [HM_CONF_FLAG] = {"flag", "a flag", "write true or false"},
    [HM_CONF_INTEGER] = {"integer", "an integer", "write digits alone, as in 10"},
    [HM_CONF_SIZE] = {"size", "a size", "write bytes, or a unit as in 64K, 10M, 1G"},
    [HM_CONF_DURATION] = {"duration", "a duration",
                          "write a number with its unit, as in 500ms, 2s, 5m, 1h, 7d"},
    [HM_CONF_LABEL] = {"label", "a DNS label",
                       "use letters, digits and inner hyphens, at most 63 characters"},
    [HM_CONF_SERVICE] = {"service name", "a service name",
                         "use at most 15 letters, digits and single inner hyphens, one letter at "
                         "least (RFC 6335)"},
    [HM_CONF_DOMAIN] = {"domain name", "a domain name",
                        "write labels with dots between, as in corp.internal"},
    [HM_CONF_IP] = {"IP address", "an IP address", "write one as in 10.0.0.1 or \"2001:db8::1\""},
    [HM_CONF_ADDRESS] = {"address", "an address",
                         "write IP or IP:PORT, as in 10.0.0.1:9610 or \"[2001:db8::1]:9610\""},
    [HM_CONF_HOST] =
        {"host", "an address or host name",
         "write IP, NAME, IP:PORT or NAME:PORT, as in 10.0.0.1 or \"[2001:db8::1]:9610\""},
    [HM_CONF_PREFIX] = {"prefix", "a prefix",
                        "write IP/BITS with zeros behind the prefix, as in 10.0.0.0/16"},
    [HM_CONF_PATH] = {"path", "an absolute path", "begin it with /"},
    [HM_CONF_MAP] = {"map", "a map", NULL},
};

const struct hm_conf_type_words *hm_conf_type_words(enum hm_conf_type type)
{
    HM_ASSERT((size_t)type < COUNT(type_words));
    return &type_words[type];
}

bool hm_conf_name_fits(enum hm_conf_type type, const char *text)
{
    size_t size = strlen(text);
    switch (type) {
    case HM_CONF_LABEL:
        return is_label(text, size);
    case HM_CONF_SERVICE:
        return is_service(text);
    case HM_CONF_DOMAIN:
        return is_domain(text, size);
    default:
        return size > 0;
    }
}

void hm_conf_number_print(enum hm_conf_type type, int64_t number, struct hm_buf *out)
{
    const struct unit *units = type == HM_CONF_DURATION ? duration_units : size_units;
    size_t count = type == HM_CONF_DURATION ? COUNT(duration_units)
                   : type == HM_CONF_SIZE   ? COUNT(size_units)
                                            : 0;
    const char *word = type == HM_CONF_DURATION ? "ms" : "";
    int64_t factor = 1;
    for (size_t i = 0; i < count && number != 0; i++) {
        if (number % units[i].factor == 0 && units[i].factor >= factor) {
            factor = units[i].factor;
            word = units[i].word;
        }
    }
    if (type == HM_CONF_SIZE && factor == 1) {
        word = "";
    }
    hm_buf_printf(out, "%lld%s", (long long)(number / factor), word);
}

static bool in_range(const struct hm_conf_key *key, int64_t number, const char *what,
                     struct hm_buf *why)
{
    if ((key->min == 0 && key->max == 0) || (number >= key->min && number <= key->max)) {
        return true;
    }
    hm_buf_printf(why, "%s is not between ", what);
    hm_conf_number_print(key->type, key->min, why);
    hm_buf_append_text(why, " and ");
    hm_conf_number_print(key->type, key->max, why);
    return false;
}

static bool read_choice(const struct hm_conf_key *key, const char *text, struct hm_buf *why)
{
    const char *best = NULL;
    for (const char *const *choice = key->choices; *choice; choice++) {
        if (strcmp(text, *choice) == 0) {
            return true;
        }
        best = hm_conf_nearer(text, best, *choice);
    }
    hm_conf_quote(why, text);
    if (best) {
        hm_buf_printf(why, " is not known: did you mean '%s'?", best);
        return false;
    }
    hm_buf_append_text(why, " is not known: write one of ");
    for (const char *const *choice = key->choices; *choice; choice++) {
        hm_buf_printf(why, "%s%s", choice == key->choices ? "" : ", ", *choice);
    }
    return false;
}

/* What the type alone decides; `text` is the node's own copy. */
static bool read_typed(struct hm_conf_node *node, char *text)
{
    size_t size = strlen(text);
    switch (node->key->type) {
    case HM_CONF_FLAG:
        return read_flag(text, &node->integer);
    case HM_CONF_INTEGER:
        return read_integer(text, &node->integer);
    case HM_CONF_SIZE:
        return read_with_unit(text, size_units, COUNT(size_units), &node->integer);
    case HM_CONF_DURATION:
        return read_with_unit(text, duration_units, COUNT(duration_units), &node->integer);
    case HM_CONF_LABEL:
        return is_label(text, size);
    case HM_CONF_SERVICE:
        return is_service(text);
    case HM_CONF_DOMAIN:
        size -= size > 1 && text[size - 1] == '.';
        text[size] = '\0';
        return is_domain(text, size);
    case HM_CONF_IP:
        return read_ip(text, &node->addr);
    case HM_CONF_ADDRESS:
        return read_address(text, &node->addr);
    case HM_CONF_HOST:
        return read_host(text, &node->addr);
    case HM_CONF_PREFIX:
        return read_prefix(text, &node->addr, &node->integer);
    case HM_CONF_PATH:
        return text[0] == '/';
    default:
        return true;
    }
}

bool hm_conf_value_read(struct hm_conf_node *node, const char *text, struct hm_arena *arena,
                        struct hm_buf *why)
{
    const struct hm_conf_key *key = node->key;
    HM_ASSERT(key->type != HM_CONF_MAP);
    size_t size = strlen(text);
    char *copy = hm_arena_alloc(arena, size + 1, 1);
    memcpy(copy, text, size);
    if (key->type == HM_CONF_CHOICE && !read_choice(key, copy, why)) {
        return false;
    }
    if (!read_typed(node, copy)) {
        hm_conf_quote(why, text);
        hm_buf_printf(why, " is not %s: %s", type_words[key->type].article,
                      type_words[key->type].example);
        return false;
    }
    node->text = copy;
    switch (key->type) {
    case HM_CONF_INTEGER:
    case HM_CONF_SIZE:
    case HM_CONF_DURATION:
        return in_range(key, node->integer, text, why);
    case HM_CONF_TEXT:
        return in_range(key, (int64_t)size, "its length", why);
    default:
        return true;
    }
}
