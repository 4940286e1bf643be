"""What our own processes render is read back as the client library's parser reads it."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bartizan.monitoring.exposition import read
from bartizan.monitoring.meter import PrometheusMeter

ODD = 'a "quoted" back\\slash,\nand } a brace{'


def rendered() -> str:
    meter = PrometheusMeter()
    for number in range(40):
        meter.count("requests", server="auth", route=f"/r/{number}", status="200")
        meter.observe("request", number / 1000, server="auth", route=f"/r/{number}")
    meter.count("requests", server="auth", route=ODD, status="404")
    meter.set("depth", float("inf"))
    meter.set("height", -1.5, kind="x")
    return meter.render().decode()


def test_it_reads_what_the_librarys_own_parser_reads() -> None:
    text = rendered()
    theirs = list(text_string_to_metric_families(text))
    ours = read(text)
    assert len(ours) == len(theirs) == 4
    for our, their in zip(ours, theirs, strict=True):
        assert (our.name, our.type, our.documentation) == (their.name, their.type, their.documentation)
        assert our.samples == their.samples


def test_nothing_is_nothing() -> None:
    assert read("") == ()


@pytest.mark.parametrize(
    "text", ["a 1", "# TYPE a gauge\na{b} 1", '# TYPE a gauge\na{b="c} 1', "# TYPE a gauge\na x", "# TYPE a"]
)
def test_what_is_no_exposition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(text)
