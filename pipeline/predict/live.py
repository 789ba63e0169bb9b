"""The command `live`: what happens in front of a camera, now."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import ClipcacheError
from pipeline.frames.capture import Frame, LiveCapture, shown
from pipeline.head.held_out import FALSE_ALARMS
from pipeline.head.model_folder import MODEL
from pipeline.predict.prediction import Window
from pipeline.predict.predictor import Predictor
from pipeline.quiet import quiet_native_output

RATE_FRAMES = 50  # newest frames over which the rate is counted
TOP = 3  # labels in a line of JSON
DIGITS = 4
WINDOW_WIDTH = 960  # pixels on the screen, at first
TITLE = "clipcache live - q ends"

logger = logging.getLogger("clipcache.live")


@dataclass(frozen=True)
class Answer:
    """What is said of the newest window.

    Attributes
    ----------
    window : smoothed
    fps : frames taken a second, lately
    delay : seconds from when the window's last frame came, or was due, to this answer; with motion
        that is 0.1 s more, as what comes after that frame is looked at too
    dropped : frames so far that came and were not taken
    """

    window: Window
    fps: float
    delay: float
    dropped: int


@dataclass
class Summary:
    """What a session was like.

    Attributes
    ----------
    seconds : it lasted
    seen, taken, dropped : frames that came, that were looked at, and that were passed over
    embedded : frames that were embedded, each counted once
    reconnected : times that the source was lost and found again
    mean_delay, max_delay : seconds, of the answers
    """

    seconds: float
    seen: int
    taken: int
    dropped: int
    embedded: int
    reconnected: int
    mean_delay: float
    max_delay: float

    def __str__(self) -> str:
        again = f", connected again {self.reconnected} times" if self.reconnected else ""
        return (
            f"{self.seconds:.1f} s: {self.seen} frames seen, {self.embedded} embedded, "
            f"{self.dropped} dropped{again}; delay "
            f"{1000 * self.mean_delay:.0f} ms on average, {1000 * self.max_delay:.0f} ms at most"
        )


def live(
    source: str,
    *,
    model: Path = MODEL,
    threshold: float = 0.0,
    false_alarms: float = FALSE_ALARMS,
    smoothing: float = 0.5,
    show: Callable[[dict[str, object]], bool] | None = None,
    as_fast: bool = False,
    events: bool = False,
    say: Callable[[str], None] = logger.info,
) -> Summary:
    """Classify a live source until it ends, or the user presses q or Ctrl-C.

    Parameters
    ----------
    show : called with each answer as JSON-ready values; False ends it. None: a window shows the
        label drawn on the picture
    events : whether it is called when an action starts and when it ends instead; `smoothing` does
        not count then
    say : told in words when the source is lost and found again

    Raises
    ------
    ClipError
        When the source cannot be opened, or is lost for good.
    ClipcacheError
        When there is no display to show a window on.
    """
    if show is None and not display_works():
        raise ClipcacheError(
            "There is no display to show the picture on: add --json for a line of JSON per answer."
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the same end as Ctrl-C
    predictor = Predictor(model, threshold, false_alarms=false_alarms)
    capture = LiveCapture(source, as_fast=as_fast, say=say)
    screen = _Screen(shown(source)) if show is None else None

    actions = predictor.events() if events else None
    if actions:
        seconds = actions.delay(predictor.window_seconds(), predictor.frame_seconds())
        say(f"Starts and ends of actions are told up to {seconds:.1f} s later, computing aside.")

    def tell(answer: Answer) -> bool:
        if show is None:
            return True
        if actions:
            return all(show(event.as_dict()) for event in actions.add(answer.window))
        return show(_line(answer, predictor))

    try:
        summary = follow(
            predictor, capture, smoothing=0.0 if actions else smoothing, on_answer=tell,
            on_frame=screen.show if screen else lambda frame, answer: True,
        )  # fmt: skip
        if actions and show:
            for event in actions.end():
                show(event.as_dict())
        return summary
    finally:
        if screen:
            screen.close()


def follow(
    predictor: Predictor,
    capture: LiveCapture,
    *,
    smoothing: float = 0.0,
    on_answer: Callable[[Answer], bool] = lambda answer: True,
    on_frame: Callable[[Frame, Answer | None], bool] = lambda frame, answer: True,
) -> Summary:
    """Take the newest frame again and again, until the source ends or Ctrl-C.

    Parameters
    ----------
    smoothing : seconds; see `pipeline.predict.predictor.Stream`
    on_answer : called for each sampled frame; False ends it
    on_frame : called for each frame that was taken, with the newest answer; False ends it
    """
    stream = predictor.stream(smoothing=smoothing)
    times: deque[float] = deque(maxlen=RATE_FRAMES)
    answer: Answer | None = None
    taken = answers = 0
    total_delay = max_delay = 0.0
    started = time.monotonic()

    def told(window: Window | None, frame: Frame) -> bool:
        nonlocal answer, answers, total_delay, max_delay
        if window is None:
            return True
        delay = time.monotonic() - frame.due + frame.seconds - window.end
        answers += 1
        total_delay += delay
        max_delay = max(max_delay, delay)
        answer = Answer(window, _rate(times), delay, capture.dropped)
        return on_answer(answer)

    try:
        with capture:
            for frame in capture:
                taken += 1
                times.append(time.monotonic())
                window = stream.add(frame.picture, frame.seconds, bgr=True)
                if not (told(window, frame) and on_frame(frame, answer)):
                    break
            else:
                if taken:
                    told(stream.end(), frame)
    except KeyboardInterrupt:
        pass  # the way to end it
    return Summary(
        time.monotonic() - started, capture.seen, taken, capture.dropped, stream.embedded,
        capture.reconnected, total_delay / max(answers, 1), max_delay,
    )  # fmt: skip


def display_works() -> bool:
    """Whether a window can be opened; tried in a process of its own, which a bad display kills."""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return False
    attempt = "import cv2; cv2.namedWindow('clipcache'); cv2.waitKey(1)"
    return subprocess.run(
        [sys.executable, "-c", attempt], check=False, capture_output=True
    ).returncode == 0  # fmt: skip


class _Screen:
    """A window with the newest picture and the answer on it."""

    def __init__(self, title: str) -> None:
        import cv2

        self._title = f"{title} - {TITLE}"
        self._sized = False
        with quiet_native_output():  # Qt's words about fonts
            cv2.namedWindow(
                self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
            )

    def show(self, frame: Frame, answer: Answer | None) -> bool:
        """Draw the frame; False when the user closed the window, or pressed q or Escape."""
        import cv2

        from pipeline.predict.overlay import draw_answer

        if answer is not None:
            note = f"{answer.fps:.0f} frames/s, {1000 * answer.delay:.0f} ms"
            draw_answer(frame.picture, answer.window.label, answer.window.confidence, note)
        if not self._sized:
            height, width = frame.picture.shape[:2]
            scale = WINDOW_WIDTH / width
            cv2.resizeWindow(self._title, WINDOW_WIDTH, round(height * scale))
            self._sized = True
        cv2.imshow(self._title, frame.picture)
        if cv2.waitKey(1) & 0xFF in (ord("q"), 27):
            return False
        return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        import cv2

        cv2.destroyAllWindows()


def _line(answer: Answer, predictor: Predictor) -> dict[str, object]:
    """An answer as JSON-ready values; docs/predict.md says what is in them."""
    window, labels = answer.window, predictor.labels
    several = predictor.card.several
    held = {"labels": list(predictor.holding(window.probabilities))} if several else {}
    best = np.argsort(-window.probabilities, kind="stable")[:TOP]
    chances = window.probabilities.round(DIGITS).tolist()
    return {
        "time": round(window.end, 3),
        "label": window.label,
        **held,
        "confidence": round(window.confidence, DIGITS),
        "top": [{"label": labels[i], "confidence": chances[i]} for i in best],
        "fps": round(answer.fps, 1),
        "delay_ms": round(1000 * answer.delay, 1),
        "dropped": answer.dropped,
    }


def _rate(times: deque[float]) -> float:
    passed = times[-1] - times[0]
    return (len(times) - 1) / passed if passed > 0 else 0.0
