"""clipcache as a library: recognise, embed, and train classifiers of one's own.

    import clipcache

    clipcache.Predictor("models/head").file("clip.mp4").label
    clipcache.embed("clip.mp4").embeddings
    clipcache.load_features("features").X

Paths are `str` or `Path`. Pictures are RGB everywhere: a frame that goes in is a (height, width, 3)
uint8 array in the order red, green, blue (of OpenCV's BGR, ``frame[..., ::-1]``). Nothing is
printed; what is worth a note is logged, by loggers below "clipcache". Errors derive from
`ClipcacheError` and are a full sentence.

Importing it takes next to no time: TensorFlow, OpenCV and HDF5 are loaded by what needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipeline import __version__
from pipeline.errors import (
    CacheError,
    ClipcacheError,
    ClipError,
    DatasetError,
    DiskError,
    FeaturesError,
    ModelError,
    ParamsError,
    StorageError,
    TooManyRejectedError,
    WeightsError,
)

if TYPE_CHECKING:
    from clipcache.embedding import Embeddings, embed
    from clipcache.features import LabelledFeatures, load_features
    from pipeline.exporting.inputs import graph_inputs
    from pipeline.predict.prediction import Prediction, Span, Window, timeline
    from pipeline.predict.predictor import Predictor
    from pipeline.store.feature_files import FeatureSet

__all__ = [
    "CacheError",
    "ClipError",
    "ClipcacheError",
    "DatasetError",
    "DiskError",
    "Embeddings",
    "FeatureSet",
    "FeaturesError",
    "LabelledFeatures",
    "ModelError",
    "ParamsError",
    "Prediction",
    "Predictor",
    "Span",
    "StorageError",
    "TooManyRejectedError",
    "WeightsError",
    "Window",
    "__version__",
    "embed",
    "graph_inputs",
    "load_features",
    "timeline",
]

_MODULES = {
    "Embeddings": "clipcache.embedding",
    "FeatureSet": "pipeline.store.feature_files",
    "LabelledFeatures": "clipcache.features",
    "Prediction": "pipeline.predict.prediction",
    "Predictor": "pipeline.predict.predictor",
    "Span": "pipeline.predict.prediction",
    "Window": "pipeline.predict.prediction",
    "embed": "clipcache.embedding",
    "graph_inputs": "pipeline.exporting.inputs",
    "load_features": "clipcache.features",
    "timeline": "pipeline.predict.prediction",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'clipcache' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
