# SPDX-License-Identifier: MIT
from datetime import datetime
from types import TracebackType
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Protocol,
    Type,
    TypedDict,
    Union,
    overload,
)

from diagnose.instruments import Instrument, ProbeTestInstrument
from diagnose.probes import FunctionProbe

class Applied(TypedDict):
    lm: Optional[datetime]
    err: Optional[str]

class InstrumentManager:
    instrument_classes: Dict[str, Callable[..., Instrument]]
    global_namespace: Dict[str, Any]
    process_id: str
    def __init__(self, process_id: Optional[str] = ...) -> None: ...
    @property
    def specs(self) -> Any: ...
    @specs.setter
    def specs(self, value: Mapping[Any, Mapping[str, Any]]) -> None: ...
    def apply(self) -> None: ...
    def apply_in_background(self, period: float = ...) -> None: ...
    def stop_background(self) -> None: ...
    def check_call(
        self, probe: FunctionProbe, instrument: Instrument, *args: Any, **kwargs: Any
    ) -> bool: ...
    def get_tags(self) -> Union[Dict[str, Any], List[str]]: ...
    def handle_error(
        self, probe: Optional[FunctionProbe] = ..., instrument: Optional[Instrument] = ...
    ) -> None: ...
    def mark(self, id: Any, lastmodified: Optional[datetime], error: Optional[str] = ...) -> None: ...

class Collection(Protocol):
    def find(self) -> Iterable[Mapping[str, Any]]: ...
    def update_one(self, filter: Any, update: Any) -> Any: ...

class MongoDBInstrumentManager(InstrumentManager):
    def __init__(
        self, process_id: Optional[str], collection: Collection, id_field: str = ...
    ) -> None: ...

@overload
def mag(number: int, base: int = ...) -> int: ...
@overload
def mag(number: float, base: float = ...) -> float: ...

class sensor:
    def __init__(
        self,
        target: str,
        value: str = ...,
        name: str = ...,
        event: str = ...,
        custom: Optional[Dict[str, Any]] = ...,
        *,
        expires: Optional[datetime] = ...,
        mgr: Optional[InstrumentManager] = ...,
    ) -> None: ...
    def __enter__(self) -> ProbeTestInstrument: ...
    def __exit__(
        self,
        type: Optional[Type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None: ...
