/* SPDX-License-Identifier: MIT */
#include "lib/rpc/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/rpc/credentials.h"

#define PORT_MAX 65535

static enum diag_status parse_port(const char *address, const char *digits, int *port,
                                   struct diag_error *err) {
    size_t length = strlen(digits);

    if (length == 0 || length > 5 || strspn(digits, "0123456789") != length ||
        atoi(digits) > PORT_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "address '%s': the port must be a number from 0 to %d", address,
                              PORT_MAX);
    *port = atoi(digits);
    return DIAG_OK;
}

static enum diag_status parse_unix(const char *text, struct diag_rpc_address *out,
                                   struct diag_error *err) {
    const char *path = text + strlen("unix:");

    if (path[0] == '\0')
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "address '%s' has no path", text);
    if (strlen(path) >= sizeof out->path)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "address '%s': the path of a unix socket has at most %zu bytes", text,
                              sizeof out->path - 1);
    memset(out, 0, sizeof *out);
    out->is_unix = true;
    strcpy(out->path, path);
    return DIAG_OK;
}

static bool is_host(const char *host, size_t length, bool has_brackets) {
    char text[INET6_ADDRSTRLEN];
    struct in6_addr ipv6;

    if (!has_brackets) {
        for (size_t i = 0; i < length; i++) {
            if (!isalnum((unsigned char)host[i]) && strchr("-._", host[i]) == NULL)
                return false;
        }
        return true;
    }
    if (length >= sizeof text)
        return false;
    memcpy(text, host, length);
    text[length] = '\0';
    return inet_pton(AF_INET6, text, &ipv6) == 1;
}

enum diag_status diag_rpc_address_parse(const char *text, struct diag_rpc_address *out,
                                        struct diag_error *err) {
    struct diag_rpc_address address = {0};
    const char *colon, *host, *host_end;
    enum diag_status status;

    if (text == NULL || text[0] == '\0')
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "the address is empty");
    if (strncmp(text, "unix:", strlen("unix:")) == 0)
        return parse_unix(text, out, err);
    colon = strrchr(text, ':');
    if (colon == NULL || strchr(colon, ']') != NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "address '%s' has no port: HOST:PORT or unix:PATH", text);
    host = text;
    host_end = colon;
    if (text[0] == '[' && colon > text + 1 && colon[-1] == ']') {
        host++;
        host_end--;
    }
    if (host == host_end)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "address '%s' has no host", text);
    if ((size_t)(host_end - host) >= sizeof address.host ||
        !is_host(host, (size_t)(host_end - host), host != text))
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "address '%s': not a host name or address (IPv6 goes in [ ])", text);
    memcpy(address.host, host, (size_t)(host_end - host));
    status = parse_port(text, colon + 1, &address.port, err);
    if (status != DIAG_OK)
        return status;
    *out = address;
    return DIAG_OK;
}

/* Percent-encodes what gRPC's parser would not take for a part of the path. */
static char *encode_target(const char *scheme, const char *path) {
    size_t scheme_length = strlen(scheme);
    char *target = malloc(scheme_length + 3 * strlen(path) + 1);
    char *at;

    if (target == NULL)
        return NULL;
    memcpy(target, scheme, scheme_length);
    at = target + scheme_length;
    for (; *path != '\0'; path++) {
        if (isalnum((unsigned char)*path) || strchr("-._~/:", *path) != NULL)
            *at++ = *path;
        else
            at += sprintf(at, "%%%02X", (unsigned char)*path);
    }
    *at = '\0';
    return target;
}

static char *host_and_port(const struct diag_rpc_address *address) {
    bool is_ipv6 = strchr(address->host, ':') != NULL;
    char *text;

    if (asprintf(&text, is_ipv6 ? "[%s]:%d" : "%s:%d", address->host, address->port) < 0)
        return NULL;
    return text;
}

char *diag_rpc_address_target(const struct diag_rpc_address *address) {
    DIAG_CLEANUP(diag_freep) char *text = NULL;

    if (address->is_unix)
        return encode_target("unix:", address->path);
    text = host_and_port(address);
    return text == NULL ? NULL : encode_target("dns:///", text);
}

char *diag_rpc_address_listen(const struct diag_rpc_address *address) {
    return address->is_unix ? encode_target("unix:", address->path) : host_and_port(address);
}

char *diag_rpc_address_authority(const struct diag_rpc_address *address) {
    return address->is_unix ? strdup("localhost") : host_and_port(address);
}

bool diag_rpc_address_is_local(const char *text) {
    struct diag_rpc_address address;
    struct in_addr ipv4;
    struct in6_addr ipv6;

    if (diag_rpc_address_parse(text, &address, NULL) != DIAG_OK)
        return false;
    if (address.is_unix || strcasecmp(address.host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, address.host, &ipv4) == 1)
        return ntohl(ipv4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address.host, &ipv6) == 1 && IN6_IS_ADDR_LOOPBACK(&ipv6);
}
