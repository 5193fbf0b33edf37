"""One study for all tests of reports; reading must not change it."""

from __future__ import annotations

import pytest

from automl.review.studies import StudyFolder
from tests.review.report.leaves import finished_leaves


@pytest.fixture(scope="session")
def leaves(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return finished_leaves(tmp_path_factory.mktemp("reports"))
