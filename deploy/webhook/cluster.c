/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/cluster.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define URL_SAFE "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]"

static enum diag_status make_path(const char *folder, const char *name, char path[PATH_MAX],
                                  struct diag_error *err) {
    int length = snprintf(path, PATH_MAX, "%s/%s", folder, name);

    if (length < 0 || length >= PATH_MAX)
        return diag_error_set(err, DIAG_ERR_NOT_FOUND, 0, "path too long: %.64s...", folder);
    if (access(path, R_OK) != 0)
        return diag_error_set(err, DIAG_ERR_NOT_FOUND, errno, "%.256s", path);
    return DIAG_OK;
}

enum diag_status diag_cluster_find(const char *host, const char *port, const char *folder,
                                   struct diag_cluster *cluster, struct diag_error *err) {
    enum diag_status status;
    bool is_bare_v6;
    int length;

    if (host == NULL || host[0] == '\0' || port == NULL || port[0] == '\0')
        return diag_error_set(
            err, DIAG_ERR_NOT_FOUND, 0,
            "not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
    is_bare_v6 = strchr(host, ':') != NULL && host[0] != '[';
    length = snprintf(cluster->url, sizeof cluster->url, "https://%s%s%s:%s", is_bare_v6 ? "[" : "",
                      host, is_bare_v6 ? "]" : "", port);
    if (length < 0 || (size_t)length >= sizeof cluster->url ||
        host[strspn(host, URL_SAFE)] != '\0' || port[strspn(port, "0123456789")] != '\0')
        return diag_error_set(err, DIAG_ERR_NOT_FOUND, 0,
                              "KUBERNETES_SERVICE_HOST \"%.64s\" and KUBERNETES_SERVICE_PORT "
                              "\"%.16s\" are no address",
                              host, port);
    status = make_path(folder, "token", cluster->token_file, err);
    if (status == DIAG_OK)
        status = make_path(folder, "ca.crt", cluster->ca_file, err);
    return status;
}

enum diag_status diag_cluster_token(const struct diag_cluster *cluster,
                                    char token[DIAG_CLUSTER_TOKEN_MAX], struct diag_error *err) {
    FILE *file = fopen(cluster->token_file, "re");
    char text[DIAG_CLUSTER_TOKEN_MAX];
    size_t size, begin, length;

    if (file == NULL)
        return diag_error_set(err, DIAG_ERR_IO, errno, "%.256s", cluster->token_file);
    size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    begin = strspn(text, " \t\r\n");
    length = strcspn(text + begin, " \t\r\n");
    if (length == 0 || begin + length == sizeof text - 1)
        return diag_error_set(err, DIAG_ERR_IO, 0, "%.256s: no token, or over %d bytes",
                              cluster->token_file, DIAG_CLUSTER_TOKEN_MAX - 1);
    memcpy(token, text + begin, length);
    token[length] = '\0';
    return DIAG_OK;
}
