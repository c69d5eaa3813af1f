from shared.settings.sections import ForwardPipeline
from tests.workers.site import Given, Site
from workers.pipelines.forward import Forward
from workers.pipelines.kinds import kind_of
from workers.steps.outcome import Done

SECTION = ForwardPipeline(kind="forward")


def test_a_forward_has_nothing_to_check() -> None:
    assert isinstance(kind_of(SECTION), Forward)
    assert Forward().check(SECTION) == []


def test_the_result_of_a_forward_is_the_input_as_it_came(site: Site) -> None:
    job_id = site.dispatched(Given("1.2.3"))
    folder = site.folder(job_id)
    before = {path: path.stat() for path in folder.input.iterdir()}
    assert site.run_pipeline(job_id) == Done()
    result = folder.read().result
    assert result is not None
    assert folder.path / result.folder == folder.input
    assert {path: path.stat() for path in folder.input.iterdir()} == before
