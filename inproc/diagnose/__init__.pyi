# SPDX-License-Identifier: MIT
from os import PathLike
from typing import List, Optional, TypedDict, Union

from diagnose import instruments as instruments
from diagnose import managers as managers
from diagnose import probes as probes
from diagnose.instruments import HistogramInstrument as HistogramInstrument
from diagnose.instruments import IncrementInstrument as IncrementInstrument
from diagnose.instruments import Instrument as Instrument
from diagnose.instruments import LogInstrument as LogInstrument
from diagnose.instruments import ProbeTestInstrument as ProbeTestInstrument
from diagnose.managers import InstrumentManager
from diagnose.managers import sensor as sensor

manager: InstrumentManager
__version__: Optional[str]
DEFAULT_SOCKET: str

class SpecStatus(TypedDict):
    id: str
    revision: int
    state: str
    message: str
    mechanism: str
    excluded: str
    functions: int
    codes: int
    pure: bool
    hits: int
    errors: int
    dropped: int
    skips: dict[str, int]

class Status(TypedDict):
    connected: bool
    socket: str
    uid: str
    error: str
    specs: List[SpecStatus]

def connect(socket: Optional[Union[str, "PathLike[str]"]] = ..., wait: float = ...) -> bool: ...
def disconnect() -> None: ...
def status() -> Status: ...
