"""Fetch published weights: into the hub's cache, or into a folder for a machine without a network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from automl.documents.digest import file_digest
from automl.errors import ModelError
from automl.machine import hub_address, hub_answers, hub_is_off
from automl.training.models.weight_sources import hub_file
from automl.training.published.offers import Offer

_PART = ".part"
_SHA256 = 64  # hexadecimal digits
# The names under which a folder may hold weights, by the ending of the published file.
_NAMES = {".safetensors": "model.safetensors", ".bin": "pytorch_model.bin", ".pth": "model.pth"}
_CONFIG = "config.json"


def fetch_into_cache(offer: Offer) -> Path:
    """Download weights into the cache of the Hugging Face hub, check them, and return their file.

    A broken connection is continued; after a stop, the file begins again. Raises ModelError if they cannot be
    downloaded or are damaged.
    """
    if offer.cached is not None:
        return offer.cached
    from huggingface_hub import hf_hub_download

    _check_on_hub(offer)
    repository, file, revision = hub_file(offer.cfg)
    try:
        path = Path(hf_hub_download(repository, file, revision=revision))
    except Exception as error:  # downloads fail with many types of errors
        raise _failed(offer, error) from error
    blob = path.resolve()  # the cache names files after their checksum
    _check(offer, blob, blob.name if len(blob.name) == _SHA256 else "")
    return path


def fetch_into_folder(offer: Offer, folder: Path) -> Path:
    """Put weights into `folder` in timm's layout, check them, and return their file.

    The folder NAME.TAG gets the file and a config.json with tag, licence and origin, as `--pretrained` takes it. A
    file in the cache is copied. Otherwise it is downloaded, after a stop from where it ended. Raises ModelError if it
    cannot be downloaded or is damaged, and OSError if the folder cannot be written.
    """
    target = folder / offer.weights
    target.mkdir(parents=True, exist_ok=True)
    ending = Path(hub_file(offer.cfg)[1] if offer.cached is None else offer.cached.name).suffix
    file = target / _NAMES.get(ending, _NAMES[".pth"])
    if not file.is_file():
        part = file.with_name(file.name + _PART)
        if offer.cached is not None:
            shutil.copyfile(offer.cached, part)
            _check(offer, part, "")
        else:
            _check(offer, part, _download(offer, part))
        part.replace(file)
    text = json.dumps(_config(offer), indent=2, ensure_ascii=False)
    (target / _CONFIG).write_text(text + "\n", encoding="utf-8")
    return file


def _download(offer: Offer, part: Path) -> str:
    """Download a file, or the rest of it, to `part`, and return the checksum that the hub tells; "" for none."""
    from huggingface_hub import get_hf_file_metadata, get_token, hf_hub_url

    # hf_hub_download begins anew after a stop: only the function below it continues a file.
    from huggingface_hub.file_download import http_get

    _check_on_hub(offer)
    repository, name, revision = hub_file(offer.cfg)
    try:
        url = hf_hub_url(repository, name, revision=revision)
        said = get_hf_file_metadata(url)
        there = part.stat().st_size if part.is_file() else 0
        if said.size is None or there > said.size:
            there = 0
        with part.open("ab" if there else "wb") as file:
            http_get(
                url,
                file,
                resume_size=there,
                headers={"authorization": f"Bearer {token}"} if (token := get_token()) else {},
                expected_size=said.size,
                displayed_filename=offer.weights,
            )
    except Exception as error:  # downloads fail with many types of errors
        raise _failed(offer, error) from error
    etag = said.etag or ""
    return etag if len(etag) == _SHA256 else ""


def _check_on_hub(offer: Offer) -> None:
    """Raise ModelError unless the hub has the weights and answers: its client would try again for long."""
    if not hub_answers():
        why = "HF_HUB_OFFLINE switches it off" if hub_is_off() else "it does not answer"
        raise ModelError(
            f"the weights {offer.weights!r} need the hub at {hub_address()}, but {why}; try again later"
        )
    if not offer.cfg.hf_hub_id:
        raise ModelError(
            f"the weights {offer.weights!r} are not on the Hugging Face hub; download them from {offer.origin}"
        )


def _check(offer: Offer, file: Path, sha256: str) -> None:
    """Raise ModelError, and delete the file, if it has another checksum or cannot be read."""
    why = _problem(file, sha256)
    if why:
        file.unlink()
        raise ModelError(f"the file with the weights {offer.weights!r} {why} and was deleted; fetch it again")


def _problem(file: Path, sha256: str) -> str:
    """Return what is wrong with a file, or ""."""
    if sha256:
        return "" if file_digest(file) == sha256 else "has another checksum than the hub says"
    if not file.name.removesuffix(_PART).endswith(".safetensors"):
        return ""  # the client has compared its size; loading will show the rest
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as tensors:
            names = tensors.keys()
            for name in names:
                tensors.get_tensor(name)
    except (SafetensorError, OSError, ValueError) as error:
        return f"cannot be read ({' '.join(str(error).split())})"
    return ""


def _config(offer: Offer) -> dict[str, object]:
    """Return config.json in timm's layout."""
    cfg = offer.cfg.to_dict(remove_source=True, remove_null=True)
    architecture = cfg.pop("architecture", offer.weights.partition(".")[0])
    stated = {"license": offer.licence, "origin_url": offer.origin, "custom_load": False}
    return {
        "architecture": architecture,
        "num_classes": cfg.get("num_classes", 0),
        "pretrained_cfg": {**cfg, **stated},
    }


def _failed(offer: Offer, error: Exception) -> ModelError:
    why = " ".join(str(error).split())[:200] or type(error).__name__
    return ModelError(
        f"the weights {offer.weights!r} must be on the hub, but could not be downloaded ({why}); try again"
    )
