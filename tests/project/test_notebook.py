"""docs/notebook.ipynb, executed from top to bottom in an empty folder."""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from clone import ROOT
from nbclient import NotebookClient

NOTEBOOK = ROOT / "docs/notebook.ipynb"
INSTALL = "install"  # tag of the cell that installs the package


def read_notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, nbformat.NO_CONVERT)


def is_install(cell: nbformat.NotebookNode) -> bool:
    return INSTALL in cell.metadata.get("tags", ())


def printed(cell: nbformat.NotebookNode) -> str:
    """What a cell wrote and what it is worth, as text."""
    parts = [output.get("text") or output.get("data", {}).get("text/plain", "")
             for output in cell.outputs]  # fmt: skip
    return "".join(parts)


def test_it_is_valid_and_committed_without_outputs() -> None:
    notebook = read_notebook()
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    (installing,) = (cell.source for cell in code if is_install(cell))
    assert "%pip install" in installing


def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder; only the cell that installs is left out, as clipcache is here."""
    monkeypatch.setenv("CLIPCACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = read_notebook()
    notebook.cells = [cell for cell in notebook.cells if not is_install(cell)]
    project = tmp_path / "my_project"  # as the notebook calls it
    client = NotebookClient(
        notebook, timeout=1200, kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )  # fmt: skip
    client.execute()
    cells = {cell.source: printed(cell) for cell in notebook.cells if cell.cell_type == "code"}
    assert "Running stage 'evaluate'" in cells["!dvc repro"]
    assert "Running stage 'frames'" in cells["!dvc repro frames"]
    answer = next(text for source, text in cells.items() if "Predictor(" in source)
    assert "0.0 s to " in answer
    *_, score = cells.values()
    assert 0 <= float(score) <= 1
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.get("data", {}).keys() & {"image/png", "image/jpeg"}
    ]
    assert len(pictures) == 2
    assert (project / "reports/report.html").exists()
    assert "epochs: 8\n" in (project / "params.yaml").read_text()
