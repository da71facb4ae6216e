/* SPDX-License-Identifier: MIT */
/* ring - the protocol of the event ring (lib/shm/ring_writer.c, ring_reader.c), for spin.
 *
 * One process with two threads that put three events each, the sidecar's reader, and a kill that
 * strikes the process at any step, or never. The ring has SLOTS units of 16 bytes, so that it is
 * full often. A record is a header and its payload in one cell; those of producer 0 are one unit
 * long, those of producer 1 two, so that a PAD is needed at the ring's end, and so that a gap's
 * length is not known. The payload is copied in two steps. One unit is kept from ordinary events.
 *
 * Each access to memory that both sides see is a step of its own; what a step does besides to the
 * variables called ghost_* is bookkeeping of the model alone. Spin's memory is sequentially
 * consistent: reorderings that the code forbids by release and acquire appear as mutants (the
 * stamp before the state, READY before the copy).
 *
 * Checked: no event is delivered twice, torn, or before it was committed; what was committed is
 * delivered, in its producer's order; produced = delivered + dropped + torn; losses are told
 * exactly once; room that the reader has not released is not written; a record of a living
 * process is never skipped; and everybody comes to an end (spin's invalid end states), drained.
 *
 * MUTANT_n seeds a defect; tests/model/test_model.py expects each to be caught. */

#define SLOTS 4
#define KEPT 1
#define EACH 3
#define NONE 255

#define size_of(id) (1 + (id))

/* states of a record */
#define UNTOUCHED 0
#define BUSY 1
#define READY 2
#define PAD 3
#define LOST 4 /* READY, of type LOST */

/* what became of an event, as its producer sees it */
#define UNBORN 0
#define DROPPED 1
#define RESERVED 2
#define COMMITTED 3

typedef cell {
    byte state;
    byte size;  /* units; of a LOST 1 */
    byte stamp; /* the position that the record was written for */
    byte first; /* the payload's two halves: event's number, or the total of a LOST */
    byte second
};

cell ring[SLOTS];
byte tail, head;
byte dropped, dropped_told;
bool is_dead;

byte ghost_fate[2 * EACH];
byte ghost_delivered[2 * EACH];
byte ghost_owner[SLOTS]; /* 0: free or reserved by nobody yet; 1 + id otherwise */
byte ghost_finished;

#define at(position) ring[(position) % SLOTS]

/* What is of no use any more makes no states of its own. */
inline forget() {
    d_step {
        event = 0; my_tail = 0; my_head = 0; total = 0; need = 0; limit = 0; pad = 0; place = 0;
        has_lost = false
    }
}

inline claim(position, count, owner) {
    ghost_i = 0;
    do
    :: ghost_i < count ->
#ifndef MUTANT_5
        assert(ghost_owner[(position + ghost_i) % SLOTS] == 0);
#endif
        ghost_owner[(position + ghost_i) % SLOTS] = owner;
        ghost_i++
    :: else -> break
    od;
    ghost_i = 0
}

proctype producer(byte id) {
    byte number, event, my_tail, my_head, total, need, limit, pad, place, ghost_i;
    bool has_lost;

    do
    :: number < EACH ->
        event = id * EACH + number;
        /* is there a loss to tell of? */
        if
        :: atomic { is_dead -> goto killed }
        :: atomic { !is_dead -> total = dropped; has_lost = (dropped != dropped_told) }
        fi;
        need = size_of(id) + (has_lost -> 1 : 0);
        limit = SLOTS - KEPT + (has_lost -> 1 : 0);
        if
        :: atomic { is_dead -> goto killed }
        :: atomic { !is_dead -> my_tail = tail }
        fi;
reserve:
        if
        :: atomic { is_dead -> goto killed }
        :: atomic { !is_dead ->
            my_head = head;
            pad = ((SLOTS - my_tail % SLOTS) < need -> (SLOTS - my_tail % SLOTS) : 0)
        }
        fi;
        if
#ifdef MUTANT_4 /* no look whether the ring is full */
        :: false
#else
        :: my_tail - my_head + pad + need > limit ->
#endif
            if
            :: atomic { is_dead -> goto killed }
            :: atomic { !is_dead && tail != my_tail -> my_tail = tail; goto reserve }
            :: atomic { !is_dead && tail == my_tail }
            fi;
            if
            :: atomic { is_dead -> goto killed }
            :: atomic { !is_dead -> dropped++; ghost_fate[event] = DROPPED }
            fi;
            goto next
        :: else
        fi;
#ifdef MUTANT_5 /* room is reserved by a load and a store */
        if
        :: atomic { is_dead -> goto killed }
        :: atomic { !is_dead -> my_tail = tail }
        fi;
        if
        :: atomic { is_dead -> goto killed }
        :: atomic { !is_dead ->
            tail = my_tail + pad + need;
            ghost_fate[event] = RESERVED
        }
        fi;
#else
        if /* compare and swap */
        :: atomic { is_dead -> goto killed }
        :: atomic { !is_dead && tail != my_tail -> my_tail = tail; goto reserve }
        :: atomic { !is_dead && tail == my_tail ->
            tail = my_tail + pad + need;
            ghost_fate[event] = RESERVED;
            claim(my_tail, pad + need, 1 + id);
            my_head = 0; need = 0; limit = 0
        }
        fi;
#endif
        place = my_tail;
        my_tail = 0;
        if
        :: pad > 0 ->
            if
            :: atomic { is_dead -> goto killed }
            :: atomic { !is_dead -> at(place).state = PAD }
            fi;
            if
            :: atomic { is_dead -> goto killed }
            :: atomic { !is_dead -> at(place).stamp = place }
            fi;
            place = place + pad;
            pad = 0
        :: else
        fi;
        if
        :: has_lost ->
#ifdef MUTANT_6 /* LOST is stamped before it is complete */
            if
            :: atomic { is_dead -> goto killed }
            :: atomic { !is_dead -> at(place).state = LOST; at(place).size = 1 }
            fi;
            if
            :: atomic { is_dead -> goto killed }
            :: atomic { !is_dead -> at(place).stamp = place }
            fi;
            if
            :: atomic { is_dead -> goto killed }
            :: atomic { !is_dead -> at(place).first = total }
            fi;
#else
            if
            :: atomic { is_dead -> goto killed }
            :: atomic { !is_dead -> at(place).first = total }
            fi;
            if
            :: atomic { is_dead -> goto killed }
            :: atomic { !is_dead -> at(place).state = LOST; at(place).size = 1 }
            fi;
            if
            :: atomic { is_dead -> goto killed }
            :: atomic { !is_dead -> at(place).stamp = place }
            fi;
#endif
            if
            :: atomic { is_dead -> goto killed }
            :: atomic { !is_dead -> dropped_told = total }
            fi;
            place = place + 1;
            total = 0
        :: else
        fi;
#ifdef MUTANT_2 /* the stamp before the state */
        if
        :: atomic { is_dead -> goto killed }
        :: atomic { !is_dead -> at(place).stamp = place }
        fi;
        if
        :: atomic { is_dead -> goto killed }
        :: atomic { !is_dead -> at(place).state = BUSY; at(place).size = size_of(id) }
        fi;
#else
        if
        :: atomic { is_dead -> goto killed }
        :: atomic { !is_dead -> at(place).state = BUSY; at(place).size = size_of(id) }
        fi;
        if
        :: atomic { is_dead -> goto killed }
        :: atomic { !is_dead -> at(place).stamp = place }
        fi;
#endif
#ifdef MUTANT_1 /* READY before the copy */
        if
        :: atomic { is_dead -> goto killed }
        :: atomic { !is_dead -> at(place).state = READY; ghost_fate[event] = COMMITTED }
        fi;
#endif
        if
        :: atomic { is_dead -> goto killed }
        :: atomic { !is_dead -> at(place).first = event }
        fi;
        if
        :: atomic { is_dead -> goto killed }
        :: atomic { !is_dead -> at(place).second = event }
        fi;
#ifndef MUTANT_1
        if
        :: atomic { is_dead -> goto killed }
        :: atomic { !is_dead -> at(place).state = READY; ghost_fate[event] = COMMITTED }
        fi;
#endif
next:
        forget();
        number++
    :: else -> break
    od;
killed:
    atomic { forget(); number = 0; ghost_finished++ }
}

proctype killer() {
    if
    :: is_dead = true
    :: skip
    fi
}

/* What lies at `position`; `absent` also for what an earlier lap left. */
inline look(position) {
    atomic {
        if
#ifdef MUTANT_3 /* the stamp is not looked at */
        :: false
#else
        :: at(position).stamp != position -> kind = UNTOUCHED
#endif
        :: else -> kind = at(position).state
        fi;
        extent = (kind == PAD -> SLOTS - position % SLOTS : at(position).size)
    }
}

inline deliver() {
    atomic {
        number = at(my_head).first;
        assert(number == at(my_head).second);
        assert(number < 2 * EACH);
        assert(ghost_fate[number] == COMMITTED);
        assert(ghost_delivered[number] == 0);
        /* its producer's later ones have not come yet */
        assert(number % EACH == EACH - 1 || ghost_delivered[number + 1] == 0);
        ghost_delivered[number] = 1;
        number = 0
    }
}

inline pass(count) {
    my_head = my_head + count
}

/* Events that are lost are told of up to `total`, unless they have been. */
inline tell(total) {
    atomic {
        assert(total <= dropped);
#ifdef MUTANT_8 /* LOST is taken for a difference */
        told = told + total
#else
        told = (total > told -> total : told)
#endif
    }
}

inline release() {
    atomic {
        do
        :: head < my_head -> ghost_owner[head % SLOTS] = 0; head++
        :: else -> break
        od
    }
}

proctype reader() {
    byte my_head, my_tail, kind, extent, number, told, torn, lost, in_flight, ghost_seen_finished;

    do
    :: atomic { ghost_finished == 2 -> break } /* the socket has hung up, the pidfd says so */
    :: ghost_finished < 2 && my_head != tail ->
        look(my_head);
        if
        :: kind == READY -> deliver(); pass(extent)
        :: kind == LOST -> tell(at(my_head).first); pass(extent)
        :: kind == PAD -> pass(extent)
#ifdef MUTANT_7 /* a BUSY record is skipped though its process lives */
        :: kind == BUSY -> torn++; pass(extent)
#else
        :: kind == BUSY -> /* wait */
            (at(my_head).state != BUSY || ghost_finished == 2)
#endif
        :: kind == UNTOUCHED ->
            (at(my_head).stamp == my_head && at(my_head).state != UNTOUCHED || ghost_finished == 2)
        fi;
        atomic { kind = 0; extent = 0 };
        if
        :: release()
        :: skip /* later */
        fi
    :: ghost_finished < 2 && my_head == tail ->
        release();
        tell(dropped);
        (tail != my_head || ghost_finished == 2)
    od;

    /* Salvage: nobody writes any more. */
    my_tail = tail;
    do
    :: my_head == my_tail -> break
    :: my_head != my_tail ->
        look(my_head);
        if
        :: kind == READY -> deliver(); pass(extent)
        :: kind == LOST -> tell(at(my_head).first); pass(extent)
        :: kind == PAD -> pass(extent)
        :: kind == BUSY -> torn++; pass(extent)
        :: kind == UNTOUCHED ->
            atomic {
                torn++;
                do
                :: pass(1);
                    if
                    :: my_head == my_tail -> break
                    :: else ->
                        look(my_head);
                        if
                        :: kind != UNTOUCHED -> break
                        :: else
                        fi
                    fi
                od
            }
        fi
    od;
    release();
    tell(dropped);
    atomic {
        assert(head == tail);
        assert(told == dropped);
        number = 0;
        do
        :: number < 2 * EACH ->
            assert((ghost_fate[number] == COMMITTED) == ghost_delivered[number]);
            in_flight = in_flight + (ghost_fate[number] == RESERVED -> 1 : 0);
            lost = lost + (ghost_fate[number] == DROPPED -> 1 : 0);
            number++
        :: else -> break
        od;
        assert(lost == dropped);
        /* two that died side by side before their stamps are one gap */
        assert(torn <= in_flight && (torn > 0) == (in_flight > 0));
        assert(in_flight == 0 || is_dead);
        assert(in_flight <= 2)
    }
}

init {
    byte i;
    atomic {
        /* memory is zero; the stamp of position 0 is right there, and its state is not */
        run producer(0);
        run producer(1);
        run killer();
        run reader()
    }
}
