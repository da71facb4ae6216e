/* SPDX-License-Identifier: MIT */
#include "inproc/agent/process_info.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/wire.h"

enum { /* diagnose.v1.ProcessInfo */
       INFO_UID = 1,
       INFO_PID = 2,
       INFO_PARENT_PID = 3,
       INFO_STARTED = 4,
       INFO_PYTHON_VERSION = 5,
       INFO_COMMAND = 6,
       INFO_LIBRARY_VERSION = 7,
       INFO_CONTAINER = 8,
       INFO_SERVICE = 9,
};

/* The command line, joined by spaces; what is not UTF-8 or not printable becomes '?'. */
static size_t read_command(char command[DIAG_PROCESS_COMMAND_MAX]) {
    char raw[DIAG_PROCESS_COMMAND_MAX];
    DIAG_CLEANUP(diag_closep) int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, raw, sizeof raw) : 0;
    size_t size = got > 0 ? (size_t)got : 0;

    while (size > 0 && raw[size - 1] == '\0')
        size--;
    for (size_t i = 0; i < size; i++)
        if (raw[i] == '\0')
            raw[i] = ' ';
    return diag_process_identity_clean(diag_bytes_make(raw, size), command,
                                       DIAG_PROCESS_COMMAND_MAX - 4);
}

struct diag_bytes diag_process_info_encode(uint8_t *data, const char uid[DIAG_UID_SIZE],
                                           uint64_t started_unix_ns, const char *python_version,
                                           const char *library_version,
                                           const struct diag_process_identity *identity) {
    struct diag_wire_writer writer = diag_wire_writer_make(data, DIAG_PROCESS_INFO_MAX);
    char command[DIAG_PROCESS_COMMAND_MAX];
    size_t command_size = read_command(command);

    diag_wire_put_bytes(&writer, INFO_UID, diag_bytes_from_text(uid));
    diag_wire_put_varint(&writer, INFO_PID, (uint64_t)getpid());
    diag_wire_put_varint(&writer, INFO_PARENT_PID, (uint64_t)getppid());
    diag_wire_put_fixed64(&writer, INFO_STARTED, started_unix_ns);
    diag_wire_put_bytes(&writer, INFO_PYTHON_VERSION, diag_bytes_from_text(python_version));
    diag_wire_put_bytes(&writer, INFO_COMMAND, diag_bytes_make(command, command_size));
    diag_wire_put_bytes(&writer, INFO_LIBRARY_VERSION, diag_bytes_from_text(library_version));
    if (identity->container[0] != '\0')
        diag_wire_put_bytes(&writer, INFO_CONTAINER, diag_bytes_from_text(identity->container));
    if (identity->service[0] != '\0')
        diag_wire_put_bytes(&writer, INFO_SERVICE, diag_bytes_from_text(identity->service));
    return diag_bytes_make(data, diag_wire_size(&writer));
}
