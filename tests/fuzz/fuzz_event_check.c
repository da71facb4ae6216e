/* SPDX-License-Identifier: MIT */
/* Any bytes as an event: what the check lets through, a protobuf library takes too. */
#include "diagnose/v1/event.pb-c.h"
#include "lib/event/event_check.h"
#include "lib/event/event_encoder.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct diag_bytes event = {data, size}, spec_id = {NULL, 0};
    enum diag_status status = diag_event_check(event, &spec_id);
    ProtobufCMessage *message;

    MUST(status == DIAG_OK || status == DIAG_ERR_PROTOCOL || status == DIAG_ERR_TOO_LARGE);
    if (status != DIAG_OK)
        return 0;
    MUST(size <= DIAG_EVENT_MAX && spec_id.size > 0);
    MUST(spec_id.data > data && spec_id.data + spec_id.size <= data + size);
    message = protobuf_c_message_unpack(&diagnose__v1__event__descriptor, NULL, size, data);
    MUST(message != NULL);
    protobuf_c_message_free_unpacked(message, NULL);
    return 0;
}
