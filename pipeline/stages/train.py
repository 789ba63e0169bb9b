"""Stage `train`: features and splits -> models/head/."""

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.backbone.folder import BACKBONE
from pipeline.dataset.clips import INDEX, SPLITS, read_index
from pipeline.errors import DatasetError, TrainingError
from pipeline.files import check_writable, replacing_folder
from pipeline.frames.streams import RGB, stream_and_view
from pipeline.head.build import NETWORK_BRANCH
from pipeline.head.calibration import fit_temperature, sigmoid
from pipeline.head.fit import Epoch, Fit, set_up_tensorflow
from pipeline.head.held_out import FALSE_ALARMS
from pipeline.head.labelled_clips import LabelledClips, labelled_splits
from pipeline.head.model_card import Branch, ModelCard
from pipeline.head.model_folder import CARD, MODEL, check_backbone, save_model, versions
from pipeline.head.training import TrainedHead, train_head
from pipeline.store.feature_files import FEATURES, FeatureSet
from pipeline.timeline.fit import learn_decoder
from pipeline.timeline.long_videos import clip_seconds
from pipeline.wording import count, some

if TYPE_CHECKING:
    from pipeline.head.params import TrainParams
    from pipeline.params import Params

CURVES = Path("reports/train")
WORK = Path(".clipcache/train")  # states of unfinished runs; no DVC output, so DVC leaves it
KEPT_STATES = 4  # of other unfinished runs
ABANDONED_SECONDS = 3600.0  # a state is written in less
DIGITS = 4  # of an accuracy in the card
THRESHOLD_DIGITS = 6

logger = logging.getLogger("clipcache.train")


@dataclass(frozen=True)
class Trained:
    """What a training gave: the card of the model, and how that of the network went, if any."""

    card: ModelCard
    fit: Fit | None
    train_clips: int
    val_clips: int


def train(
    params: "Params",
    *,
    features_folder: Path = FEATURES,
    index: Path = INDEX,
    splits: Path = SPLITS,
    backbone: Path = BACKBONE,
    model_folder: Path = MODEL,
    curves: Path = CURVES,
    work: Path = WORK,
    say: Callable[[str], None] = logger.info,
) -> Trained:
    """Train the head on the train split and write the model folder.

    The validation split decides which epoch is kept, and the temperature; the test split is not
    read. A run that was killed goes on from its last epoch and ends with the weights that an
    undisturbed run would have had.

    Parameters
    ----------
    say : told in words how it goes, epoch by epoch

    Raises
    ------
    DatasetError
        When there is nothing to train on.
    ModelError
        When the backbone, which is copied into the model folder, did not make the features.
    TrainingError
        When the training diverges. Model and curves are as they were then, as after any error.
    DiskError
        When there is no writing where the model or the curves go; found out before training.
    """
    for path in (model_folder / CARD, curves / "metrics.json"):
        check_writable(path)
    settings = params.train
    features = FeatureSet.open(features_folder)
    check_backbone(features.extractor, backbone)
    indexed = read_index(index)
    sides = labelled_splits(features, indexed, splits, multi_label=params.dataset.multi_label)
    train_set, val_set = sides.train, sides.val
    if len(train_set.classes) < 2:
        raise DatasetError(
            f"The train split of {splits} has embedded clips of "
            f"{len(train_set.classes)} class, but training needs two: see "
            "reports/rejected.csv and the `split` section of the settings."
        )
    if NETWORK_BRANCH in settings.shape.branches:
        set_up_tensorflow()
    packages = versions()
    run = {
        "train": settings.model_dump(mode="json"),
        "features": features.sha256,
        "labels": train_set.classes,
        "clips": [
            hashlib.sha256(part.positions.tobytes() + part.labels.tobytes()).hexdigest()
            for part in (train_set, val_set)
        ],
        "versions": packages,
    }
    state = _state_file(work, run)
    if sides.unlearnt:
        unknown = some(sorted(set(sides.unlearnt.values())))
        clips = count(len(sides.unlearnt), "val or test clip is", "val and test clips are")
        say(f"no train clip has the label {unknown}, so it is not learnt: {clips} left out")
    with replacing_folder(curves) as log:  # before it takes its place, the model is saved
        reporter = _Reporter(log, settings.epochs, say)
        say(f"training on {count(len(train_set), 'clip')}, validating on {len(val_set) or 'none'}")
        if waiting := int((~indexed.labelled).sum()):
            say(f"{count(waiting, 'clip')} without a label left out")
        try:
            trained = train_head(
                features, train_set, val_set, settings, state=state, on_epoch=reporter.epoch,
                say=say,
            )  # fmt: skip
        except TrainingError:
            state.unlink(missing_ok=True)
            raise
        head = trained.head
        read = {stream_and_view(name)[0] for name in head.readings} - {RGB}
        temperature = 1.0
        if settings.calibrate and len(val_set):
            logits = head.logits(features.clip(i) for i in val_set.positions)
            temperature = fit_temperature(logits, val_set.labels)
        decoder = None
        if not train_set.several:
            decoder = learn_decoder(
                head, features, indexed, train_set, val_set, trained.reference,
                calibrate=settings.calibrate,
            )  # fmt: skip
        reporter.end(trained, temperature)
        if decoder:
            say(
                f"long videos: windows of {decoder.window:.2f} s, stretches of "
                f"{decoder.typical:.1f} s as a rule, a change costs {decoder.cost:.2f}"
            )
        card = ModelCard(
            labels=train_set.classes,
            extractor=features.extractor,
            sampling=features.sampling,
            readings=dict(head.readings),
            streams={name: made for name, made in features.streams.items() if name in read},
            window=_window(features, train_set, settings),
            views=head.views,
            mirror=head.mirror,
            branches=_branches(trained),
            windowing=settings.windowing,
            temperature=temperature,
            shape=settings.shape,
            longest=max(clip_seconds(features, i) for i in train_set.positions),
            decoder=decoder,
            thresholds=_thresholds(trained, temperature),
            versions=packages,
        )
        network = trained.fit.network if trained.fit else None
        save_model(network, head.linear, card, model_folder, backbone, trained.reference)
    state.unlink(missing_ok=True)
    return Trained(card, trained.fit, len(train_set), len(val_set))


def _thresholds(trained: TrainedHead, temperature: float) -> tuple[float, ...] | None:
    """What the card says of when labels hold: probabilities, not logits."""
    if trained.thresholds is None:
        return None
    return tuple(sigmoid(trained.thresholds, temperature).round(THRESHOLD_DIGITS).tolist())


def _window(features: FeatureSet, train: LabelledClips, settings: "TrainParams") -> int:
    """Frames of a window of a long clip: those of the median training clip, where the head reads
    whole clips."""
    if settings.shape.branches == (NETWORK_BRANCH,):
        return settings.steps
    return int(np.median(features.lengths[train.positions]))


def _branches(trained: TrainedHead) -> tuple[Branch, ...]:
    """What the card says of each branch; accuracies are rounded, as in the reports."""
    accuracies, ordered = trained.accuracies, {}
    if trained.linear and trained.thresholds is None:  # which come with offsets to a branch
        alone = trained.linear.alone()
        ordered = dict(zip((b.name for b in alone.branches), alone.shares, strict=True))
    return tuple(
        Branch(
            name,
            share,
            None if (accuracy := accuracies[name]) is None else round(accuracy, DIGITS),
            ordered.get(name),
        )
        for name, share in trained.head.shares.items()
    )


def _state_file(work: Path, run: dict[str, Any]) -> Path:
    """Where the state of this very run is kept; forgets old unfinished ones."""
    key = hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()
    state = work / f"{key[:32]}.npz"
    others = sorted(
        (path for path in work.glob("[!.]*.npz") if path != state),
        key=lambda path: path.stat().st_mtime,
    )
    abandoned = [
        path for path in work.glob(".*.npz")  # half-written when their run was killed
        if time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    ]  # fmt: skip
    for path in (*others[: -KEPT_STATES or None], *abandoned):
        path.unlink(missing_ok=True)
    return state


class _Reporter:
    """Tells how training goes: a line per epoch for people, the curves for DVCLive."""

    def __init__(self, curves: Path, epochs: int, say: Callable[[str], None]) -> None:
        from dvclive import Live
        from scmrepo.exceptions import SCMError

        class Log(Live):
            """DVCLive asks git for the last commit, though no experiment is saved here."""

            def _init_dvc(self) -> None:
                with contextlib.suppress(SCMError):  # there is no commit yet
                    super()._init_dvc()

        self._say = say
        self._epochs = epochs
        self._live = Log(
            dir=str(curves), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False
        )

    def epoch(self, epoch: Epoch) -> None:
        """Tell of one epoch."""
        values = {"train/loss": epoch.loss, "train/accuracy": epoch.accuracy,
                  "val/loss": epoch.val_loss, "val/accuracy": epoch.val_accuracy,
                  "learning_rate": epoch.learning_rate}  # fmt: skip
        shown = f"epoch {epoch.epoch:3d}/{self._epochs}  loss {epoch.loss:.4f}"
        shown += f"  accuracy {epoch.accuracy:6.1%}"
        if epoch.val_loss is not None and epoch.val_accuracy is not None:
            shown += f"  val loss {epoch.val_loss:.4f}  val accuracy {epoch.val_accuracy:6.1%}"
        self._say(shown)
        for name, value in values.items():
            if value is not None:
                self._live.log_metric(name, value)
        self._live.next_step()

    def end(self, trained: TrainedHead, temperature: float) -> None:
        """Tell what was kept, and what each branch is worth."""
        for name, share in trained.head.shares.items():
            accuracy = trained.accuracies[name]
            alone = "" if accuracy is None else f", alone {accuracy:6.1%} of unseen training clips"
            self._say(f"{name}: share {share:.2f}{alone}")
        kept = ""
        if result := trained.fit:
            self._live.log_metric("best_epoch", result.best, plot=False)
            again = f" (continued after epoch {result.resumed})" if result.resumed else ""
            kept = f"kept epoch {result.best}{again}, "
        self._live.log_metric("temperature", temperature, plot=False)
        self._say(f"{kept}mirror {'on' if trained.head.mirror else 'off'}, "
                  f"temperature {temperature:.2f}")  # fmt: skip
        if trained.thresholds is not None:
            shown = sigmoid(trained.thresholds, temperature)
            self._say(f"a label holds from {shown.min():.2f} to {shown.max():.2f} on")
            self._live.end()
            return
        clips = 0 if trained.reference is None else len(trained.reference)
        few = "" if FALSE_ALARMS * (clips + 1) >= 1 else ", too few to call one none of the labels"
        self._say(f"new clips are held against {clips or 'no'} held-out ones{few}")
        self._live.end()
