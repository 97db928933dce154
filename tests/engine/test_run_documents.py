"""Documents of a run: plain values beside its events."""

from pathlib import Path

from engine.runs.run_directory import RunDirectory


def test_documents_are_whole_replaced_by_name_and_found_by_how_they_begin(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    for name, number in (("batch-2", 1), ("batch-1", 1), ("batch-1", 2), ("other", 3)):
        run.write_document(name, {"number": number})
    (tmp_path / "run" / "documents" / ".batch-3.json.partial").write_text('{"num')
    assert run.documents("batch") == {"batch-1": {"number": 2}, "batch-2": {"number": 1}}
    run.close()
