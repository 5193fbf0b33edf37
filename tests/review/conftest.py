"""Two studies on disk, made once: reading must not change them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.review.studies_on_disk import finished_study, running_study


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("disk") / "studies"
    finished_study(directory)
    running_study(directory)
    return directory
