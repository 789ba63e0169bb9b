"""What asks about the one label of a clip cannot ask about several."""

from pipeline.dataset.params import DatasetParams
from pipeline.errors import DatasetError


def refuse_several(dataset: DatasetParams, told: str) -> None:
    """Refuse a data set of which several labels may hold for a clip.

    Parameters
    ----------
    told : what is not done, as the end of a sentence

    Raises
    ------
    DatasetError
    """
    if dataset.multi_label:
        raise DatasetError(
            f"dataset.multi_label is true, and {told} where several labels may hold for a clip: "
            f"edit {dataset.table} itself."
        )
