"""The web application: POST /predict, GET /health, GET /metadata, and a page that describes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from starlette.datastructures import FormData, UploadFile

from automl._version import __version__
from automl.delivery.serve.batching import Batcher
from automl.delivery.serve.limits import App, Guard, Limits
from automl.delivery.serve.page import page
from automl.delivery.serve.served_model import ServedModel, require_image
from automl.errors import DataError
from automl.machine import cores
from automl.terminal.printable import printable

MOST_AT_ONCE = 32
_FIELD = "images"
# What the handler reads by itself, with limits of its own, described for the OpenAPI page.
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [_FIELD],
                    "properties": {
                        _FIELD: {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                }
            }
        },
    }
}


class Skipped(BaseModel):
    """An image that could not be read."""

    file: str
    reason: str


class Predictions(BaseModel):
    """A row for each readable image, in the order of the request.

    Classification: `file`, `label`, `probabilities`. Several labels: `file`, `labels`, `probabilities`. Regression:
    `file` and `values`. `unknown` is above 1 for images that are unlike those of the training, if the model knows that.
    """

    predictions: list[dict[str, Any]]
    skipped: list[Skipped]


class Health(BaseModel):
    """The server answers."""

    status: str = "ok"


class Metadata(BaseModel):
    """What is served."""

    model: str
    task: str
    classes: list[str]
    image_size: int
    runtime: str
    automl: str
    most_images: int
    image_bytes: int


def make_app(model: ServedModel, limits: Limits) -> App:
    """Return the application that serves `model`, behind the checks of `limits`."""
    scoring = _Scoring(model, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await scoring.start()
        yield
        await scoring.stop()

    app = FastAPI(
        title="automl",
        description=f"Predictions of {printable(model.name)}",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # its scripts come from another server, and this one may have no network
        redoc_url=None,
    )

    @app.post("/predict", response_model=Predictions, openapi_extra=_BODY)
    async def predict(request: Request) -> Predictions:
        """Predict the labels or values of one or several images, sent as files named `images`."""
        form = await _read_form(request, limits)
        try:
            files = [part for part in form.getlist(_FIELD) if isinstance(part, UploadFile)]
            if not files:
                raise HTTPException(400, f"send images as multipart/form-data files named {_FIELD!r}")
            return await scoring.predictions(files)
        finally:
            await form.close()

    @app.get("/health", response_model=Health)
    async def health() -> Health:
        """Say that the server answers."""
        return Health()

    @app.get("/metadata", response_model=Metadata)
    async def metadata() -> Metadata:
        """Say what is served, and its limits."""
        return _metadata(model, limits)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    @app.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    async def docs(request: Request) -> str:
        return page(app.openapi(), model, address=str(request.base_url).rstrip("/"))

    guarded: App = Guard(app, limits)
    return guarded


async def _read_form(request: Request, limits: Limits) -> FormData:
    """Return the form of a request. Raises HTTPException for one whose text has no encoding that can be read."""
    try:
        return await request.form(max_files=limits.most_images, max_fields=16)
    except ValueError as error:  # codecs that are named in the request raise UnicodeError and others
        raise HTTPException(400, "the form cannot be read: its text must be UTF-8") from error


class _Scoring:
    """Decodes the images of all requests in threads, and scores those that wait together."""

    def __init__(self, model: ServedModel, limits: Limits) -> None:
        self._model, self._limits = model, limits
        self._batcher = Batcher(model.score, most=MOST_AT_ONCE)
        self._decoding = ThreadPoolExecutor(max(2, cores()), thread_name_prefix="decode")

    async def start(self) -> None:
        await self._batcher.start()

    async def stop(self) -> None:
        await self._batcher.stop()
        self._decoding.shutdown(wait=False, cancel_futures=True)

    async def predictions(self, files: Sequence[UploadFile]) -> Predictions:
        """Return the answer to a request. Raises HTTPException if none of its images can be read."""
        found = await asyncio.gather(*(self._scored(file) for file in files), return_exceptions=True)
        return _described(self._model, [_name(file) for file in files], list(found))

    async def _scored(self, file: UploadFile) -> Any:
        content = await file.read(self._limits.image_bytes + 1)
        require_image(content, self._limits.image_bytes)
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(self._decoding, self._model.pixels, content)
        return await self._batcher.score(pixels)


def _name(file: UploadFile) -> str:
    """Return the name that an image was sent with, as text that JSON can hold: a codec may give half a character."""
    return (file.filename or "image").encode(errors="replace").decode()


def _metadata(model: ServedModel, limits: Limits) -> Metadata:
    return Metadata(
        model=model.name,
        task=model.said["task"],
        classes=model.said["classes"],
        image_size=model.said["size"],
        runtime=model.runtime,
        automl=__version__,
        most_images=limits.most_images,
        image_bytes=limits.image_bytes,
    )


def _described(model: ServedModel, names: list[str], found: list[Any]) -> Predictions:
    """Return the answer to a request. Raises HTTPException if none of its images can be read."""
    predictions: list[dict[str, Any]] = []
    skipped: list[Skipped] = []
    for name, result in zip(names, found, strict=True):
        if isinstance(result, DataError):
            skipped.append(Skipped(file=name, reason=str(result)))
        elif isinstance(result, BaseException):
            raise result
        else:
            predictions.append({"file": name, **model.answers(result[None])[0]})
    if not predictions:
        reasons = "; ".join(f"{one.file}: {one.reason}" for one in skipped[:3])
        raise HTTPException(422, f"none of the images can be read ({reasons})")
    return Predictions(predictions=predictions, skipped=skipped)
