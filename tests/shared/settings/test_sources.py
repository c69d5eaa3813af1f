"""Where settings come from, and which source goes before which."""

from pathlib import Path

import pytest

from shared.settings import InvalidSettingsError, load
from tests.shared.settings.conftest import Loading, Refusing

PORTS = """
[receiver]
port = 104
max_associations = 7
"""


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setenv("PENSTOCK_SECRETS_DIR", str(folder))
    return folder


def test_the_environment_overrides_one_value_and_leaves_its_neighbours(
    loaded: Loading, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PENSTOCK_RECEIVER__PORT", "4242")
    receiver = loaded(PORTS).receiver
    assert (receiver.port, receiver.max_associations) == (4242, 7)


def test_values_in_the_environment_are_judged_like_those_in_the_file(
    faults: Refusing, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PENSTOCK_RECEIVER__PORT", "70000")
    monkeypatch.setenv("PENSTOCK_STORAGE__ROOTT", "/data")
    found = faults("")
    assert len(found) == 2
    assert "storage.roott: no such setting" in found
    assert any(each.startswith("receiver.port: ") and "70000" in each for each in found)


def test_durations_and_lists_can_stand_in_the_environment(
    loaded: Loading, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PENSTOCK_WORKERS__BEAT", "500ms")
    monkeypatch.setenv("PENSTOCK_AE_TITLES", '[{"title": "LUNG", "pipeline": "keep"}]')
    settings = loaded("")
    assert settings.workers.beat == 0.5
    assert [entry.title for entry in settings.ae_titles] == ["LUNG"]


def test_a_section_that_does_not_exist_is_refused_in_the_environment_too(
    faults: Refusing, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PENSTOCK_RECIEVER__PORT", "104")
    monkeypatch.setenv("PENSTOCK_DESTINATION__PACS__PORT", "104")
    assert sorted(faults("")) == [
        "PENSTOCK_DESTINATION__PACS__PORT: no such setting",
        "PENSTOCK_RECIEVER__PORT: no such setting",
    ]


def test_the_environment_alone_is_enough(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PENSTOCK_RECEIVER__PORT", "104")
    settings = load()
    assert settings.receiver.port == 104
    assert settings.source is None


def test_a_bad_value_without_a_file_is_said_to_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("PENSTOCK_RECEIVER__PORT", "x")
    with pytest.raises(InvalidSettingsError) as refused:
        load()
    assert str(refused.value).startswith("defaults and environment:\n  receiver.port: ")


def test_the_file_is_the_one_given_else_the_one_named_else_the_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    given, named = tmp_path / "given.toml", tmp_path / "named.toml"
    for number, path in enumerate((Path("penstock.toml"), named, given), 1):
        path.write_text(f"[receiver]\nport = {number}\n")
    here = load()
    assert (here.receiver.port, here.source) == (1, Path("penstock.toml"))
    monkeypatch.setenv("PENSTOCK_CONFIG", str(named))
    assert (load().receiver.port, load().source) == (2, named)
    assert (load(given).receiver.port, load(given).source) == (3, given)


def test_a_relative_storage_root_is_relative_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "etc"
    folder.mkdir()
    path = folder / "penstock.toml"
    path.write_text('[storage]\nroot = "../data"\n')
    for given in (path, Path("etc/penstock.toml")):
        root = load(given).storage.root
        assert root.is_absolute()
        assert root.resolve() == tmp_path / "data"
    monkeypatch.setenv("PENSTOCK_STORAGE__ROOT", "elsewhere")
    assert load(path).storage.root == folder / "elsewhere"


def test_an_absolute_storage_root_stays(loaded: Loading):
    assert loaded('[storage]\nroot = "/srv/penstock"\n').storage.root == Path("/srv/penstock")


def test_a_secret_file_holds_a_value_and_goes_before_the_environment(
    loaded: Loading, secrets: Path, monkeypatch: pytest.MonkeyPatch
):
    (secrets / "penstock_redis__url").write_text("redis://:from-a-file@redis/0\n")
    monkeypatch.setenv("PENSTOCK_REDIS__URL", "redis://:from-the-environment@redis/0")
    url = loaded('[redis]\nurl = "redis://in-the-settings/0"\n').redis.url
    assert url is not None
    assert url.get_secret_value() == "redis://:from-a-file@redis/0"


def test_other_files_beside_a_secret_are_passed_over(loaded: Loading, secrets: Path):
    (secrets / "..data").mkdir()
    (secrets / "something-else").write_text("x")
    assert loaded("").redis.url is None


def test_a_secret_for_no_setting_is_refused_without_its_value(faults: Refusing, secrets: Path):
    (secrets / "penstock_redis__urll").write_text("redis://:hunter2@redis/0")
    assert faults("") == ("redis.urll: no such setting",)


def test_a_secrets_folder_that_is_not_there_is_a_fault(
    faults: Refusing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PENSTOCK_SECRETS_DIR", str(tmp_path / "missing"))
    (fault,) = faults("")
    assert str(tmp_path / "missing") in fault


PASSWORD = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f'[redis]\nurl = "http://:{PASSWORD}@redis/0"',
        f'[redis]\nurl = ["redis://:{PASSWORD}@redis/0"]',
        f'[redis]\nurll = "redis://:{PASSWORD}@redis/0"',
        f'redis = "redis://:{PASSWORD}@redis/0"',
        f'[[redis]]\nurl = "redis://:{PASSWORD}@redis/0"',
        f'redis_url = "redis://:{PASSWORD}@redis/0"',
        f'[redis]\nurl = "redis://:{PASSWORD}@redis/0',  # a quote is missing
    ],
)
def test_no_error_shows_the_password_of_redis(faults: Refusing, text: str):
    assert PASSWORD not in "\n".join(faults(text))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PENSTOCK_REDIS__URL", f"http://:{PASSWORD}@redis/0"),
        ("PENSTOCK_REDIS", f"redis://:{PASSWORD}@redis/0"),
        ("PENSTOCK_REDIS", f'["redis://:{PASSWORD}@redis/0"]'),
    ],
)
def test_no_error_shows_a_password_from_the_environment(
    faults: Refusing, monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    monkeypatch.setenv(name, value)
    assert PASSWORD not in "\n".join(faults(""))


def test_settings_do_not_show_the_password_when_printed(loaded: Loading):
    settings = loaded(f'[redis]\nurl = "redis://:{PASSWORD}@redis/0"')
    assert PASSWORD not in repr(settings)
    assert PASSWORD not in settings.model_dump_json()


def test_a_file_that_cannot_be_read_is_a_fault_and_never_the_defaults(tmp_path: Path):
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(InvalidSettingsError) as refused:
            load(path)
        assert str(path) in str(refused.value)


def test_a_file_that_is_not_toml_is_a_fault_with_its_line(faults: Refusing):
    (fault,) = faults("[receiver]\nport = = 104\n")
    assert "line 2" in fault


def test_a_file_that_is_not_text_is_a_fault(tmp_path: Path):
    path = tmp_path / "penstock.toml"
    path.write_bytes(b'[receiver]\nhost = "\xff\xfe"\n')
    with pytest.raises(InvalidSettingsError):
        load(path)
