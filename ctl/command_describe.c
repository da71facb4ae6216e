/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "ctl/command.h"
#include "ctl/escape.h"
#include "ctl/memory.h"
#include "ctl/print.h"
#include "ctl/spec_view.h"
#include "ctl/status_view.h"
#include "ctl/value_codec.h"
#include "lib/base/clock.h"

#define LABEL_WIDTH 12
#define MESSAGE_SHOWN_MAX 1024

static void print_line(const char *label, const char *text) {
    DIAG_CLEANUP(diag_freep) char *shown = diag_escape_text(text, MESSAGE_SHOWN_MAX * 8);

    printf("%-*s %s\n", LABEL_WIDTH, label, *shown != '\0' ? shown : "-");
}

static void print_custom(const Diagnose__V1__DictValue *dict) {
    DIAG_CLEANUP(diag_document_freep) struct diag_document *custom = NULL;
    DIAG_CLEANUP(diag_buffer_done) struct diag_buffer text = {0};

    if (dict == NULL || diag_value_from_dict(dict, &custom) != DIAG_OK)
        return;
    diag_value_append_text(&text, custom);
    printf("%-*s %.*s\n", LABEL_WIDTH, "Custom:", (int)text.size, (const char *)text.data);
}

static void print_selector(const Diagnose__V1__Selector *selector) {
    DIAG_CLEANUP(diag_buffer_done) struct diag_buffer text = {0};

    for (size_t i = 0; selector != NULL && i < selector->n_match_labels; i++)
        diag_memory_append_format(&text, "%s%s=%s", i == 0 ? "" : ", ",
                                  selector->match_labels[i]->key, selector->match_labels[i]->value);
    diag_memory_append(&text, diag_bytes_make("", 1));
    print_line("Selector:", text.size > 1 ? (const char *)text.data : "all sidecars");
}

static void print_times(const Diagnose__V1__SpecSummary *summary) {
    char text[DIAG_TIME_TEXT_SIZE], left[DIAG_TIME_TEXT_SIZE];
    DIAG_CLEANUP(diag_freep) char *lifespan = NULL;

    diag_time_duration(text, summary->spec->lifespan_ms * DIAG_NS_PER_MS);
    diag_spec_view_expires(left, summary, diag_clock_unix_ns());
    lifespan = diag_memory_format("%s (left: %s)", text, left);
    print_line("Lifespan:", lifespan);
    diag_time_rfc3339(text, summary->spec->created_unix_nanos);
    print_line("Created:", text);
    diag_time_rfc3339(text, summary->spec->modified_unix_nanos);
    print_line("Modified:", text);
}

static void print_spec(const Diagnose__V1__SpecSummary *summary) {
    const Diagnose__V1__Spec *spec = summary->spec;

    print_line("ID:", spec->id);
    print_line("Target:", spec->target);
    if (spec->instrument != NULL) {
        print_line("Instrument:", spec->instrument->type);
        print_line("Name:", spec->instrument->name);
        print_line("Value:", spec->instrument->value);
        print_line("Event:", diag_spec_view_event(spec));
        print_custom(spec->instrument->custom);
    }
    print_selector(spec->selector);
    print_times(summary);
    printf("%-*s %" PRIu64 "\n", LABEL_WIDTH, "Revision:", spec->revision);
    print_line("State:", diag_spec_view_state(summary));
    printf("%-*s %u/%u (%u pending, %u failed)\n", LABEL_WIDTH, "Armed:", summary->armed,
           summary->matched, summary->pending, summary->failed);
    printf("%-*s %" PRIu64 " (%" PRIu64 " errors, %" PRIu64 " dropped, %" PRIu64 " skipped)\n",
           LABEL_WIDTH, "Hits:", summary->hits, summary->errors, summary->dropped,
           summary->skipped);
}

static void add_process(struct diag_table *table, const Diagnose__V1__SpecProcess *process,
                        const char *event) {
    const Diagnose__V1__SpecStatus *status = process->status;
    DIAG_CLEANUP(diag_freep) char *note = diag_status_view_note(status, event);

    diag_table_add(table, process->host);
    diag_table_add_uint(table, process->process->pid);
    diag_table_add(table, process->process->container);
    diag_table_add(table, diag_status_view_state(status->state));
    diag_table_add(table, status->mechanism);
    diag_table_add_uint(table, status->functions);
    diag_table_add_uint(table, status->codes);
    diag_table_add(table, diag_status_view_pure(status));
    diag_table_add_uint(table, status->hits);
    diag_table_add_uint(table, status->errors);
    diag_table_add_uint(table, status->dropped);
    diag_table_add_uint(table, diag_status_view_skipped(status));
    diag_table_add(table, note);
}

static void print_processes(const Diagnose__V1__GetResponse *response) {
    static const char *const columns[] = {"HOST",      "PID",     "CONTAINER", "STATE", "MECHANISM",
                                          "FUNCTIONS", "CODES",   "PURE",      "HITS",  "ERRORS",
                                          "DROPPED",   "SKIPPED", "MESSAGE",   NULL};
    DIAG_CLEANUP(diag_table_done) struct diag_table table;

    diag_table_init(&table, columns);
    for (size_t i = 0; i < response->n_processes; i++)
        if (response->processes[i]->process != NULL && response->processes[i]->status != NULL)
            add_process(&table, response->processes[i],
                        diag_spec_view_event(response->summary->spec));
    puts(response->n_processes > 0 ? "Processes:" : "Processes:   none");
    if (response->n_processes > 0)
        diag_table_print(stdout, &table, 2);
}

static void print(const struct diag_options *options, const Diagnose__V1__GetResponse *response) {
    DIAG_CLEANUP(diag_document_freep) struct diag_document *document = NULL;

    if (options->output == DIAG_OUTPUT_TABLE) {
        print_spec(response->summary);
        print_processes(response);
        return;
    }
    document = diag_spec_view_detail(response);
    if (options->output == DIAG_OUTPUT_JSON)
        diag_print_json(stdout, document);
    else
        diag_print_yaml(stdout, document, true);
}

enum diag_exit diag_command_describe(const struct diag_options *options) {
    Diagnose__V1__GetRequest request = DIAGNOSE__V1__GET_REQUEST__INIT;
    DIAG_CLEANUP(diag_session_done) struct diag_session session = {0};
    struct diag_error err = {0};
    const Diagnose__V1__GetResponse *response;
    ProtobufCMessage *message;
    enum diag_exit code;

    if (options->word_count != 1)
        return diag_command_misuse("describe spec: needs the ID of one spec");
    code = diag_command_connect(options, &session);
    if (code != DIAG_EXIT_OK)
        return code;
    request.id = options->words[0];
    if (diag_session_call(&session, "/diagnose.v1.Specs/Get", &request.base,
                          &diagnose__v1__get_response__descriptor, &message, &err) != DIAG_OK)
        return diag_command_fail(options, request.id, &err);
    response = (const Diagnose__V1__GetResponse *)message;
    if (response->summary != NULL && response->summary->spec != NULL) {
        print(options, response);
    } else {
        diag_command_complain("%s: the server's answer has no spec in it", request.id);
        code = DIAG_EXIT_FAILED;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return code;
}
