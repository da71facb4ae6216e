/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/event_poster.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/webhook/event.h"
#include "lib/base/cleanup.h"
#include "lib/base/clock.h"

#define CONNECT_TIMEOUT_MS 3000L
#define TIMEOUT_MS 5000L
#define ATTEMPTS_MAX 3
#define ANSWER_MAX 200 /* bytes of an error's body that are worth telling */

struct diag_event_poster {
    struct diag_event_poster_options options;
    pthread_t thread;
    pthread_mutex_t lock; /* of `queue` */
    pthread_cond_t wake;
    struct diag_notice_queue queue;
    _Atomic uint64_t stop_ns; /* when to give up, 0: not yet stopping */
    CURL *curl;               /* the thread's; kept for its connection */
};

/* What the API server said. */
struct answer {
    char text[ANSWER_MAX + 1];
    size_t size;
};

static void report(struct diag_event_poster *poster, enum diag_status status,
                   const struct diag_review_notice *notice, const char *detail) {
    char what[1024];

    snprintf(what, sizeof what, "event about %s %s/%s (%s)%s%s", notice->kind,
             notice->namespace_name, notice->name, notice->reason, detail[0] != '\0' ? ": " : "",
             detail);
    poster->options.posted(poster->options.context, status, what);
}

/* ---- one request ---- */

static size_t on_body(char *data, size_t size, size_t count, void *context) {
    struct answer *answer = context;
    size_t total = size * count, room = ANSWER_MAX - answer->size;

    for (size_t i = 0; i < total && i < room; i++)
        answer->text[answer->size++] = data[i] < ' ' || data[i] > '~' ? '?' : data[i];
    return total;
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up) {
    struct diag_event_poster *poster = context;
    uint64_t stop_ns = atomic_load(&poster->stop_ns);

    (void)down_total, (void)down, (void)up_total, (void)up;
    return stop_ns != 0 && diag_clock_monotonic_ns() >= stop_ns;
}

static void free_headers(struct curl_slist **headers) {
    curl_slist_free_all(*headers);
}

static enum diag_status add_header(struct curl_slist **headers, const char *header,
                                   struct diag_error *err) {
    struct curl_slist *longer = curl_slist_append(*headers, header);

    if (longer == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "out of memory for a header");
    *headers = longer;
    return DIAG_OK;
}

static enum diag_status make_headers(const struct diag_cluster *cluster,
                                     struct curl_slist **headers, struct diag_error *err) {
    static const char PREFIX[] = "Authorization: Bearer ";
    char authorization[sizeof PREFIX + DIAG_CLUSTER_TOKEN_MAX];
    enum diag_status status;

    memcpy(authorization, PREFIX, sizeof PREFIX);
    status = diag_cluster_token(cluster, authorization + sizeof PREFIX - 1, err);
    if (status == DIAG_OK)
        status = add_header(headers, authorization, err);
    if (status == DIAG_OK)
        status = add_header(headers, "Content-Type: application/json", err);
    if (status == DIAG_OK)
        status = add_header(headers, "Accept: application/json", err);
    return status;
}

static void prepare(struct diag_event_poster *poster, const char *url, struct curl_slist *headers,
                    const struct diag_buffer *body, struct answer *answer) {
    CURL *curl = poster->curl;

    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_CAINFO, poster->options.cluster.ca_file);
    curl_easy_setopt(curl, CURLOPT_CAPATH,
                     NULL); /* else Debian's libcurl trusts the system's, too */
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body->size);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, (const char *)body->data);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, poster);
}

/* DIAG_ERR_UNAVAILABLE: worth another attempt. */
static enum diag_status post(struct diag_event_poster *poster, const char *url,
                             const struct diag_buffer *body, struct diag_error *err) {
    DIAG_CLEANUP(free_headers) struct curl_slist *headers = NULL;
    struct answer answer = {.size = 0};
    enum diag_status status = make_headers(&poster->options.cluster, &headers, err);
    long http_status = 0;
    CURLcode code;

    if (status != DIAG_OK)
        return status;
    prepare(poster, url, headers, body, &answer);
    code = curl_easy_perform(poster->curl);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return diag_error_set(err, DIAG_ERR_CLOSED, 0, "stopping");
    if (code != CURLE_OK)
        return diag_error_set(err, DIAG_ERR_UNAVAILABLE, 0, "%s", curl_easy_strerror(code));
    curl_easy_getinfo(poster->curl, CURLINFO_RESPONSE_CODE, &http_status);
    if (http_status >= 200 && http_status < 300)
        return DIAG_OK;
    status = http_status == 429 || http_status >= 500 ? DIAG_ERR_UNAVAILABLE : DIAG_ERR_PERMISSION;
    return diag_error_set(err, status, 0, "HTTP %ld: %s", http_status, answer.text);
}

/* ---- the thread ---- */

/* Until `until_ns`, or until the poster is being stopped. */
static void pause_until(struct diag_event_poster *poster, uint64_t until_ns) {
    const struct timespec until = {
        .tv_sec = (time_t)(until_ns / DIAG_NS_PER_S),
        .tv_nsec = (long)(until_ns % DIAG_NS_PER_S),
    };

    pthread_mutex_lock(&poster->lock);
    while (atomic_load(&poster->stop_ns) == 0 &&
           pthread_cond_timedwait(&poster->wake, &poster->lock, &until) != ETIMEDOUT)
        continue;
    pthread_mutex_unlock(&poster->lock);
}

static void post_notice(struct diag_event_poster *poster, const struct diag_review_notice *notice) {
    DIAG_CLEANUP(diag_buffer_done) struct diag_buffer body = {0};
    char url[sizeof poster->options.cluster.url + DIAG_REVIEW_NAME_MAX + 64];
    struct diag_error err = {0};
    enum diag_status status =
        diag_event_make(notice, poster->options.instance, diag_clock_unix_ns(), &body, &err);

    snprintf(url, sizeof url, "%s/apis/events.k8s.io/v1/namespaces/%s/events",
             poster->options.cluster.url, notice->namespace_name);
    for (unsigned attempt = 1; status == DIAG_OK; attempt++) {
        status = post(poster, url, &body, &err);
        if (status != DIAG_ERR_UNAVAILABLE || attempt == ATTEMPTS_MAX ||
            atomic_load(&poster->stop_ns) != 0)
            break;
        pause_until(poster, diag_clock_monotonic_ns() + attempt * DIAG_NS_PER_S);
        status = DIAG_OK;
    }
    report(poster, status, notice, status == DIAG_OK ? "" : err.message);
}

/* Waits for one. False: stopped, and there is none left or no time for it. */
static bool next_notice(struct diag_event_poster *poster, struct diag_review_notice *notice) {
    bool is_there;

    pthread_mutex_lock(&poster->lock);
    while (!(is_there = diag_notice_queue_take(&poster->queue, notice)) &&
           atomic_load(&poster->stop_ns) == 0)
        pthread_cond_wait(&poster->wake, &poster->lock);
    pthread_mutex_unlock(&poster->lock);
    return is_there;
}

static void *run(void *context) {
    struct diag_event_poster *poster = context;
    struct diag_review_notice notice;

    while (next_notice(poster, &notice)) {
        uint64_t stop_ns = atomic_load(&poster->stop_ns);

        if (stop_ns != 0 && diag_clock_monotonic_ns() >= stop_ns)
            report(poster, DIAG_ERR_CLOSED, &notice, "stopping");
        else
            post_notice(poster, &notice);
    }
    return NULL;
}

/* ---- the owner's side ---- */

static void init_lock(struct diag_event_poster *poster) {
    pthread_condattr_t attributes;

    pthread_mutex_init(&poster->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&poster->wake, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void release(struct diag_event_poster *poster) {
    curl_easy_cleanup(poster->curl);
    pthread_cond_destroy(&poster->wake);
    pthread_mutex_destroy(&poster->lock);
    free(poster);
}

enum diag_status diag_event_poster_new(const struct diag_event_poster_options *options,
                                       struct diag_event_poster **out, struct diag_error *err) {
    struct diag_event_poster *poster = calloc(1, sizeof *poster);
    int os_errno;

    if (poster == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "event poster");
    poster->options = *options;
    init_lock(poster);
    poster->curl = curl_easy_init();
    if (poster->curl == NULL) {
        release(poster);
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "libcurl");
    }
    os_errno = pthread_create(&poster->thread, NULL, run, poster);
    if (os_errno != 0) {
        release(poster);
        return diag_error_set(err, DIAG_ERR_IO, os_errno, "event thread");
    }
    *out = poster;
    return DIAG_OK;
}

void diag_event_poster_put(struct diag_event_poster *poster,
                           const struct diag_review_notice *notice) {
    enum diag_status status;

    pthread_mutex_lock(&poster->lock);
    status = diag_notice_queue_put(&poster->queue, notice, diag_clock_monotonic_ns());
    if (status == DIAG_OK)
        pthread_cond_signal(&poster->wake);
    pthread_mutex_unlock(&poster->lock);
    if (status == DIAG_ERR_FULL)
        report(poster, status, notice, "too many are waiting");
}

void diag_event_poster_stop_and_free(struct diag_event_poster *poster, unsigned grace_ms) {
    if (poster == NULL)
        return;
    pthread_mutex_lock(&poster->lock);
    atomic_store(&poster->stop_ns, diag_clock_monotonic_ns() + grace_ms * DIAG_NS_PER_MS);
    pthread_cond_signal(&poster->wake);
    pthread_mutex_unlock(&poster->lock);
    pthread_join(poster->thread, NULL);
    release(poster);
}
