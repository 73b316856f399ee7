"""`[tenant] recipients_file`."""

from pathlib import Path

import pytest

from tests.config.test_read import LEAST, Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_list_of_recipients_is_read_before_it_is_used(folder: Folder) -> None:
    (folder.path / "list").write_text("bob@contoso.com\n")
    text = LEAST + '[tenant]\ndomains = ["contoso.com"]\nrecipients_file = "list"\n'
    assert folder.read(text).tenant.recipients_file == folder.path / "list"
    (folder.path / "list").write_text("bob\n")
    assert folder.problem(text).startswith(f"tenant.recipients_file: {folder.path}/list, line 1: ")
    (folder.path / "list").unlink()
    assert "cannot be read" in folder.problem(text)


def test_a_list_of_recipients_needs_to_know_who_is_inside(folder: Folder) -> None:
    (folder.path / "list").write_text("bob@contoso.com\n")
    problem = folder.problem(LEAST + '[tenant]\nrecipients_file = "list"\n')
    assert problem.startswith("tenant.recipients_file: asks who is inside")
