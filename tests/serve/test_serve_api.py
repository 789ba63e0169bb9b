"""The server as its clients meet it: a real process, a real model, real clips."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from conftest import Send
from hostile_files import encoded, picture
from serving import ROOT, Server, refused

pytestmark = pytest.mark.usefixtures("nothing_is_left")


def test_what_it_is(client: httpx.Client, sample_model: Path) -> None:
    start = client.get("/").json()
    assert start["name"] == "clipcache"
    for path in start["links"].values():
        if path != "/predict":
            assert client.get(path).status_code == 200, path
    health = client.get("/health").json()
    assert health["ready"] is True
    assert health["workers"] == 1
    assert len(health["model"]) == 64
    assert client.get("/classes").json() == {
        "classes": ["jumping_jacks", "pick_up", "walk", "wave"]
    }


def test_a_real_video_is_recognised(send: Send, clip: Path) -> None:
    answer = send(clip.read_bytes()).json()
    assert answer["action"] == "walk"
    confidences = [one["confidence"] for one in answer["all_predictions"]]
    assert confidences == sorted(confidences, reverse=True)
    assert confidences[0] == answer["confidence"] > 0.5
    assert sum(confidences) == pytest.approx(1, abs=1e-5)
    windows = answer["windows"]
    assert windows[0]["start"] == 0
    assert all(later["start"] <= one["end"] for one, later in pairwise(windows))
    assert {window["label"] for window in windows} == {"walk"}


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
    ):
        assert line in text
    assert "/a/path" not in text


def test_the_description_of_the_api_needs_no_internet(client: httpx.Client) -> None:
    pytest.importorskip("fastapi_offline", reason="the package fastapi-offline is not installed")
    page = client.get("/docs").text
    assert "https://" not in page
    assert "http://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/docs/assets/{asset}" in page
        assert client.get(f"/docs/assets/{asset}").status_code == 200


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
    assert tried == {"GET /", "GET /health", "GET /classes", "GET /metrics", "POST /predict"}
