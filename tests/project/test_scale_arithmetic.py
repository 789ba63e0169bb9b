"""The arithmetic behind docs/scale.md."""

import subprocess
import sys

import pytest
from clone import ROOT

from bench.scale_arithmetic import (
    SETS,
    Assumptions,
    Measured,
    cost_of,
    duration,
    read_measured,
    report,
    size,
)


def test_the_tables_of_the_page_are_those_of_the_script() -> None:
    page = (ROOT / "docs/scale.md").read_text()
    found = report()
    assert found["work"] in page, "run python -m bench.scale_arithmetic"
    assert found["time"] in page, "run python -m bench.scale_arithmetic"


def test_a_set_costs_what_its_parts_cost() -> None:
    measured = Measured(decode=1e-9, prepare=1e-4, embed=5e-3, driver=4e-6)
    ucf = SETS[0]
    assert ucf.decoded == 27 * 3600 * 25
    assert ucf.embedded == 27 * 3600 * 8 * 2
    cost = cost_of(ucf, measured, Assumptions(driver_clip=1e-3))
    assert cost.decode == pytest.approx(ucf.decoded * 320 * 240 * 1e-9)
    assert cost.embed == pytest.approx(27 * 3600 * 8 * (1e-4 + 2 * 5e-3))
    assert cost.driver == pytest.approx(ucf.embedded * 4e-6 + 13_320 * 1e-3)


def test_measured_figures_are_those_of_the_benchmarks() -> None:
    measured = read_measured()
    assert 1e-3 < measured.embed < 5e-2
    assert measured.decode * 320 * 240 < measured.embed
    assert measured.driver < measured.prepare < measured.embed


def test_numbers_read_well() -> None:
    assert size(700e9) == "700 GB"
    assert duration(6000) == "100 min"
    assert duration(86400 * 400) == "400 days"


def test_the_script_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.scale_arithmetic"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "Kinetics-700" in done.stdout
