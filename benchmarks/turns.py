"""Two alike, measured in turns: one, other, other, one. What drifts, as the load of others does, meets both."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TypeVar

from msgspec import Struct, field

from benchmarks.figures import Cost, Load, together

T = TypeVar("T")


def in_turns(one: T, other: T) -> tuple[T, ...]:
    return one, other, other, one


class Turns(Struct):
    """What was seen of one of the two, turn by turn."""

    loads: list[Load] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)

    def saw(self, load: Load, cost: Cost) -> None:
        self.loads.append(load)
        self.costs.append(cost)

    @property
    def load(self) -> Load:
        return together(self.loads)

    @property
    def cost(self) -> Cost:
        return reduce(add, self.costs)

    @property
    def cpu_ms(self) -> float:
        return _cpu_ms(self.load, self.cost)

    @property
    def each_cpu_ms(self) -> list[float]:
        return [round(_cpu_ms(load, cost), 4) for load, cost in zip(self.loads, self.costs, strict=True)]


def _cpu_ms(load: Load, cost: Cost) -> float:
    return cost.all * 1000 / max(load.units, 1)
