"""A check of pages: well formed, nothing from elsewhere, and no script but the one that the page's policy names."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

VOID = frozenset({"meta", "img", "br", "rect", "line", "circle", "polyline"})


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.policy = ""
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        assert not any(name.startswith("on") for name in found), (tag, found)
        assert found.get("src", "data:").startswith("data:"), found["src"][:80]
        assert found.get("href", "#").startswith("#"), found["href"]
        if "href" in found:
            self.links.append(found["href"][1:])
        if "id" in found:
            self.ids.append(found["id"])
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self.open.pop() == tag, tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)


def require_self_contained(text: str) -> None:
    """Raise AssertionError unless the page is whole, loads nothing, and its links lead to places in it."""
    page = _Page()
    page.feed(text)
    page.close()
    assert page.open == []
    assert len(page.scripts) == 1
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    assert "default-src 'none'" in page.policy and f"'sha256-{digest}'" in page.policy
    assert not re.search(r"url\(|@import", text)
    assert len(set(page.ids)) == len(page.ids)
    assert set(page.links) <= set(page.ids)
