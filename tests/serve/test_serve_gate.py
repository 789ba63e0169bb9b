"""Who may ask: names that are not the server's, pages of other origins, and tokens."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hostile_files import picture
from serving import Server, refused, running_server

from pipeline.serve.gate import host_name

TOKEN = "correct horse battery staple"


@pytest.fixture(scope="module")
def server(sample_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    options = ("--workers", "1", "--token", TOKEN, "--allow-host", "Clips.Example",
               "--cors", "https://app.example")  # fmt: skip
    with running_server(sample_model, tmp_path_factory.mktemp("server"), *options) as server:
        yield server


@pytest.fixture(scope="module")
def open_server(sample_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that listens on all addresses, and asks for no token."""
    options = ("--workers", "1", "--host", "0.0.0.0", "--no-ui")
    with running_server(sample_model, tmp_path_factory.mktemp("open"), *options) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("localhost", 200), ("LOCALHOST:8000", 200), ("127.0.0.1", 200), ("[::1]:8000", 200),
        ("clips.example", 200), ("clips.example:443", 200),
        ("evil.example", 421), ("clips.example.evil.example", 421), ("127.0.0.1.evil.example", 421),
        ("192.0.2.7", 421), ("localhost@evil.example", 421), ("localhost:x", 421), ("", 421),
        ("localhost/..", 421),
    ],
)  # fmt: skip
def test_only_its_own_names_are_answered(client: httpx.Client, name: str, status: int) -> None:
    for path in ("/classes", "/health", "/ui"):
        answer = client.get(path, headers={"Host": name})
        assert answer.status_code == status, path
        if status == 421:
            refused(answer, 421, "--allow-host")


def test_on_all_addresses_any_address_is_its_own_but_no_name(open_server: Server) -> None:
    port = open_server.url.rpartition(":")[2]
    url = f"http://127.0.0.1:{port}/classes"
    assert httpx.get(url, headers={"Host": f"192.0.2.7:{port}"}).status_code == 200
    assert httpx.get(url, headers={"Host": socket.gethostname() + ".evil"}).status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "{url}"}, 200),
        ({"Origin": "https://app.example"}, 200),
        ({"Origin": "https://APP.example"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Origin": "https://app.example.evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_a_page_elsewhere_cannot_send_anything(
    client: httpx.Client, server: Server, headers: dict[str, str], status: int
) -> None:
    given = {name: text.format(url=server.url) for name, text in headers.items()}
    answer = client.post("/v1/predict", files={"file": picture()}, headers=given)
    assert answer.status_code == status
    if status == 403:
        refused(answer, 403, "--cors")
        assert "access-control-allow-origin" not in answer.headers


def test_no_origin_may_read_with_the_cookies_of_another(client: httpx.Client) -> None:
    answer = client.get("/classes", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-credentials" not in answer.headers
    allowed = client.options(
        "/v1/predict",
        headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST",
                 "Access-Control-Request-Headers": "authorization"},
    )  # fmt: skip
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-credentials" not in allowed.headers


@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}",
     TOKEN, f"Bearer {TOKEN.upper()}"],
)  # fmt: skip
def test_without_the_token_nothing_is_told(server: Server, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    with httpx.Client(base_url=server.url, headers=headers) as stranger:
        for path in ("/classes", "/metrics", "/v1/model", "/v1/examples/0", "/nothing"):
            answer = stranger.get(path)
            refused(answer, 401, "token")
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/predict", "/v1/predict"):
            refused(stranger.post(path, files={"file": picture()}), 401, "token")
        for path in ("/health", "/ready", "/ui", "/ui/main.js", "/openapi.json"):
            assert stranger.get(path).status_code == 200


def test_the_token_may_stand_in_the_environment(
    sample_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPCACHE_TOKEN", TOKEN)
    with running_server(sample_model, tmp_path / "s", "--workers", "1", "--no-ui") as server:
        assert httpx.get(f"{server.url}/classes").status_code == 401
        headers = {"Authorization": f"bearer {TOKEN}"}
        assert httpx.get(f"{server.url}/classes", headers=headers).status_code == 200
        assert TOKEN not in "".join(server.log)


def test_what_a_host_header_names() -> None:
    assert host_name("Localhost:80") == "localhost"
    assert host_name("[::1]:80") == "::1"
    assert host_name("a@b") is None
    assert host_name("a:b") is None
    assert host_name("a/b") is None
