"""Who may ask: tokens, host names, limits; by real servers and, for single rules, directly."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kexpert.http.access import TokenFileError, Tokens, session_cookie
from kexpert.http.command import is_loopback
from kexpert.http.guard import host_name
from kexpert.http.rate_limit import RateLimit
from tests.support.web_server import environment, web_server

TOKEN = "9f1c2a7be0d3486aa1c5f0e2d4b6987c"
OTHER = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def guarded(web_folder: Path) -> Iterator[str]:
    tokens = web_folder / "tokens"
    tokens.write_text(f"# who\nalice {TOKEN}\n{OTHER}\n")
    tokens.chmod(0o600)
    options = ("--read-only", "--no-model", "--tokens", str(tokens), "--rate", "8")
    with web_server(web_folder, web_folder / "linux", *options) as address:
        yield address


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_without_a_token_nothing_is_answered(guarded: str) -> None:
    for path in ("/v1/health", "/metrics", "/v1/openapi.json", "/source/MAINTAINERS"):
        found = httpx.get(guarded + path)
        assert found.status_code == 401 and found.headers["www-authenticate"].startswith("Bearer")
    assert httpx.get(f"{guarded}/v1/health", headers=bearer(TOKEN[:-1] + "0")).status_code == 401
    assert httpx.get(f"{guarded}/livez").status_code == 200, "a health check has no token"


def test_a_token_opens_the_api(guarded: str) -> None:
    for token in (TOKEN, OTHER):
        assert httpx.get(f"{guarded}/v1/health", headers=bearer(token)).status_code == 200
    document = httpx.get(f"{guarded}/v1/openapi.json", headers=bearer(OTHER)).json()
    assert document["security"] == [{"token": []}]


def test_a_browser_logs_in_with_a_token_once(guarded: str) -> None:
    with httpx.Client(base_url=guarded, headers={"Accept": "text/html"}) as browser:
        asked = browser.get("/source/drivers/toy/core.c?from=1")
        assert asked.headers["location"] == "/login?next=%2Fsource%2Fdrivers%2Ftoy%2Fcore.c%3Ffrom%3D1"
        assert browser.post("/login", data={"token": "wrong", "next": "/"}).status_code == 403
        entered = browser.post("/login", data={"token": OTHER, "next": "/source/drivers/toy/core.c?from=1"})
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and OTHER not in cookie
        assert entered.headers["location"] == "/source/drivers/toy/core.c?from=1"
        assert browser.get("/source/drivers/toy/core.c").status_code == 200


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
def test_the_login_leads_nowhere_else(guarded: str, elsewhere: str) -> None:
    found = httpx.post(f"{guarded}/login", data={"token": TOKEN, "next": elsewhere})
    assert found.headers["location"] == "/"


def test_a_client_that_asks_too_often_waits(guarded: str) -> None:
    with httpx.Client(base_url=guarded, headers=bearer(TOKEN)) as client:
        found = [client.get("/livez2") for _ in range(120)]
    refused = [answer for answer in found if answer.status_code == 429]
    assert refused and int(refused[0].headers["retry-after"]) >= 1
    assert httpx.get(f"{guarded}/v1/health", headers=bearer(OTHER)).status_code == 200, "others do not wait"


def test_the_rate_of_a_client_in_the_long_run() -> None:
    now = [0.0]
    limit = RateLimit(2, lambda: now[0])
    assert [limit.wait_seconds("a") for _ in range(9)] == [0] * 8 + [1], "a burst of four seconds' worth"
    assert limit.wait_seconds("b") == 0
    now[0] = 1.0
    assert [limit.wait_seconds("a") for _ in range(3)] == [0, 0, 1]
    assert RateLimit(0).wait_seconds("a") == 0


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::2]", "localhost@evil.example"])
def test_a_name_that_was_bound_to_the_loopback_is_refused(web: httpx.Client, host: str) -> None:
    found = web.get("/v1/health", headers={"Host": host})
    assert found.status_code == 400 and "host name" in found.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:1234", "[::1]:7410"])
def test_names_of_the_loopback_are_served(web: httpx.Client, host: str) -> None:
    assert web.get("/v1/health", headers={"Host": host}).status_code == 200


def test_a_cluster_probes_by_address(web: httpx.Client) -> None:
    assert web.get("/livez", headers={"Host": "10.1.2.3:7410"}).status_code == 200


def test_host_names_are_compared_without_port_and_case() -> None:
    assert [host_name(host) for host in ("A.b:1", "[::1]:2", "a.", "")] == ["a.b", "::1", "a", ""]


def test_large_requests_are_refused(web: httpx.Client) -> None:
    assert web.get("/v1/search", params={"q": "x" * 9000}).status_code == 414
    body = b'{"question": "' + b"x" * 70_000 + b'"}'
    headers = {"Content-Type": "application/json"}
    assert web.post("/query", content=body, headers=headers).status_code == 413
    assert web.post("/query", content=iter([body]), headers=headers).status_code == 413, "also without a length"


def test_another_site_cannot_make_a_browser_ask(web: httpx.Client) -> None:
    """What a form of another site may send is no JSON, and no answer allows another origin to read it."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert web.post("/query", content=b'{"question":"x"}', headers={"Content-Type": kind}).status_code == 415
    found = web.get("/v1/health", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in found.headers
    assert found.headers["cross-origin-resource-policy"] == "same-origin"
    assert web.options("/query", headers={"Origin": "https://evil.example"}).status_code == 405


# -- the token file -----------------------------------------------------------------------------


def token_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "tokens"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_tokens_have_names(tmp_path: Path) -> None:
    tokens = Tokens.read(token_file(tmp_path, f"# comment\n\nalice {TOKEN}\n{OTHER}\n"))
    assert tokens.name_of(TOKEN) == "alice" and tokens.name_of(OTHER) == "line 4"
    assert tokens.name_of("") is tokens.name_of(TOKEN + "x") is tokens.name_of("caf\xe9 \ud800") is None
    assert tokens.name_of_cookie(session_cookie(TOKEN)) == "alice"
    assert tokens.name_of_cookie("caf\xe9") is tokens.name_of_cookie(TOKEN) is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604, 0o666])
def test_a_token_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(TokenFileError, match="chmod 600"):
        Tokens.read(token_file(tmp_path, TOKEN, mode))


@pytest.mark.parametrize(("text", "why"), [("short\n", "tokens:1: expected"), ("# only\n", "no token"),
                                           (f"a b {TOKEN}\n", "tokens:1: expected")])  # fmt: skip
def test_a_token_file_without_tokens_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(TokenFileError, match=why) as refused:
        Tokens.read(token_file(tmp_path, text))
    assert TOKEN not in str(refused.value)


# -- the command --------------------------------------------------------------------------------


def refused(folder: Path, *options: str) -> str:
    """What ``kexpert web`` says when it does not start."""
    command = [sys.executable, "-m", "kexpert", "web", "--tree", str(folder / "linux"), *options]
    ran = subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode != 0 and not ran.stdout
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr
    return ran.stderr


def test_an_address_for_others_needs_tokens(web_folder: Path) -> None:
    for host in ("0.0.0.0", "[::]", "192.0.2.1"):
        assert "--tokens FILE says who may ask" in refused(web_folder, "--listen", f"{host}:0")


def test_what_keeps_the_server_from_starting_is_one_line(web_folder: Path, tmp_path: Path) -> None:
    assert "No such file" in refused(web_folder, "--tokens", str(tmp_path / "none"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "in use" in refused(web_folder, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")


def test_a_missing_library_is_named_with_its_remedy(web_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError(name='uvicorn')\n")
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    command = [sys.executable, "-m", "kexpert", "web", "--tree", str(web_folder / "linux")]
    ran = subprocess.run(command, env={**environment(web_folder), "PYTHONPATH": path}, capture_output=True, text=True,
                         timeout=60, check=False)  # fmt: skip
    assert ran.stderr == "kexpert: web needs uvicorn: pip install 'kexpert[web]'\n"


def test_loopback_addresses() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "")] == [False] * 5


def test_https_with_a_certificate_of_ones_own(web_folder: Path, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key),
         "-out", str(certificate)], capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("no openssl makes a certificate")
    options = ("--read-only", "--no-model", "--certificate", str(certificate), "--key", str(key))
    with web_server(web_folder, web_folder / "linux", *options) as address:
        assert address.startswith("https://")
        trusted = ssl.create_default_context(cafile=str(certificate))
        assert httpx.get(f"{address}/v1/health", verify=trusted).status_code == 200
