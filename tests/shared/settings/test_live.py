from pathlib import Path

from shared.settings import load
from shared.settings.live import LiveSettings, keeping

ONE = '[receiver]\nport = 1000\n[[ae_titles]]\ntitle = "ONE"\npipeline = "keep"\n'
TWO = ONE.replace("ONE", "TWO").replace("1000", "2000")


def live(path: Path, *fixed: str) -> LiveSettings:
    path.write_text(ONE)
    settings = load(path)
    assert settings.revision  # which is worked out only once for one snapshot
    return LiveSettings(settings, fixed)


def test_valid_settings_replace_the_old_snapshot_whole(tmp_path: Path) -> None:
    settings = live(tmp_path / "penstock.toml")
    before = settings.now
    (tmp_path / "penstock.toml").write_text(TWO)
    assert settings.reread()
    assert (settings.now.ae_titles[0].title, settings.now.receiver.port) == ("TWO", 2000)
    assert (before.ae_titles[0].title, before.receiver.port) == ("ONE", 1000)
    assert settings.now.revision != before.revision


def test_with_a_fault_in_them_the_old_ones_stay(tmp_path: Path) -> None:
    settings = live(tmp_path / "penstock.toml")
    before = settings.now
    for fault in ("[receiver\n", TWO.replace("2000", "-1")):
        (tmp_path / "penstock.toml").write_text(fault)
        assert not settings.reread()
        assert settings.now is before


def test_what_is_fixed_is_kept_and_the_rest_is_new(tmp_path: Path) -> None:
    settings = live(tmp_path / "penstock.toml", "receiver.port", "receiver.host")
    (tmp_path / "penstock.toml").write_text(TWO)
    new, kept = keeping(settings.now, load(tmp_path / "penstock.toml"), ("receiver.port",))
    assert kept == ["receiver.port"]
    assert (new.ae_titles[0].title, new.receiver.port) == ("TWO", 1000)
    for _ in range(2):  # the file is remembered, too
        assert settings.reread()
        assert (settings.now.ae_titles[0].title, settings.now.receiver.port) == ("TWO", 1000)
