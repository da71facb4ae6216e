/* SPDX-License-Identifier: MIT */
/* The reading half of fleet.h: summaries over the fleet, and its order for people. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/fleet.h"
#include "lib/base/cleanup.h"
#include "lib/spec/spec_status.h"

bool diag_fleet_find_status(const struct diag_fleet_process *process, const struct diag_spec *spec,
                            struct diag_fleet_status *status) {
    struct diag_wire_reader reader = diag_wire_reader_make(process->status);

    while (diag_fleet_next_status(&reader, status))
        if (status->spec_revision == spec->revision && strcmp(status->spec_id, spec->id) == 0)
            return true;
    return false;
}

static void add_status(struct diag_fleet_summary *summary, const struct diag_fleet_status *status) {
    switch (status->state) {
    case DIAG_SPEC_STATE_PENDING:
        summary->pending++;
        break;
    case DIAG_SPEC_STATE_ARMED:
        summary->armed++;
        break;
    case DIAG_SPEC_STATE_FAILED:
    case DIAG_SPEC_STATE_TRIPPED:
        summary->failed++;
        break;
    }
    summary->hits += status->hits;
    summary->errors += status->errors;
    summary->dropped += status->dropped;
    summary->skipped += status->skipped;
}

static void add_process(const struct diag_map *by_id, const struct diag_fleet_process *process) {
    struct diag_wire_reader reader = diag_wire_reader_make(process->status);
    struct diag_fleet_status status;

    while (diag_fleet_next_status(&reader, &status)) {
        struct diag_fleet_summary *summary = diag_map_get(by_id, status.spec_id);
        if (summary != NULL && summary->spec->revision == status.spec_revision)
            add_status(summary, &status);
    }
}

static void add_sidecar(const struct diag_map *by_id, const struct diag_fleet_sidecar *sidecar) {
    const struct diag_fleet_process *process;
    struct diag_fleet_summary *summary;
    size_t cursor = 0;

    while ((process = diag_map_next(&sidecar->processes, &cursor)) != NULL)
        add_process(by_id, process);
    cursor = 0;
    while ((summary = diag_map_next(by_id, &cursor)) != NULL)
        if (diag_spec_matches(summary->spec, sidecar->labels, sidecar->label_count))
            summary->matched += (uint32_t)sidecar->processes.count;
}

enum diag_status diag_fleet_summarize(const struct diag_fleet *fleet,
                                      struct diag_fleet_summary *summaries, size_t summary_count,
                                      struct diag_error *err) {
    DIAG_CLEANUP(diag_map_done) struct diag_map by_id = {0};
    const struct diag_fleet_sidecar *sidecar;
    size_t cursor = 0;

    for (size_t i = 0; i < summary_count; i++) {
        summaries[i] = (struct diag_fleet_summary){.spec = summaries[i].spec};
        if (diag_map_put(&by_id, summaries[i].spec->id, &summaries[i]) != DIAG_OK)
            return diag_error_set(err, DIAG_ERR_NO_MEMORY, ENOMEM, "summary");
    }
    while ((sidecar = diag_map_next(&fleet->sidecars, &cursor)) != NULL)
        add_sidecar(&by_id, sidecar);
    return DIAG_OK;
}

static int compare_processes(const void *a, const void *b) {
    const struct diag_fleet_process *left = *(const struct diag_fleet_process *const *)a;
    const struct diag_fleet_process *right = *(const struct diag_fleet_process *const *)b;

    if (left->pid != right->pid)
        return left->pid < right->pid ? -1 : 1;
    return strcmp(left->uid, right->uid);
}

static int compare_sidecars(const void *a, const void *b) {
    const struct diag_fleet_sidecar *left = *(const struct diag_fleet_sidecar *const *)a;
    const struct diag_fleet_sidecar *right = *(const struct diag_fleet_sidecar *const *)b;
    int order = strcmp(left->host, right->host);

    return order != 0 ? order : strcmp(left->uid, right->uid);
}

/* The values of a map, in order. */
static void *sort_values(const struct diag_map *map, int (*compare)(const void *, const void *)) {
    void **values = calloc(map->count + 1, sizeof *values);
    size_t cursor = 0, count = 0;
    void *value;

    if (values == NULL)
        return NULL;
    while ((value = diag_map_next(map, &cursor)) != NULL)
        values[count++] = value;
    qsort(values, count, sizeof *values, compare);
    return values;
}

const struct diag_fleet_process **
diag_fleet_sort_processes(const struct diag_fleet_sidecar *sidecar) {
    return sort_values(&sidecar->processes, compare_processes);
}

const struct diag_fleet_sidecar **diag_fleet_sort_sidecars(const struct diag_fleet *fleet) {
    return sort_values(&fleet->sidecars, compare_sidecars);
}
