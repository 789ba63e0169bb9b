"""Stage `check`: can all settings be used? -> data/checked.txt.

DVC removes the outputs of a stage before its command runs. So that a slip in params.yaml does not
cost the model that is there, the first stage looks at every section, and all others wait for it.
"""

from pathlib import Path

from pipeline.backbone.weights import check_weights
from pipeline.dataset.layouts.contents import check_raw
from pipeline.dataset.layouts.table_file import check_table
from pipeline.dataset.splits.lists import read_lists
from pipeline.embedding.engines import check_engine
from pipeline.embedding.executors.cluster import check_ray
from pipeline.files import write_text
from pipeline.params import Params

CHECKED = Path("data/checked.txt")
TEXT = "All settings in params.yaml can be used, and what they name is there.\n"


def check_settings(params: Params, path: Path = CHECKED) -> None:
    """Look whether what the settings name is there, and write that it is.

    The text is always the same, so that no other stage runs for it.

    Raises
    ------
    ClipcacheError
        When the folder of clips, the table, the lists, the weights or a package is missing.
    """
    check_raw(params.dataset)
    if params.dataset.layout == "csv":
        check_table(Path(params.dataset.table))
    if params.split.method == "official":
        read_lists(params.split)
    check_weights(params.backbone.weights)
    check_engine(params.features.engine)
    if params.features.executor == "ray":
        check_ray()
    write_text(path, TEXT)
