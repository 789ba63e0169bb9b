"""Streams: readings of the same moment of a clip, embedded and cached side by side.

``rgb`` is what the frozen CNN makes of a frame, averaged over the picture, and ``place`` where in
the picture it found it. ``flow`` is how things move at that moment, as statistics that need no CNN,
``difference`` what the CNN makes of the change from just before to just after.

A stream in a view has a name: a view alone means ``rgb``, so that "hflip" is the mirrored picture,
"flow/identity" the flow.
"""

RGB, PLACE, FLOW, DIFFERENCE = "rgb", "place", "flow", "difference"
STREAMS = (RGB, PLACE, FLOW, DIFFERENCE)


def reading(stream: str, view: str = "identity") -> str:
    """The name of a stream in a view."""
    return view if stream == RGB else f"{stream}/{view}"


def stream_and_view(name: str) -> tuple[str, str]:
    """The reverse of `reading`."""
    stream, _, view = name.rpartition("/")
    return stream or RGB, view
