/* SPDX-License-Identifier: MIT */
#include "controller/controller.h"

#include <errno.h>
#include <stdlib.h>

#include "controller/events_service.h"
#include "controller/fleet.h"
#include "controller/fleet_service.h"
#include "controller/hub.h"
#include "controller/specs_service.h"
#include "controller/store.h"
#include "controller/sync_service.h"
#include "lib/base/cleanup.h"
#include "lib/rpc/health.h"
#include "lib/rpc/server.h"

#define METHOD_COUNT                                                                               \
    (DIAG_SPECS_SERVICE_METHOD_COUNT + DIAG_SYNC_SERVICE_METHOD_COUNT +                            \
     DIAG_EVENTS_SERVICE_METHOD_COUNT + DIAG_FLEET_SERVICE_METHOD_COUNT +                          \
     DIAG_RPC_HEALTH_METHOD_COUNT)

/* Of a Sync message, the longest; services with a lower bound check it themselves. */
#define MESSAGE_MAX ((size_t)4 << 20)
#define HEALTH_MESSAGE_MAX 4096

struct diag_controller {
    struct diag_store *store;
    struct diag_fleet fleet;
    struct diag_hub *hub;
    struct diag_specs_service *specs;
    struct diag_sync_service *sync;
    struct diag_events_service *events;
    struct diag_rpc_health *health;
    struct diag_rpc_method methods[METHOD_COUNT];
    struct diag_rpc_server *server;
    struct diag_rpc_method health_methods[DIAG_RPC_HEALTH_METHOD_COUNT];
    struct diag_rpc_server *health_server; /* NULL: none of its own */
};

static void on_spec_changed(void *context, const char *id) {
    struct diag_controller *controller = context;

    diag_sync_service_spec_changed(controller->sync, id);
}

static void on_events_wanted(void *context, bool is_wanted) {
    struct diag_controller *controller = context;

    (void)is_wanted;
    diag_sync_service_events_wanted_changed(controller->sync);
}

static enum diag_status make_health(struct diag_controller *controller, struct diag_error *err) {
    static const char *const services[] = {
        "diagnose.v1.Specs",
        "diagnose.v1.Sync",
        "diagnose.v1.Events",
        "diagnose.v1.Fleet",
    };

    return diag_rpc_health_new(services, DIAG_ARRAY_SIZE(services), &controller->health, err);
}

static enum diag_status make_services(struct diag_controller *controller, struct diag_loop *loop,
                                      uint64_t ttl_ms, struct diag_error *err) {
    const struct diag_sync_service_options sync_options = {
        .loop = loop,
        .store = controller->store,
        .fleet = &controller->fleet,
        .hub = controller->hub,
        .ttl_ms = ttl_ms,
    };
    const struct diag_specs_service_options specs_options = {
        .loop = loop,
        .store = controller->store,
        .fleet = &controller->fleet,
        .changed = on_spec_changed,
        .changed_context = controller,
    };
    enum diag_status status = diag_sync_service_new(&sync_options, &controller->sync, err);

    if (status == DIAG_OK)
        status = diag_specs_service_new(&specs_options, &controller->specs, err);
    if (status == DIAG_OK)
        status =
            diag_events_service_new(controller->hub, &controller->fleet, &controller->events, err);
    if (status == DIAG_OK)
        status = make_health(controller, err);
    if (status == DIAG_OK)
        diag_hub_set_listener(controller->hub, on_events_wanted, controller);
    return status;
}

static void fill_methods(struct diag_controller *controller) {
    struct diag_rpc_method *at = controller->methods;

    diag_specs_service_methods(controller->specs, at);
    at += DIAG_SPECS_SERVICE_METHOD_COUNT;
    diag_sync_service_methods(controller->sync, at);
    at += DIAG_SYNC_SERVICE_METHOD_COUNT;
    diag_events_service_methods(controller->events, at);
    at += DIAG_EVENTS_SERVICE_METHOD_COUNT;
    diag_fleet_service_methods(&controller->fleet, at);
    at += DIAG_FLEET_SERVICE_METHOD_COUNT;
    diag_rpc_health_methods(controller->health, at);
}

static enum diag_status serve_health(struct diag_controller *controller, struct diag_loop *loop,
                                     const char *address, struct diag_error *err) {
    struct diag_rpc_server_options options = {
        .address = address,
        .tls = {.allow_plaintext = true}, /* for health alone it is fine anywhere */
        .methods = controller->health_methods,
        .method_count = DIAG_RPC_HEALTH_METHOD_COUNT,
        .max_message_size = HEALTH_MESSAGE_MAX,
    };
    enum diag_status status;

    if (address == NULL)
        return DIAG_OK;
    diag_rpc_health_methods(controller->health, controller->health_methods);
    status = diag_rpc_server_new(loop, &options, &controller->health_server, err);
    if (status != DIAG_OK)
        diag_error_prefix(err, "--health");
    return status;
}

/* Of a controller whose servers are not there (any more). */
static void controller_free(struct diag_controller *controller) {
    if (controller == NULL)
        return;
    diag_rpc_health_free(controller->health);
    diag_events_service_free(controller->events);
    diag_specs_service_free(controller->specs);
    diag_sync_service_free(controller->sync);
    diag_hub_free(controller->hub);
    diag_fleet_done(&controller->fleet);
    diag_store_free(controller->store);
    free(controller);
}
DIAG_DEFINE_FREEP(controller, struct diag_controller)

enum diag_status diag_controller_new(struct diag_loop *loop,
                                     const struct diag_controller_options *options,
                                     struct diag_controller **out, struct diag_error *err) {
    DIAG_CLEANUP(controller_freep)
    struct diag_controller *controller = calloc(1, sizeof *controller);
    struct diag_rpc_server_options server_options = {
        .address = options->listen,
        .tls = options->tls,
        .method_count = METHOD_COUNT,
        .max_message_size = MESSAGE_MAX,
    };
    enum diag_status status;

    if (controller == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "controller");
    status = diag_store_open(options->database, &controller->store, err);
    if (status == DIAG_OK)
        status = diag_hub_new(&controller->hub, err);
    if (status == DIAG_OK)
        status = make_services(controller, loop, options->ttl_ms, err);
    if (status != DIAG_OK)
        return status;
    fill_methods(controller);
    server_options.methods = controller->methods;
    status = serve_health(controller, loop, options->health, err);
    if (status == DIAG_OK) {
        status = diag_rpc_server_new(loop, &server_options, &controller->server, err);
        if (status != DIAG_OK)
            diag_rpc_server_stop_and_free(controller->health_server, 0);
    }
    if (status == DIAG_OK)
        *out = DIAG_TAKE_PTR(controller);
    return status;
}

int diag_controller_port(const struct diag_controller *controller) {
    return diag_rpc_server_port(controller->server);
}

void diag_controller_stop_and_free(struct diag_controller *controller, uint64_t grace_ms) {
    if (controller == NULL)
        return;
    diag_rpc_health_set_serving(controller->health, false);
    /* subscribers first: their going would be announced to sidecars that are being ended */
    diag_hub_set_listener(controller->hub, NULL, NULL);
    diag_events_service_stop(controller->events);
    diag_sync_service_stop(controller->sync);
    diag_rpc_server_stop_and_free(controller->server, grace_ms);
    diag_rpc_server_stop_and_free(controller->health_server, grace_ms);
    controller_free(controller);
}
