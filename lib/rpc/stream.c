/* SPDX-License-Identifier: MIT */
/* How a call lives: gRPC takes operations in batches, and each batch comes out of the completion
 * queue once. A stream has up to three batches outstanding, each with its own tag:
 *
 *   end      outstanding from the beginning, and completed when the call is over: at the server
 *            "receive close", at the client "receive status" (with the initial metadata);
 *   send     the initial metadata, one message and the end of sending, as far as there are any;
 *   receive  one message.
 *
 * The stream is over when none is left: nothing of gRPC's points to it any more. */
#include "lib/rpc/stream.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rpc/call.h"
#include "lib/rpc/loop_queue.h"

struct queued {
    struct queued *next;
    struct diag_rpc_message *message;
};

struct diag_rpc_stream {
    struct diag_loop *loop; /* server */
    struct diag_rpc_call_list *list;
    struct diag_rpc_stream *next, *previous; /* in the list */
    grpc_call *call;
    char *peer; /* NULL: not asked for yet */
    bool is_server;
    unsigned batch_count; /* outstanding, and a posted on_input_end */

    const struct diag_rpc_stream_events *events; /* NULL: nobody to tell */
    void *context;

    struct queued *first, *last; /* the first one is being sent, if sent_buffer is not NULL */
    size_t queued_count, max_queued;
    grpc_byte_buffer *sent_buffer;
    uint32_t metadata_flags;
    bool is_sending;
    bool has_sent_metadata, has_sent_end;

    bool is_finishing; /* no more writes */
    int finish_code;
    char *finish_message; /* NULL: "" */

    grpc_byte_buffer *received_buffer;

    bool is_ending;           /* cancelled or broken: no events but on_closed */
    int is_cancelled_by_peer; /* server; filled by gRPC */
    grpc_status_code code;    /* this and the following: client; filled by gRPC */
    grpc_slice details;
    grpc_metadata_array initial_metadata, trailing_metadata;

    struct diag_loop_tag end_tag, send_tag, receive_tag;
};

static void pump(struct diag_rpc_stream *stream);

/* ---- the list ---- */

static void list_add(struct diag_rpc_call_list *list, struct diag_rpc_stream *stream) {
    stream->next = list->first;
    if (list->first != NULL)
        list->first->previous = stream;
    list->first = stream;
    list->is_empty = false;
}

static void list_remove(struct diag_rpc_call_list *list, struct diag_rpc_stream *stream) {
    if (stream->previous != NULL)
        stream->previous->next = stream->next;
    else
        list->first = stream->next;
    if (stream->next != NULL)
        stream->next->previous = stream->previous;
    list->is_empty = list->first == NULL;
}

void diag_rpc_call_list_cancel(struct diag_rpc_call_list *list) {
    for (struct diag_rpc_stream *stream = list->first; stream != NULL; stream = stream->next)
        diag_rpc_stream_cancel(stream);
}

/* ---- the end ---- */

static void drop_first_queued(struct diag_rpc_stream *stream) {
    struct queued *first = stream->first;

    stream->first = first->next;
    if (stream->first == NULL)
        stream->last = NULL;
    stream->queued_count--;
    diag_rpc_message_unref(first->message);
    free(first);
}

static void free_stream(struct diag_rpc_stream *stream) {
    while (stream->first != NULL)
        drop_first_queued(stream);
    if (stream->sent_buffer != NULL)
        grpc_byte_buffer_destroy(stream->sent_buffer);
    if (stream->received_buffer != NULL)
        grpc_byte_buffer_destroy(stream->received_buffer);
    grpc_slice_unref(stream->details);
    grpc_metadata_array_destroy(&stream->initial_metadata);
    grpc_metadata_array_destroy(&stream->trailing_metadata);
    grpc_call_unref(stream->call);
    gpr_free(stream->peer);
    free(stream->finish_message);
    free(stream);
}

static void report_end(struct diag_rpc_stream *stream) {
    struct diag_rpc_result result = {stream->finish_code, stream->finish_message};
    char *details = NULL;

    if (!stream->is_server) {
        details = grpc_slice_to_c_string(stream->details);
        result = (struct diag_rpc_result){(int)stream->code, details};
    } else if (stream->is_cancelled_by_peer || !stream->is_finishing) {
        result = (struct diag_rpc_result){GRPC_STATUS_CANCELLED, "the call was cancelled"};
    }
    if (result.message == NULL)
        result.message = "";
    stream->events->on_closed(stream->context, stream, &result);
    gpr_free(details);
}

/* A batch has come out of the queue and is dealt with; with the last one the stream goes. */
static void end_batch(struct diag_rpc_stream *stream) {
    if (--stream->batch_count > 0)
        return;
    stream->is_ending = true;
    list_remove(stream->list, stream);
    if (stream->events != NULL)
        report_end(stream);
    free_stream(stream);
}

/* A refused batch is a defect of ours, such as two sends at once; the call must still end. */
static void start_batch(struct diag_rpc_stream *stream, const grpc_op *ops, size_t op_count,
                        struct diag_loop_tag *tag) {
    grpc_call_error error;

    stream->batch_count++;
    error = grpc_call_start_batch(stream->call, ops, op_count, diag_loop_tag_give(tag), NULL);
    if (error == GRPC_CALL_OK)
        return;
    stream->batch_count--;
    stream->is_ending = true;
    grpc_call_cancel_with_status(stream->call, GRPC_STATUS_INTERNAL,
                                 grpc_call_error_to_string(error), NULL);
}

static void on_end(void *context, bool is_ok) {
    struct diag_rpc_stream *stream = context;

    (void)is_ok;
    /* A client may still have messages to read that came before the status. */
    if (stream->is_server)
        stream->is_ending = true;
    end_batch(stream);
}

/* ---- sending ---- */

/* May be called on any thread of gRPC's. */
static void message_slice_done(void *message) {
    DIAG_LOOP_ACQUIRE(message);
    diag_rpc_message_unref(message);
}

/* The bytes are shared, not copied. */
static grpc_byte_buffer *buffer_from_message(struct diag_rpc_message *message) {
    struct diag_bytes bytes = diag_rpc_message_bytes(message);
    grpc_byte_buffer *buffer;
    grpc_slice slice;

    DIAG_LOOP_RELEASE(message);
    slice = grpc_slice_new_with_user_data((void *)bytes.data, bytes.size, message_slice_done,
                                          diag_rpc_message_ref(message));
    buffer = grpc_raw_byte_buffer_create(&slice, 1); /* takes its own reference */
    grpc_slice_unref(slice);
    return buffer;
}

static void add_end(struct diag_rpc_stream *stream, grpc_op *op, grpc_slice *details) {
    stream->has_sent_end = true;
    if (!stream->is_server) {
        op->op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
        return;
    }
    if (stream->finish_message != NULL)
        *details = grpc_slice_from_copied_string(stream->finish_message);
    op->op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    op->data.send_status_from_server.status = (grpc_status_code)stream->finish_code;
    op->data.send_status_from_server.status_details = details;
}

static void send_batch(struct diag_rpc_stream *stream) {
    grpc_op ops[3] = {{0}};
    grpc_slice details = grpc_empty_slice();
    size_t op_count = 0;

    if (!stream->has_sent_metadata) {
        stream->has_sent_metadata = true;
        ops[op_count].op = GRPC_OP_SEND_INITIAL_METADATA;
        ops[op_count++].flags = stream->metadata_flags;
    }
    if (stream->first != NULL) {
        stream->sent_buffer = buffer_from_message(stream->first->message);
        ops[op_count].op = GRPC_OP_SEND_MESSAGE;
        ops[op_count++].data.send_message.send_message = stream->sent_buffer;
    }
    if (stream->is_finishing && !stream->has_sent_end && stream->queued_count <= 1)
        add_end(stream, &ops[op_count++], &details);
    if (op_count > 0) {
        stream->is_sending = true;
        start_batch(stream, ops, op_count, &stream->send_tag);
    }
    grpc_slice_unref(details);
}

/* Sends what there is, unless something is being sent. */
static void pump(struct diag_rpc_stream *stream) {
    bool has_end = stream->is_finishing && !stream->has_sent_end;

    if (stream->is_sending || stream->is_ending)
        return;
    if (stream->first != NULL || has_end)
        send_batch(stream);
}

static void on_sent(void *context, bool is_ok) {
    struct diag_rpc_stream *stream = context;
    bool had_message = stream->sent_buffer != NULL;

    stream->is_sending = false;
    if (had_message) {
        grpc_byte_buffer_destroy(stream->sent_buffer);
        stream->sent_buffer = NULL;
        drop_first_queued(stream);
    }
    if (!is_ok) {
        /* The call is over, which the end batch will say. A client still reads. */
        stream->is_finishing = true;
        stream->has_sent_end = true;
    } else {
        pump(stream);
        if (had_message && stream->first == NULL && !stream->is_finishing && !stream->is_ending &&
            stream->events->on_writable != NULL)
            stream->events->on_writable(stream->context, stream);
    }
    end_batch(stream);
}

static enum diag_status append(struct diag_rpc_stream *stream, struct diag_rpc_message *message) {
    struct queued *queued;

    if (stream->is_finishing || stream->is_ending)
        return DIAG_ERR_CLOSED;
    if (stream->queued_count >= stream->max_queued)
        return DIAG_ERR_FULL;
    queued = malloc(sizeof *queued);
    if (queued == NULL)
        return DIAG_ERR_NO_MEMORY;
    *queued = (struct queued){NULL, diag_rpc_message_ref(message)};
    if (stream->last == NULL)
        stream->first = queued;
    else
        stream->last->next = queued;
    stream->last = queued;
    stream->queued_count++;
    return DIAG_OK;
}

enum diag_status diag_rpc_stream_write(struct diag_rpc_stream *stream,
                                       struct diag_rpc_message *message) {
    enum diag_status status = append(stream, message);

    if (status == DIAG_OK)
        pump(stream);
    return status;
}

enum diag_status diag_rpc_call_write_last(struct diag_rpc_stream *stream,
                                          struct diag_rpc_message *message) {
    enum diag_status status = append(stream, message);

    if (status != DIAG_OK)
        return status;
    stream->is_finishing = true;
    pump(stream);
    return DIAG_OK;
}

size_t diag_rpc_stream_queued(const struct diag_rpc_stream *stream) {
    return stream->queued_count;
}

void diag_rpc_stream_finish(struct diag_rpc_stream *stream, enum diag_status status,
                            const char *message) {
    if (stream->is_finishing || stream->is_ending)
        return;
    stream->is_finishing = true;
    stream->finish_code = diag_rpc_code(status);
    /* Without memory the code alone must do. */
    stream->finish_message = message == NULL ? NULL : strdup(message);
    pump(stream);
}

void diag_rpc_stream_cancel(struct diag_rpc_stream *stream) {
    if (stream->is_ending)
        return;
    stream->is_ending = true;
    grpc_call_cancel_with_status(
        stream->call, GRPC_STATUS_CANCELLED,
        stream->is_server ? "cancelled by the server" : "cancelled by the client", NULL);
}

/* ---- receiving ---- */

static void receive(struct diag_rpc_stream *stream) {
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};

    op.data.recv_message.recv_message = &stream->received_buffer;
    start_batch(stream, &op, 1, &stream->receive_tag);
}

/* A server that has finished has no use for what else comes in. */
static bool is_listening(const struct diag_rpc_stream *stream) {
    return !stream->is_ending && !(stream->is_server && stream->is_finishing);
}

/* Messages mostly come in one slice, which is read in place. */
static void deliver(struct diag_rpc_stream *stream, grpc_byte_buffer *buffer) {
    grpc_byte_buffer_reader reader;
    grpc_slice *borrowed;
    grpc_slice slice;

    if (!grpc_byte_buffer_reader_init(&reader, buffer)) {
        diag_rpc_stream_cancel(stream);
        return;
    }
    if (buffer->data.raw.slice_buffer.count <= 1) {
        bool has_bytes = grpc_byte_buffer_reader_peek(&reader, &borrowed) != 0;

        slice = has_bytes ? grpc_slice_ref(*borrowed) : grpc_empty_slice();
    } else {
        slice = grpc_byte_buffer_reader_readall(&reader);
    }
    grpc_byte_buffer_reader_destroy(&reader);
    stream->events->on_message(
        stream->context, stream,
        diag_bytes_make(GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice)));
    grpc_slice_unref(slice);
}

static void on_input_end(void *context) {
    struct diag_rpc_stream *stream = context;

    if (is_listening(stream)) {
        if (stream->events->on_half_closed != NULL)
            stream->events->on_half_closed(stream->context, stream);
        else
            diag_rpc_stream_finish(stream, DIAG_OK, NULL);
    }
    end_batch(stream);
}

/* gRPC reports the end of the input in the same way when the peer has cancelled, and says so only
 * with the end batch, which follows: so let what is in the queue come first. */
static void post_input_end(struct diag_rpc_stream *stream) {
    if (!stream->is_server)
        return; /* the status follows */
    stream->batch_count++;
    if (diag_loop_post(stream->loop, on_input_end, stream) != DIAG_OK)
        on_input_end(stream);
}

static void on_received(void *context, bool is_ok) {
    struct diag_rpc_stream *stream = context;
    grpc_byte_buffer *buffer = stream->received_buffer;

    stream->received_buffer = NULL;
    if (is_ok && buffer != NULL) {
        if (is_listening(stream))
            deliver(stream, buffer);
        if (is_listening(stream))
            receive(stream);
    } else if (is_ok && is_listening(stream)) {
        post_input_end(stream);
    }
    if (buffer != NULL)
        grpc_byte_buffer_destroy(buffer);
    end_batch(stream);
}

/* ---- making one ---- */

static struct diag_rpc_stream *new_stream(struct diag_rpc_call_list *list, grpc_call *call) {
    struct diag_rpc_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL) {
        grpc_call_cancel_with_status(call, GRPC_STATUS_RESOURCE_EXHAUSTED, "out of memory", NULL);
        grpc_call_unref(call);
        return NULL;
    }
    stream->list = list;
    stream->call = call;
    stream->details = grpc_empty_slice();
    grpc_metadata_array_init(&stream->initial_metadata);
    grpc_metadata_array_init(&stream->trailing_metadata);
    stream->end_tag = (struct diag_loop_tag){on_end, stream};
    stream->send_tag = (struct diag_loop_tag){on_sent, stream};
    stream->receive_tag = (struct diag_loop_tag){on_received, stream};
    list_add(list, stream);
    return stream;
}

struct diag_rpc_stream *diag_rpc_call_accept(struct diag_loop *loop,
                                             struct diag_rpc_call_list *list, grpc_call *call) {
    struct diag_rpc_stream *stream = new_stream(list, call);
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};

    if (stream == NULL)
        return NULL;
    stream->loop = loop;
    stream->is_server = true;
    op.data.recv_close_on_server.cancelled = &stream->is_cancelled_by_peer;
    start_batch(stream, &op, 1, &stream->end_tag);
    return stream;
}

struct diag_rpc_stream *diag_rpc_call_start(struct diag_rpc_call_list *list, grpc_call *call,
                                            uint32_t metadata_flags) {
    struct diag_rpc_stream *stream = new_stream(list, call);
    grpc_op ops[2] = {{0}};

    if (stream == NULL)
        return NULL;
    stream->metadata_flags = metadata_flags;
    ops[0].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[0].data.recv_initial_metadata.recv_initial_metadata = &stream->initial_metadata;
    ops[1].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[1].data.recv_status_on_client.status = &stream->code;
    ops[1].data.recv_status_on_client.status_details = &stream->details;
    ops[1].data.recv_status_on_client.trailing_metadata = &stream->trailing_metadata;
    start_batch(stream, ops, 2, &stream->end_tag);
    return stream;
}

void diag_rpc_call_attach(struct diag_rpc_stream *stream,
                          const struct diag_rpc_stream_events *events, void *context,
                          size_t max_queued) {
    stream->events = events;
    stream->context = context;
    stream->max_queued = max_queued;
}

void diag_rpc_call_send_metadata(struct diag_rpc_stream *stream) {
    if (!stream->is_sending && !stream->is_ending && !stream->has_sent_metadata)
        send_batch(stream);
}

void diag_rpc_call_read(struct diag_rpc_stream *stream) {
    if (is_listening(stream))
        receive(stream);
}

const char *diag_rpc_stream_peer(struct diag_rpc_stream *stream) {
    if (stream->peer == NULL)
        stream->peer = grpc_call_get_peer(stream->call);
    return stream->peer;
}
