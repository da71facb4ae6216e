/* SPDX-License-Identifier: MIT */
/* How it works: subscribers hang on filters, one per set of ids. A report is made into one message
 * per filter, or into one for all filters that it matches as a whole, and each subscriber's queue
 * takes a reference. A subscriber that has lost events gets a message of its own, with the count;
 * only that one is copied. */
#include "controller/hub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/spec/spec.h"

/* Field numbers of diagnose.v1.SubscribeResponse. */
enum {
    RESPONSE_BATCHES = 1,
    RESPONSE_LOST = 2,
    RESPONSE_STARTED = 3,
};

struct filter {
    struct diag_map ids; /* id -> the filter; empty: everything */
    char *key;           /* of the hub's filters: the sorted ids */
    struct diag_hub_subscriber *subscribers;
};

struct diag_hub_subscriber {
    struct diag_hub *hub;
    struct filter *filter;
    struct diag_hub_subscriber *next;
    struct diag_hub_sink sink;
    uint64_t lost;
    /* Sizes of the messages that were written last, for the sum over those that are queued. */
    size_t sizes[DIAG_HUB_QUEUE_MAX];
    size_t write_count;
};

struct diag_hub {
    struct diag_map filters; /* key -> struct filter */
    size_t subscriber_count;
    diag_hub_wanted_fn *listener;
    void *listener_context;
};

enum diag_status diag_hub_new(struct diag_hub **out, struct diag_error *err) {
    struct diag_hub *hub = calloc(1, sizeof *hub);

    if (hub == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "hub");
    *out = hub;
    return DIAG_OK;
}

void diag_hub_free(struct diag_hub *hub) {
    if (hub == NULL)
        return;
    diag_map_done(&hub->filters);
    free(hub);
}

void diag_hub_set_listener(struct diag_hub *hub, diag_hub_wanted_fn *fn, void *context) {
    hub->listener = fn;
    hub->listener_context = context;
}

bool diag_hub_is_wanted(const struct diag_hub *hub) {
    return hub->subscriber_count > 0;
}

/* ---- filters ---- */

static void filter_free(struct filter *filter) {
    if (filter == NULL)
        return;
    diag_map_done(&filter->ids);
    free(filter->key);
    free(filter);
}
DIAG_DEFINE_FREEP(filter, struct filter)

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Ids have no comma, so that the sorted ids joined by commas name their set. */
static char *make_key(const char *const *spec_ids, size_t count) {
    DIAG_CLEANUP(diag_freep) const char **sorted = calloc(count + 1, sizeof *sorted);
    DIAG_CLEANUP(diag_buffer_done) struct diag_buffer key = {0};

    if (sorted == NULL)
        return NULL;
    if (count > 0)
        memcpy(sorted, spec_ids, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_texts);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(sorted[i], sorted[i - 1]) == 0)
            continue;
        if (diag_buffer_append(&key, diag_bytes_from_text(sorted[i])) != DIAG_OK ||
            diag_buffer_append(&key, diag_bytes_from_text(",")) != DIAG_OK)
            return NULL;
    }
    return diag_bytes_dup_text(diag_buffer_bytes(&key));
}

static enum diag_status find_filter(struct diag_hub *hub, const char *const *spec_ids, size_t count,
                                    struct filter **out, struct diag_error *err) {
    DIAG_CLEANUP(filter_freep) struct filter *filter = calloc(1, sizeof *filter);
    struct filter *same;

    if (filter == NULL || (filter->key = make_key(spec_ids, count)) == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "subscriber");
    same = diag_map_get(&hub->filters, filter->key);
    if (same != NULL) {
        *out = same;
        return DIAG_OK;
    }
    for (size_t i = 0; i < count; i++)
        if (diag_map_put(&filter->ids, spec_ids[i], filter) != DIAG_OK)
            return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "subscriber");
    if (diag_map_put(&hub->filters, filter->key, filter) != DIAG_OK)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "subscriber");
    *out = DIAG_TAKE_PTR(filter);
    return DIAG_OK;
}

static void drop_if_unused(struct diag_hub *hub, struct filter *filter) {
    if (filter->subscribers != NULL)
        return;
    (void)diag_map_remove(&hub->filters, filter->key);
    filter_free(filter);
}

/* ---- queues ---- */

static size_t queued_bytes(const struct diag_hub_subscriber *subscriber) {
    size_t queued = subscriber->sink.queued(subscriber->sink.stream);
    size_t sum = 0;

    for (size_t i = 0; i < queued && i < subscriber->write_count && i < DIAG_HUB_QUEUE_MAX; i++)
        sum += subscriber->sizes[(subscriber->write_count - 1 - i) % DIAG_HUB_QUEUE_MAX];
    return sum;
}

/* False: the message does not fit. */
static bool enqueue(struct diag_hub_subscriber *subscriber, struct diag_rpc_message *message) {
    size_t size = diag_rpc_message_bytes(message).size;

    if (queued_bytes(subscriber) + size > DIAG_HUB_QUEUE_BYTES ||
        subscriber->sink.write(subscriber->sink.stream, message) != DIAG_OK)
        return false;
    subscriber->sizes[subscriber->write_count++ % DIAG_HUB_QUEUE_MAX] = size;
    return true;
}

/* Sends the fields in `fields` together with the count of lost events. */
static bool enqueue_with_lost(struct diag_hub_subscriber *subscriber, struct diag_bytes fields) {
    struct diag_message_builder builder = {0};
    struct diag_rpc_message *message = NULL;
    bool is_sent = false;

    diag_message_builder_put_uint(&builder, RESPONSE_LOST, subscriber->lost);
    diag_message_builder_put_raw(&builder, fields);
    if (diag_message_builder_take(&builder, &message, NULL) == DIAG_OK)
        is_sent = enqueue(subscriber, message);
    diag_rpc_message_unref(message);
    diag_message_builder_done(&builder);
    if (is_sent)
        subscriber->lost = 0;
    return is_sent;
}

void diag_hub_writable(struct diag_hub_subscriber *subscriber) {
    if (subscriber->lost > 0)
        (void)enqueue_with_lost(subscriber, diag_bytes_make(NULL, 0));
}

/* A full queue is found out before a copy is made: a slow subscriber costs no more than others. */
static bool deliver(struct diag_hub_subscriber *subscriber, struct diag_rpc_message *message) {
    if (subscriber->lost == 0)
        return enqueue(subscriber, message);
    if (subscriber->sink.queued(subscriber->sink.stream) >= DIAG_HUB_QUEUE_MAX)
        return false;
    return enqueue_with_lost(subscriber, diag_rpc_message_bytes(message));
}

/* ---- subscribers ---- */

static enum diag_status check_ids(const char *const *spec_ids, size_t count,
                                  struct diag_error *err) {
    if (count > DIAG_HUB_FILTER_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "spec_ids: %zu, at most %d are allowed",
                              count, DIAG_HUB_FILTER_MAX);
    for (size_t i = 0; i < count; i++) {
        enum diag_status status = diag_spec_validate_id(spec_ids[i], err);
        if (status != DIAG_OK) {
            diag_error_prefix(err, "spec_ids[%zu]", i);
            return status;
        }
    }
    return DIAG_OK;
}

static enum diag_status send_started(struct diag_hub_subscriber *subscriber,
                                     struct diag_error *err) {
    struct diag_message_builder builder = {0};
    struct diag_rpc_message *message = NULL;
    enum diag_status status;

    diag_message_builder_put_uint(&builder, RESPONSE_STARTED, 1);
    status = diag_message_builder_take(&builder, &message, err);
    if (status == DIAG_OK && !enqueue(subscriber, message))
        status = diag_error_set(err, DIAG_ERR_CLOSED, 0, "the subscriber has gone");
    diag_rpc_message_unref(message);
    diag_message_builder_done(&builder);
    return status;
}

enum diag_status diag_hub_subscribe(struct diag_hub *hub, const char *const *spec_ids,
                                    size_t spec_id_count, const struct diag_hub_sink *sink,
                                    struct diag_hub_subscriber **out, struct diag_error *err) {
    DIAG_CLEANUP(diag_freep) struct diag_hub_subscriber *subscriber = NULL;
    enum diag_status status = check_ids(spec_ids, spec_id_count, err);

    if (status != DIAG_OK)
        return status;
    if (hub->subscriber_count >= DIAG_HUB_SUBSCRIBERS_MAX)
        return diag_error_set(err, DIAG_ERR_FULL, 0,
                              "there are %d subscribers, and no more are allowed",
                              DIAG_HUB_SUBSCRIBERS_MAX);
    subscriber = calloc(1, sizeof *subscriber);
    if (subscriber == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "subscriber");
    subscriber->hub = hub;
    subscriber->sink = *sink;
    status = send_started(subscriber, err);
    if (status == DIAG_OK)
        status = find_filter(hub, spec_ids, spec_id_count, &subscriber->filter, err);
    if (status != DIAG_OK)
        return status;
    subscriber->next = subscriber->filter->subscribers;
    subscriber->filter->subscribers = subscriber;
    *out = DIAG_TAKE_PTR(subscriber);
    if (hub->subscriber_count++ == 0 && hub->listener != NULL)
        hub->listener(hub->listener_context, true);
    return DIAG_OK;
}

void diag_hub_unsubscribe(struct diag_hub_subscriber *subscriber) {
    struct diag_hub_subscriber **link;
    struct diag_hub *hub;

    if (subscriber == NULL)
        return;
    hub = subscriber->hub;
    link = &subscriber->filter->subscribers;
    while (*link != subscriber)
        link = &(*link)->next;
    *link = subscriber->next;
    drop_if_unused(hub, subscriber->filter);
    free(subscriber);
    if (--hub->subscriber_count == 0 && hub->listener != NULL)
        hub->listener(hub->listener_context, false);
}

/* ---- publishing ---- */

/* One report on its way to the subscribers. */
struct publication {
    const struct diag_event_batch *batches;
    size_t batch_count;
    uint64_t item_count;           /* events and aggregates of all batches */
    uint64_t lost;                 /* of all batches */
    struct diag_rpc_message *full; /* with everything; made when the first filter needs it */
};

/* Writes what of the batches passes `ids`; NULL: all of it. A batch that only says what its
 * process lost passes too: nobody knows whose events these were. */
static struct diag_rpc_message *make_message(const struct publication *publication,
                                             const struct diag_map *ids) {
    struct diag_message_builder builder = {0};
    struct diag_rpc_message *message = NULL;

    for (size_t i = 0; i < publication->batch_count; i++) {
        const struct diag_event_batch *batch = &publication->batches[i];
        uint64_t items = diag_event_batch_item_count(batch);
        uint64_t matching = ids != NULL ? diag_event_batch_match(batch, ids) : items;

        if (matching == 0 && batch->lost == 0)
            continue;
        if (matching == items)
            diag_message_builder_put_bytes(&builder, RESPONSE_BATCHES, batch->encoded);
        else
            diag_event_batch_filter(batch, ids, &builder, RESPONSE_BATCHES);
    }
    if (diag_message_builder_take(&builder, &message, NULL) != DIAG_OK)
        message = NULL;
    diag_message_builder_done(&builder);
    return message;
}

static uint64_t count_matching(const struct publication *publication, const struct diag_map *ids) {
    uint64_t count = 0;

    for (size_t i = 0; i < publication->batch_count; i++)
        count += diag_event_batch_match(&publication->batches[i], ids);
    return count;
}

static void publish_to(const struct filter *filter, struct publication *publication) {
    uint64_t item_count =
        filter->ids.count > 0 ? count_matching(publication, &filter->ids) : publication->item_count;
    struct diag_rpc_message *message;

    if (item_count == 0 && publication->lost == 0)
        return;
    if (item_count == publication->item_count) {
        if (publication->full == NULL)
            publication->full = make_message(publication, NULL);
        message = publication->full != NULL ? diag_rpc_message_ref(publication->full) : NULL;
    } else {
        message = make_message(publication, &filter->ids);
    }
    for (struct diag_hub_subscriber *subscriber = filter->subscribers; subscriber != NULL;
         subscriber = subscriber->next)
        if (message == NULL || !deliver(subscriber, message))
            subscriber->lost += item_count + publication->lost;
    diag_rpc_message_unref(message);
}

void diag_hub_publish(struct diag_hub *hub, const struct diag_event_batch *batches,
                      size_t batch_count) {
    struct publication publication = {.batches = batches, .batch_count = batch_count};
    const struct filter *filter;
    size_t cursor = 0;

    for (size_t i = 0; i < batch_count; i++) {
        publication.item_count += diag_event_batch_item_count(&batches[i]);
        publication.lost += batches[i].lost;
    }
    while ((filter = diag_map_next(&hub->filters, &cursor)) != NULL)
        publish_to(filter, &publication);
    diag_rpc_message_unref(publication.full);
}
