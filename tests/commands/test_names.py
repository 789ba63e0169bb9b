"""Names of files and labels may hold anything: shown as they are, and obeyed by nothing."""

import csv
import io
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clone import ROOT
from rich.table import Table
from sample_model import unseen_clip

from pipeline.csv_tables import cell, listed, text_of, write_rows
from pipeline.dataset.clips import Rejected, read_rejected, write_rejected
from pipeline.terminal import TerminalHandler, cells, printable, say, say_json, show_table

ORDERS = {
    "a colour": ("\x1b[31mred", r"\x1b[31mred"),
    "an 8-bit order": ("\x9b2Jgone", r"\x9b2Jgone"),
    "a link": ("\x1b]8;;http://x\x07here", r"\x1b]8;;http://x\x07here"),
    "a turned line": ("exe\u202e4pm.walk", r"exe\u202e4pm.walk"),
    "a hidden letter": ("wa\u200blk", r"wa\u200blk"),
    "a tag": ("a\U000e0041", r"a\U000e0041"),
    "an end of a line": ("a\u2028b", r"a\u2028b"),
    "a carriage return": ("right\rwrong", r"right\rwrong"),
    "no text": ("a\udc80", r"a\udc80"),
}
PLAIN = ["walk [1].mp4", "[dQw4w9WgXcQ] x.mp4", "[bold]b[/bold]", "[/]", ":smile:", "a\\[b]",
         "Z\u00fcrich \u8d70\u308b", "\U0001f469\u200d\U0001f680"]  # fmt: skip


@pytest.mark.parametrize("name", ORDERS)
def test_what_a_terminal_would_obey_is_an_escape(name: str, capsys: pytest.CaptureFixture) -> None:
    text, shown = ORDERS[name]
    assert printable(text) == shown
    table = Table(title=text)
    table.add_column(text)
    table.add_row(*cells([text]))
    say(text)
    show_table(table)
    say_json({text: text})
    # Handed over by hand: pytest keeps what is logged, and its processes cannot exchange "no text".
    TerminalHandler().handle(logging.makeLogRecord({"msg": text}))
    out = "".join(capsys.readouterr())
    assert out.count(shown.split("\\")[1]) >= 5
    assert all(character.isprintable() or character == "\n" for character in out)


def test_json_means_the_same(capsys: pytest.CaptureFixture) -> None:
    value = [[text, shown, '\n\t"\\'] for text, shown in ORDERS.values()]
    say_json(value, indent=2)
    assert json.loads(capsys.readouterr().out) == value


@pytest.mark.parametrize("name", PLAIN)
def test_a_name_that_reads_like_markup_is_shown_as_it_is(
    name: str, capsys: pytest.CaptureFixture
) -> None:
    table = Table(name, title=name)
    table.add_row(*cells([name]))
    show_table(table)
    say(name)
    assert capsys.readouterr().out.count(name) == 4


def test_predict_shows_and_writes_such_names(sample_model: Path, tmp_path: Path) -> None:
    names = ["walk [1].mp4", "[x]\x1b[31m.mp4", "=1+1.mp4"]
    for name in names:
        shutil.copy(unseen_clip(sample_model, "walk"), tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "predict", *names, "--model", str(sample_model),
         "--csv", "out.csv", "--top", "1", "--timeline"],
        check=False, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in ("walk [1].mp4", "[x]\\x1b[31m.mp4", "=1+1.mp4"):
        assert done.stdout.count(name) == 2
    assert "\x1b" not in done.stdout + done.stderr
    with (tmp_path / "out.csv").open(newline="") as stream:
        assert {row["file"] for row in csv.DictReader(stream)} == {*names[:2], "'=1+1.mp4"}


FORMULAS = ["=1+1", "+1+1", "-1+cmd|x", "@SUM(A1)", "\t=1", "\r=1", " =1", "'=1", "''=1", "-", "=",
            "-a.mp4"]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text: str) -> None:
    assert str(cell(text)).startswith("'")
    assert text_of(str(cell(text))) == text


@pytest.mark.parametrize(
    "value", ["-0.25", "+1", "1e-5", "walk", "'walk'", "", -1.5, None, 3, "a=b"]
)
def test_other_cells_stay_as_they_are(value: object) -> None:
    assert cell(value) == value
    if isinstance(value, str):
        assert text_of(value) == value


def test_tables_for_people_hold_no_formulas_and_are_read_as_they_were(tmp_path: Path) -> None:
    rejected = [Rejected("=1+1.mp4", "features", "@reason"), Rejected("b.mp4", "features", "-")]
    write_rejected(rejected, tmp_path / "rejected.csv")
    assert "'=1+1.mp4,features,'@reason" in (tmp_path / "rejected.csv").read_text()
    assert read_rejected(tmp_path / "rejected.csv") == sorted(rejected, key=lambda r: r.clip_id)
    write_rows(tmp_path / "head.csv", ("actual", "=a"), [("=a", 1)])
    assert list(csv.reader(io.StringIO((tmp_path / "head.csv").read_text()))) == [
        ["actual", "'=a"], ["'=a", "1"]
    ]  # fmt: skip


def test_labels_in_one_cell_can_be_told_apart() -> None:
    assert listed(["left|right", "stop", "a\\"]) == r"left\|right|stop|a\\"
