"""`[flower]`: who may look, and that no error shows what lets them in."""

from pathlib import Path

import pytest

from shared.settings.flower import Flower
from tests.shared.settings.conftest import Loading, Refusing

PASSWORD = "hunter2"
LOGIN = f"""
[flower.login]
provider = "oidc"
server = "https://login.example/realms/hospital/"
client_id = "penstock"
client_secret = "{PASSWORD}"
redirect_uri = "https://gateway.example/flower/login"
emails = ["physicist@hospital.example"]
"""


def credentials(flower: Flower) -> list[str]:
    return [credential.get_secret_value() for credential in flower.basic_auth]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.1.1", "::1", "localhost"])
def test_on_loopback_nobody_need_be_asked(loaded: Loading, host: str):
    assert not loaded(f'[flower]\nhost = "{host}"').flower.asks_who


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.7", "gateway.example"])
def test_elsewhere_it_is_refused_unless_people_say_who_they_are(
    loaded: Loading, faults: Refusing, host: str
):
    (fault,) = faults(f'[flower]\nhost = "{host}"')
    assert fault.startswith(f"flower.host: {host!r} is not loopback")
    assert loaded(f'[flower]\nhost = "{host}"\nbasic_auth = ["a:b"]').flower.asks_who
    assert loaded(f'[flower]\nhost = "{host}"\n{LOGIN}').flower.asks_who


@pytest.mark.parametrize("text", ["a:b,c\nd:e:f\n", '["a:b,c", "d:e:f"]'])
def test_credentials_may_stand_in_a_secret_file_or_a_variable(
    loaded: Loading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
):
    monkeypatch.setenv("PENSTOCK_FLOWER__BASIC_AUTH", text)
    assert credentials(loaded("").flower) == ["a:b,c", "d:e:f"]
    monkeypatch.delenv("PENSTOCK_FLOWER__BASIC_AUTH")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "penstock_flower__basic_auth").write_text(text)
    monkeypatch.setenv("PENSTOCK_SECRETS_DIR", str(secrets))
    assert credentials(loaded("").flower) == ["a:b,c", "d:e:f"]


@pytest.mark.parametrize("credential", ["", "user", "user:", f":{PASSWORD}", "user:pässword"])
def test_a_credential_is_a_user_and_a_password(faults: Refusing, credential: str):
    rule = 'flower.basic_auth.0: a credential is "user:password", both of ASCII characters'
    assert faults(f'[flower]\nbasic_auth = ["{credential}"]') == (rule,)


def test_a_login_that_fits_its_provider_is_taken(loaded: Loading):
    login = loaded(LOGIN).flower.login
    assert login is not None
    assert login.server == "https://login.example/realms/hospital"
    assert loaded(LOGIN.replace('"oidc"', '"gitlab"')).flower.login


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('"oidc"', '"google"', "has a server of its own"),
        ("server = ", "#", 'provider = "oidc" needs a server'),
        ("https://login", "http://login", "starts with https://"),
        ("/flower/login", "/flower", "must end in /login"),
        ('["phys', '["*@hospital.example", "phys', 'either one "*@domain", or addresses'),
        ("physicist@", "phys|icist@", "should match pattern"),
        ('["physicist@hospital.example"]', "[]", "at least 1 item"),
        ("client_id", "client_name", "Field required"),
    ],
)
def test_a_login_against_its_rule_is_refused(faults: Refusing, old: str, new: str, rule: str):
    found = faults(LOGIN.replace(old, new))
    assert found[0].startswith("flower.login")
    assert any(rule in fault for fault in found)
    assert PASSWORD not in "\n".join(found)


def test_nobody_is_asked_in_two_ways(faults: Refusing):
    (fault,) = faults(f'[flower]\nbasic_auth = ["user:{PASSWORD}"]\n{LOGIN}')
    assert fault == "flower: either basic_auth or [flower.login], not both"


@pytest.mark.parametrize("prefix", ["/flower", "flower/", "a//b", "a?b", ""])
def test_a_prefix_is_words_between_slashes(faults: Refusing, prefix: str):
    (fault,) = faults(f'[flower]\nurl_prefix = "{prefix}"')
    assert fault.startswith("flower.url_prefix: ")


@pytest.mark.parametrize(
    "text",
    [
        f'flower = "{PASSWORD}"',
        f'[[flower]]\nbasic_auth = ["{PASSWORD}"]',
        f'[flower]\nbasic_auth = "{PASSWORD}"',
        f'[flower]\nbasic_auth = "[{PASSWORD}"',
        f'[flower]\nbasic_auth = {{ user = "{PASSWORD}" }}',
        f'[flower]\nbasic_auths = ["user:{PASSWORD}"]',
        f'[flower]\nlogin = "{PASSWORD}"',
        f'[flower.login]\nclient_secret = ["{PASSWORD}"]',
    ],
)
def test_no_error_shows_a_password(faults: Refusing, text: str):
    assert PASSWORD not in "\n".join(faults(text))


def test_settings_do_not_show_passwords_when_printed(loaded: Loading):
    for text in (LOGIN, f'[flower]\nbasic_auth = ["user:{PASSWORD}"]'):
        settings = loaded(text)
        assert PASSWORD not in repr(settings)
        assert PASSWORD not in settings.model_dump_json()
