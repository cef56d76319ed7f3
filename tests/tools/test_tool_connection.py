"""How the tools find a server, and what they say where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from respbroker.tools.connection import without_password
from tests.support.servers import HOST, ROOT, free_port, respbroker_server
from tests.tools.commandline import Tools


def run(*words, url="", **environment):
    """The command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "respbroker", *words],
        cwd=ROOT,
        env=os.environ | ({"RESPBROKER_URL": url} if url else {}) | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_server_is_in_the_environment_or_in_an_option(tools):
    tools.done("topics", "create", "orders")
    assert "orders" in run("topics", "list", url=tools.server.url).stdout
    nowhere = f"redis://{HOST}:{free_port()}"
    assert "orders" in run("topics", "list", "--url", tools.server.url, url=nowhere).stdout


def test_the_database_is_in_the_url(tools):
    tools.done("topics", "create", "orders")
    assert "orders" in tools.done("topics", "list", "--url", tools.server.url).out
    other = tools.server.url.removesuffix("/0") + "/5"
    assert tools.done("topics", "list", "--url", other).out == "There are no topics.\n"


def test_no_server_is_one_sentence_and_no_traceback():
    url = f"redis://:secret@{HOST}:{free_port()}"
    done = run("groups", "list", url=url)
    place = url.replace(":secret@", "")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: no server can be reached at {place}: Connection refused\n"


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("unix:///no/such/socket", "no server can be reached at unix:///no/such/socket: No such file or directory"),
        ("redis://no-such-host.invalid", "no server can be reached at redis://no-such-host.invalid: "),
    ],
)
def test_an_address_that_leads_nowhere_is_told(tools, url, cause):
    assert tools.refusal("topics", "list", "--url", url).startswith(cause)


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "", f"redis://{HOST}:port"])
def test_what_is_no_url_of_a_server_is_wrong_usage(tools, url):
    assert tools.usage("topics", "list", "--url", url or " ").startswith("the URL ")


def test_a_database_that_is_not_there_is_told(tools):
    place = f"redis://{HOST}:{tools.server.port}/999"
    assert tools.refusal("topics", "list", "--url", place) == f"the server at {place} says: DB index is out of range"


def test_options_of_the_url_cannot_confuse_the_tools(tools):
    tools.done("topics", "create", "orders")
    for options in ("protocol=2", "decode_responses=true", "protocol=2&decode_responses=1"):
        assert "orders" in tools.done("topics", "info", "orders", "--url", f"{tools.server.url}?{options}").out


def test_passwords_are_asked_for_and_never_shown():
    with respbroker_server("--requirepass", "geheim") as server:
        tools = Tools(server)
        place = f"redis://{HOST}:{server.port}"
        assert tools.refusal("topics", "list") == (
            f"the server at {place}/0 wants a password: give it in RESPBROKER_URL, as redis://:PASSWORD@HOST"
        )
        for wrong in (":falsch@", "default:falsch@", "anna:geheim@"):
            url = place.replace("://", f"://{wrong}")
            refusal = tools.refusal("topics", "list", "--url", url)
            assert refusal == f"the server at {place} does not take this user and password"
        right = place.replace("://", "://:geheim@")
        assert tools.done("topics", "list", "--url", right).out == "There are no topics.\n"


def test_a_password_for_a_server_that_has_none_does_no_harm(tools):
    url = f"redis://:geheim@{HOST}:{tools.server.port}"
    assert tools.done("topics", "list", "--url", url).out == "There are no topics.\n"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:p@host:1/2", "redis://host:1/2"),
        ("redis://:p@ss@host", "redis://host"),
        ("redis://host?password=p", "redis://host"),
        ("redis://host", "redis://host"),
    ],
)
def test_a_url_is_shown_without_its_password(url, shown):
    assert without_password(url) == shown


def test_another_kind_of_server_is_told_apart(tools):
    class Quiet(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer((HOST, 0), Quiet) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        try:
            place = f"redis://{HOST}:{web.server_port}"
            assert tools.refusal("topics", "list", "--url", place).startswith(f"no server can be reached at {place}: ")
        finally:
            web.shutdown()
            thread.join()


@pytest.mark.parametrize("words", ["topics list", "topics create t", "topics delete t --yes", "groups list"])
def test_a_redis_is_no_respbroker(tools, redis_server, words):
    refusal = tools.refusal(*words.split(), "--url", redis_server.url)
    assert refusal == "the server is no respbroker: it does not know XTOPIC"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_an_output_that_takes_nothing_is_one_sentence(tools):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "respbroker", "topics", "list"],
            cwd=ROOT,
            env=os.environ | {"RESPBROKER_URL": tools.server.url},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "Error: the output cannot be written: No space left on device\n")


def test_a_server_does_not_load_the_client_library():
    program = "import sys, respbroker.cli, respbroker.server.main; print('redis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
