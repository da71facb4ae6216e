/* SPDX-License-Identifier: MIT */
#include <grpc/status.h>

#include "lib/rpc/stream.h"

int diag_rpc_code(enum diag_status status) {
    switch (status) {
    case DIAG_OK:
        return GRPC_STATUS_OK;
    case DIAG_ERR_INVALID:
    case DIAG_ERR_PROTOCOL:
        return GRPC_STATUS_INVALID_ARGUMENT;
    case DIAG_ERR_NOT_FOUND:
        return GRPC_STATUS_NOT_FOUND;
    case DIAG_ERR_EXISTS:
        return GRPC_STATUS_ALREADY_EXISTS;
    case DIAG_ERR_FULL:
    case DIAG_ERR_TOO_LARGE:
    case DIAG_ERR_NO_MEMORY:
        return GRPC_STATUS_RESOURCE_EXHAUSTED;
    case DIAG_ERR_PERMISSION:
        return GRPC_STATUS_PERMISSION_DENIED;
    case DIAG_ERR_UNSUPPORTED:
    case DIAG_ERR_VERSION:
        return GRPC_STATUS_UNIMPLEMENTED;
    case DIAG_ERR_UNAVAILABLE:
    case DIAG_ERR_CLOSED:
    case DIAG_ERR_BUSY:
        return GRPC_STATUS_UNAVAILABLE;
    case DIAG_ERR_TIMEOUT:
        return GRPC_STATUS_DEADLINE_EXCEEDED;
    case DIAG_ERR_IO:
    case DIAG_ERR_INTERNAL:
        break;
    }
    return GRPC_STATUS_INTERNAL;
}

enum diag_status diag_rpc_status(int code) {
    switch (code) {
    case GRPC_STATUS_OK:
        return DIAG_OK;
    case GRPC_STATUS_CANCELLED:
        return DIAG_ERR_CLOSED;
    case GRPC_STATUS_INVALID_ARGUMENT:
    case GRPC_STATUS_FAILED_PRECONDITION:
    case GRPC_STATUS_OUT_OF_RANGE:
        return DIAG_ERR_INVALID;
    case GRPC_STATUS_NOT_FOUND:
        return DIAG_ERR_NOT_FOUND;
    case GRPC_STATUS_ALREADY_EXISTS:
        return DIAG_ERR_EXISTS;
    case GRPC_STATUS_RESOURCE_EXHAUSTED:
        return DIAG_ERR_TOO_LARGE;
    case GRPC_STATUS_PERMISSION_DENIED:
    case GRPC_STATUS_UNAUTHENTICATED:
        return DIAG_ERR_PERMISSION;
    case GRPC_STATUS_UNIMPLEMENTED:
        return DIAG_ERR_UNSUPPORTED;
    case GRPC_STATUS_UNAVAILABLE:
    case GRPC_STATUS_ABORTED:
        return DIAG_ERR_UNAVAILABLE;
    case GRPC_STATUS_DEADLINE_EXCEEDED:
        return DIAG_ERR_TIMEOUT;
    default:
        return DIAG_ERR_INTERNAL;
    }
}
