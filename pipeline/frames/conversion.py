"""Frames of PyAV as pictures, the way the program `ffmpeg` makes them."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from av.filter import Graph
    from av.video.frame import VideoFrame


class Converter:
    """Turns frames into BGR pictures through FFmpeg's own filter `scale`.

    It goes by the frame's colour space, range and place of chroma. The two fields of an interlaced
    frame stay woven into one picture: `resize` then halves it where it is large, which blends them.
    """

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._made_for: tuple[object, ...] = ()

    def picture(self, frame: "VideoFrame") -> np.ndarray:
        """(height, width, 3) uint8 BGR, upright; alpha is dropped.

        Raises
        ------
        av.FFmpegError
            When the frame cannot be converted: nothing comes out that was not in it.
        """
        kind = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if self._graph is None or kind != self._made_for:
            self._graph, self._made_for = _graph(frame), kind
        self._graph.push(frame)
        converted = self._graph.pull()
        image = converted.to_ndarray()
        turns = round(frame.rotation / 90)
        return np.ascontiguousarray(np.rot90(image, turns)) if turns % 4 else image


def _graph(frame: "VideoFrame") -> "Graph":
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    nodes = [source, graph.add("scale", "interl=0"), graph.add("format", "bgr24")]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph
