"""/proc, read for whole trees: threads, children that ended, and shared memory by its share."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmarks.processes import cpu_seconds, pss_bytes, stepped_back_seconds, trees


def process(proc: Path, pid: int, parent: int, *, threads: tuple[int, ...] = (), children_ticks: int = 0) -> Path:
    entry = proc / str(pid)
    fields = ["S", str(parent), *["0"] * 11, str(children_ticks), "0", *["0"] * 10]
    for number, ns in enumerate(threads):
        (entry / "task" / str(pid + number)).mkdir(parents=True)
        (entry / "task" / str(pid + number) / "schedstat").write_text(f"{ns} 17 4\n")
    entry.mkdir(exist_ok=True)
    (entry / "stat").write_text(f"{pid} (a (strange) name) {' '.join(fields)}\n")
    return entry


def test_a_tree_is_the_root_and_all_below(tmp_path: Path) -> None:
    for pid, parent in ((10, 1), (11, 10), (12, 11), (20, 1)):
        process(tmp_path, pid, parent)
    assert trees([10], tmp_path) == {10, 11, 12}
    assert trees([11, 20], tmp_path) == {11, 12, 20}


def test_a_root_below_another_is_counted_once(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, threads=(1_000_000_000,))
    process(tmp_path, 11, 10, threads=(500_000_000,))
    assert cpu_seconds([10, 11], tmp_path) == pytest.approx(1.5)


def test_all_threads_count(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, threads=(1_000_000_000, 250_000_000))
    assert cpu_seconds([10], tmp_path) == pytest.approx(1.25)


def test_threads_that_let_others_go_first_are_told_apart(tmp_path: Path) -> None:
    """By how nice they are beside their own process, which may itself be nicer than others."""
    entry = process(tmp_path, 10, 1, threads=(1_000_000_000, 250_000_000, 500_000_000))
    nice = "10 (x) S 1 0 0 0 0 0 0 0 0 0 0 0 0 0 20 {} 3 0 0 0 0\n"
    for where, how in ((entry, 5), (entry / "task" / "10", 5), (entry / "task" / "11", 15), (entry / "task" / "12", 5)):
        (where / "stat").write_text(nice.format(how))
    assert stepped_back_seconds([10], tmp_path) == pytest.approx(0.25)


def test_a_child_that_has_ended_counts_through_its_parent(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, threads=(1_000_000_000,), children_ticks=os.sysconf("SC_CLK_TCK"))
    assert cpu_seconds([10], tmp_path) == pytest.approx(2.0)


def test_memory_is_the_proportional_share(tmp_path: Path) -> None:
    entry = process(tmp_path, 10, 1)
    (entry / "smaps_rollup").write_text("Rss:  9000 kB\nPss:  1000 kB\nPss_Dirty: 500 kB\n")
    process(tmp_path, 11, 10)  # whose map may not be read
    assert pss_bytes([10], tmp_path) == 1_024_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's /proc")
def test_what_a_real_child_burns_is_seen_while_it_runs() -> None:
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        before, begun = cpu_seconds([child.pid]), time.monotonic()
        while cpu_seconds([child.pid]) - before < 0.1:
            assert time.monotonic() - begun < 20, "a busy loop burns no CPU"
            time.sleep(0.02)  # the child's clock is what is waited for
    finally:
        child.kill()
        child.wait()
