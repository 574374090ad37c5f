/* Which names are whose: decided entry by entry, alike on every participant of the log. */
#include "core/base/memory.h"
#include "core/base/plant.h"
#include "core/base/utf8.h"
#include "core/names/names.h"

#include <stdio.h>
#include <string.h>

#define SNAPSHOT_FORMAT 2u

/* ---- what is said ---- */

static bool is_good(struct hm_bytes text)
{
    return text.size >= 1 && text.size <= NAMES_TEXT_BYTES_MAX && hm_utf8_is_plain(text);
}

static void refuse(struct hm_outcome *out, enum hm_status status, const char *reason)
{
    out->status = status;
    snprintf(out->reason, sizeof out->reason, "%s", reason);
}

static void refuse_text(struct hm_outcome *out, const char *what)
{
    out->status = HM_BAD_ARGUMENT;
    snprintf(out->reason, sizeof out->reason,
             "%s is no text of 1 to %u bytes of UTF-8 without control characters", what,
             NAMES_TEXT_BYTES_MAX);
}

static struct hm_names_item item_of(const struct names_entry *entry)
{
    return (struct hm_names_item){.name = names_name(entry),
                                  .owner = names_owner(entry),
                                  .index = entry->index,
                                  .time_ms = entry->time_ms};
}

static void say(struct names *names, const struct hm_message *message, struct hm_outcome *out)
{
    hm_buf_clear(&names->answer);
    hm_message_encode(&names->answer, message);
    out->data = hm_buf_view(&names->answer);
}

static void say_holder(struct names *names, const struct names_entry *entry, enum hm_status status,
                       struct hm_outcome *out)
{
    out->status = status;
    out->index = entry->index;
    say(names, &(struct hm_message){.kind = HM_MSG_names_holder, .names_holder = {item_of(entry)}},
        out);
}

/* ---- requests ---- */

static void register_name(struct names *names, const struct hm_log_entry *entry,
                          const struct hm_names_register *request, struct hm_outcome *out)
{
    struct names_map *map = &names->map;
    size_t bytes = map->text_bytes + (map->count + 1) * NAMES_ENTRY_BYTES + request->name.size +
                   request->owner.size;
    struct names_entry found;
    const struct names_entry *known;
    if (!is_good(request->name)) {
        refuse_text(out, "the name");
    } else if (!is_good(request->owner)) {
        refuse_text(out, "the owner");
    } else if ((known = names_map_find(map, request->name, &found))) {
        if (hm_bytes_equal(names_owner(known), request->owner) || hm_plant("name_given_twice")) {
            out->index = known->index;
        } else {
            say_holder(names, known, HM_NAME_TAKEN, out);
        }
    } else if (bytes > (names->bytes_max ? names->bytes_max : NAMES_BYTES_MAX)) {
        refuse(out, HM_FULL, "there is no room for more names; release some");
    } else {
        names_map_add(map, request->name, request->owner, entry->index, entry->time_ms);
    }
}

static void release_name(struct names *names, const struct hm_names_release *request,
                         struct hm_outcome *out)
{
    struct names_entry found;
    const struct names_entry *known = names_map_find(&names->map, request->name, &found);
    if (!known) {
        refuse(out, HM_NOT_FOUND, "nobody has registered this name");
    } else if (!hm_bytes_equal(names_owner(known), request->owner)) {
        say_holder(names, known, HM_DENIED, out);
    } else {
        names_map_erase(&names->map, request->name);
    }
}

static bool decode(struct names *names, struct hm_bytes bytes, struct hm_message *out)
{
    struct hm_reader in = hm_reader_of(bytes);
    hm_arena_clear(&names->arena);
    return hm_message_decode(&in, &names->arena, out) == HM_OK && hm_reader_left(&in) == 0;
}

static void refuse_kind(struct hm_outcome *out)
{
    refuse(out, HM_BAD_ARGUMENT, "role names does not understand this; use `hivemind names`");
}

static void apply(void *context, const struct hm_log_entry *entry, struct hm_outcome *out)
{
    struct names *names = context;
    struct hm_message request;
    bool decoded = decode(names, entry->request, &request);
    if (decoded && request.kind == HM_MSG_names_register) {
        register_name(names, entry, &request.names_register, out);
    } else if (decoded && request.kind == HM_MSG_names_release) {
        release_name(names, &request.names_release, out);
    } else {
        refuse_kind(out);
    }
}

/* It is known whether a request that comes again was refused; why, and when it was registered, is
 * what the names say now. */
static void repeat(void *context, const struct hm_log_entry *entry, struct hm_outcome *out)
{
    struct names *names = context;
    struct hm_message request;
    bool decoded = decode(names, entry->request, &request);
    bool registers = decoded && request.kind == HM_MSG_names_register;
    if (!registers && !(decoded && request.kind == HM_MSG_names_release)) {
        refuse_kind(out);
        return;
    }
    struct hm_bytes name = registers ? request.names_register.name : request.names_release.name;
    struct hm_bytes owner = registers ? request.names_register.owner : request.names_release.owner;
    struct names_entry found;
    const struct names_entry *known = names_map_find(&names->map, name, &found);
    bool own = known && hm_bytes_equal(names_owner(known), owner);
    if (!entry->refused) {
        out->status = HM_OK;
        out->index = registers && own ? known->index : out->index;
        return;
    }
    if (out->status == HM_OK) {
        out->status = registers ? HM_NAME_TAKEN : known ? HM_DENIED : HM_NOT_FOUND;
    }
    if (known && !own && (out->status == HM_NAME_TAKEN || out->status == HM_DENIED)) {
        say_holder(names, known, out->status, out);
    }
}

/* ---- questions ---- */

struct page {
    struct hm_arena *arena;
    const struct hm_names_list *list;
    struct hm_names_item *items; /* room for one more than `most` */
    uint32_t most;
    uint32_t count;
    size_t bytes;
    bool more;
};

static bool add_to_page(void *context, const struct names_entry *entry)
{
    struct page *page = context;
    struct hm_bytes name = names_name(entry);
    if (!hm_bytes_begin(name, page->list->prefix)) {
        return false;
    }
    if (hm_bytes_equal(name, page->list->after)) {
        return true;
    }
    if (page->count == page->most || page->bytes >= NAMES_PAGE_BYTES) {
        page->more = true;
        return false;
    }
    struct hm_names_item *item = &page->items[page->count++];
    uint8_t *text = hm_arena_alloc(page->arena, name.size, 1);
    memcpy(text, name.data, name.size);
    *item = item_of(entry);
    item->name.data = text;
    page->bytes += name.size + names_owner(entry).size + NAMES_ENTRY_BYTES;
    return true;
}

static void list(struct names *names, const struct hm_names_list *question, struct hm_outcome *out)
{
    bool bounded = question->most && question->most < NAMES_PAGE_MAX;
    struct page page = {.arena = &names->arena,
                        .list = question,
                        .most = bounded ? question->most : NAMES_PAGE_MAX};
    struct hm_bytes from = hm_bytes_compare(question->after, question->prefix) > 0
                               ? question->after
                               : question->prefix;
    page.items = hm_arena_alloc(&names->arena, page.most, sizeof *page.items);
    names_map_walk(&names->map, from, add_to_page, &page);
    say(names,
        &(struct hm_message){
            .kind = HM_MSG_names_page,
            .names_page = {.items = page.items, .items_count = page.count, .last = !page.more}},
        out);
}

static void query(void *context, struct hm_bytes question, struct hm_outcome *out)
{
    struct names *names = context;
    struct hm_message message;
    bool decoded = decode(names, question, &message);
    if (decoded && message.kind == HM_MSG_names_list) {
        list(names, &message.names_list, out);
    } else if (decoded && message.kind == HM_MSG_names_check) {
        struct names_entry found;
        const struct names_entry *known =
            names_map_find(&names->map, message.names_check.name, &found);
        if (known) {
            say_holder(names, known, HM_OK, out);
        } else {
            refuse(out, HM_NOT_FOUND, "nobody has registered this name");
        }
    } else {
        refuse_kind(out);
    }
}

/* ---- snapshots: a format (u8), how many (varint), then each name in order: how many bytes it
 * shares with the one before it, how many are its own (u8 each), those; its owner; index and time
 * (varints). An owner is its number (varint), counted from 1 as they first come; there 0, size (u8)
 * and text stand instead. ---- */

struct writing {
    struct hm_buf *out;
    uint32_t owners;
    uint8_t last[NAMES_TEXT_BYTES_MAX]; /* name */
    size_t last_size;
};

#define ENTRY_BYTES_MAX (3 + 2 * NAMES_TEXT_BYTES_MAX + 3 * HM_VARINT_BYTES_MAX)

/* By hand, for all names are written in one turn. */
static bool put_entry(void *context, const struct names_entry *entry)
{
    struct writing *writing = context;
    struct hm_buf *out = writing->out;
    struct hm_bytes name = names_name(entry);
    struct names_owner *owner = entry->owner;
    size_t shared = entry->shared;
    while (shared < writing->last_size && shared < name.size &&
           writing->last[shared] == name.data[shared]) {
        shared++;
    }
    uint8_t *start = hm_buf_extend(out, ENTRY_BYTES_MAX);
    uint8_t *to = start;
    *to++ = (uint8_t)shared;
    *to++ = (uint8_t)(name.size - shared);
    memcpy(to, name.data + shared, name.size - shared);
    to = hm_store_varint(to + name.size - shared, owner->number);
    if (owner->number == 0) {
        owner->number = ++writing->owners;
        *to++ = owner->size;
        memcpy(to, owner->text, owner->size);
        to += owner->size;
    }
    to = hm_store_varint(to, entry->index);
    to = hm_store_varint(to, entry->time_ms);
    out->size -= ENTRY_BYTES_MAX - (size_t)(to - start);
    memcpy(writing->last + shared, name.data + shared, name.size - shared);
    writing->last_size = name.size;
    return true;
}

static void snapshot(void *context, struct hm_buf *out)
{
    const struct names *names = context;
    struct writing writing = {.out = out};
    for (size_t i = 0; i < names->map.owners.slots; i++) {
        if (names->map.owners.items[i]) {
            names->map.owners.items[i]->number = 0;
        }
    }
    hm_put_u8(out, SNAPSHOT_FORMAT);
    hm_put_varint(out, names->map.count);
    names_map_walk(&names->map, (struct hm_bytes){0}, put_entry, &writing);
}

/* What is read is what would be written: nothing is said in two ways. */
struct reading {
    struct hm_reader in;
    struct names_map map;
    struct hm_bytes *owners; /* by number - 1 */
    size_t owner_count;
    size_t owner_capacity;
    uint8_t name[NAMES_TEXT_BYTES_MAX];
    size_t name_size;
};

static bool get_name(struct reading *reading, struct hm_bytes *name)
{
    size_t shared = hm_get_u8(&reading->in);
    struct hm_bytes rest = hm_get_bytes(&reading->in, hm_get_u8(&reading->in));
    if (reading->in.bad || shared > reading->name_size ||
        shared + rest.size > NAMES_TEXT_BYTES_MAX || rest.size == 0 ||
        (shared < reading->name_size && rest.data[0] <= reading->name[shared])) {
        return false; /* not behind the last, or it shares more */
    }
    memcpy(reading->name + shared, rest.data, rest.size);
    reading->name_size = shared + rest.size;
    *name = (struct hm_bytes){reading->name, reading->name_size};
    return is_good(*name);
}

static bool get_owner(struct reading *reading, struct hm_bytes *owner)
{
    uint64_t number = hm_get_varint(&reading->in);
    if (number) {
        *owner =
            number <= reading->owner_count ? reading->owners[number - 1] : (struct hm_bytes){0};
        return number <= reading->owner_count;
    }
    *owner = hm_get_bytes(&reading->in, hm_get_u8(&reading->in));
    if (reading->in.bad || !is_good(*owner) || names_owners_find(&reading->map.owners, *owner)) {
        return false;
    }
    reading->owners = hm_grow(reading->owners, reading->owner_count, &reading->owner_capacity,
                              sizeof *reading->owners);
    reading->owners[reading->owner_count++] = *owner;
    return true;
}

static bool get_entry(struct reading *reading)
{
    struct hm_bytes name;
    struct hm_bytes owner;
    if (!get_name(reading, &name) || !get_owner(reading, &owner)) {
        return false;
    }
    uint64_t index = hm_get_varint(&reading->in);
    uint64_t time_ms = hm_get_varint(&reading->in);
    if (reading->in.bad || time_ms > NAMES_TIME_MAX) {
        return false;
    }
    names_map_add(&reading->map, name, owner, index, time_ms);
    return true;
}

static enum hm_status install(void *context, struct hm_bytes state)
{
    struct names *names = context;
    struct reading reading = {.in = hm_reader_of(state)};
    bool good = hm_get_u8(&reading.in) == SNAPSHOT_FORMAT;
    uint64_t count = hm_get_varint(&reading.in);
    for (uint64_t i = 0; i < count && good; i++) {
        good = get_entry(&reading);
    }
    good = good && !reading.in.bad && hm_reader_left(&reading.in) == 0;
    if (good) {
        names_map_fini(&names->map);
        names->map = reading.map;
    } else {
        names_map_fini(&reading.map);
    }
    hm_free(reading.owners);
    return good ? HM_OK : HM_BAD_BYTES;
}

void names_fini(struct names *names)
{
    names_map_fini(&names->map);
    hm_arena_fini(&names->arena);
    hm_buf_fini(&names->answer);
}

const struct hm_machine names_machine = {
    .apply = apply, .repeat = repeat, .query = query, .snapshot = snapshot, .install = install};
