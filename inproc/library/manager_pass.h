/* SPDX-License-Identifier: MIT */
/* manager_pass - makes what is armed what the specs say.
 *
 * Threading: the GIL; it must be the caller's turn (manager_turn.h). Code of the program runs in
 * the middle of it: properties, constructors, finish, handle_error. Fork:      a child may be
 * forked in the middle, by another thread; its next pass does again what was half done. Errors:
 * whatever is wrong goes to the manager's handle_error, that of a spec also into its `applied`,
 * each once as long as it stays the same. Where `specs`, `instrument_classes` or `process_id`
 * cannot be read, everything stays as it is. */
#ifndef DIAG_INPROC_LIBRARY_MANAGER_PASS_H
#define DIAG_INPROC_LIBRARY_MANAGER_PASS_H

#include "inproc/library/manager_object.h"

/* -1 with an exception that is no Exception (KeyboardInterrupt and its like): the pass was left
 * where it came. */
DIAG_MUST_CHECK int diag_manager_pass(struct diag_manager *manager);

#endif
