"""Importing timm and torchvision, and threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from automl.torch_setup import import_timm, set_threads, uses_torchvision_stand_in


def _run(code: str) -> str:
    # The tests' own environment switches the hub off; here it is this package that is looked at.
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_timm_and_torchvision_import_in_silence() -> None:
    code = (
        "from automl.torch_setup import import_timm, uses_torchvision_stand_in as stand_in\n"
        "timm = import_timm()\nimport os, torchvision\n"
        "print(timm.is_model('resnet18'), type(stand_in()).__name__, 'HF_HUB_OFFLINE' in os.environ)"
    )
    assert _run(code) == "True bool False"


def test_importing_the_module_imports_no_torch() -> None:
    assert _run("import sys, automl.torch_setup; print('torch' in sys.modules)") == "False"


def test_stand_in_is_used_exactly_where_the_operators_are_missing() -> None:
    import_timm()
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    if uses_torchvision_stand_in():
        with pytest.raises(NotImplementedError, match="torchvision::nms"):
            torch.ops.torchvision.nms(boxes, torch.ones(1), 0.5)
    else:
        assert torch.ops.torchvision.nms(boxes, torch.ones(1), 0.5).tolist() == [0]


def test_threads_are_set() -> None:
    before = torch.get_num_threads()
    set_threads(1)
    assert torch.get_num_threads() == 1
    set_threads(before)


def test_no_thread_is_refused() -> None:
    with pytest.raises(ValueError, match="must be at least 1, not 0"):
        set_threads(0)


@pytest.mark.parametrize(
    "call",
    [
        "import automl; automl.fit('digits', space='no such', time_limit=600)",
        "from automl.cli import main; main(['fit', 'digits', '--space', 'no such'])",
    ],
)
def test_idle_threads_sleep_because_a_study_says_so_before_torch_loads(call: str, tmp_path: Path) -> None:
    code = f"""
import os, sys
class Finder:
    def find_spec(self, name, *rest):
        if name == 'torch':
            print(os.environ.get('OMP_WAIT_POLICY'))
            sys.stdout.flush()
            os._exit(0)
sys.meta_path.insert(0, Finder())
{call}
"""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "PASSIVE\n", done.stderr


def test_threads_that_begin_together_prepare_torch_once() -> None:
    code = (
        "import threading, torch\nfrom automl.torch_setup import import_timm, import_torchvision\n"
        "calls = [import_timm, lambda: import_torchvision('datasets')] * 2\nfailed = []\n"
        "start = threading.Barrier(len(calls))\n"
        "def go(call):\n"
        "    start.wait()\n"
        "    try:\n        call()\n"
        "    except Exception as error:\n        failed.append(error)\n"
        "threads = [threading.Thread(target=go, args=(call,)) for call in calls]\n"
        "for thread in threads:\n    thread.start()\n"
        "for thread in threads:\n    thread.join()\n"
        "print(failed)"
    )
    assert _run(code) == "[]"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_fork_computes_after_its_parent_did() -> None:
    code = (
        "import os, signal, torch\nfrom automl.torch_setup import import_timm, set_threads\n"
        "import_timm()\nset_threads(2)\n"
        "a = torch.ones(2000, 2000)\n"
        "def work():\n    return int((a @ a).sum() + torch.exp(a).sum() * 0)\n"
        "work()\nset_threads(2)\n"
        "if (child := os.fork()) == 0:\n"
        "    signal.alarm(30)\n    set_threads(2)\n    work()\n    os._exit(torch.get_num_threads() - 1)\n"
        "print(os.waitpid(child, 0)[1], torch.get_num_threads())"
    )
    assert _run(code) == "0 2"
