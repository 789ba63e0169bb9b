"""The feature files, as training reads them."""

import hashlib
import json
import re
import time
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest

from pipeline.errors import FeaturesError
from pipeline.store.clip_rows import Row
from pipeline.store.feature_files import ABSENT, FeatureSet, write_feature_file

SETTINGS = {"extractor": json.dumps({"backbone": "0" * 64}), "sampling": {"fps": 8.0}}
VIEWS = ("identity", "hflip")


def rows(lengths: dict[str, int]) -> list[Row]:
    return [
        Row(
            clip_id,
            hashlib.sha256(clip_id.encode()).hexdigest(),
            np.arange(length, dtype=np.int32) * 3,
            np.arange(length, dtype=np.float32) / 8,
        )
        for clip_id, length in sorted(lengths.items())
    ]


def numbers(row: Row, view: str) -> np.ndarray:
    seed = int(row.digest[:8], 16) + len(view)
    return np.random.default_rng(seed).normal(size=(len(row.frame), 1280)).astype(np.float16)


CLIPS = {"walk/ä b.avi": 5, "walk/a.avi": 1, "wave/日本.mp4": 9, "wave/z.mp4": 2}


def write(path: Path, chosen: list[Row] | None = None, **settings: object) -> None:
    write_feature_file(
        path, rows(CLIPS) if chosen is None else chosen, VIEWS, numbers, **{**SETTINGS, **settings}
    )


def test_what_is_mapped_equals_what_was_written_and_what_hdf5_reads(tmp_path: Path) -> None:
    write(tmp_path / "features.h5")
    features = FeatureSet.open(tmp_path)
    assert features.clip_ids.tolist() == sorted(CLIPS)
    assert features.views == VIEWS
    assert features.readings["identity"] == 1280
    assert features.sampling == {"fps": 8.0}
    with h5py.File(tmp_path / "features.h5") as file:
        for i, row in enumerate(rows(CLIPS)):
            assert features.digests[i] == row.digest
            assert features.lengths[i] == CLIPS[row.clip_id]
            assert np.array_equal(features.frames(i), row.frame)
            assert np.array_equal(features.times(i), row.time)
            here = slice(file["offsets"][i], file["offsets"][i + 1])
            for view in VIEWS:
                assert np.array_equal(features.embeddings(i, view), numbers(row, view))
                assert np.array_equal(features.embeddings(i, view), file["embedding"][view][here])


def test_embeddings_are_read_only_and_stay_on_disk(tmp_path: Path) -> None:
    write(tmp_path / "features.h5")
    embeddings = FeatureSet.open(tmp_path).embeddings(0)
    assert isinstance(embeddings, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        embeddings[0, 0] = 1


def test_the_same_content_gives_the_same_bytes_at_another_time(tmp_path: Path) -> None:
    write(tmp_path / "a.h5")
    time.sleep(1.1)  # HDF5's time stamps are in seconds
    write(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_several_files_are_one_sorted_set_also_where_some_are_empty(tmp_path: Path) -> None:
    write(tmp_path / "one" / "features.h5")
    everything = rows(CLIPS)
    for shard, chosen in enumerate([everything[::2], [], everything[1::2]]):
        write(tmp_path / "many" / f"features-{shard}.h5", chosen)
    one, many = FeatureSet.open(tmp_path / "one"), FeatureSet.open(tmp_path / "many")
    assert many.clip_ids.tolist() == one.clip_ids.tolist()
    assert many.readings["identity"] == 1280
    for i in range(len(one)):
        assert np.array_equal(many.embeddings(i), one.embeddings(i))
        assert np.array_equal(many.frames(i), one.frames(i))


def test_the_set_has_a_digest_of_its_contents(tmp_path: Path) -> None:
    write(tmp_path / "a/features.h5")
    write(tmp_path / "b/features.h5")
    write(tmp_path / "c/features.h5", rows({**CLIPS, "wave/z.mp4": 3}))
    digests = [FeatureSet.open(tmp_path / name).sha256 for name in "abc"]
    assert digests[0] == digests[1] != digests[2]


def test_clips_are_found_by_name(tmp_path: Path) -> None:
    write(tmp_path / "features.h5")
    features = FeatureSet.open(tmp_path)
    for clip_id in CLIPS:
        assert features.clip_ids[features.position(clip_id)] == clip_id
        assert clip_id in features
    for absent in ("", "walk/b.avi", "zzz"):
        assert absent not in features
        with pytest.raises(FeaturesError, match=r"no features of .*rejected\.csv"):
            features.position(absent)


def test_many_clips_are_found_by_name_at_once(tmp_path: Path) -> None:
    write(tmp_path / "features.h5")
    features = FeatureSet.open(tmp_path)
    names = ["wave/z.mp4", "absent", "walk/a.avi", "wave/日本.mp4", "x" * 300, "walk/ä b.avi"]
    expected = [features.position(name) if name in features else ABSENT for name in names]
    assert features.positions(pa.chunked_array([names[:2], names[2:]])).tolist() == expected
    assert expected.count(ABSENT) == 2


def test_only_part_of_a_large_file_stays_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = rows({f"walk/{i:04d}.avi": 30 for i in range(200)})  # 15 MB a view
    write_feature_file(
        tmp_path / "features.h5", many, VIEWS,
        lambda row, view: np.full((30, 1280), int(row.clip_id[5:9]), np.float16), **SETTINGS,
    )  # fmt: skip

    def mapped() -> int:
        """Bytes of the feature file that count as this process's memory."""
        here, resident = False, 0
        for line in Path("/proc/self/smaps").read_text().splitlines():
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                here = str(tmp_path) in line
            elif here and line.startswith("Rss:"):
                resident += int(line.split()[1]) << 10
        return resident

    if not Path("/proc/self/smaps").exists():
        pytest.skip("this system does not tell what is mapped (/proc/self/smaps)")
    held = {}
    for allowed in (1 << 20, 1 << 30):
        monkeypatch.setattr("pipeline.store.feature_files.MAPPED_BYTES", allowed)
        features = FeatureSet.open(tmp_path)
        first = features.embeddings(0)
        assert all((features.embeddings(i) == i).all() for i in range(200))
        assert (first == 0).all()  # still there, though it was let go of meanwhile
        held[allowed] = mapped()
    assert held[1 << 20] < 3 << 20
    assert held[1 << 30] > 14 << 20


def test_a_folder_without_files_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(FeaturesError, match="run `clipcache features` first"):
        FeatureSet.open(tmp_path / "nowhere")


@pytest.mark.parametrize("length", [0, 100, 3000, -1])
def test_a_truncated_file_is_refused_with_a_way_out(tmp_path: Path, length: int) -> None:
    path = tmp_path / "features.h5"
    write(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(FeaturesError, match="delete it and run `clipcache features` again"):
        FeatureSet.open(tmp_path)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.h5")
    write(tmp_path / "b.h5", sampling={"fps": 4.0})
    with pytest.raises(FeaturesError, match="different settings"):
        FeatureSet.open(tmp_path)


def test_a_failure_while_writing_leaves_no_file(tmp_path: Path) -> None:
    def fail(row: Row, view: str) -> np.ndarray:
        raise KeyError(row.clip_id)

    with pytest.raises(KeyError):
        write_feature_file(tmp_path / "features.h5", rows(CLIPS), VIEWS, fail, **SETTINGS)
    assert not list(tmp_path.iterdir())
