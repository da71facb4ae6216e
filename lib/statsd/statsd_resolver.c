/* SPDX-License-Identifier: MIT */
#include "lib/statsd/statsd_resolver.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

#define STACK_SIZE ((size_t)512 * 1024) /* the system's resolver may load modules */

enum { ASKING, FOUND, NOT_FOUND };

struct diag_statsd_resolver {
    int users; /* the owner and the thread; atomic */
    int state; /* of the enum; atomic: what FOUND is read from acquires `address` */
    pid_t pid; /* of the process that has the thread */
    struct diag_statsd_peer peer;
    struct diag_statsd_address address;
};

static void let_go(struct diag_statsd_resolver *resolver) {
    /* acquire and release: the last user frees what the other one has written */
    if (__atomic_sub_fetch(&resolver->users, 1, __ATOMIC_ACQ_REL) == 0)
        free(resolver);
}

static void *ask(void *argument) {
    struct diag_statsd_resolver *resolver = argument;
    enum diag_status status =
        diag_statsd_address_resolve(&resolver->peer, &resolver->address, NULL);

    /* release; pairs with the acquire in diag_statsd_resolver_poll */
    __atomic_store_n(&resolver->state, status == DIAG_OK ? FOUND : NOT_FOUND, __ATOMIC_RELEASE);
    let_go(resolver);
    return NULL;
}

static int start_thread(struct diag_statsd_resolver *resolver) {
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int os_errno;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    os_errno = pthread_create(&thread, &attributes, ask, resolver);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return os_errno;
}

enum diag_status diag_statsd_resolver_new(const struct diag_statsd_peer *peer,
                                          struct diag_statsd_resolver **out,
                                          struct diag_error *err) {
    DIAG_CLEANUP(diag_freep) struct diag_statsd_resolver *resolver = calloc(1, sizeof *resolver);
    int os_errno;

    if (resolver == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "resolver");
    resolver->users = 2;
    resolver->state = ASKING;
    resolver->pid = getpid();
    resolver->peer = *peer;
    os_errno = start_thread(resolver);
    if (os_errno != 0)
        return diag_error_set(err, DIAG_ERR_IO, os_errno, "thread that resolves %s", peer->host);
    *out = DIAG_TAKE_PTR(resolver);
    return DIAG_OK;
}

void diag_statsd_resolver_free(struct diag_statsd_resolver *resolver) {
    if (resolver != NULL)
        let_go(resolver);
}

enum diag_status diag_statsd_resolver_poll(struct diag_statsd_resolver *resolver,
                                           struct diag_statsd_address *out) {
    switch (__atomic_load_n(&resolver->state, __ATOMIC_ACQUIRE)) {
    case FOUND:
        *out = resolver->address;
        return DIAG_OK;
    case NOT_FOUND:
        return DIAG_ERR_UNAVAILABLE;
    default:
        return resolver->pid == getpid() ? DIAG_ERR_BUSY : DIAG_ERR_CLOSED;
    }
}
