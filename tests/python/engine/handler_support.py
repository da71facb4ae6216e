# SPDX-License-Identifier: MIT
"""What the tests of handlers share: an engine whose specs are put one by one, and handlers that
write down what they are given."""
import unittest

import engine_testing


def raised(function, *args):
    """What the call raises, with its traceback (which assertRaises clears)."""
    try:
        function(*args)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def functions_of(error):
    """The names of the functions in the traceback behind raised()."""
    names, traceback = [], error.__traceback__.tb_next
    while traceback is not None:
        names.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    return names


class Handler:
    """Takes the value of each hit. Keywords of the constructor become attributes."""
    globals = callable = intercept = None
    wants_arguments = wants_namespace = False

    def __init__(self, **attributes):
        self.values, self.errors = [], []
        self.__dict__.update(attributes)

    def fire(self, hit):
        self.values.append(hit.value())

    def take(self):
        """The values since the last call."""
        values, self.values = self.values, []
        return values


class Doing(Handler):
    """Notes down what `do(hit)` gives."""

    def __init__(self, do, **attributes):
        super().__init__(**attributes)
        self.do = do

    def fire(self, hit):
        self.values.append(self.do(hit))


class Interceptor(Handler):
    """`answer(proceed, args, kwargs)` gives what callers get."""

    def __init__(self, answer, **attributes):
        super().__init__(**attributes)
        self.answer = answer

    def fire(self, hit):
        raise AssertionError("an interceptor does not fire")

    def intercept(self, interception):
        args, kwargs = interception.given()
        return self.answer(interception.proceed, args, kwargs)


class HandlerTest(unittest.TestCase):
    MODULE = None  # that the targets are in

    def setUp(self):
        self.engine = engine_testing.Engine()
        self.addCleanup(self.engine.close)

    def put(self, target, handler, spec_id="spec", **spec):
        if self.MODULE is not None and not target.startswith(("builtins.", "time.")):
            target = f"{self.MODULE}.{target}"
        spec.setdefault("value", "result" if spec.get("event", "return") == "return" else "1")
        self.engine.put({"id": spec_id, "target": target, **spec}, handler)
        return handler

    def arm(self, target, handler, spec_id="spec", **spec):
        self.put(target, handler, spec_id, **spec)
        self.assertEqual(self.state(spec_id), "ARMED", self.status(spec_id)["message"])
        return handler

    def status(self, spec_id="spec"):
        return self.engine.status(spec_id)

    def state(self, spec_id="spec"):
        return self.status(spec_id)["state"]

    def counts(self, spec_id="spec"):
        """What is not 0."""
        status = self.status(spec_id)
        counts = {key: status[key] for key in ("hits", "errors", "dropped")} | status["skips"]
        return {key: count for key, count in counts.items() if count}
