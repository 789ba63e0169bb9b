"""Every snippet of docs/api.md, run one after the other as a reader would."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from clone import ROOT

from clipcache.embedding import shared_backbone


def test_every_snippet_runs(
    in_project: Path, backbone_folder: Path, tmp_path: Path, monkeypatch
) -> None:
    page = (ROOT / "docs/api.md").read_text()
    snippets = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(snippets) >= 6
    assert "```py\n" not in page
    monkeypatch.setenv("CLIPCACHE_DIR", str(tmp_path / "cache"))
    shutil.copytree(backbone_folder, shared_backbone())  # made elsewhere: it takes a while
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(snippets)],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "gone.mp4 cannot be read (No such file or directory)." in done.stdout
    assert "float16" in done.stdout
