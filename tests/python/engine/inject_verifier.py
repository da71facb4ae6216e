# SPDX-License-Identifier: MIT
"""Checks what the injector makes of a code object, against the rules of CPython 3.11's bytecode and
against the original. Independent of the injector: nothing here knows how it works, but for what an
injected test looks like."""
import dis

JUMPS = set(dis.hasjrel)
NO_FALL_THROUGH = {dis.opmap[name] for name in (
    "JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "RETURN_VALUE", "RERAISE",
    "RAISE_VARARGS")}
EQUAL = ("co_name", "co_qualname", "co_filename", "co_flags", "co_firstlineno", "co_names",
         "co_varnames", "co_freevars", "co_cellvars", "co_argcount", "co_posonlyargcount",
         "co_kwonlyargcount", "co_nlocals")


class Instruction:
    def __init__(self, start, end, opcode, argument, position):
        self.start, self.end, self.opcode, self.argument = start, end, opcode, argument
        self.position = position
        self.target = None
        if opcode in JUMPS:
            self.target = end + (-argument if "BACKWARD" in dis.opname[opcode] else argument)

    @property
    def name(self):
        return dis.opname[self.opcode]

    def __repr__(self):
        return f"{self.start}:{self.name} {self.argument}"


class Code:
    """Offsets in code units."""

    def __init__(self, code):
        self.code = code
        self.instructions = []
        raw = code.co_code
        positions = list(code.co_positions())
        assert len(positions) * 2 == len(raw), "the location table covers all of the code"
        unit, begin, argument = 0, 0, 0
        while unit * 2 < len(raw):
            opcode = raw[unit * 2]
            argument = argument << 8 | raw[unit * 2 + 1]
            unit += 1
            if opcode == dis.EXTENDED_ARG:
                continue
            for _ in range(dis._inline_cache_entries[opcode]):
                assert raw[unit * 2] == 0, f"{unit}: a cache entry"
                unit += 1
            assert not dis.opname[opcode].startswith("<"), f"{unit}: opcode {opcode}"
            assert len(set(positions[begin:unit])) == 1, f"{begin}: one location"
            self.instructions.append(Instruction(begin, unit, opcode, argument, positions[begin]))
            begin, argument = unit, 0
        assert begin == unit, "EXTENDED_ARG at the end"
        self.index = {ins.start: i for i, ins in enumerate(self.instructions)}
        self.ends = {ins.end for ins in self.instructions}
        self.handlers = [(entry.start // 2, entry.end // 2, entry.target // 2, entry.depth,
                          entry.lasti) for entry in dis._parse_exception_table(code)]

    def handler_of(self, ins):
        for start, end, target, depth, lasti in self.handlers:
            if start <= ins.start < end:
                return target, depth, lasti
        return None

    def check(self):
        for ins in self.instructions:
            if ins.target is not None:
                assert ins.target in self.index, f"{ins} into an instruction"
        end = 0
        for start, stop, target, _, _ in self.handlers:
            assert end <= start < stop, "the exception table is sorted"
            assert start in self.index and stop in self.ends and target in self.index
            end = stop
        self.check_stack()

    def check_stack(self):
        depths = {0: 0}
        todo = [0]

        def reach(offset, depth):
            if depths.setdefault(offset, depth) != depth:
                raise AssertionError(f"{offset}: depths {depths[offset]} and {depth}")
            if offset not in seen:
                seen.add(offset)
                todo.append(offset)

        seen = {0}
        while todo:
            ins = self.instructions[self.index[todo.pop()]]
            depth = depths[ins.start]
            argument = ins.argument if ins.opcode >= dis.HAVE_ARGUMENT else None
            handler = self.handler_of(ins)
            if handler:
                assert handler[1] <= depth, f"{ins}: the handler's depth"
                after = handler[1] + handler[2] + 1
                assert after <= self.code.co_stacksize
                reach(handler[0], after)
            if ins.name == "RETURN_VALUE":
                assert depth == 1, f"{ins}: something is left on the stack"
            if ins.opcode not in NO_FALL_THROUGH:
                effect = dis.stack_effect(ins.opcode, argument, jump=False)
                if ins.name == "RETURN_GENERATOR":
                    effect = 1
                assert 0 <= depth + effect <= self.code.co_stacksize, f"{ins}: stack size"
                reach(ins.end, depth + effect)
            if ins.target is not None:
                after = depth + dis.stack_effect(ins.opcode, argument, jump=True)
                assert 0 <= after <= self.code.co_stacksize
                reach(ins.target, after)


def is_test(new, i, constant_count):
    """True if a probe is tested at instruction i."""
    first, second = new.instructions[i:i + 2] if i + 1 < len(new.instructions) else (None, None)
    return (first is not None and first.name == "LOAD_CONST" and first.argument >= constant_count
            and second.name == "POP_JUMP_FORWARD_IF_FALSE" and second.argument == 0)


def same(old, new):
    return (old.opcode == new.opcode and old.position == new.position and
            (old.target is not None or old.argument == new.argument))


def align(old, new):
    """Index of each old instruction among the new ones; the rest has been injected."""
    constant_count = len(old.code.co_consts)
    places, i = [], 0
    instructions = new.instructions
    for ins in old.instructions:
        while True:
            if is_test(new, i, constant_count):
                i += 2
            elif (instructions[i].name == "JUMP_FORWARD" and is_test(new, i + 1, constant_count)
                  and instructions[i].target == instructions[i + 2].end):
                i += 1  # over the test of a line that does not begin
            elif ins.name == "YIELD_VALUE" and instructions[i].name in ("JUMP_FORWARD", "SEND"):
                i += 1  # what gen.throw() reads
            elif (places and instructions[places[-1]].name == "JUMP_BACKWARD_NO_INTERRUPT" and
                  i > places[-1] + 1 and instructions[i].name == "JUMP_FORWARD" and
                  not same(ins, instructions[i])):
                i += 1
            elif (places and instructions[places[-1]].name == "JUMP_BACKWARD_NO_INTERRUPT" and
                  i == places[-1] + 3 and instructions[i].name == "JUMP_FORWARD"):
                i += 1
            else:
                break
        assert same(ins, instructions[i]), f"{ins} {ins.position}: {instructions[i]} " \
                                           f"{instructions[i].position}"
        places.append(i)
        i += 1
    while i < len(instructions):  # handlers
        assert is_test(new, i, constant_count) and instructions[i + 2].name == "RERAISE"
        i += 3
    return places


def check(original, injected):
    """Raises AssertionError."""
    for name in EQUAL:
        assert getattr(original, name) == getattr(injected, name), name
    count = len(original.co_consts)
    for a, b in zip(original.co_consts, injected.co_consts):
        assert a is b
    assert injected.co_stacksize <= max(original.co_stacksize + 2, 3)
    old, new = Code(original), Code(injected)
    new.check()
    places = align(old, new)
    starts = {new.instructions[place].start: i for i, place in enumerate(places)}

    def arrives(offset):
        """The old instruction that comes next, or None: a handler of ours."""
        i = new.index[offset]
        while new.instructions[i].start not in starts:
            ins = new.instructions[i]
            if ins.name == "RERAISE":
                return None
            i = new.index[ins.target] if ins.name == "JUMP_FORWARD" else i + 1
        return starts[new.instructions[i].start]

    for i, place in enumerate(places):
        a, b = old.instructions[i], new.instructions[place]
        if a.target is not None:
            assert arrives(b.target) == old.index[a.target], f"{a} jumps elsewhere: {b}"
        if a.opcode not in NO_FALL_THROUGH:
            assert arrives(b.end) == i + 1, f"{a}: something else follows"
        check_handler(old, new, a, b, arrives)
    return old, new, places, count


def check_handler(old, new, a, b, arrives):
    before, after = old.handler_of(a), new.handler_of(b)
    hops = 0
    while after is not None and arrives(after[0]) is None:  # ours: where does it reraise to?
        i = new.index[after[0]]
        while new.instructions[i].name != "RERAISE":
            i += 1
        assert after[2], "a handler of ours without the offset of what raised"
        if before is not None:
            assert after[1] == before[1], f"{b}: the depth of a handler of ours"
        after = new.handler_of(new.instructions[i])
        hops += 1
    assert hops <= 2
    if before is None:
        assert after is None, f"{b} has a handler"
        return
    assert after is not None, f"{b} has lost its handler"
    assert (arrives(after[0]), after[1:]) == (old.index[before[0]], before[1:])


def check_lines(original, injected):
    """`injected` has tests for lines only: each way from one instruction to another has one if and
    only if sys.settrace would report a line."""
    old, new, places, count = check(original, injected)
    entry = next(i for i, ins in enumerate(old.instructions) if ins.name == "RESUME")

    def tests(offset, to):
        """How many lie between an offset and the old instruction `to`."""
        i, found = new.index[offset], 0
        while i != places[to]:
            if is_test(new, i, count):
                assert new.instructions[i].position[0] == old.instructions[to].position[0]
                found += 1
                i += 2
            else:
                i = new.index[new.instructions[i].target]
        return found

    def expected(a, to):
        b = old.instructions[to]
        line = b.position[0]
        if to <= entry or line is None or b.name == "RESUME":
            return 0
        if a is old.instructions[entry] or a.position[0] != line:
            return 1
        return int(b.start < a.start and b.name != "SEND")

    for i, place in enumerate(places):
        a, b = old.instructions[i], new.instructions[place]
        ways = []
        if a.opcode not in NO_FALL_THROUGH:
            ways.append((b.end, i + 1))
        if a.target is not None:
            ways.append((b.target, old.index[a.target]))
        if old.handler_of(a):
            ways.append((new.handler_of(b)[0], old.index[old.handler_of(a)[0]]))
        for offset, to in ways:
            assert tests(offset, to) == expected(a, to), f"{a} to {old.instructions[to]}"
