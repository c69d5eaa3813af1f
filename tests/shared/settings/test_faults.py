"""What is refused, and how it is said: field, value and rule."""

import pytest

from tests.shared.settings.conftest import Loading, Refusing

COMMAND = '[pipelines.keep]\nkind = "command"\ncommand = ["true"]\n'


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("recieverr = 1", "recieverr"),
        ("[reciever]\nport = 104", "reciever"),
        ("[storage]\nwatermark = 75", "storage.watermark"),
        ('[dicom]\nuid = "1.2"', "dicom.uid"),
        ("[receiver]\nprot = 104", "receiver.prot"),
        ("[receiver.quic]\nport = 2762", "receiver.quic"),
        ('[[ae_titles]]\ntitle = "A"\npipeline = "keep"\nprio = 1', "ae_titles.0.prio"),
        ('[pipelines.keep]\nkind = "forward"\ntimeout = "1h"', "pipelines.keep.timeout"),
        (COMMAND + "retries = 3", "pipelines.keep.retries"),
        ("[exporter]\nrate = 2", "exporter.rate"),
        (
            '[destinations.PACS]\nae_title = "A"\nhost = "h"\nport = 1\nquic = true',
            "destinations.PACS.quic",
        ),
        ('[redis]\npassword = "x"', "redis.password"),
        ("[workers]\nthreads = 2", "workers.threads"),
        ("[flower]\nauth = 1", "flower.auth"),
        ("[log]\nfile = 1", "log.file"),
    ],
)
def test_an_unknown_key_is_refused_by_name_at_every_level(faults: Refusing, text: str, field: str):
    assert faults(text) == (f"{field}: no such setting",)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("[storage]\nwatermark_percent = 0", "storage.watermark_percent", "0"),
        ("[storage]\nwatermark_percent = 101", "storage.watermark_percent", "101"),
        ("[storage]\nreserve_gb = -1", "storage.reserve_gb", "-1"),
        ('[storage]\ndurability = "none"', "storage.durability", "none"),
        ('[storage]\njob_retention = "5"', "storage.job_retention", "5"),
        ('[dicom]\nimplementation_class_uid = "1.2.x"', "dicom.implementation_class_uid", "1.2.x"),
        (
            '[dicom]\nimplementation_version_name = "seventeen letters"',
            "dicom.implementation_version_name",
            "seventeen letters",
        ),
        (
            '[dicom]\nimplementation_version_name = "PENSTÖCK"',
            "dicom.implementation_version_name",
            "PENSTÖCK",
        ),
        ('[dicom]\nimplementation_version_name = ""', "dicom.implementation_version_name", "''"),
        ("[dicom]\nmax_pdu_length = 0", "dicom.max_pdu_length", "0"),
        ("[receiver]\nport = 65536", "receiver.port", "65536"),
        ("[receiver]\nmax_associations = 0", "receiver.max_associations", "0"),
        ("[receiver]\nmax_associations = 1001", "receiver.max_associations", "1001"),
        ('[receiver]\nallowed_calling = ["CT 01 IS TOO LONG"]', "receiver.allowed_calling.0", "CT"),
        (COMMAND.replace('"true"', ""), "pipelines.keep.command", "[]"),
        (COMMAND + "max_attempts = 0", "pipelines.keep.max_attempts", "0"),
        (COMMAND + 'timeout = "2 weeks"', "pipelines.keep.timeout", "2 weeks"),
        (COMMAND + "output_limit_mb = 0", "pipelines.keep.output_limit_mb", "0"),
        ('[pipelines.keep]\nkind = "magic"', "pipelines.keep.kind", "magic"),
        ('[pipelines."a b"]\nkind = "forward"', "pipelines.a b", "a b"),
        (
            '[destinations."../x"]\nae_title = "A"\nhost = "h"\nport = 1',
            "destinations.../x.[key]",
            "../x",
        ),
        ("[exporter]\nmax_concurrent_sends = 0", "exporter.max_concurrent_sends", "0"),
        ('[exporter]\nrate_limit = "fast"', "exporter.rate_limit", "fast"),
        ('[log]\nlevel = "loud"', "log.level", "loud"),
    ],
)
def test_a_value_against_its_rule_is_named_with_its_field(
    faults: Refusing, text: str, field: str, value: str
):
    (fault,) = faults(text)
    assert fault.startswith(f"{field}: ")
    assert value in fault.rpartition("(is ")[2]


def test_what_is_missing_is_named(faults: Refusing):
    assert faults('[destinations.PACS]\nhost = "pacs"\n[pipelines.keep]\nkind = "command"\n') == (
        "pipelines.keep.command: Field required",
        "destinations.PACS.ae_title: Field required",
        "destinations.PACS.port: Field required",
    )


def test_a_pipeline_without_a_kind_is_refused(faults: Refusing):
    (fault,) = faults("[pipelines.keep]\nmax_attempts = 3\n")
    assert fault.startswith("pipelines.keep: ")
    assert "kind" in fault


def test_all_faults_of_a_file_are_told_at_once(faults: Refusing):
    found = faults(
        """
        nonsense = 1
        [receiver]
        port = "x"
        max_associations = 0
        [storage]
        aborted_retention = "soon"
        [[ae_titles]]
        title = "TOO LONG A TITLE!"
        pipeline = "keep"
        """
    )
    assert sorted(fault.partition(":")[0] for fault in found) == [
        "ae_titles.0.title",
        "nonsense",
        "receiver.max_associations",
        "receiver.port",
        "storage.aborted_retention",
    ]


BRAIN = '[[ae_titles]]\ntitle = "BRAIN"\npipeline = "keep"\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            '[[ae_titles]]\ntitle = "BRAIN"\npipeline = "gone"\n',
            "ae_titles.0.pipeline: no pipeline is named 'gone'",
        ),
        (
            '[[ae_titles]]\ntitle = "BRAIN"\npipelines = ["keep", "gone"]\n',
            "ae_titles.0.pipeline: no pipeline is named 'gone'",
        ),
        (BRAIN * 2, "ae_titles.1.title: 'BRAIN' stands there twice"),
        (
            BRAIN + BRAIN.replace("BRAIN", " BRAIN "),
            "ae_titles.1.title: 'BRAIN' stands there twice",
        ),
        ("ae_titles = []", "ae_titles: at least one AE title is needed"),
        (
            '[pipelines.keep]\nkind = "forward"\nexport_to = ["PACS"]\n',
            "pipelines.keep.export_to: no destination is named 'PACS'",
        ),
        (
            '[receiver]\ndefault_ae_title = "LUNG"\n',
            "receiver.default_ae_title: 'LUNG' is not in ae_titles",
        ),
        (
            "[receiver]\nverify_called_ae_title = false\n",
            "receiver.default_ae_title: needed when verify_called_ae_title is false,"
            " to say whose pipeline unknown called titles get",
        ),
        (
            '[flower]\nhost = "0.0.0.0"\n',
            "flower.host: '0.0.0.0' is not loopback,"
            " so basic_auth or [flower.login] must say who may look",
        ),
        (
            "[receiver]\nverify_calling_ae_title = true\n",
            "receiver.allowed_calling: empty, and verify_calling_ae_title is true:"
            " nobody could associate",
        ),
    ],
)
def test_sections_that_do_not_fit_together_are_refused(faults: Refusing, text: str, fault: str):
    assert faults(text) == (fault,)


def test_a_group_that_could_never_be_quiet_in_time_is_refused(faults: Refusing):
    (fault,) = faults(BRAIN + 'group_by = "study"\nquiet_period = "2h"\n')
    assert fault.startswith("ae_titles.0: quiet_period must not be over max_wait")


def test_faults_between_sections_are_told_each_on_its_own_line(faults: Refusing):
    text = """
        [receiver]
        verify_called_ae_title = false
        [[ae_titles]]
        title = "BRAIN"
        pipeline = "gone"
        [pipelines.other]
        kind = "forward"
        export_to = ["PACS", "ARCHIVE"]
    """
    assert [fault.partition(":")[0] for fault in faults(text)] == [
        "ae_titles.0.pipeline",
        "pipelines.other.export_to",
        "pipelines.other.export_to",
        "receiver.default_ae_title",
    ]


@pytest.mark.parametrize(
    "receiver",
    [
        'verify_calling_ae_title = true\nallowed_calling = ["CT01"]',
        'verify_called_ae_title = false\ndefault_ae_title = "BRAIN"',
    ],
)
def test_checks_that_have_what_they_need_are_accepted(loaded: Loading, receiver: str):
    assert loaded(f"{BRAIN}[receiver]\n{receiver}\n").ae_title("BRAIN")


def test_callers_may_be_verified_with_a_list_for_each_title(loaded: Loading):
    text = BRAIN + 'allowed_calling = ["CT01"]\n[receiver]\nverify_calling_ae_title = true\n'
    assert loaded(text).receiver.verify_calling_ae_title


@pytest.mark.parametrize("pipelines", ["", 'pipeline = "keep"\npipelines = ["keep"]\n'])
def test_an_ae_title_names_its_pipelines_in_one_way(faults: Refusing, pipelines: str):
    (fault,) = faults(f'[[ae_titles]]\ntitle = "BRAIN"\n{pipelines}')
    assert fault.startswith("ae_titles.0: needs either pipeline or pipelines")


def test_a_running_lease_outlasts_three_beats(loaded: Loading, faults: Refusing):
    assert loaded('[workers]\nbeat = "5s"\nrunning_lease = "15s"\n')
    (fault,) = faults('[workers]\nbeat = "6s"\nrunning_lease = "15s"\n')
    assert fault.startswith("workers: running_lease must be at least three beats")


@pytest.mark.parametrize(
    "word", ["{input}", "{output}/x", "{work}", "a-{job}-{attempt}", "{{literal}}", "", "plain"]
)
@pytest.mark.parametrize("key", ["command", "cancel_command"])
def test_a_command_may_have_the_known_placeholders(loaded: Loading, word: str, key: str):
    text = COMMAND if key == "cancel_command" else '[pipelines.keep]\nkind = "command"\n'
    assert loaded(f'{text}{key} = ["run", "{word}"]\n')


@pytest.mark.parametrize(
    "word", ["{patient}", "{}", "{0}", "{input.parent}", "{input[0]}", "{job!r}", "{job:>9}", "{"]
)
@pytest.mark.parametrize("key", ["command", "cancel_command"])
def test_a_command_may_have_no_other_braces(faults: Refusing, word: str, key: str):
    text = COMMAND if key == "cancel_command" else '[pipelines.keep]\nkind = "command"\n'
    (fault,) = faults(f'{text}{key} = ["run", "{word}"]\n')
    assert fault.startswith(f"pipelines.keep.{key}: ")
