"""A spool that others may write is refused before anything is changed."""

from __future__ import annotations

from tests.main_job.runs import Place

COMMAND = (
    *("run", "--experiment_name", "open", "--max_eval", "1", "--model", "SOBOL"),
    *("--parameter", "x", "range", "0", "1", "float", "--force_local_execution"),
    *("--run_program", "echo RESULT: %(x)"),
)


def test_a_resume_with_a_spool_that_others_may_write_is_refused_with_the_remedy(
    laptop: Place,
) -> None:
    place = laptop
    place.run(*COMMAND)
    before = place.rows("open", "SELECT status FROM experiment")
    spool = place.folder / "runs" / "open" / "1" / "spool"
    (spool / "reports").chmod(0o777)
    code, output = place.start("resume", "open", "--max_eval", "2").wait()
    assert code == 1
    assert f"headway: others may write {spool}/reports (mode 777): " in output
    assert f"chmod -R go-w {spool}" in output
    assert "Traceback" not in output
    assert place.rows("open", "SELECT status FROM experiment") == before
    (spool / "reports").chmod(0o700)
    place.run("resume", "open", "--max_eval", "2")
    assert len(place.results("open")) == 2
