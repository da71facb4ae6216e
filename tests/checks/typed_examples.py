# SPDX-License-Identifier: MIT
"""A program that uses all of the library, for mypy to check; it is not run."""
import datetime
import sys
from typing import Any, Optional

import diagnose
from diagnose import Instrument, LogInstrument
from diagnose.instruments import HistogramInstrument, IncrementInstrument, Raise, StatsD
from diagnose.managers import InstrumentManager, MongoDBInstrumentManager
from diagnose.probes import FunctionProbe

probe: FunctionProbe = diagnose.probes.attach_to("shop.Cart.total")
probe.instruments["a"] = LogInstrument("a", "result", custom={"tags": "{'a': 1}"})
probe.instruments.update({"b": HistogramInstrument("b", "elapsed", event="return")})
probe.instruments["c"] = IncrementInstrument(
    name="c", value="1", expires=datetime.datetime(2030, 1, 1), mgr=diagnose.manager
)
probe.start()
taken: Instrument = probe.instruments.pop("c")
taken.value = "2"
taken.expires = None
state: str = probe.status()["a"]["state"]
probe.stop()
diagnose.probes.start_all()
names: list[str] = sorted(diagnose.probes.active_probes)


class Slowest(Instrument):
    record = 0.0

    def check_call(self, probe: FunctionProbe, *args: Any, **kwargs: Any) -> bool:
        return bool(args) and super().check_call(probe, *args, **kwargs)

    def fire(self, _globals: dict[str, Any], _locals: dict[str, Any]) -> None:
        took = self.evaluate(self.value, _globals, _locals)
        self.record = max(self.record, float(took))
        print(self.merge_tags(_globals, _locals))

    def handle_error(self, probe: FunctionProbe) -> None:
        print(sys.exc_info()[1], probe.target)

    def finish(self) -> None:
        print(self.record)


class Cap(Instrument):
    alters = True

    def intercept(self, proceed: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            return Raise(TimeoutError("injected"))
        return proceed(*args)


class Shouting(LogInstrument):
    out = sys.stderr

    def emit(self, name: str, value: Any, tags: Any) -> None:
        super().emit(name.upper(), value, tags)


@Slowest("area", "elapsed")
def area(width: int, height: int) -> int:
    return width * height


square: int = area(2, 2)

diagnose.instruments.statsd = StatsD(host="127.0.0.1", port=8125, prefix="shop.", tags={"env": "test"})
diagnose.instruments.statsd.increment("orders", tags=["region:eu"])
diagnose.instruments.statsd.histogram("price", 9.5, tags={"region": "eu"})


class Tagged(InstrumentManager):
    def get_tags(self) -> dict[str, str]:
        return {"service": "shop"}

    def handle_error(
        self, probe: Optional[FunctionProbe] = None, instrument: Optional[Instrument] = None
    ) -> None:
        print(sys.exc_info()[1])


manager = Tagged(process_id="web-1")
manager.instrument_classes = {"log": LogInstrument, "slowest": Slowest}
manager.global_namespace.update({"area": area})
manager.specs["one"] = {
    "target": "shop.Cart.total",
    "instrument": {"type": "log", "name": "total", "value": "result", "event": "return", "custom": {}},
    "lifespan": 10,
    "lastmodified": datetime.datetime.utcnow(),
    "applied": {},
}
manager.apply()
manager.apply_in_background(period=30)
manager.stop_background()


def from_database(collection: Any) -> InstrumentManager:
    return MongoDBInstrumentManager("web-1", collection, id_field="name")


with diagnose.sensor("shop.Cart.total", value="discount") as sensor:
    results: list[Any] = sensor.results
