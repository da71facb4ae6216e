# SPDX-License-Identifier: MIT
"""Probes: where in a program something is to be seen.

    probe = diagnose.probes.attach_to("path.to.module.Class.method")
    probe.instruments["foo"] = diagnose.LogInstrument("foo", "arg")
    probe.start()

active_probes is a dict of all probes by their target.
"""
from diagnose import _extension

_native = _extension()

FunctionProbe = _native.FunctionProbe
active_probes = _native.active_probes
attach_to = _native.attach_to
start_all = _native.start_all

__all__ = ["FunctionProbe", "active_probes", "attach_to", "start_all"]
