/* SPDX-License-Identifier: MIT */
#include "sidecar/roster.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/cleanup.h"
#include "lib/base/uid.h"
#include "lib/base/wire.h"

enum {
    SYNC_REQUEST_FIELD_REPORT = 3,
    REPORT_FIELD_CHANGED = 1,
    REPORT_FIELD_ENDED = 2,
};
#define FIELD_ROOM 11

struct member {
    char uid[DIAG_UID_SIZE];
    struct diag_buffer encoded; /* ProcessStatus */
    bool is_news;
    bool has_ended;
};

static void member_free(struct member *member) {
    if (member == NULL)
        return;
    diag_buffer_done(&member->encoded);
    free(member);
}

void diag_roster_done(struct diag_roster *roster) {
    size_t cursor = 0;
    struct member *member;

    while ((member = diag_map_next(&roster->by_uid, &cursor)) != NULL)
        member_free(member);
    diag_map_done(&roster->by_uid);
    *roster = (struct diag_roster){0};
}

static void set_news(struct diag_roster *roster, struct member *member, bool is_news) {
    if (member->is_news == is_news)
        return;
    member->is_news = is_news;
    if (is_news)
        roster->news_count++;
    else
        roster->news_count--;
}

static void forget(struct diag_roster *roster, struct member *member) {
    set_news(roster, member, false);
    diag_map_remove(&roster->by_uid, member->uid);
    member_free(member);
}

enum diag_status diag_roster_update(struct diag_roster *roster, const char *uid,
                                    struct diag_buffer *encoded) {
    struct member *member = diag_map_get(&roster->by_uid, uid);

    if (member == NULL) {
        member = calloc(1, sizeof *member);
        if (member == NULL || diag_map_put(&roster->by_uid, uid, member) != DIAG_OK) {
            free(member);
            diag_buffer_done(encoded);
            return DIAG_ERR_NO_MEMORY;
        }
        snprintf(member->uid, sizeof member->uid, "%s", uid);
    }
    diag_buffer_done(&member->encoded);
    member->encoded = *encoded;
    *encoded = (struct diag_buffer){0};
    member->has_ended = false;
    set_news(roster, member, true);
    return DIAG_OK;
}

void diag_roster_end(struct diag_roster *roster, const char *uid) {
    struct member *member = diag_map_get(&roster->by_uid, uid);

    if (member == NULL)
        return;
    diag_buffer_done(&member->encoded);
    member->has_ended = true;
    set_news(roster, member, true);
}

void diag_roster_restart(struct diag_roster *roster) {
    struct member *member;
    size_t cursor = 0;

    while ((member = diag_map_next(&roster->by_uid, &cursor)) != NULL) {
        if (member->has_ended)
            forget(roster, member);
        else
            set_news(roster, member, true);
    }
}

static size_t room_of(const struct member *member) {
    return FIELD_ROOM + (member->has_ended ? DIAG_UID_SIZE : member->encoded.size);
}

/* What the next report will hold: as many as fit, at least one. */
static size_t size_of_report(const struct diag_roster *roster) {
    struct member *member;
    size_t room = FIELD_ROOM, cursor = 0;

    while ((member = diag_map_next(&roster->by_uid, &cursor)) != NULL) {
        if (!member->is_news)
            continue;
        if (room > FIELD_ROOM && room + room_of(member) > DIAG_ROSTER_REPORT_SIZE)
            break;
        room += room_of(member);
    }
    return room;
}

struct diag_rpc_message *diag_roster_report(struct diag_roster *roster) {
    struct diag_rpc_message *message;
    struct diag_wire_writer writer;
    struct member *member;
    size_t room = size_of_report(roster), used = FIELD_ROOM, cursor = 0, mark;
    DIAG_CLEANUP(diag_freep) uint8_t *data = malloc(room);

    if (data == NULL)
        return NULL;
    writer = diag_wire_writer_make(data, room);
    mark = diag_wire_begin(&writer, SYNC_REQUEST_FIELD_REPORT);
    while (used < room && (member = diag_map_next(&roster->by_uid, &cursor)) != NULL) {
        if (!member->is_news)
            continue;
        used += room_of(member);
        if (member->has_ended)
            diag_wire_put_bytes(&writer, REPORT_FIELD_ENDED, diag_bytes_from_text(member->uid));
        else
            diag_wire_put_bytes(&writer, REPORT_FIELD_CHANGED, diag_buffer_bytes(&member->encoded));
    }
    diag_wire_end(&writer, mark);
    message = diag_rpc_message_copy(diag_bytes_make(data, diag_wire_size(&writer)));
    if (message == NULL)
        return NULL;
    /* The same members in the same order, now that nothing can fail. */
    cursor = 0;
    used = FIELD_ROOM;
    while (used < room && (member = diag_map_next(&roster->by_uid, &cursor)) != NULL) {
        if (!member->is_news)
            continue;
        used += room_of(member);
        if (member->has_ended)
            forget(roster, member);
        else
            set_news(roster, member, false);
    }
    return message;
}
