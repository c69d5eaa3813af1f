"""Who may look at Flower, what they may do there, and that nobody else learns how."""

import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from deploy.system import accepts_connections, free_port
from tests.support.flower import Answer, ask
from tests.support.gateway import HOST, Gateway
from tests.support.oidc import Provider
from tests.support.waiting import wait_for

PAGES = ("/", "/workers", "/tasks", "/broker", "/api/tasks", "/api/workers")
PASSWORD = "hunter2,with:everything"


def serving(folder: Path, environment: dict[str, str] | None = None, **flower: Any) -> Gateway:
    """Flower alone; to be entered, and waited for."""
    return Gateway(folder, ("flower",), environment=environment or {}, flower=flower)


def up(gateway: Gateway) -> bool:
    return wait_for(lambda: accepts_connections(HOST, gateway.flower_port), 30)


def test_without_credentials_nothing_but_health_and_metrics_is_shown(tmp_path: Path) -> None:
    credentials = [f"physicist:{PASSWORD}", "nurse:other"]
    with serving(tmp_path, basic_auth=credentials) as gateway:
        up(gateway)
        for page in PAGES:
            assert ask(gateway, page).status == 401
            assert ask(gateway, page, credential="physicist:wrong").status == 401
            for credential in credentials:
                assert ask(gateway, page, credential=credential).status == 200
        for page in ("/metrics", "/healthcheck"):
            assert ask(gateway, page).status == 200


def test_no_password_is_in_a_process_list_or_a_log(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "penstock_flower__basic_auth").write_text(f"physicist:{PASSWORD}\n")
    environment = {"PENSTOCK_SECRETS_DIR": str(secrets)}
    with Gateway(tmp_path, (), environment=environment) as gateway:
        gateway.redis.execute_command("ACL SETUSER penstock on >redis-password ~* &* +@all")
        url = gateway.server.url.replace("redis://", "redis://penstock:redis-password@")
        (secrets / "penstock_redis__url").write_text(url)
        for part in ("receiver", "exports", "pipelines", "flower"):
            gateway.start(part)
        up(gateway)
        credential = f"physicist:{PASSWORD}"
        shown = [wait_for(lambda: _workers(gateway, credential), 30)]
        shown += [ask(gateway, page, credential=credential) for page in PAGES]
        commands = "\n".join(_command_lines())
        assert "deploy -c" in commands
        logs = "".join(log.read_text() for log in tmp_path.glob("*.log"))
        for secret in (PASSWORD, "redis-password"):
            assert secret not in commands
            assert secret not in logs
            assert not [answer for answer in shown if secret in answer.text]


def _workers(gateway: Gateway, credential: str) -> Answer | None:
    """With all that Flower asks of them, once both were heard of."""
    answer = ask(gateway, "/api/workers?refresh=1", credential=credential)
    return answer if "exports@" in answer.text and "pipelines@" in answer.text else None


def _command_lines() -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
            continue
    return found


@pytest.mark.parametrize(("read_only", "status"), [(True, 403), (False, 404)])
def test_workers_can_be_changed_only_where_that_is_asked_for(
    tmp_path: Path, read_only: bool, status: int
) -> None:
    with serving(tmp_path, basic_auth=["a:b"], read_only=read_only) as gateway:
        up(gateway)
        for act in ("worker/shutdown/nobody", "worker/pool/grow/nobody"):
            answer = ask(gateway, f"/api/{act}", credential="a:b", method="POST")
            assert answer.status == status  # 404: it looked for that worker


def test_behind_a_prefix_everything_is_below_it(tmp_path: Path) -> None:
    with serving(tmp_path, url_prefix="monitor/flower") as gateway:
        up(gateway)
        assert ask(gateway, "/monitor/flower/").status == 200
        page = ask(gateway, "/monitor/flower/tasks")
        assert page.status == 200
        assert "/monitor/flower/static/" in page.text
        assert ask(gateway, "/monitor/flower/metrics").status == 200
        assert ask(gateway, "/tasks").status == 404


def test_only_the_settings_have_a_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("flowerconfig.py").write_text("basic_auth = []\nread_only = False\n")
    environment = {"FLOWER_BASIC_AUTH": "intruder:x", "FLOWER_ADDRESS": "0.0.0.0"}
    with serving(tmp_path, environment, basic_auth=["a:b"]) as gateway:
        up(gateway)
        assert ask(gateway, "/tasks").status == 401
        assert ask(gateway, "/tasks", credential="intruder:x").status == 401
        assert ask(gateway, "/tasks", credential="a:b").status == 200
        shutdown = ask(gateway, "/api/worker/shutdown/x", credential="a:b", method="POST")
        assert shutdown.status == 403
        log = (tmp_path / "flower.log").read_text()
        assert "FLOWER_ADDRESS" in log
        assert "intruder" not in log


class Browser:
    """Follows redirects and keeps cookies."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(CookieJar()), urllib.request.ProxyHandler({})
        )

    def open(self, url: str) -> tuple[int, str]:
        """Status, and the path of where it ended."""
        try:
            with self._opener.open(url, timeout=30) as answer:
                return answer.status, urlsplit(answer.url).path
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, urlsplit(refused.url).path


def with_login(folder: Path, provider: str, emails: list[str]) -> Gateway:
    port = free_port(HOST)
    login = {
        "provider": "oidc",
        "server": provider,
        "client_id": "penstock",
        "client_secret": PASSWORD,
        "redirect_uri": f"http://{HOST}:{port}/login",
        "emails": emails,
    }
    gateway = serving(folder, port=port, login=login)
    gateway.flower_port = port
    return gateway


@pytest.mark.parametrize("emails", [["a@b.example", "physicist@hospital.example"],
                                    ["*@hospital.example"]])  # fmt: skip
def test_whom_an_openid_provider_knows_is_let_in(tmp_path: Path, emails: list[str]) -> None:
    with (
        Provider("physicist@hospital.example") as provider,
        with_login(tmp_path, provider.url, emails) as gateway,
    ):
        up(gateway)
        browser, flower = Browser(), f"http://{HOST}:{gateway.flower_port}"
        assert browser.open(f"{flower}/tasks") == (200, "/")  # by way of the provider
        assert browser.open(f"{flower}/tasks") == (200, "/tasks")
        assert provider.asked_for["client_id"] == "penstock"
        assert provider.asked_for["client_secret"] == PASSWORD
        assert PASSWORD not in (tmp_path / "flower.log").read_text()


@pytest.mark.parametrize(
    ("email", "verified"),
    [
        ("visitor@hospital.example", True),
        ("physicist@hospital.example", False),
        ("", True),
    ],
)
def test_whom_it_does_not_know_is_not(tmp_path: Path, email: str, verified: bool) -> None:
    with (
        Provider(email, verified=verified) as provider,
        with_login(tmp_path, provider.url, ["physicist@hospital.example"]) as gateway,
    ):
        up(gateway)
        browser, flower = Browser(), f"http://{HOST}:{gateway.flower_port}"
        assert browser.open(f"{flower}/tasks") == (403, "/login")
        assert browser.open(f"{flower}/tasks") == (403, "/login")


def test_a_provider_that_is_away_lets_nobody_in(tmp_path: Path) -> None:
    with Provider("") as gone:
        pass
    with with_login(tmp_path, gone.url, ["*@hospital.example"]) as gateway:
        up(gateway)
        flower = f"http://{HOST}:{gateway.flower_port}"
        assert Browser().open(f"{flower}/tasks") == (403, "/login")
        assert "does not say how to log in" in (tmp_path / "flower.log").read_text()


@pytest.mark.parametrize(
    ("provider", "server", "goes_to"),
    [
        ("google", None, "accounts.google.com"),
        ("github", None, "github.com"),
        ("github", "https://git.hospital.example", "git.hospital.example"),
        ("gitlab", None, "gitlab.com"),
        ("gitlab", "https://git.hospital.example", "git.hospital.example"),
    ],
)
def test_other_providers_are_asked_where_they_are(
    tmp_path: Path, provider: str, server: str | None, goes_to: str
) -> None:
    login = {
        "provider": provider,
        "client_id": "penstock",
        "client_secret": PASSWORD,
        "redirect_uri": "https://gateway.example/login",
        "emails": ["*@hospital.example"],
    } | ({} if server is None else {"server": server})
    with serving(tmp_path, login=login) as gateway:
        up(gateway)
        assert urlsplit(_redirected(f"http://{HOST}:{gateway.flower_port}/login")).netloc == goes_to


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _redirected(url: str) -> str:
    with pytest.raises(urllib.error.HTTPError) as redirect:
        urllib.request.build_opener(_Stay()).open(url, timeout=30)
    with redirect.value as answer:
        assert answer.code == 302
        return str(answer.headers["Location"])
