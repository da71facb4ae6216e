# SPDX-License-Identifier: MIT
"""Instruments: what is done when a probe is hit.

`statsd` is the client that HistogramInstrument and IncrementInstrument send to, looked up at each
hit: assign any object with histogram(name, value, tags=) and increment(name, value, tags=).
"""
from diagnose import _extension

_native = _extension()

HistogramInstrument = _native.HistogramInstrument
IncrementInstrument = _native.IncrementInstrument
Instrument = _native.Instrument
LogInstrument = _native.LogInstrument
ProbeTestInstrument = _native.ProbeTestInstrument
Raise = _native.Raise
StatsD = _native.StatsD

statsd = StatsD()

__all__ = [
    "HistogramInstrument",
    "IncrementInstrument",
    "Instrument",
    "LogInstrument",
    "ProbeTestInstrument",
    "Raise",
    "StatsD",
    "statsd",
]
