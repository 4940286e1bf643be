"""The Prometheus text format as our own processes write it, read back: a line in microseconds.

The client library's parser takes any spelling that there is and ten times as long, which would be most of what the
monitoring of an idle machine costs. Here are no timestamps, no exemplars and one space, as `meter.render` writes them.
"""

from __future__ import annotations

import re
from functools import lru_cache

from prometheus_client.metrics_core import Metric

_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?')
_ESCAPED = re.compile(r"\\(.)")
_MEANT = {"n": "\n"}


def read(text: str) -> tuple[Metric, ...]:
    """The families in their order. Raises ValueError for what is no such text."""
    families: list[Metric] = []
    documentation = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            documentation = _unescaped(line.split(" ", 3)[3])
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            families.append(Metric(name.removesuffix("_total") if kind == "counter" else name, documentation, kind))
        elif line and not line.startswith("#"):
            if not families:
                raise ValueError("a sample before its family")
            series, _, value = line.rpartition(" ")
            name, _, labels = series.partition("{")
            families[-1].add_sample(name, _labels(labels), float(value))
    return tuple(families)


@lru_cache(maxsize=4096)
def _labels(text: str) -> dict[str, str]:
    """Of what follows the brace. The same few hundred come back at each look; nobody changes the answer."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text) and text[at:] != "}":
        label = _LABEL.match(text, at)
        if label is None:
            raise ValueError("odd labels")
        found[label[1]] = _unescaped(label[2])
        at = label.end()
    return found


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), text) if "\\" in text else text
