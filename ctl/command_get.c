/* SPDX-License-Identifier: MIT */
#include "ctl/command.h"
#include "ctl/memory.h"
#include "ctl/print.h"
#include "ctl/spec_view.h"
#include "ctl/status_view.h"
#include "ctl/time_text.h"
#include "diagnose/v1/fleet_service.pb-c.h"
#include "lib/base/clock.h"

#define UID_SHOWN 8

static void add_row(struct diag_table *table, const Diagnose__V1__SpecSummary *summary) {
    DIAG_CLEANUP(diag_freep)
    char *armed = diag_memory_format("%u/%u", summary->armed, summary->matched);
    char expires[DIAG_TIME_TEXT_SIZE];

    diag_spec_view_expires(expires, summary, diag_clock_unix_ns());
    diag_table_add(table, summary->spec->id);
    diag_table_add(table, summary->spec->target);
    diag_table_add(table, diag_spec_view_event(summary->spec));
    diag_table_add(table, diag_spec_view_state(summary));
    diag_table_add(table, armed);
    diag_table_add_uint(table, summary->hits);
    diag_table_add_uint(table, summary->errors);
    diag_table_add(table, expires);
}

/* Into the table, or as a document into the list. */
static void add_summary(const struct diag_options *options, struct diag_table *table,
                        struct diag_document *list, const Diagnose__V1__SpecSummary *summary) {
    if (summary == NULL || summary->spec == NULL)
        return;
    if (options->output == DIAG_OUTPUT_TABLE)
        add_row(table, summary);
    else
        diag_document_add(list, diag_spec_view_summary(summary));
}

static enum diag_exit add_all(const struct diag_options *options, struct diag_session *session,
                              struct diag_table *table, struct diag_document *list) {
    Diagnose__V1__ListRequest request = DIAGNOSE__V1__LIST_REQUEST__INIT;
    struct diag_error err = {0};
    Diagnose__V1__ListResponse *response;
    ProtobufCMessage *message;

    if (diag_session_call(session, "/diagnose.v1.Specs/List", &request.base,
                          &diagnose__v1__list_response__descriptor, &message, &err) != DIAG_OK)
        return diag_command_fail(options, "", &err);
    response = (Diagnose__V1__ListResponse *)message;
    for (size_t i = 0; i < response->n_specs; i++)
        add_summary(options, table, list, response->specs[i]);
    protobuf_c_message_free_unpacked(message, NULL);
    return DIAG_EXIT_OK;
}

static enum diag_exit add_one(const struct diag_options *options, struct diag_session *session,
                              char *id, struct diag_table *table, struct diag_document *list) {
    Diagnose__V1__GetRequest request = DIAGNOSE__V1__GET_REQUEST__INIT;
    struct diag_error err = {0};
    ProtobufCMessage *message;

    request.id = id;
    if (diag_session_call(session, "/diagnose.v1.Specs/Get", &request.base,
                          &diagnose__v1__get_response__descriptor, &message, &err) != DIAG_OK)
        return diag_command_fail(options, id, &err);
    add_summary(options, table, list, ((Diagnose__V1__GetResponse *)message)->summary);
    protobuf_c_message_free_unpacked(message, NULL);
    return DIAG_EXIT_OK;
}

enum diag_exit diag_command_get_specs(const struct diag_options *options) {
    static const char *const columns[] = {"ID",   "TARGET", "EVENT",   "STATE", "ARMED",
                                          "HITS", "ERRORS", "EXPIRES", NULL};
    DIAG_CLEANUP(diag_session_done) struct diag_session session = {0};
    DIAG_CLEANUP(diag_document_freep) struct diag_document *list = diag_document_list();
    DIAG_CLEANUP(diag_table_done) struct diag_table table;
    enum diag_exit code;

    diag_table_init(&table, columns);
    code = diag_command_connect(options, &session);
    if (code != DIAG_EXIT_OK)
        return code;
    if (options->word_count == 0)
        code = add_all(options, &session, &table, list);
    for (size_t i = 0; i < options->word_count && code != DIAG_EXIT_UNREACHABLE; i++) {
        enum diag_exit one = add_one(options, &session, options->words[i], &table, list);

        code = one != DIAG_EXIT_OK ? one : code;
    }
    if (code != DIAG_EXIT_OK && options->word_count == 0)
        return code;
    if (options->output != DIAG_OUTPUT_TABLE)
        diag_command_print(options, list);
    else if (table.cell_count > table.columns)
        diag_table_print(stdout, &table, 0);
    else if (code == DIAG_EXIT_OK)
        fputs("There are no specs.\n", stderr);
    return code;
}

static const char *state_of(const Diagnose__V1__ProcessStatus *status) {
    return status->refused[0] == '\0' ? "Connected" : "Refused";
}

static struct diag_document *view_process(const Diagnose__V1__FleetProcess *process) {
    struct diag_document *map = diag_document_map();
    struct diag_document *inner;

    diag_document_put(map, "host", diag_document_text(process->host));
    diag_document_put(map, "sidecar_uid", diag_document_text(process->sidecar_uid));
    inner = diag_document_put(map, "labels", diag_document_map());
    for (size_t i = 0; i < process->n_labels; i++)
        diag_document_put(inner, process->labels[i]->key,
                          diag_document_text(process->labels[i]->value));
    if (process->status == NULL)
        return map;
    if (process->status->process != NULL)
        diag_spec_view_put_process(map, process->status->process);
    diag_document_put(map, "state", diag_document_text(state_of(process->status)));
    if (process->status->refused[0] != '\0')
        diag_document_put(map, "reason", diag_document_text(process->status->refused));
    diag_document_put(map, "lost_events", diag_document_uint(process->status->lost_events));
    inner = diag_document_put(map, "statuses", diag_document_list());
    for (size_t i = 0; i < process->status->n_statuses; i++)
        diag_document_add(inner, diag_status_view_document(process->status->statuses[i]));
    return map;
}

static void add_process_row(struct diag_table *table, const Diagnose__V1__FleetProcess *process) {
    const Diagnose__V1__ProcessStatus *status = process->status;
    DIAG_CLEANUP(diag_freep) char *specs = NULL;
    DIAG_CLEANUP(diag_freep) char *sidecar = NULL;
    DIAG_CLEANUP(diag_freep) char *state = NULL;
    size_t armed = 0;

    if (status == NULL || status->process == NULL)
        return;
    for (size_t i = 0; i < status->n_statuses; i++)
        armed += status->statuses[i]->state == DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_ARMED;
    specs = diag_memory_format("%zu/%zu", armed, status->n_statuses);
    state = diag_memory_format("%s%s%s", state_of(status), status->refused[0] != '\0' ? ": " : "",
                               status->refused);
    sidecar = diag_memory_format("%.*s", UID_SHOWN, process->sidecar_uid);
    diag_table_add(table, process->host);
    diag_table_add_uint(table, status->process->pid);
    diag_table_add(table, status->process->container);
    diag_table_add(table, status->process->python_version);
    diag_table_add(table, specs);
    diag_table_add_uint(table, status->lost_events);
    diag_table_add(table, sidecar);
    diag_table_add(table, state);
    diag_table_add(table, status->process->command);
}

static void print_processes(const struct diag_options *options,
                            const Diagnose__V1__ListProcessesResponse *response) {
    static const char *const columns[] = {"HOST", "PID",     "CONTAINER", "PYTHON",  "SPECS",
                                          "LOST", "SIDECAR", "STATE",     "COMMAND", NULL};
    DIAG_CLEANUP(diag_document_freep) struct diag_document *list = NULL;
    DIAG_CLEANUP(diag_table_done) struct diag_table table;

    diag_table_init(&table, columns);
    if (options->output != DIAG_OUTPUT_TABLE) {
        list = diag_document_list();
        for (size_t i = 0; i < response->n_processes; i++)
            diag_document_add(list, view_process(response->processes[i]));
        diag_command_print(options, list);
        return;
    }
    for (size_t i = 0; i < response->n_processes; i++)
        add_process_row(&table, response->processes[i]);
    if (response->n_processes > 0)
        diag_table_print(stdout, &table, 0);
    else
        fprintf(stderr, "There are no processes; %u sidecar%s connected.\n", response->sidecars,
                response->sidecars == 1 ? " is" : "s are");
}

enum diag_exit diag_command_get_processes(const struct diag_options *options) {
    Diagnose__V1__ListProcessesRequest request = DIAGNOSE__V1__LIST_PROCESSES_REQUEST__INIT;
    DIAG_CLEANUP(diag_session_done) struct diag_session session = {0};
    struct diag_error err = {0};
    ProtobufCMessage *message;
    enum diag_exit code;

    if (options->word_count > 0)
        return diag_command_misuse("get processes: takes no arguments");
    code = diag_command_connect(options, &session);
    if (code != DIAG_EXIT_OK)
        return code;
    if (diag_session_call(&session, "/diagnose.v1.Fleet/ListProcesses", &request.base,
                          &diagnose__v1__list_processes_response__descriptor, &message,
                          &err) != DIAG_OK)
        return diag_command_fail(options, "", &err);
    print_processes(options, (Diagnose__V1__ListProcessesResponse *)message);
    protobuf_c_message_free_unpacked(message, NULL);
    return DIAG_EXIT_OK;
}
