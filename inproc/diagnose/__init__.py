# SPDX-License-Identifier: MIT
"""Live instrumentation for Python: probes come and go while the program runs.

By itself, it is a library: see diagnose.probes, diagnose.instruments and diagnose.managers.

    probe = diagnose.probes.attach_to("shop.cart.Cart.total")
    probe.instruments["total"] = diagnose.LogInstrument("total", "result")
    probe.start()

For a fleet,

    import diagnose
    diagnose.connect()

connects this process to the sidecar beside it; from then on, specs that somebody applies with
diagnosectl are armed here, and their events stream back. Without touching the application:

    python3 -m diagnose run -- gunicorn app:app
"""
import os as _os
import sys as _sys

try:
    from diagnose import _native
except ImportError as _error:
    # imported all the same: `python3 -m diagnose run` starts programs of other interpreters
    _native = None
    if "t" in getattr(_sys, "abiflags", ""):
        _reason = "free-threaded builds of Python are not supported"
    else:
        _reason = "there is no extension of diagnose for Python %d.%d in %s (%s)" % (
            _sys.version_info[0],
            _sys.version_info[1],
            _os.path.dirname(_os.path.abspath(__file__)),
            _error,
        )

# What there is where the extension is.
_LIBRARY = (
    "HistogramInstrument",
    "IncrementInstrument",
    "Instrument",
    "LogInstrument",
    "ProbeTestInstrument",
    "instruments",
    "manager",
    "managers",
    "probes",
    "sensor",
)

__all__ = ["DEFAULT_SOCKET", "connect", "disconnect", "status", *_LIBRARY]
__version__ = _native.__version__ if _native else None

DEFAULT_SOCKET = "/run/diagnose/diagnose.sock"


def _extension():
    if _native is None:
        raise NotImplementedError(_reason)
    return _native


def connect(socket=None, wait=0.0):
    """Connects this process, and those that it forks, to the sidecar. Returns at once.

    socket: path of the sidecar's unix socket; by default $DIAGNOSE_SOCKET, or DEFAULT_SOCKET. If
        nobody listens there, a background thread goes on trying, once a second or more often.
    wait: seconds to wait until what the fleet wants armed is armed.

    Returns False if `wait` was too short for that, else True. Calling it again is fine.

    Raises ValueError (wait out of range, socket's path too long), RuntimeError (connected to another
    socket already), NotImplementedError (this interpreter is not supported, with the reason),
    OSError.
    """
    path = socket or _os.environ.get("DIAGNOSE_SOCKET") or DEFAULT_SOCKET
    return _extension().connect(path, wait)


def disconnect():
    """Disarms everything, restores every target, and stops the background thread. Idempotent."""
    _extension().disconnect()


def status():
    """What this process knows of itself, as a dict:

    connected (bool), socket (str), uid (str, 32 hexadecimal digits), error (str: why it is not
    connected, or empty), specs (list of dicts: id, revision, state, message, mechanism,
    excluded, functions, codes, pure, hits, errors, dropped, and skips, a dict of causes and counts;
    see diagnose.v1.SpecStatus for their meaning).
    """
    return _extension().status()


def _use_library():
    global HistogramInstrument, IncrementInstrument, Instrument, LogInstrument, ProbeTestInstrument
    global instruments, manager, managers, probes, sensor

    from diagnose import instruments, managers, probes
    from diagnose.instruments import (
        HistogramInstrument,
        IncrementInstrument,
        Instrument,
        LogInstrument,
        ProbeTestInstrument,
    )
    from diagnose.managers import sensor

    manager = managers.InstrumentManager()
    _native._bind(globals(), vars(instruments))


if _native is not None:
    _use_library()
else:

    def __getattr__(name):
        if name in _LIBRARY:
            raise NotImplementedError(_reason)
        raise AttributeError("module 'diagnose' has no attribute %r" % name)
