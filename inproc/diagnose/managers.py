# SPDX-License-Identifier: MIT
"""Managers: what is instrumented follows a set of specs, without code and without a restart.

    diagnose.manager.specs["instr-1"] = {...}
    diagnose.manager.apply()
"""
from diagnose import _extension
from diagnose.instruments import HistogramInstrument, IncrementInstrument, LogInstrument

_native = _extension()

InstrumentManager = _native.InstrumentManager
MongoDBInstrumentManager = _native.MongoDBInstrumentManager
mag = _native.mag
sensor = _native.sensor

# What `instrument.type` may be: each manager has a copy of its own.
InstrumentManager.instrument_classes.update(
    hist=HistogramInstrument, incr=IncrementInstrument, log=LogInstrument
)

__all__ = ["InstrumentManager", "MongoDBInstrumentManager", "mag", "sensor"]
