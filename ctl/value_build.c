/* SPDX-License-Identifier: MIT */
/* The other way: a manifest's documents to messages. */
#include <string.h>

#include "ctl/memory.h"
#include "ctl/value_codec.h"

static Diagnose__V1__Value *value_of(const struct diag_document *document);

static Diagnose__V1__ListValue *list_of(const struct diag_document *document) {
    Diagnose__V1__ListValue *list = diag_memory_new(1, sizeof *list);

    diagnose__v1__list_value__init(list);
    list->items = diag_memory_new(document->item_count + 1, sizeof *list->items);
    for (size_t i = 0; i < document->item_count; i++)
        list->items[list->n_items++] = value_of(document->items[i]);
    return list;
}

static Diagnose__V1__Value *text_value(const char *text) {
    Diagnose__V1__Value *value = diag_memory_new(1, sizeof *value);

    diagnose__v1__value__init(value);
    value->kind_case = DIAGNOSE__V1__VALUE__KIND_STR;
    value->str = diag_memory_text(text);
    return value;
}

static void set_number(Diagnose__V1__Value *value, const struct diag_document *document) {
    if (document->kind == DIAG_DOCUMENT_FLOAT) {
        value->kind_case = DIAGNOSE__V1__VALUE__KIND_FLOAT;
        value->float_ = document->number;
    } else {
        value->kind_case = DIAGNOSE__V1__VALUE__KIND_INT;
        value->int_ =
            document->kind == DIAG_DOCUMENT_INT ? document->integer : (int64_t)document->count;
    }
}

static Diagnose__V1__Value *value_of(const struct diag_document *document) {
    Diagnose__V1__Value *value;

    if (document->kind == DIAG_DOCUMENT_TEXT)
        return text_value(document->text);
    value = diag_memory_new(1, sizeof *value);
    diagnose__v1__value__init(value);
    switch (document->kind) {
    case DIAG_DOCUMENT_BOOL:
        value->kind_case = DIAGNOSE__V1__VALUE__KIND_BOOL;
        value->bool_ = document->boolean;
        break;
    case DIAG_DOCUMENT_INT:
    case DIAG_DOCUMENT_UINT:
    case DIAG_DOCUMENT_FLOAT:
        set_number(value, document);
        break;
    case DIAG_DOCUMENT_LIST:
        value->kind_case = DIAGNOSE__V1__VALUE__KIND_LIST;
        value->list = list_of(document);
        break;
    case DIAG_DOCUMENT_MAP:
        value->kind_case = DIAGNOSE__V1__VALUE__KIND_DICT;
        value->dict = diag_value_to_dict(document);
        break;
    default:
        value->kind_case = DIAGNOSE__V1__VALUE__KIND_NONE;
        value->none = true;
    }
    return value;
}

Diagnose__V1__DictValue *diag_value_to_dict(const struct diag_document *map) {
    Diagnose__V1__DictValue *dict = diag_memory_new(1, sizeof *dict);

    diagnose__v1__dict_value__init(dict);
    dict->entries = diag_memory_new(map->item_count + 1, sizeof *dict->entries);
    for (size_t i = 0; i < map->item_count; i++) {
        Diagnose__V1__DictEntry *entry = diag_memory_new(1, sizeof *entry);

        diagnose__v1__dict_entry__init(entry);
        entry->key = text_value(map->keys[i]);
        entry->value = value_of(map->items[i]);
        dict->entries[dict->n_entries++] = entry;
    }
    return dict;
}
