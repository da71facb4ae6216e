/* SPDX-License-Identifier: MIT */
#include "controller/fleet_service.h"

#include <errno.h>

#include "controller/message_builder.h"
#include "lib/base/cleanup.h"

/* Field numbers of diagnose.v1.ListProcessesResponse and FleetProcess. */
enum {
    RESPONSE_PROCESSES = 1,
    RESPONSE_SIDECARS = 2,

    PROCESS_SIDECAR_UID = 1,
    PROCESS_HOST = 2,
    PROCESS_LABELS = 3,
    PROCESS_STATUS = 4,
};

static void put_process(struct diag_message_builder *builder,
                        const struct diag_fleet_sidecar *sidecar,
                        const struct diag_fleet_process *process) {
    struct diag_message_builder inner = {0};

    diag_message_builder_put_text(&inner, PROCESS_SIDECAR_UID, sidecar->uid);
    diag_message_builder_put_text(&inner, PROCESS_HOST, sidecar->host);
    for (size_t i = 0; i < sidecar->label_count; i++)
        diag_message_builder_put_entry(&inner, PROCESS_LABELS, sidecar->labels[i].key,
                                       sidecar->labels[i].value);
    diag_message_builder_put_bytes(&inner, PROCESS_STATUS, process->status);
    diag_message_builder_put_message(builder, RESPONSE_PROCESSES, &inner);
    diag_message_builder_done(&inner);
}

static enum diag_status put_sidecar(struct diag_message_builder *builder,
                                    const struct diag_fleet_sidecar *sidecar,
                                    struct diag_error *err) {
    DIAG_CLEANUP(diag_freep)
    const struct diag_fleet_process **processes = diag_fleet_sort_processes(sidecar);

    if (processes == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "processes");
    for (size_t i = 0; i < sidecar->processes.count; i++)
        put_process(builder, sidecar, processes[i]);
    return DIAG_OK;
}

static enum diag_status list_processes(void *context, struct diag_bytes request,
                                       struct diag_rpc_message **response, struct diag_error *err) {
    const struct diag_fleet *fleet = context;
    DIAG_CLEANUP(diag_freep)
    const struct diag_fleet_sidecar **sidecars = diag_fleet_sort_sidecars(fleet);
    struct diag_message_builder builder = {0};
    enum diag_status status = DIAG_OK;

    (void)request; /* has no fields */
    if (sidecars == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "sidecars");
    for (size_t i = 0; i < fleet->sidecars.count && status == DIAG_OK; i++)
        status = put_sidecar(&builder, sidecars[i], err);
    diag_message_builder_put_uint(&builder, RESPONSE_SIDECARS, fleet->sidecars.count);
    if (status == DIAG_OK)
        status = diag_message_builder_take(&builder, response, err);
    diag_message_builder_done(&builder);
    return status;
}

void diag_fleet_service_methods(struct diag_fleet *fleet,
                                struct diag_rpc_method methods[DIAG_FLEET_SERVICE_METHOD_COUNT]) {
    methods[0] = (struct diag_rpc_method){
        .path = "/diagnose.v1.Fleet/ListProcesses",
        .service = fleet,
        .unary = list_processes,
    };
}
