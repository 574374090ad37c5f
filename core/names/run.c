#include "core/names/run.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <string.h>

/* Of a name: how many bytes it shares with the one before it, how many more it has, how many its
 * fact has (u8 each, so that one who looks for another is past it at once); those that it has more;
 * the fact: owner, and how far index and time lie from the run's (varints, signs lowest). */
#define HEAD_BYTES      3u
#define FACT_BYTES_MAX  25u
#define ENTRY_BYTES_MAX (HEAD_BYTES + NAMES_TEXT_BYTES_MAX + FACT_BYTES_MAX)
#define RUN_BYTES_FULL  512u
#define STEP_BYTES      128u /* its memory grows by so much */

/* An entry as it stands in a run. */
struct place {
    size_t at;
    size_t end;
    size_t shared;
    struct hm_bytes rest;
    struct hm_bytes fact;
};

static bool read_place(const struct names_run *run, size_t at, struct place *out)
{
    if (at == run->size) {
        return false;
    }
    const uint8_t *bytes = run->bytes + at;
    *out = (struct place){.at = at,
                          .end = at + HEAD_BYTES + bytes[1] + bytes[2],
                          .shared = bytes[0],
                          .rest = {bytes + HEAD_BYTES, bytes[1]},
                          .fact = {bytes + HEAD_BYTES + bytes[1], bytes[2]}};
    return true;
}

static uint64_t fold(uint64_t value, uint64_t base)
{
    uint64_t away = value - base;
    return away >> 63 ? ~away << 1 | 1 : away << 1;
}

static uint64_t unfold(uint64_t folded, uint64_t base)
{
    uint64_t away = folded >> 1;
    return base + (folded & 1 ? ~away : away);
}

/* By hand: the bytes are our own, and who makes a snapshot reads all of them in one turn. */
static uint64_t read_number(const uint8_t **at)
{
    uint64_t value = *(*at)++;
    if (value < 0x80) {
        return value;
    }
    value &= 0x7f;
    for (unsigned shift = 7;; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
}

static struct names_fact fact_of(const struct names_run *run, struct hm_bytes bytes)
{
    const uint8_t *at = bytes.data;
    struct names_fact fact = {.owner = (uint32_t)read_number(&at)};
    fact.index = unfold(read_number(&at), run->index);
    fact.time_ms = unfold(read_number(&at), run->time_ms);
    HM_ASSERT(at == bytes.data + bytes.size);
    return fact;
}

/* ---- found ---- */

/* Where a name is or would stand. */
struct spot {
    size_t at;     /* of the first entry that is not before it */
    size_t shared; /* bytes that it has in common with the entry before that */
    size_t beside; /* and with that entry */
    bool is_there;
};

static size_t count_shared(struct hm_bytes a, struct hm_bytes b)
{
    size_t shared = 0;
    while (shared < a.size && shared < b.size && a.data[shared] == b.data[shared]) {
        shared++;
    }
    return shared;
}

/* No name is put together for it: one that shares more with its predecessor than `name` does stands
 * to `name` as that, one that shares less has passed it. */
static struct spot seek(const struct names_run *run, struct hm_bytes name)
{
    struct place place;
    struct spot spot = {0};
    while (read_place(run, spot.at, &place)) {
        if (place.shared == spot.shared) {
            struct hm_bytes rest = {name.data + spot.shared, name.size - spot.shared};
            size_t more = count_shared(rest, place.rest);
            bool is_before = more < rest.size &&
                             (more == place.rest.size || place.rest.data[more] < rest.data[more]);
            if (!is_before) {
                spot.beside = spot.shared + more;
                spot.is_there = more == rest.size && more == place.rest.size;
                return spot;
            }
            spot.shared += more;
        } else if (place.shared < spot.shared) {
            spot.beside = place.shared;
            return spot;
        }
        spot.at = place.end;
    }
    return spot;
}

struct hm_bytes names_run_first(const struct names_run *run)
{
    HM_ASSERT(run->count > 0);
    return (struct hm_bytes){run->bytes + HEAD_BYTES, run->bytes[1]};
}

bool names_run_find(const struct names_run *run, struct hm_bytes name, struct names_fact *out)
{
    struct place place;
    struct spot spot = seek(run, name);
    if (!spot.is_there || !read_place(run, spot.at, &place)) {
        return false;
    }
    *out = fact_of(run, place.fact);
    return true;
}

/* ---- changed ---- */

static void fit(struct names_run *run, size_t size)
{
    size_t capacity = (size + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
    HM_ASSERT(capacity <= UINT16_MAX);
    if (capacity != run->capacity) {
        run->bytes = hm_resize(run->bytes, capacity, 1);
        run->capacity = (uint16_t)capacity;
    }
}

/* `bytes`, which are not of the run, in place of what stands from `at` to `end`. */
static void splice(struct names_run *run, size_t at, size_t end, const uint8_t *bytes, size_t size)
{
    size_t behind = run->size - end;
    size_t whole = at + size + behind;
    if (whole > run->capacity) {
        fit(run, whole);
    }
    memmove(run->bytes + at + size, run->bytes + end, behind);
    memcpy(run->bytes + at, bytes, size);
    run->size = (uint16_t)whole;
    if (whole + 2 * STEP_BYTES < run->capacity) {
        fit(run, whole);
    }
}

/* `first` and `second` are what the name has more. */
static uint8_t *put_name(uint8_t *to, size_t shared, struct hm_bytes first, struct hm_bytes second,
                         size_t fact_bytes)
{
    *to++ = (uint8_t)shared;
    *to++ = (uint8_t)(first.size + second.size);
    *to++ = (uint8_t)fact_bytes;
    memcpy(to, first.data, first.size);
    memcpy(to + first.size, second.data, second.size);
    return to + first.size + second.size;
}

static size_t put_fact(const struct names_run *run, uint8_t *to, const struct names_fact *fact)
{
    uint8_t *end = hm_store_varint(to, fact->owner);
    end = hm_store_varint(end, fold(fact->index, run->index));
    end = hm_store_varint(end, fold(fact->time_ms, run->time_ms));
    return (size_t)(end - to);
}

bool names_run_add(struct names_run *run, struct hm_bytes name, const struct names_fact *fact)
{
    static const struct hm_bytes nothing = {(const uint8_t *)"", 0};
    uint8_t bytes[2 * ENTRY_BYTES_MAX];
    uint8_t numbers[FACT_BYTES_MAX];
    struct place next;
    struct spot spot = seek(run, name);
    HM_ASSERT(!spot.is_there && !names_run_is_full(run));
    if (run->count == 0) {
        run->index = fact->index;
        run->time_ms = fact->time_ms;
    }
    size_t size = put_fact(run, numbers, fact);
    struct hm_bytes rest = {name.data + spot.shared, name.size - spot.shared};
    uint8_t *end = put_name(bytes, spot.shared, rest, nothing, size);
    memcpy(end, numbers, size);
    end += size;
    size_t old_end = spot.at;
    if (read_place(run, spot.at, &next)) {
        /* What stands behind it may share more with it than with what stood before. */
        size_t more = spot.beside > next.shared ? spot.beside - next.shared : 0;
        struct hm_bytes left = {next.rest.data + more, next.rest.size - more};
        end = put_name(end, next.shared + more, left, nothing, next.fact.size);
        old_end = (size_t)(next.fact.data - run->bytes);
    }
    bool is_last = spot.at == run->size;
    splice(run, spot.at, old_end, bytes, (size_t)(end - bytes));
    run->count++;
    return is_last;
}

bool names_run_erase(struct names_run *run, struct hm_bytes name)
{
    uint8_t bytes[ENTRY_BYTES_MAX];
    struct place place;
    struct place next;
    struct spot spot = seek(run, name);
    if (!spot.is_there || !read_place(run, spot.at, &place)) {
        return false;
    }
    uint8_t *end = bytes;
    size_t old_end = place.end;
    if (read_place(run, place.end, &next)) {
        /* What it took from the one that goes is its own now. */
        size_t lent = next.shared > place.shared ? next.shared - place.shared : 0;
        struct hm_bytes taken = {place.rest.data, lent};
        end = put_name(bytes, next.shared - lent, taken, next.rest, next.fact.size);
        old_end = (size_t)(next.fact.data - run->bytes);
    }
    splice(run, place.at, old_end, bytes, (size_t)(end - bytes));
    run->count--;
    return true;
}

bool names_run_is_full(const struct names_run *run)
{
    return run->size > RUN_BYTES_FULL;
}

struct names_run *names_run_split(struct names_run *run, bool at_end)
{
    uint8_t bytes[ENTRY_BYTES_MAX];
    struct names_cursor cursor = names_run_begin(run);
    size_t wanted = at_end ? run->count - 1u : run->count / 2u;
    size_t at = 0;
    struct place place;
    HM_ASSERT(run->count >= 2);
    for (size_t i = 0; i <= wanted; i++) {
        at = cursor.at;
        names_run_next(&cursor);
    }
    bool found = read_place(run, at, &place);
    HM_ASSERT(found);
    struct names_run *right = names_run_new();
    right->index = run->index;
    right->time_ms = run->time_ms;
    right->count = (uint16_t)(run->count - wanted);
    struct hm_bytes name = {cursor.text, cursor.size};
    uint8_t *end = put_name(bytes, 0, name, (struct hm_bytes){bytes, 0}, place.fact.size);
    size_t size = (size_t)(end - bytes);
    size_t facts = (size_t)(place.fact.data - run->bytes);
    splice(right, 0, 0, bytes, size);
    splice(right, size, size, run->bytes + facts, run->size - facts);
    run->count = (uint16_t)wanted;
    run->size = (uint16_t)at;
    fit(run, at);
    return right;
}

/* ---- gone through ---- */

struct names_cursor names_run_begin(const struct names_run *run)
{
    return (struct names_cursor){.run = run};
}

bool names_run_next(struct names_cursor *cursor)
{
    struct place place;
    if (!read_place(cursor->run, cursor->at, &place)) {
        return false;
    }
    HM_ASSERT(place.shared <= cursor->size &&
              place.shared + place.rest.size <= NAMES_TEXT_BYTES_MAX);
    memcpy(cursor->text + place.shared, place.rest.data, place.rest.size);
    cursor->size = (uint8_t)(place.shared + place.rest.size);
    cursor->shared = (uint8_t)place.shared;
    cursor->fact = fact_of(cursor->run, place.fact);
    cursor->at = place.end;
    return true;
}

struct names_run *names_run_new(void)
{
    return hm_alloc(1, sizeof(struct names_run));
}

void names_run_free(struct names_run *run)
{
    hm_free(run->bytes);
    hm_free(run);
}
