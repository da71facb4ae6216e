/* SPDX-License-Identifier: MIT */
/* How it works: requests are added up as API servers and schedulers do: sidecars count from their
 * start to the pod's end, other init containers one after the other beside the sidecars before
 * them, and ordinary containers all at once. */
#include "deploy/webhook/pod_resources.h"

#include "deploy/webhook/json_read.h"
#include "deploy/webhook/quantity.h"

/* In thousandths. */
struct demand {
    int64_t running; /* of what has started so far and does not end */
    int64_t most;    /* the most at any time */
};

static const json_t *resource_of(const json_t *holder, const char *kind, const char *name) {
    return json_object_get(json_object_get(json_object_get(holder, "resources"), kind), name);
}

/* A container without a request gets its limit as one. False: no quantity. */
static bool read_request(const json_t *container, const char *name, int64_t *request) {
    const json_t *quantity = resource_of(container, "requests", name);

    if (diag_json_is_absent(quantity))
        quantity = resource_of(container, "limits", name);
    *request = 0;
    return diag_json_is_absent(quantity) || diag_quantity_read(quantity, request);
}

/* False: it cannot be told. */
static bool add_container(struct demand *demand, const json_t *container, const char *name,
                          bool goes_on) {
    int64_t request, together;

    if (!read_request(container, name, &request) ||
        __builtin_add_overflow(demand->running, request, &together))
        return false;
    if (goes_on)
        demand->running = together;
    if (together > demand->most)
        demand->most = together;
    return true;
}

static bool is_sidecar(const json_t *init_container) {
    return diag_json_is_text(json_object_get(init_container, "restartPolicy"), "Always");
}

static bool is_there(const json_t *spec, const json_t *init_container) {
    const char *name = diag_json_member_text(init_container, "name");

    return diag_json_find(json_object_get(spec, "initContainers"), "name", name, NULL) != NULL ||
           diag_json_find(json_object_get(spec, "containers"), "name", name, NULL) != NULL;
}

/* False: it cannot be told. */
static bool add_up(const json_t *spec, const json_t *added, const char *name, int64_t *most) {
    const json_t *own = json_object_get(spec, "initContainers");
    const json_t *containers = json_object_get(spec, "containers");
    struct demand demand = {0};
    bool is_known = true;

    for (size_t i = 0; is_known && i < json_array_size(added); i++) {
        const json_t *container = json_array_get(added, i);
        is_known = is_there(spec, container) ||
                   add_container(&demand, container, name, is_sidecar(container));
    }
    for (size_t i = 0; is_known && i < json_array_size(own); i++) {
        const json_t *container = json_array_get(own, i);
        is_known = add_container(&demand, container, name, is_sidecar(container));
    }
    for (size_t i = 0; is_known && i < json_array_size(containers); i++)
        is_known = add_container(&demand, json_array_get(containers, i), name, true);
    *most = demand.most;
    return is_known;
}

/* The highest limit of what is added. False: it cannot be told. */
static bool find_limit(const json_t *spec, const json_t *added, const char *name, int64_t *most) {
    *most = 0;
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *container = json_array_get(added, i);
        const json_t *quantity = resource_of(container, "limits", name);
        int64_t limit;

        if (diag_json_is_absent(quantity) || is_there(spec, container))
            continue;
        if (!diag_quantity_read(quantity, &limit))
            return false;
        if (limit > *most)
            *most = limit;
    }
    return true;
}

static enum diag_status check(const json_t *spec, const json_t *added, const char *kind,
                              const char *name, struct diag_error *err) {
    const json_t *quantity = resource_of(spec, kind, name);
    bool is_request = kind[0] == 'r', is_known;
    int64_t room, need;

    if (diag_json_is_absent(quantity))
        return DIAG_OK;
    is_known =
        diag_quantity_read(quantity, &room) &&
        (is_request ? add_up(spec, added, name, &need) : find_limit(spec, added, name, &need));
    if (is_known && need <= room)
        return DIAG_OK;
    return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0, "the pod's spec.resources.%s.%s %s", kind,
                          name,
                          is_known ? "leaves no room for the injected containers"
                                   : "cannot be compared with those of the injected containers");
}

enum diag_status diag_pod_resources_check(const json_t *spec, const json_t *init_containers,
                                          struct diag_error *err) {
    static const char *const NAMES[] = {"cpu", "memory"};
    enum diag_status status = DIAG_OK;
    bool adds = false;

    for (size_t i = 0; i < json_array_size(init_containers); i++)
        adds = adds || !is_there(spec, json_array_get(init_containers, i));
    for (size_t i = 0; adds && status == DIAG_OK && i < DIAG_ARRAY_SIZE(NAMES); i++) {
        status = check(spec, init_containers, "requests", NAMES[i], err);
        if (status == DIAG_OK)
            status = check(spec, init_containers, "limits", NAMES[i], err);
    }
    return status;
}
