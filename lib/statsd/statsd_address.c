/* SPDX-License-Identifier: MIT */
#include "lib/statsd/statsd_address.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"

#define UNIX_SCHEME "unix://"
#define UDP_SCHEME "udp://"
#define UNIX_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

static bool has_prefix(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static enum diag_status make_unix(const char *path, struct diag_statsd_peer *out,
                                  struct diag_error *err) {
    struct diag_statsd_peer peer = {.is_unix = true};

    if (path[0] != '/')
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "host: unix://%s: an absolute path is needed, as in unix:///path",
                              path);
    if (strlen(path) > UNIX_PATH_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "host: a path of %zu bytes, a unix socket can have %zu", strlen(path),
                              UNIX_PATH_MAX);
    memcpy(peer.host, path, strlen(path));
    *out = peer;
    return DIAG_OK;
}

enum diag_status diag_statsd_peer_make(const char *host, long port, struct diag_statsd_peer *out,
                                       struct diag_error *err) {
    struct diag_statsd_peer peer = {.port = (uint16_t)port};
    size_t size;

    if (has_prefix(host, UNIX_SCHEME))
        return make_unix(host + strlen(UNIX_SCHEME), out, err);
    size = strlen(host);
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    }
    if (size == 0 || size > DIAG_STATSD_HOST_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "host: has %zu characters, 1 to %d are allowed", size,
                              DIAG_STATSD_HOST_MAX);
    if (memchr(host, '/', size) != NULL || memchr(host, ' ', size) != NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "host: \"%s\" is neither a host nor unix:///path", host);
    if (port < 1 || port > UINT16_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "port: is %ld, must be from 1 to 65535",
                              port);
    memcpy(peer.host, host, size);
    *out = peer;
    return DIAG_OK;
}

/* ---- the environment ---- */

/* NULL: there is no such variable, or it is empty. */
static const char *variable(const char *name) {
    const char *value = getenv(name);

    return value == NULL || value[0] == '\0' ? NULL : value;
}

static enum diag_status parse_port(const char *text, long *port, struct diag_error *err) {
    long number = 0;
    size_t size = strlen(text);

    if (size == 0 || size > 5 || strspn(text, "0123456789") != size)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "port: \"%s\" is not a number from 1 to 65535", text);
    for (; *text != '\0'; text++)
        number = number * 10 + (*text - '0');
    *port = number;
    return DIAG_OK;
}

/* "host", "host:port", "[::1]:port", with `port` for one that has none. */
static enum diag_status parse_authority(const char *text, long port, struct diag_statsd_peer *out,
                                        struct diag_error *err) {
    char host[DIAG_STATSD_HOST_MAX + 3]; /* with brackets */
    size_t size = strcspn(text, "/");
    const char *bracket = memchr(text, ']', size);
    const char *colon = memrchr(text, ':', size);
    enum diag_status status;

    if (text[size] == '/' && text[size + 1] != '\0')
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "\"%s\" has a path", text);
    if (colon != NULL && (bracket == NULL || colon > bracket)) {
        char digits[16];

        snprintf(digits, sizeof digits, "%.*s", (int)(text + size - colon - 1), colon + 1);
        status = parse_port(digits, &port, err);
        if (status != DIAG_OK)
            return status;
        size = (size_t)(colon - text);
    }
    if (size >= sizeof host)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "host: has %zu characters, 1 to %d are allowed", size,
                              DIAG_STATSD_HOST_MAX);
    memcpy(host, text, size);
    host[size] = '\0';
    return diag_statsd_peer_make(host, port, out, err);
}

static enum diag_status parse_url(const char *url, struct diag_statsd_peer *out,
                                  struct diag_error *err) {
    if (has_prefix(url, UNIX_SCHEME))
        return make_unix(url + strlen(UNIX_SCHEME), out, err);
    if (has_prefix(url, UDP_SCHEME))
        return parse_authority(url + strlen(UDP_SCHEME), DIAG_STATSD_PORT_DEFAULT, out, err);
    return diag_error_set(err, DIAG_ERR_INVALID, 0,
                          "\"%s\" is neither udp://host:port nor unix:///path", url);
}

enum diag_status diag_statsd_peer_from_environment(const char *host, long port,
                                                   struct diag_statsd_peer *out,
                                                   struct diag_error *err) {
    const char *url = variable("DD_DOGSTATSD_URL");
    const char *agent = variable("DD_AGENT_HOST");
    const char *digits = variable("DD_DOGSTATSD_PORT");
    enum diag_status status;

    if (host == NULL && port == 0 && url != NULL) {
        status = parse_url(url, out, err);
        if (status != DIAG_OK)
            diag_error_prefix(err, "DD_DOGSTATSD_URL");
        return status;
    }
    if (port == 0 && (host == NULL || !has_prefix(host, UNIX_SCHEME))) {
        port = DIAG_STATSD_PORT_DEFAULT;
        status = digits == NULL ? DIAG_OK : parse_port(digits, &port, err);
        if (status == DIAG_OK && digits != NULL && (port < 1 || port > UINT16_MAX))
            status = diag_error_set(err, DIAG_ERR_INVALID, 0,
                                    "port: is %ld, must be from 1 to 65535", port);
        if (status != DIAG_OK) {
            diag_error_prefix(err, "DD_DOGSTATSD_PORT");
            return status;
        }
    }
    if (host != NULL)
        return diag_statsd_peer_make(host, port, out, err);
    status = diag_statsd_peer_make(agent == NULL ? "localhost" : agent, port, out, err);
    if (status != DIAG_OK && agent != NULL)
        diag_error_prefix(err, "DD_AGENT_HOST");
    return status;
}

/* ---- addresses ---- */

/* The first one that there is a route to, of a list that is not empty. UDP's connect sends nothing.
 */
static const struct addrinfo *choose(const struct addrinfo *list) {
    for (const struct addrinfo *one = list; one != NULL; one = one->ai_next) {
        DIAG_CLEANUP(diag_closep)
        int fd = socket(one->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd >= 0 && connect(fd, one->ai_addr, one->ai_addrlen) == 0)
            return one;
    }
    return list;
}

static enum diag_status look_up(const struct diag_statsd_peer *peer, const char *host, int flags,
                                struct diag_statsd_address *out, struct diag_error *err) {
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = flags | AI_NUMERICSERV};
    const struct addrinfo *chosen;
    struct addrinfo *found = NULL;
    char port[16];
    int result;

    snprintf(port, sizeof port, "%u", (unsigned)peer->port);
    result = getaddrinfo(host, port, &hints, &found);
    if (result != 0)
        return diag_error_set(err, DIAG_ERR_UNAVAILABLE, 0, "host: %s: %s", peer->host,
                              gai_strerror(result));
    chosen = found->ai_next == NULL ? found : choose(found);
    *out = (struct diag_statsd_address){.size = chosen->ai_addrlen};
    memcpy(&out->socket.storage, chosen->ai_addr, chosen->ai_addrlen);
    freeaddrinfo(found);
    return DIAG_OK;
}

enum diag_status diag_statsd_address_known(const struct diag_statsd_peer *peer,
                                           struct diag_statsd_address *out,
                                           struct diag_error *err) {
    const char *host = strcmp(peer->host, "localhost") == 0 ? "127.0.0.1" : peer->host;

    if (peer->is_unix) {
        struct diag_statsd_address address = {.size = sizeof address.socket.local};

        address.socket.local.sun_family = AF_UNIX;
        memcpy(address.socket.local.sun_path, peer->host, strlen(peer->host));
        *out = address;
        return DIAG_OK;
    }
    if (look_up(peer, host, AI_NUMERICHOST, out, NULL) != DIAG_OK)
        return diag_error_set(err, DIAG_ERR_NOT_FOUND, 0, "host: %s is a name", peer->host);
    return DIAG_OK;
}

enum diag_status diag_statsd_address_resolve(const struct diag_statsd_peer *peer,
                                             struct diag_statsd_address *out,
                                             struct diag_error *err) {
    if (diag_statsd_address_known(peer, out, NULL) == DIAG_OK)
        return DIAG_OK;
    return look_up(peer, peer->host, 0, out, err);
}

bool diag_statsd_address_equal(const struct diag_statsd_address *a,
                               const struct diag_statsd_address *b) {
    return a->size == b->size && memcmp(&a->socket, &b->socket, a->size) == 0;
}

void diag_statsd_peer_describe(const struct diag_statsd_peer *peer,
                               char out[DIAG_STATSD_PEER_TEXT_MAX]) {
    if (peer->is_unix)
        snprintf(out, DIAG_STATSD_PEER_TEXT_MAX, UNIX_SCHEME "%s", peer->host);
    else
        snprintf(out, DIAG_STATSD_PEER_TEXT_MAX,
                 strchr(peer->host, ':') != NULL ? "[%s]:%u" : "%s:%u", peer->host,
                 (unsigned)peer->port);
}
