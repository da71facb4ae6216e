/* SPDX-License-Identifier: MIT */
/* How it works: the new body is the old one with short sequences in between; each old instruction
 * keeps its argument, location and handler. Jumps and handlers are translated last, when it is
 * known where everything has come to lie.
 *
 * Lines. An instruction that can begin its line gets a probe before it. Whether it does begin the
 * line depends on where the interpreter comes from, so it has two entries, before and behind the
 * probe, and each way takes the one that suits it; one that falls through quietly jumps over it.
 * The probe has the location of the line, or sys.settrace would see the line begin twice.
 *
 * Start and exceptions. The probe of the start, and the handler that goes over everything that has
 * none, have no location: sys.settrace sees nothing of them. The handler ends in RERAISE with the
 * offset of the instruction that raised, so that nothing is added to the traceback.
 *
 * Suspensions. gen.throw() and gen.close() read the instructions around a YIELD_VALUE: RESUME must
 * follow, and in the loop of `await` and `yield from`, SEND must come before, whose argument tells
 * where to go on if the iterator takes the exception and returns. So that loop becomes
 *
 *     loop:   SEND        end
 *             (suspended)
 *             JUMP_FORWARD  yield
 *             SEND        thrown     never executed, only read
 *     yield:  YIELD_VALUE
 *             RESUME
 *             (resumed)
 *             JUMP_BACKWARD_NO_INTERRUPT  loop
 *     thrown: (resumed)
 *     end:
 *
 * An exception that is thrown in at a YIELD_VALUE resumes it, too: each has a handler of its own
 * at the end of the code, which reraises to the handler that would have got it. In a generator that
 * has not begun, nothing is injected where it is thrown in: it neither starts nor ends. */
#include "inproc/engine/inject_rewrite.h"

#if PY_VERSION_HEX < 0x030C0000

#include <stdlib.h>

#include "inproc/engine/inject_edges.h"
#include "lib/base/cleanup.h"

static const struct diag_inject_location nowhere = {DIAG_INJECT_NONE, DIAG_INJECT_NONE,
                                                    DIAG_INJECT_NONE, DIAG_INJECT_NONE};

/* Where an old instruction has come to lie. */
struct place {
    int first; /* the first of what was put before it */
    int probe; /* that of its line; NONE: there is none */
    int plain; /* behind the probe */
};

struct rewriting {
    const struct diag_inject_body *from;
    const struct diag_observer *observer;
    struct diag_inject_body *to;
    struct diag_inject_constants *constants;
    int first_constant;
    int entry; /* the RESUME that begins the body */
    int body;  /* new: behind the probe of the start */
    uint8_t *edges;
    struct place *places;
    int *constants_by_line; /* from first_line on; NONE: not there yet */
    int first_line;
    int throw_reader; /* new: the SEND that is only read and has no target yet; or NONE */
    bool is_out_of_memory;
};

void diag_inject_constants_done(struct diag_inject_constants *constants) {
    free(constants->items);
    *constants = (struct diag_inject_constants){0};
}

static void rewriting_done(struct rewriting *rewriting) {
    free(rewriting->edges);
    free(rewriting->places);
    free(rewriting->constants_by_line);
}

static bool observes(const struct rewriting *rewriting, unsigned event) {
    return rewriting->observer->events & event;
}

/* A new instruction that belongs to the old one `origin`, where it has its handler from. Its index;
 * `target` is a new one. */
static int emit(struct rewriting *rewriting, int opcode, uint32_t argument, int target, int origin,
                struct diag_inject_location location) {
    struct diag_inject_instruction instruction = {.opcode = (uint8_t)opcode,
                                                  .argument = argument,
                                                  .target = target,
                                                  .handler = DIAG_INJECT_NONE,
                                                  .location = location,
                                                  .origin = origin,
                                                  .is_target_new = true};
    int index = diag_inject_body_append(rewriting->to, instruction);

    if (index == DIAG_INJECT_NONE)
        rewriting->is_out_of_memory = true;
    return index;
}

static void set_target_here(struct rewriting *rewriting, int index) {
    if (index != DIAG_INJECT_NONE)
        rewriting->to->instructions[index].target = rewriting->to->count;
}

/* Number of the code's constant. */
static uint32_t add_constant(struct rewriting *rewriting, enum diag_inject_event event, int line) {
    struct diag_inject_constants *constants = rewriting->constants;

    if (constants->count == constants->capacity) {
        int capacity = constants->capacity * 2 + 8;
        void *items = realloc(constants->items, (size_t)capacity * sizeof *constants->items);

        if (items == NULL) {
            rewriting->is_out_of_memory = true;
            return 0;
        }
        constants->items = items;
        constants->capacity = capacity;
    }
    constants->items[constants->count] = (struct diag_inject_constant){event, line};
    return (uint32_t)(rewriting->first_constant + constants->count++);
}

static uint32_t constant_of(struct rewriting *rewriting, enum diag_inject_event event, int line) {
    const struct diag_inject_constants *constants = rewriting->constants;

    if (event == DIAG_INJECT_LINE) {
        int *number = &rewriting->constants_by_line[line - rewriting->first_line];

        if (*number == DIAG_INJECT_NONE)
            *number = (int)add_constant(rewriting, event, line);
        return (uint32_t)*number;
    }
    for (int i = 0; i < constants->count; i++)
        if (constants->items[i].event == event)
            return (uint32_t)(rewriting->first_constant + i);
    return add_constant(rewriting, event, 0);
}

/* Index of its first instruction. */
static int emit_probe(struct rewriting *rewriting, enum diag_inject_event event, int origin,
                      struct diag_inject_location location) {
    uint32_t constant = constant_of(rewriting, event, location.line);
    int first = emit(rewriting, LOAD_CONST, constant, DIAG_INJECT_NONE, origin, location);

    emit(rewriting, POP_JUMP_FORWARD_IF_FALSE, 0, DIAG_INJECT_NONE, origin, location);
    return first;
}

static bool is_chosen(const struct diag_observer *observer, int line) {
    size_t low = 0, high = observer->line_count;

    if (observer->events & DIAG_OBSERVE_LINES)
        return true;
    while (low < high) {
        size_t middle = (low + high) / 2;

        if (observer->lines[middle] == line)
            return true;
        if (observer->lines[middle] < line)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool wants_line(const struct rewriting *rewriting, int i) {
    const struct diag_inject_instruction *instruction = &rewriting->from->instructions[i];

    if (i <= rewriting->entry || instruction->location.line == DIAG_INJECT_NONE)
        return false;
    if (instruction->opcode == RESUME) /* a call for sys.settrace, no line */
        return false;
    if (instruction->opcode == CALL && rewriting->from->instructions[i - 1].opcode == PRECALL)
        return false; /* specialised, the two are one */
    return rewriting->edges[i] & (DIAG_INJECT_FALL_BEGINS | DIAG_INJECT_JUMP_BEGINS) &&
           is_chosen(rewriting->observer, instruction->location.line);
}

static void emit_line(struct rewriting *rewriting, int i) {
    struct diag_inject_location location = rewriting->from->instructions[i].location;
    int skip = DIAG_INJECT_NONE;

    rewriting->places[i].probe = DIAG_INJECT_NONE;
    if (!wants_line(rewriting, i))
        return;
    if (rewriting->edges[i] & DIAG_INJECT_FALL_QUIET)
        skip = emit(rewriting, JUMP_FORWARD, 0, DIAG_INJECT_NONE, i, location);
    rewriting->places[i].probe = emit_probe(rewriting, DIAG_INJECT_LINE, i, location);
    set_target_here(rewriting, skip);
}

static bool is_in_send_loop(const struct diag_inject_body *body, int yield) {
    const struct diag_inject_instruction *at = &body->instructions[yield];

    return yield > 0 && yield + 3 < body->count && at[-1].opcode == SEND &&
           at[1].opcode == RESUME && at[2].opcode == JUMP_BACKWARD_NO_INTERRUPT &&
           at[-1].target > yield + 2;
}

/* What comes before instruction i, behind its line's probe. */
static void emit_before(struct rewriting *rewriting, int i) {
    const struct diag_inject_instruction *instruction = &rewriting->from->instructions[i];
    struct diag_inject_location location = instruction->location;
    int skip;

    if (instruction->opcode == RETURN_VALUE && observes(rewriting, DIAG_OBSERVE_RETURN))
        emit_probe(rewriting, DIAG_INJECT_RETURNED, i, location);
    if (instruction->opcode != YIELD_VALUE || !observes(rewriting, DIAG_OBSERVE_SUSPEND))
        return;
    emit_probe(rewriting, DIAG_INJECT_SUSPENDED, i, location);
    if (!is_in_send_loop(rewriting->from, i))
        return;
    skip = emit(rewriting, JUMP_FORWARD, 0, DIAG_INJECT_NONE, i, location);
    rewriting->throw_reader = emit(rewriting, SEND, 0, DIAG_INJECT_NONE, i, location);
    set_target_here(rewriting, skip);
}

/* Behind the loop of a SEND: `i` is the jump back to it. */
static void emit_thrown_and_returned(struct rewriting *rewriting, int i) {
    const struct diag_inject_instruction *instruction = &rewriting->from->instructions[i];
    int end = rewriting->from->instructions[i - 3].target, jump;

    set_target_here(rewriting, rewriting->throw_reader);
    rewriting->throw_reader = DIAG_INJECT_NONE;
    emit_probe(rewriting, DIAG_INJECT_RESUMED, i, instruction->location);
    jump = emit(rewriting, JUMP_FORWARD, 0, end, i, instruction->location);
    if (jump != DIAG_INJECT_NONE)
        rewriting->to->instructions[jump].is_target_new = false;
}

static void emit_after(struct rewriting *rewriting, int i) {
    const struct diag_inject_instruction *instruction = &rewriting->from->instructions[i];

    if (i == rewriting->entry) {
        if (observes(rewriting, DIAG_OBSERVE_START))
            emit_probe(rewriting, DIAG_INJECT_START, i, nowhere);
        rewriting->body = rewriting->to->count;
    } else if (instruction->opcode == RESUME && observes(rewriting, DIAG_OBSERVE_SUSPEND)) {
        emit_probe(rewriting, DIAG_INJECT_RESUMED, i, instruction->location);
    } else if (rewriting->throw_reader != DIAG_INJECT_NONE &&
               instruction->opcode == JUMP_BACKWARD_NO_INTERRUPT) {
        emit_thrown_and_returned(rewriting, i);
    }
}

static void emit_all(struct rewriting *rewriting) {
    for (int i = 0; i < rewriting->from->count && !rewriting->is_out_of_memory; i++) {
        struct diag_inject_instruction instruction = rewriting->from->instructions[i];
        struct place *place = &rewriting->places[i];

        instruction.origin = i;
        place->first = rewriting->to->count;
        emit_line(rewriting, i);
        place->plain = rewriting->to->count;
        emit_before(rewriting, i);
        if (diag_inject_body_append(rewriting->to, instruction) == DIAG_INJECT_NONE)
            rewriting->is_out_of_memory = true;
        emit_after(rewriting, i);
    }
}

/* Where a jump or an exception of the old instruction `from` to the old `to` leads. */
static int entry_of(const struct rewriting *rewriting, int from, int to) {
    const struct place *place = &rewriting->places[to];

    return place->probe != DIAG_INJECT_NONE &&
                   diag_inject_begins_line(rewriting->from, rewriting->entry, from, to)
               ? place->probe
               : place->plain;
}

static int add_handler(struct rewriting *rewriting, struct diag_inject_handler handler) {
    int index = diag_inject_body_add_handler(rewriting->to, handler);

    if (index == DIAG_INJECT_NONE)
        rewriting->is_out_of_memory = true;
    return index;
}

/* The new handler of what belongs to the old instruction `origin`. `previous`: one that it was
 * already translated to. */
static int handler_of(struct rewriting *rewriting, int origin, int previous) {
    int old = rewriting->from->instructions[origin].handler;
    struct diag_inject_handler handler;

    if (old == DIAG_INJECT_NONE)
        return DIAG_INJECT_NONE;
    handler = rewriting->from->handlers[old];
    handler.target = entry_of(rewriting, origin, handler.target);
    if (previous != DIAG_INJECT_NONE) {
        const struct diag_inject_handler *same = &rewriting->to->handlers[previous];

        if (same->target == handler.target && same->depth == handler.depth &&
            same->has_lasti == handler.has_lasti)
            return previous;
    }
    return add_handler(rewriting, handler);
}

static void translate(struct rewriting *rewriting) {
    int handler = DIAG_INJECT_NONE;

    for (int i = 0; i < rewriting->to->count; i++) {
        struct diag_inject_instruction *instruction = &rewriting->to->instructions[i];

        if (instruction->target != DIAG_INJECT_NONE && !instruction->is_target_new)
            instruction->target = entry_of(rewriting, instruction->origin, instruction->target);
        handler = handler_of(rewriting, instruction->origin, handler);
        instruction->handler = handler;
    }
}

/* In a loop of SEND, what the iterator raises when it is thrown into is raised at the jump back. */
static void set_thrown_handler(struct rewriting *rewriting, int yield, int handler) {
    struct diag_inject_instruction *instructions = rewriting->to->instructions;
    int before = instructions[yield].handler;

    instructions[yield].handler = handler;
    if (!is_in_send_loop(rewriting->from, instructions[yield].origin))
        return;
    while (instructions[yield].opcode != JUMP_BACKWARD_NO_INTERRUPT)
        yield++;
    if (instructions[yield].handler == before)
        instructions[yield].handler = handler;
}

/* A handler for what is thrown in at each YIELD_VALUE. */
static void emit_thrown(struct rewriting *rewriting) {
    int end = rewriting->to->count;

    for (int i = 0; i < end && !rewriting->is_out_of_memory; i++) {
        struct diag_inject_instruction yield = rewriting->to->instructions[i];
        struct diag_inject_handler thrown = {.depth = 0, .has_lasti = true};
        int reraise;

        if (yield.opcode != YIELD_VALUE)
            continue;
        if (yield.handler != DIAG_INJECT_NONE)
            thrown.depth = rewriting->to->handlers[yield.handler].depth;
        thrown.target = emit_probe(rewriting, DIAG_INJECT_RESUMED, yield.origin, yield.location);
        reraise = emit(rewriting, RERAISE, 1, DIAG_INJECT_NONE, yield.origin, yield.location);
        if (rewriting->is_out_of_memory)
            return;
        for (int at = thrown.target; at <= reraise; at++)
            rewriting->to->instructions[at].handler = yield.handler;
        set_thrown_handler(rewriting, i, add_handler(rewriting, thrown));
    }
}

/* What has no handler gets one. Not so RETURN_VALUE, or a trace function that raises there would
 * have the call end twice. */
static void emit_raised(struct rewriting *rewriting) {
    struct diag_inject_handler raised = {.target = rewriting->to->count, .has_lasti = true};
    int handler = add_handler(rewriting, raised);

    for (int i = rewriting->body; i < raised.target; i++) {
        struct diag_inject_instruction *instruction = &rewriting->to->instructions[i];

        if (instruction->handler == DIAG_INJECT_NONE && instruction->opcode != RETURN_VALUE)
            instruction->handler = handler;
    }
    emit_probe(rewriting, DIAG_INJECT_RAISED, DIAG_INJECT_NONE, nowhere);
    emit(rewriting, RERAISE, 1, DIAG_INJECT_NONE, DIAG_INJECT_NONE, nowhere);
}

static enum diag_status no_memory(struct diag_error *err) {
    return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "injection of bytecode");
}

/* Finds the entry, and refuses what the comment above knows nothing of. */
static enum diag_status check(struct rewriting *rewriting, struct diag_error *err) {
    const struct diag_inject_body *from = rewriting->from;

    rewriting->entry = DIAG_INJECT_NONE;
    for (int i = 0; i < from->count; i++) {
        if (from->instructions[i].opcode == RESUME && rewriting->entry == DIAG_INJECT_NONE)
            rewriting->entry = i;
        if (from->instructions[i].opcode == YIELD_VALUE && i > 0 &&
            from->instructions[i - 1].opcode == SEND && !is_in_send_loop(from, i))
            return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                                  "the bytecode is not what the compiler makes: an await");
    }
    if (rewriting->entry == DIAG_INJECT_NONE)
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                              "the bytecode is not what the compiler makes: no RESUME");
    return DIAG_OK;
}

static enum diag_status prepare(struct rewriting *rewriting, struct diag_error *err) {
    const struct diag_inject_body *from = rewriting->from;
    int last_line = DIAG_INJECT_NONE;
    size_t line_count;

    rewriting->first_line = INT_MAX;
    for (int i = 0; i < from->count; i++) {
        int line = from->instructions[i].location.line;

        if (line == DIAG_INJECT_NONE)
            continue;
        rewriting->first_line = Py_MIN(rewriting->first_line, line);
        last_line = Py_MAX(last_line, line);
    }
    line_count = last_line < rewriting->first_line
                     ? 0
                     : (size_t)last_line - (size_t)rewriting->first_line + 1;
    rewriting->edges = calloc((size_t)from->count, sizeof *rewriting->edges);
    rewriting->places = calloc((size_t)from->count, sizeof *rewriting->places);
    rewriting->constants_by_line = calloc(line_count + 1, sizeof *rewriting->constants_by_line);
    if (rewriting->edges == NULL || rewriting->places == NULL ||
        rewriting->constants_by_line == NULL)
        return no_memory(err);
    for (size_t i = 0; i < line_count; i++)
        rewriting->constants_by_line[i] = DIAG_INJECT_NONE;
    diag_inject_find_edges(from, rewriting->entry, rewriting->edges);
    return DIAG_OK;
}

enum diag_status diag_inject_rewrite(const struct diag_inject_body *from,
                                     const struct diag_observer *observer, int first_constant,
                                     struct diag_inject_body *to,
                                     struct diag_inject_constants *constants,
                                     struct diag_error *err) {
    DIAG_CLEANUP(rewriting_done)
    struct rewriting rewriting = {.from = from,
                                  .observer = observer,
                                  .to = to,
                                  .constants = constants,
                                  .first_constant = first_constant,
                                  .throw_reader = DIAG_INJECT_NONE};
    enum diag_status status = check(&rewriting, err);

    if (status == DIAG_OK)
        status = prepare(&rewriting, err);
    if (status != DIAG_OK)
        return status;
    emit_all(&rewriting);
    if (!rewriting.is_out_of_memory)
        translate(&rewriting);
    if (!rewriting.is_out_of_memory && observes(&rewriting, DIAG_OBSERVE_SUSPEND))
        emit_thrown(&rewriting);
    if (!rewriting.is_out_of_memory && observes(&rewriting, DIAG_OBSERVE_RAISE))
        emit_raised(&rewriting);
    if (constants->count == 0) /* unused; the code's last constant tells that it is injected */
        add_constant(&rewriting, DIAG_INJECT_START, 0);
    return rewriting.is_out_of_memory ? no_memory(err) : DIAG_OK;
}

#endif
