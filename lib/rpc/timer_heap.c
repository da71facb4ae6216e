/* SPDX-License-Identifier: MIT */
#include "lib/rpc/timer_heap.h"

#include <stddef.h>

/* Makes the later of two roots the first child of the earlier one, and returns that one. */
static struct diag_loop_timer *meld(struct diag_loop_timer *a, struct diag_loop_timer *b) {
    struct diag_loop_timer *root, *child;

    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    root = b->deadline_ns < a->deadline_ns ? b : a;
    child = root == a ? b : a;
    child->previous = root;
    child->next = root->child;
    if (root->child != NULL)
        root->child->previous = child;
    root->child = child;
    return root;
}

/* Melds siblings into one root: in pairs first, then the pairs from the last to the first, which
 * is what bounds the heap's depth. */
static struct diag_loop_timer *meld_siblings(struct diag_loop_timer *first) {
    struct diag_loop_timer *pairs = NULL;
    struct diag_loop_timer *root = NULL;

    while (first != NULL) {
        struct diag_loop_timer *a = first;
        struct diag_loop_timer *b = a->next;
        struct diag_loop_timer *pair;

        first = b == NULL ? NULL : b->next;
        a->next = a->previous = NULL;
        if (b != NULL)
            b->next = b->previous = NULL;
        pair = meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    while (pairs != NULL) {
        struct diag_loop_timer *pair = pairs;

        pairs = pair->next;
        pair->next = NULL;
        root = meld(root, pair);
    }
    return root;
}

void diag_timer_heap_add(struct diag_timer_heap *heap, struct diag_loop_timer *timer) {
    timer->child = timer->next = timer->previous = NULL;
    heap->earliest = meld(heap->earliest, timer);
}

void diag_timer_heap_remove(struct diag_timer_heap *heap, struct diag_loop_timer *timer) {
    struct diag_loop_timer *children = meld_siblings(timer->child);

    if (timer == heap->earliest) {
        heap->earliest = children;
    } else {
        if (timer->previous->child == timer)
            timer->previous->child = timer->next;
        else
            timer->previous->next = timer->next;
        if (timer->next != NULL)
            timer->next->previous = timer->previous;
        heap->earliest = meld(heap->earliest, children);
    }
    timer->child = timer->next = timer->previous = NULL;
}
