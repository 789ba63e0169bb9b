"""Whether two films show the very same moments, though one was recompressed, cropped or mirrored.

One is laid over the other: mirrored or not, enlarged and shifted as it fits best (correlation by
the Fourier transform; then the ECC algorithm of G. Evangelidis and E. Psarakis, 2008,
https://doi.org/10.1109/TPAMI.2008.113, as OpenCV has it). That is done by the means of all
pictures, which are about the same wherever in time both begin, and by the pictures in the middle,
as a moving camera leaves little of the means; then both are shifted in time, and a few moments
make it closer. Nothing is turned or slanted: copies are not, and the raised arms of two people may
come to lie over each other so.

What changes is compared, pixel by pixel, in the details that survive compression. The scene says
nothing here, as two takes may share it; and of two people who do the same at the same place, the
outlines never agree all the way.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from pipeline.frames.films import Film

COPY = 0.8  # agreement of copies; docs/labels.md has the figures
ENOUGH = 0.95  # agreement from which on no other way to lay one over the other is tried
MOMENTS = (0.2, 0.5, 0.8)  # of what both show, by which one is laid over the other more closely
SCALES = 1.12 ** np.arange(-3, 4)  # 0.71 to 1.4: up to 15 % cut off each side
COARSE = 2  # pixels of a film for one of the search for scale and shift
LEAST_AREA = 0.4  # of the picture that both must show
ECC_STEPS = 40
ECC_BLUR = 5  # pixels, of the kernel
LAGS = ((0.04, 20), (0.01, 3))  # seconds of a step, and how many either way; then closer
ALIKE = 0.4  # correlation of what moves, below which nobody looks closer; of copies 0.59 and more
RATE = 25  # moments of a second whose details are compared
COMPARED = 40  # moments whose details are compared, at most
LEAST_SECONDS = 0.5  # that both show
LEAST_OVERLAP = 0.7  # of the longer one that both show
FINE, ROUGH = 1.0, 3.0  # pixels: details are what a blur by the one leaves and by the other not
STILL = 0.25  # squared grey levels: where the details change less, nothing moves
EDGE = 7  # pixels along the edge of what both show that are left out

Warp = np.ndarray  # (2, 3) float32, from pixels of one film to those of the other


def agreement(one: Film, other: Film, lag: float = 0.0) -> float:
    """How far what changes in one film is what changes in the other.

    Parameters
    ----------
    lag : seconds by which the same is about seen later in `other`

    Returns
    -------
    The correlation of details over time, -1 to 1; 0 where the films cannot be laid over each other,
    or nothing moves
    """
    best = 0.0
    for seen in (other, other.mirrored()):
        for start in _starts(one, seen, lag):
            best = max(best, _agreement(one, seen, lag, start))
            if best > ENOUGH:
                return best
    return best


def _starts(one: Film, other: Film, lag: float) -> Iterator[Warp]:
    """Warps to begin with, by the means of all pictures and by those in the middle."""
    looks = [tuple(film.pictures.mean(axis=0, dtype=np.float32) for film in (one, other))]
    if (span := _shared(one, other, lag)) is not None:
        middle = np.array([sum(span) / 2])
        looks.append((one.at(middle)[0], other.at(middle + lag)[0]))
    for first, second in looks:
        yield from _fitted(first[None], second[None], _coarse(first, second))


def _agreement(one: Film, other: Film, lag: float, start: Warp) -> float:
    lag, alike = _best_lag(one, other, lag, start)
    span = _shared(one, other, lag)
    if alike < ALIKE or span is None:
        return 0.0
    moments = span[0] + np.array(MOMENTS) * (span[1] - span[0])
    warps = [start, *_fitted(one.at(moments), other.at(moments + lag), start)]
    times = _spread(*span)
    fixed, moved = _details(one.at(times)), other.at(times + lag)
    best = 0.0
    for warp in warps:
        laid, mask = _laid(moved, warp, one)
        if mask.mean() >= LEAST_AREA:
            best = max(best, _correlation(fixed[:, mask], _details(laid)[:, mask]))
    return best


def _shared(one: Film, other: Film, lag: float) -> tuple[float, float] | None:
    """From when to when, in the time of `one`, both films go; None where that is too little."""
    start = max(one.times[0], other.times[0] - lag)
    end = min(one.times[-1], other.times[-1] - lag)
    longer = max(one.times[-1] - one.times[0], other.times[-1] - other.times[0])
    enough = end - start >= max(LEAST_SECONDS, LEAST_OVERLAP * longer)
    return (start, end) if enough else None


def _spread(start: float, end: float) -> np.ndarray:
    return np.linspace(start, end, max(3, min(COMPARED, int((end - start) * RATE))))


def _fitted(firsts: np.ndarray, seconds: np.ndarray, start: Warp) -> Iterator[Warp]:
    """The warp by which each of the second pictures fits the first best, where one does."""
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, ECC_STEPS, 1e-4)
    for first, second in zip(firsts, seconds, strict=True):
        try:
            _, warp = cv2.findTransformECC(
                first, second, start.copy(), cv2.MOTION_AFFINE, stop, None, ECC_BLUR
            )  # type: ignore[call-overload]
        except cv2.error:  # it does not converge
            continue
        if np.isfinite(warp).all():
            yield _upright(warp, first.shape)


def _upright(warp: Warp, shape: tuple[int, ...]) -> Warp:
    """The warp without turn and slant, which takes the middle of a picture to where it did."""
    upright = np.diag(warp.diagonal()) @ np.eye(2, 3)
    middle = np.array([shape[1] / 2, shape[0] / 2, 1.0])
    upright[:, 2] = (warp - upright) @ middle
    return upright.astype(np.float32)


def _coarse(first: np.ndarray, second: np.ndarray) -> Warp:
    """Scale and shift at which two pictures correlate most.

    All shifts at once by the Fourier transform, over what both show at each of them (D. Padfield,
    2012, https://doi.org/10.1109/TIP.2011.2181402).
    """
    fixed = _whitened(_halved(first))
    best, found = -np.inf, np.eye(2, 3, dtype=np.float32)
    for scale in SCALES:
        moved = _whitened(_halved(second, scale))
        size = [cv2.getOptimalDFTSize(a + b) for a, b in
                zip(fixed.shape, moved.shape, strict=True)]  # fmt: skip

        def over(a: np.ndarray, b: np.ndarray, size: list[int] = size) -> np.ndarray:
            return np.fft.irfft2(np.fft.rfft2(a, size) * np.conj(np.fft.rfft2(b, size)), size)

        ones, twos = np.ones_like(fixed), np.ones_like(moved)
        energy = over(np.square(fixed), twos) * over(ones, np.square(moved))
        value = over(fixed, moved) / np.sqrt(np.maximum(energy, 1.0))
        value[over(ones, twos) < LEAST_AREA * min(ones.size, twos.size)] = -np.inf
        row, column = np.unravel_index(value.argmax(), value.shape)
        if value[row, column] > best:
            best = value[row, column]
            down = row if row < fixed.shape[0] else row - size[0]
            right = column if column < fixed.shape[1] else column - size[1]
            found = np.array([[1 / scale, 0, -right * COARSE / scale],
                              [0, 1 / scale, -down * COARSE / scale]], np.float32)  # fmt: skip
    return found


def _halved(picture: np.ndarray, scale: float = 1.0) -> np.ndarray:
    factor = scale / COARSE
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def _whitened(picture: np.ndarray) -> np.ndarray:
    return (picture - picture.mean()) / (picture.std() + 1.0)


def _best_lag(one: Film, other: Film, lag: float, warp: Warp) -> tuple[float, float]:
    """The lag near the one given at which what moves agrees best, and its correlation then."""
    laid, mask = _laid(other.pictures.astype(np.float32), warp, one)
    seen = Film(laid[:, mask], other.times)
    fixed = Film(one.pictures[:, mask], one.times)
    best, found = -np.inf, lag
    for step, steps in LAGS:
        for tried in found + step * np.arange(-steps, steps + 1):
            span = _shared(one, other, tried)
            if span is None:
                continue
            times = _spread(*span)[::2]
            value = _correlation(fixed.at(times), seen.at(times + tried))
            if value > best:
                best, found = value, float(tried)
    return found, best


def _laid(pictures: np.ndarray, warp: Warp, one: Film) -> tuple[np.ndarray, np.ndarray]:
    """Pictures laid over those of a film, and where it shows what they show.

    Returns
    -------
    (n, height, width) float32, and (height, width) bool
    """
    size, back = one.pictures.shape[:0:-1], cv2.WARP_INVERSE_MAP
    warped = np.stack([
        cv2.warpAffine(picture, warp, size, flags=cv2.INTER_LINEAR | back,
                       borderMode=cv2.BORDER_REPLICATE)
        for picture in pictures
    ])  # fmt: skip
    inside = np.ones(pictures.shape[1:], np.uint8)
    mask = cv2.warpAffine(inside, warp, size, flags=cv2.INTER_NEAREST | back)
    mask = cv2.erode(mask, np.ones((EDGE, EDGE), np.uint8))
    return warped, mask > 0


def _details(pictures: np.ndarray) -> np.ndarray:
    return np.stack([
        cv2.GaussianBlur(picture, (0, 0), FINE) - cv2.GaussianBlur(picture, (0, 0), ROUGH)
        for picture in pictures
    ])  # fmt: skip


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of what changes in two (n, pixels); 0 where hardly anything does."""
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    energies = np.vdot(one, one), np.vdot(other, other)
    if not one.size or min(energies) < STILL * one.size:
        return 0.0
    return float(np.vdot(one, other) / np.sqrt(energies[0] * energies[1]))
