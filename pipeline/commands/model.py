"""Commands that judge a head."""

from pipeline.commands.options import DEFAULT_PARAMS, Changes, ParamsFile, load_settings


def crossval(params: ParamsFile = DEFAULT_PARAMS, changes: Changes = None) -> None:
    """Cross-validate the head over groups on the cached features: reports/crossval.json.

    For example: `clipcache crossval -S crossval.seeds=3 -S train.head=linear`
    """
    from pipeline.evaluation.crossval import crossval as run

    settings = load_settings(params, changes)
    run(settings.crossval, settings.train)
