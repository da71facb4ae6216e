/* SPDX-License-Identifier: MIT */
#include "inproc/library/manager_records.h"

#include <stdlib.h>

static void record_free(struct diag_manager_record *record) {
    diag_spec_document_done(&record->document);
    diag_placement_done(&record->placement);
    diag_placement_done(&record->former);
    Py_XDECREF(record->id);
    Py_XDECREF(record->error);
    Py_XDECREF(record->error_lastmodified);
    free(record);
}

int diag_manager_records_init(struct diag_manager_records *records) {
    records->positions = PyDict_New();
    return records->positions == NULL ? -1 : 0;
}

void diag_manager_records_done(struct diag_manager_records *records) {
    struct diag_manager_records gone = *records;

    *records = (struct diag_manager_records){0};
    for (size_t i = 0; i < gone.count; i++)
        if (gone.all[i] != NULL)
            record_free(gone.all[i]);
    free(gone.all);
    Py_XDECREF(gone.positions);
}

int diag_manager_records_traverse(const struct diag_manager_records *records, visitproc visit,
                                  void *arg) {
    Py_VISIT(records->positions);
    for (size_t i = 0; i < records->count; i++) {
        const struct diag_manager_record *record = records->all[i];
        int outcome;

        if (record == NULL)
            continue;
        Py_VISIT(record->id);
        Py_VISIT(record->error);
        Py_VISIT(record->error_lastmodified);
        if ((outcome = diag_spec_document_traverse(&record->document, visit, arg)) != 0 ||
            (outcome = diag_placement_traverse(&record->placement, visit, arg)) != 0 ||
            (outcome = diag_placement_traverse(&record->former, visit, arg)) != 0)
            return outcome;
    }
    return 0;
}

static bool grow(struct diag_manager_records *records) {
    size_t count = records->count == 0 ? 16 : 2 * records->count;
    struct diag_manager_record **all =
        realloc(records->all, count * sizeof(struct diag_manager_record *));

    if (all == NULL)
        return false;
    memset(all + records->count, 0, (count - records->count) * sizeof *all);
    records->all = all;
    records->count = count;
    return true;
}

/* The dict has as many items as there are places taken. */
static size_t free_place(const struct diag_manager_records *records) {
    size_t place = (size_t)PyDict_GET_SIZE(records->positions);

    if (place < records->count && records->all[place] == NULL)
        return place; /* nothing has been removed yet */
    for (place = 0; place < records->count; place++)
        if (records->all[place] == NULL)
            break;
    return place;
}

struct diag_manager_record *diag_manager_records_get(struct diag_manager_records *records,
                                                     PyObject *id) {
    PyObject *position = PyDict_GetItemWithError(records->positions, id);
    struct diag_manager_record *record;
    size_t place;

    if (position != NULL)
        return records->all[PyLong_AsSize_t(position)];
    if (PyErr_Occurred())
        return NULL;
    place = free_place(records);
    record = calloc(1, sizeof *record);
    position = PyLong_FromSize_t(place);
    if (record == NULL || position == NULL || (place == records->count && !grow(records)) ||
        PyDict_SetItem(records->positions, id, position) < 0) {
        if (!PyErr_Occurred())
            PyErr_NoMemory();
        Py_XDECREF(position);
        free(record);
        return NULL;
    }
    Py_DECREF(position);
    record->id = Py_NewRef(id);
    records->all[place] = record;
    return record;
}

void diag_manager_record_settle(struct diag_manager_record *record,
                                struct diag_spec_document *fresh) {
    struct diag_spec_document old = record->document;

    record->document = *fresh;
    *fresh = (struct diag_spec_document){0};
    record->is_applied = true;
    Py_CLEAR(record->error);
    Py_CLEAR(record->error_lastmodified);
    diag_spec_document_done(&old);
}

void diag_manager_records_remove(struct diag_manager_records *records,
                                 struct diag_manager_record *record) {
    PyObject *position = PyDict_GetItemWithError(records->positions, record->id);

    if (position != NULL)
        records->all[PyLong_AsSize_t(position)] = NULL;
    if (position == NULL || PyDict_DelItem(records->positions, record->id) < 0)
        PyErr_Clear();
    record_free(record);
}
