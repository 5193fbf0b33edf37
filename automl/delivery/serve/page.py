"""The page that describes the server, without anything from another one."""

from __future__ import annotations

from html import escape
from typing import Any

from automl.delivery.serve.served_model import ServedModel

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>automl: {name}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1c2530;
  background: #fff }}
pre {{ background: #f2f4f7; padding: .8rem; overflow-x: auto; border-radius: .4rem }}
code {{ font-family: ui-monospace, monospace }}
dt {{ margin-top: .8rem; font-weight: 600 }}
input, button {{ font: inherit; padding: .3rem .6rem }}
</style></head><body>
<h1>{name}</h1>
<p>{task} with {classes}, by {runtime}.</p>
<h2>Try it</h2>
<form id="try"><label>Images <input type="file" name="images" accept="image/*" multiple required></label>
<button>Predict</button></form>
<pre id="answer" aria-live="polite">The answer appears here.</pre>
<h2>From another program</h2>
<pre><code>curl -F images=@one.jpg -F images=@two.jpg {address}/predict</code></pre>
<dl>{calls}</dl>
<p>All of it as OpenAPI: <a href="openapi.json">openapi.json</a></p>
<script>
document.getElementById("try").addEventListener("submit", async event => {{
  event.preventDefault();
  const answer = document.getElementById("answer");
  answer.textContent = "...";
  try {{
    const reply = await fetch("predict", {{method: "POST", body: new FormData(event.target)}});
    answer.textContent = JSON.stringify(await reply.json(), null, 2);
  }} catch (error) {{ answer.textContent = String(error); }}
}});
</script></body></html>
"""


def page(openapi: dict[str, Any], model: ServedModel, *, address: str) -> str:
    """Return the page for the calls in an OpenAPI document; `address` is that of the server."""
    calls = "".join(
        f"<dt><code>{method.upper()} {escape(path)}</code></dt><dd>{escape(call.get('description', ''))}</dd>"
        for path, methods in openapi["paths"].items()
        for method, call in methods.items()
    )
    classes = [str(name) for name in model.said["classes"]]
    shown = ", ".join(classes[:10]) + (f" and {len(classes) - 10:,} more" if len(classes) > 10 else "")
    return _PAGE.format(
        name=escape(model.name),
        task=escape(str(model.said["task"]).capitalize()),
        classes=escape(shown),
        runtime=escape(model.runtime),
        address=escape(address),
        calls=calls,
    )
