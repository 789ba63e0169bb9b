"""What a head and the baselines say of test clips where several labels may hold."""

from pipeline.evaluation.baseline import baseline_judgement, frame_means, ordered_judgement
from pipeline.evaluation.multi_label.scores import (
    FRAME_MEAN,
    HEAD,
    ORDERED,
    Judgement,
    LabelOutcome,
)
from pipeline.head.labelled_clips import LabelledClips
from pipeline.head.model_folder import Model, predict_probabilities
from pipeline.store.feature_files import FeatureSet


def tell_labels(
    head: Model, features: FeatureSet, train: LabelledClips, test: LabelledClips
) -> LabelOutcome:
    """What the head, and the baselines trained on `train`, say about `test`.

    Raises
    ------
    ModelError
        When a clip has a label that the model does not know.
    """
    train, test = train.numbered_by(head.labels), test.numbered_by(head.labels)
    clips = (features.clip(i) for i in test.positions)
    probabilities = predict_probabilities(head, clips)
    means = [frame_means(features, side.positions) for side in (train, test)]
    return LabelOutcome(
        labels=test.classes,
        clip_ids=features.clip_ids[test.positions],
        groups=test.groups,
        actual=test.labels > 0,
        judgements={
            HEAD: Judgement(probabilities, head.card.hold(probabilities)),
            FRAME_MEAN: baseline_judgement(means[0], train, means[1]),
            ORDERED: ordered_judgement(features, train, test),
        },
    )
