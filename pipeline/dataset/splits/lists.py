"""The official lists of UCF101 and HMDB51, as they are published.

UCF101 (Soomro et al., 2012; https://www.crcv.ucf.edu/data/UCF101.php): `trainlist01.txt` with lines
such as ``Archery/v_Archery_g08_c01.avi 3``, `testlist01.txt` without the number, and `classInd.txt`
with ``3 Archery``. HMDB51 (Kuehne et al., 2011;
https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/): one
`<action>_test_split1.txt` per action, with lines ``<file> 1``, where 1 is train, 2 is test and 0 is
neither.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.dataset.params import SplitParams
from pipeline.dataset.splits.columns import TEST, TRAIN
from pipeline.dataset.walk import find_files
from pipeline.errors import DatasetError
from pipeline.frames.video import VIDEO_EXTENSIONS
from pipeline.wording import some

UCF = re.compile(r"(train|test)list0?(\d+)\.txt", re.IGNORECASE)
UCF_CLASSES = re.compile(r"classind\.txt", re.IGNORECASE)
HMDB = re.compile(r"(.+)_test_split(\d+)\.txt", re.IGNORECASE)
HMDB_SIDES = {"0": None, "1": TRAIN, "2": TEST}
UCF_SIDES = {"train": TRAIN, "test": TEST}

Key = tuple[str, str]  # label and file name without its extension, both in small letters


@dataclass
class Lists:
    """What the official lists say.

    Attributes
    ----------
    sides : of each clip TRAIN, TEST, or None where the lists name it and do not use it
    written : how the lists name it
    notes : sentences on what does not fit
    """

    sides: dict[Key, int | None] = field(default_factory=dict)
    written: dict[Key, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, label: str, name: str, side: int | None, file: str) -> None:
        """Take over one line; the same clip may not stand in train and test."""
        key = key_of(label, name)
        if key in self.sides and self.sides[key] != side:
            raise DatasetError(
                f"{file} names {name}, which another list or line puts into another split: take "
                "one of them out, or see split.lists."
            )
        self.sides[key] = side
        self.written[key] = f"{label}/{name}" if label else name


def key_of(label: str, name: str) -> Key:
    """What a clip of the index and a line of a list have in common.

    The lists and the folders of UCF101 do not agree on HandstandPushups and HandStandPushups, and
    people convert videos, so neither case nor extension counts.
    """
    path = PurePosixPath(name)
    stem = path.stem if path.suffix.lower() in VIDEO_EXTENSIONS else path.name
    return _folded(label), _folded(stem)


def _folded(name: str) -> str:
    """In small letters, and composed: archives and macOS write an accent as a letter of its own."""
    return unicodedata.normalize("NFC", name.casefold())


def read_lists(params: SplitParams) -> Lists:
    """Read the lists of split ``split.number``, wherever below ``split.lists`` they are.

    Raises
    ------
    DatasetError
        When there are none, or a line makes no sense.
    """
    folder = Path(params.lists)
    if not folder.is_dir():
        raise DatasetError(
            f"split.lists is {params.lists}, which is not a folder: unpack the official lists of "
            "UCF101 or HMDB51 there (see docs/datasets.md), or name another folder."
        )
    names = find_files(folder, {".txt"})
    ucf = _of_split(names, UCF, params.number)
    hmdb = _of_split(names, HMDB, params.number)
    if not ucf and not hmdb:
        raise DatasetError(
            f"split.lists is {params.lists}, which holds no lists of split {params.number} "
            f"(trainlist{params.number:02d}.txt and testlist{params.number:02d}.txt of UCF101, or "
            f"<action>_test_split{params.number}.txt of HMDB51): unpack them there, or set "
            "split.number to one that is there."
        )
    folders = {str(PurePosixPath(name).parent) for name in (*ucf, *hmdb)}
    if len(folders) > 1:
        raise DatasetError(
            f"split.lists is {params.lists}, which holds lists in more than one folder "
            f"({some(sorted(folders))}): set it to one of them."
        )
    return _read_ucf(folder, ucf, params, names) if ucf else _read_hmdb(folder, hmdb)


def _of_split(names: list[str], pattern: re.Pattern[str], number: int) -> list[str]:
    matches = ((name, pattern.fullmatch(PurePosixPath(name).name)) for name in names)
    return [name for name, match in matches if match and int(match[2]) == number]


def _read_ucf(folder: Path, files: list[str], params: SplitParams, names: list[str]) -> Lists:
    sides = {UCF.fullmatch(PurePosixPath(name).name)[1].lower(): name for name in files}  # type: ignore[index]
    for side in UCF_SIDES:
        if side not in sides:
            raise DatasetError(
                f"split.lists is {params.lists}, which lacks {side}list{params.number:02d}.txt "
                f"beside {files[0]}: unpack all lists there."
            )
    place = PurePosixPath(files[0]).parent
    classes: dict[str, str] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.parent == place and UCF_CLASSES.fullmatch(path.name):
            rows = (line.split(None, 1) for line in _lines(folder / name))
            classes = {row[0]: row[1].strip() for row in rows if len(row) == 2}
    lists = Lists()
    strange = []
    for side, name in sides.items():
        for line in _lines(folder / name):
            text, number = _without_number(line)
            label, _, file = text.replace("\\", "/").rpartition("/")
            label = PurePosixPath(label).name
            lists.add(label, file, UCF_SIDES[side], name)
            if number and number in classes and classes[number].casefold() != label.casefold():
                strange.append(f"{text} is {number}, {classes[number]}")
    if strange:
        lists.notes.append(
            f"{len(strange):,} lines of the lists have another label than classInd.txt says: "
            f"{some(strange)}; the labels of data/index.csv are used."
        )
    return lists


def _without_number(line: str) -> tuple[str, str]:
    """A line of UCF101 without the label's number at its end, and that number, or ""."""
    text, _, last = line.rpartition(" ")
    return (text.strip(), last) if text and last.isdigit() else (line, "")


def _read_hmdb(folder: Path, files: list[str]) -> Lists:
    lists = Lists()
    for name in files:
        label = HMDB.fullmatch(PurePosixPath(name).name)[1]  # type: ignore[index]
        for line in _lines(folder / name):
            text, _, code = line.rpartition(" ")
            if not text or code not in HMDB_SIDES:
                raise DatasetError(
                    f"{folder / name} has the line {line!r}, which does not end in 0, 1 or 2: "
                    "unpack the lists again, or see split.lists."
                )
            lists.add(label, text.strip(), HMDB_SIDES[code], name)
    return lists


def _lines(path: Path) -> list[str]:
    """Lines without white space around them and without empty ones; any line ends, any tabs."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    stripped = (" ".join(line.split()) for line in text.splitlines())
    return [line for line in stripped if line]
