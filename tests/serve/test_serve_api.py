"""The server as its clients meet it: a real process, a real model, real clips."""

import base64
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from conftest import Send
from hostile_files import encoded, picture
from serving import ROOT, Server, refused

from pipeline.frames.video import VideoReader
from pipeline.predict.contract import PredictionAnswer
from pipeline.predict.predictor import Predictor
from pipeline.serve.answers import (
    Answer,
    Answers,
    Classes,
    Health,
    ModelAnswer,
    SeedAnswer,
    Start,
)

pytestmark = pytest.mark.usefixtures("nothing_is_left")


def test_what_it_is(client: httpx.Client, sample_model: Path) -> None:
    start = client.get("/").json()
    assert start["name"] == "clipcache"
    for path in start["links"].values():
        if path != "/v1/predict":
            assert client.get(path).status_code == 200, path
    health = client.get("/health").json()
    assert health["ready"] is True
    assert health["workers"] == 1
    assert len(health["model"]) == 64
    assert client.get("/ready").json() == health
    assert client.get("/classes").json() == {
        "classes": ["jumping_jacks", "pick_up", "walk", "wave"]
    }


def test_a_real_video_is_recognised(send: Send, clip: Path) -> None:
    answer = send(clip.read_bytes()).json()
    assert answer["action"] == "walk"
    assert all(one["action"] == one["label"] for one in answer["all_predictions"])
    confidences = [one["confidence"] for one in answer["all_predictions"]]
    assert confidences == sorted(confidences, reverse=True)
    assert confidences[0] == answer["confidence"] > 0.5
    assert sum(confidences) == pytest.approx(1, abs=1e-5)
    windows = answer["windows"]
    assert windows[0]["start"] == 0
    assert all(later["start"] <= one["end"] for one, later in pairwise(windows))
    assert {window["label"] for window in windows} == {"walk"}


def test_command_api_and_python_tell_the_same(
    client: httpx.Client, clip: Path, sample_model: Path
) -> None:
    """One contract, down to the last key; the numbers differ by the rounding of the threads."""
    command = [sys.executable, "-m", "pipeline", "predict", clip.name, "--json", "--timeline",
               "--model", str(sample_model)]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    shown = subprocess.run(
        command, cwd=clip.parent, check=True, capture_output=True, text=True, env=environment
    )
    (of_command,) = json.loads(shown.stdout)
    with clip.open("rb") as stream:
        of_server = client.post("/v1/predict", files={"file": stream}).json()
    of_python = Predictor(sample_model).file(clip).as_dict() | {"file": clip.name}
    seed = client.post("/predict", files={"file": (clip.name, clip.read_bytes())}).json()
    assert {one["label"] for one in seed.pop("all_predictions")} == {
        one["label"] for one in of_server["top"]
    }
    for answer in (of_server, of_python, seed):
        assert rounded(answer) == rounded(of_command)
        PredictionAnswer.model_validate(answer)
        assert list(answer) == list(of_command)


def rounded(value: Any) -> Any:
    """With numbers to three digits."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, 3) if isinstance(value, float) else value


def test_several_files_are_answered_in_order(client: httpx.Client, clip: Path) -> None:
    files = [
        ("files", ("a.mp4", clip.read_bytes())), ("files", ("b.txt", b"no video")),
        ("file", ("../c.png", picture())), ("files", ("", b"")),
    ]  # fmt: skip
    results = client.post("/v1/predict", files=files[:3]).json()["results"]
    assert [one["file"] for one in results] == ["a.mp4", "b.txt", "c.png"]
    assert results[0]["action"] == "walk"
    assert (results[1]["status"], results[1]["detail"][:22]) == (415, "The file is neither an")
    assert "timeline" not in results[2]
    alone = client.post("/v1/predict", files=files[:1]).json()
    assert [one["file"] for one in alone["results"]] == ["a.mp4"]
    refused(client.post("/v1/predict", files=[files[1], files[1]]), 415, "None of the 2 files")
    many = [("files", (f"{i}.png", picture())) for i in range(65)]
    refused(client.post("/v1/predict", files=many), 413, "64 files")


def test_files_may_be_the_frames_of_one_clip(client: httpx.Client, clip: Path) -> None:
    frames = [
        ("files", (f"{i}.jpg", cv2.imencode(".jpg", frame)[1].tobytes()))
        for i, frame in VideoReader(clip).frames(lambda index, seconds: index % 3 == 0)
    ]
    answer = client.post("/v1/predict?frame_rate=8", files=frames).json()
    assert answer["action"] == "walk"
    assert answer["seconds"] == pytest.approx(len(frames) / 8, abs=0.01)
    frames.append(("files", ("film.mp4", clip.read_bytes())))
    refused(client.post("/v1/predict?frame_rate=8", files=frames), 422, "cannot be a frame")
    refused(client.post("/v1/predict?frame_rate=0", files=frames), 422, "frame_rate")


def test_pictures_come_only_when_they_are_asked_for(client: httpx.Client, clip: Path) -> None:
    with clip.open("rb") as stream:
        answer = client.post("/v1/predict?preview=true", files={"file": stream}).json()
    assert "deciding" not in answer
    times = [one["seconds"] for one in answer["preview"]]
    assert times[0] == 0
    assert times == sorted(times)
    assert len(times) > 5
    for one in answer["preview"]:
        content = np.frombuffer(base64.b64decode(one["jpeg"]), np.uint8)
        assert cv2.imdecode(content, cv2.IMREAD_COLOR).shape[1] <= 320
    with clip.open("rb") as stream:
        sure = client.post("/v1/predict?deciding=true", files={"file": stream}).json()
    assert all(one["without"] <= one["confidence"] - 0.02 for one in sure["deciding"])


def test_a_long_video_is_answered_with_events(client: httpx.Client, clip: Path) -> None:
    files = [("files", ("a.mp4", clip.read_bytes())), ("files", ("b.txt", b"no video"))]
    headers = {"Accept": "text/event-stream"}
    with client.stream("POST", "/v1/predict", files=files, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = "".join(answer.iter_text())
    events = [
        (name, json.loads(data)) for name, data in re.findall(r"event: (\w+)\ndata: (.*)\n\n", text)
    ]
    names = [name for name, _ in events]
    assert names[0] == "progress"
    assert [name for name in names if name != "progress"] == ["prediction", "problem", "done"]
    told = dict(events)
    assert told["prediction"]["action"] == "walk"
    assert told["problem"]["status"] == 415
    assert told["done"] == {"files": 2}
    working = [one for name, one in events if name == "progress" and one["state"] == "working"]
    assert all(0 < one["frames"] <= one["of"] for one in working)
    refused(client.post("/v1/predict", files={"file": b"no"}, headers=headers), 415)


def test_every_answer_has_an_id_and_careful_headers(client: httpx.Client) -> None:
    given = client.get("/health", headers={"X-Request-ID": "mine-1.2"})
    assert given.headers["x-request-id"] == "mine-1.2"
    for path in ("/health", "/nothing", "/metrics", "/openapi.json"):
        answer = client.get(path, headers={"X-Request-ID": 'no" {good}'})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "set-cookie" not in answer.headers


def test_the_examples_of_the_description_are_answers(client: httpx.Client) -> None:
    description = client.get("/openapi.json").json()
    schemas = description["components"]["schemas"]
    for name, model in (
        ("SeedAnswer", SeedAnswer), ("Answers", Answers), ("Answer", Answer), ("Start", Start),
        ("ModelAnswer", ModelAnswer), ("Health", Health), ("Classes", Classes),
    ):  # fmt: skip
        for example in schemas[name]["examples"]:
            model.model_validate(example)
    operation = description["paths"]["/v1/predict"]["post"]
    for status, answer in operation["responses"].items():
        if status != "200":
            assert answer["content"]["application/json"]["example"]["detail"].endswith("."), status


@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".bmp", ".tiff"])
def test_a_picture_is_recognised_and_has_no_windows(send: Send, extension: str) -> None:
    answer = send(picture(extension=extension), "p.txt").json()
    assert "windows" not in answer
    assert len(answer["all_predictions"]) == 4


def test_command_and_server_agree(send: Send, clip: Path, sample_model: Path) -> None:
    still = clip.parent / "still.png"
    still.write_bytes(picture(120, 160))
    command = [sys.executable, "-m", "pipeline", "predict", str(clip), str(still), "--json",
               "--top", "4", "--model", str(sample_model)]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        shown = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        for line, path in zip(json.loads(shown.stdout), (clip, still), strict=True):
            answer = send(path.read_bytes()).json()["all_predictions"]
            top = line["top"]
            assert [one["label"] for one in top] == [one["label"] for one in answer]
            for mine, theirs in zip(top, answer, strict=True):
                assert mine["confidence"] == pytest.approx(theirs["confidence"], abs=1e-4)
    finally:
        still.unlink()


def test_the_name_decides_nothing(send: Send, clip: Path, server: Server) -> None:
    for name in ("../../../../etc/cron.d/evil", "holiday.jpg", "\u2603" * 200):
        assert send(clip.read_bytes(), name).json()["action"] == "walk"
    assert not list(server.scratch.parent.rglob("evil"))


def test_a_video_of_one_frame_is_a_video(send: Send, tmp_path: Path) -> None:
    answer = send(encoded(tmp_path / "one.mp4", 1).read_bytes()).json()
    assert len(answer["windows"]) == 1


def test_a_request_that_is_not_as_asked_for(client: httpx.Client, send: Send, clip: Path) -> None:
    refused(send(clip.read_bytes(), field="video"), 422, "`file`")
    refused(client.post("/predict"), 415, "`file`")
    refused(client.post("/predict", json={"file": "x"}), 415, "`file`")
    form = {"content-type": "multipart/form-data; boundary=b"}
    refused(client.post("/predict", content=b"", headers=form), 400)
    refused(client.post("/predict", content=b"--c\r\n", headers=form), 400)
    head = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
    refused(client.post("/predict", content=head + clip.read_bytes(), headers=form), 400, "middle")
    bare = {"content-type": "multipart/form-data"}
    refused(client.post("/predict", content=head, headers=bare), 400)
    twice = [("file", ("a", picture())), ("file", ("b", picture()))]
    refused(client.post("/predict", files=twice), 422, "one file")
    other = {"file": ("a", picture()), "note": (None, "hello")}
    assert client.post("/predict", files=other).status_code == 200
    wrong = client.get("/predict")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert "/predict does not take GET, only POST" in wrong.json()["detail"]
    nothing = client.get("/nothing")
    assert nothing.status_code == 404
    assert "GET / lists what this server answers" in nothing.json()["detail"]
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


def test_only_the_configured_origin_may_call_it(client: httpx.Client) -> None:
    def allowed(origin: str) -> str | None:
        answer = client.get("/classes", headers={"Origin": origin})
        return answer.headers.get("access-control-allow-origin")

    assert allowed("https://example.org") == "https://example.org"
    assert allowed("https://evil.example") is None


def test_prometheus_is_told_what_happened(client: httpx.Client, send: Send, clip: Path) -> None:
    send(clip.read_bytes())
    send(b"nothing")
    client.get("/a/path/that/is/not/there")
    text = client.get("/metrics").text
    for line in (
        'clipcache_requests_total{method="POST",route="/predict",status="200"}',
        'clipcache_requests_total{method="POST",route="/predict",status="415"}',
        'clipcache_requests_total{method="GET",route="none",status="404"}',
        'clipcache_work_seconds_count{part="decode"}',
        'clipcache_work_seconds_count{part="embed"}',
        'clipcache_work_seconds_count{part="head"}',
        "clipcache_queue_length 0.0",
        "clipcache_workers_ready 1.0",
        'clipcache_predictions_total{label="pick_up"}',
        'clipcache_predictions_total{label="walk"}',
        "clipcache_predictions_unsure_total 0.0",
        "clipcache_prediction_confidence_count",
        "clipcache_connections ",
        "clipcache_upload_bytes 0.0",
    ):
        assert line in text
    assert "/a/path" not in text


@pytest.mark.parametrize("name", ["docs", "redoc"])
def test_the_description_of_the_api_needs_no_internet(client: httpx.Client, name: str) -> None:
    pytest.importorskip("fastapi_offline", reason="the package fastapi-offline is not installed")
    page = client.get(f"/{name}").text
    assert "https://" not in page
    assert "http://" not in page
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert client.get(f"/{asset}").status_code == 200


def test_the_api_is_as_it_describes_itself(server: Server) -> None:
    """Requests made up from the description: some that fit it, some that do not."""
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from hypothesis.errors import Unsatisfiable
    from schemathesis import checks as general
    from schemathesis.specs.openapi import checks

    judged = [
        general.not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
        checks.negative_data_rejection,
        checks.unsupported_method,
    ]
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    tried = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        tried.add(f"{operation.method.upper()} {operation.path}")
        for mode in schemathesis.GenerationMode:

            def fuzz(case: schemathesis.Case) -> None:
                case.call_and_validate(checks=judged)

            try:
                made_up = operation.as_strategy(generation_mode=mode)
                settled = settings(
                    max_examples=10, derandomize=True, deadline=None, database=None,
                    suppress_health_check=list(HealthCheck),
                )  # fmt: skip
                settled(given(case=made_up)(fuzz))()
            except Unsatisfiable:
                assert mode is schemathesis.GenerationMode.NEGATIVE  # nothing that can be wrong
    assert tried == {
        "GET /", "GET /health", "GET /ready", "GET /classes", "GET /v1/model", "GET /metrics",
        "POST /predict", "POST /v1/predict",
    }  # fmt: skip
