"""Hostile names on the page: shown by the rule of the command line, wherever a name is seen or read aloud."""

from __future__ import annotations

import os

from playwright.sync_api import Page, expect

from tests.page.conftest import ODD, House, Look
from tests.page.watching import PATIENCE
from wherefrom.printing import plain
from wherefrom.sources.folder import file_uri

SEEN = """() => {
  const all = [...document.querySelectorAll("body *")];
  const texts = all.flatMap((one) => [...one.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data));
  const names = ["title", "alt", "aria-label", "placeholder"];
  const attributes = all.flatMap((one) => names.map((name) => one.getAttribute(name) ?? ""));
  return [document.title, ...texts, ...attributes].map((text) => [...text].map((c) => c.codePointAt(0)));
}"""


def seen(page: Page) -> list[str]:
    """All that is shown, in text and in attributes that people see or hear."""
    return ["".join(map(chr, codes)) for codes in page.evaluate(SEEN)]


def harmless(page: Page) -> str:
    """All that is shown, in which nothing is obeyed or hidden."""
    found = seen(page)
    assert [text for text in found if plain(text) != text] == []
    return "\n".join(found)


NAMES = [plain(os.fsdecode(name)) for name in ODD]


def test_the_page_marks_what_the_command_line_marks(look: Look) -> None:
    page = look().open()
    edges = (0x00, 0x80, 0x600, 0x61C, 0x180E, 0x200B, 0x2028, 0x2060, 0x206F, 0xD800, 0xDC80, 0xDFFF, 0xFEFF)
    codes = [code + near for code in (*edges, 0xFFF9, 0xE0000, 0xE0020) for near in range(-16, 34)]
    codes = [code for code in codes if code >= 0] + [*range(0x100)]
    shown = page.evaluate(
        """async (codes) => {
          const { plain } = await import(new URL("js/plain.js", location.href).href);
          const shown = codes.map((code) => plain(String.fromCodePoint(code)));
          return shown.map((text) => [...text].map((one) => one.codePointAt(0)));
        }""",
        codes,
    )
    assert ["".join(map(chr, one)) for one in shown] == [plain(chr(code)) for code in codes]


def test_names_in_uris_are_read_as_the_system_has_them(look: Look) -> None:
    names = [
        *ODD,
        b"\xf0\x9f\x98\x80 \xf0\x9f\x98 \xed\xa0\x80 100% #?.jpg",
        b"\xc3",
        b"\xe2\x82\xac\xe2\x82",
    ]
    uris = [file_uri(f"/p/{os.fsdecode(name)}") for name in names]
    shown = (
        look()
        .open()
        .evaluate(
            """async (uris) => {
          const { decoded, plain } = await import(new URL("js/plain.js", location.href).href);
          return uris.map((uri) => plain(decoded(uri)));
        }""",
            uris,
        )
    )
    assert shown == [f"file:///p/{plain(os.fsdecode(name))}" for name in names]


def test_every_view_shows_hostile_names_as_marks(look: Look, house: House) -> None:
    one = look()
    one.expected |= {404}
    page = one.open("#view=images&collection=odd")
    expect(page.locator(".card")).to_have_count(3)
    said = harmless(page)
    assert all(name in said for name in NAMES)
    page.locator(".card-link").first.click()
    expect(page.get_by_role("dialog").locator(".places")).to_be_visible()
    harmless(page)
    page.get_by_role("dialog").get_by_role("link", name="Find its copies").click()
    expect(page.locator(".verdict h1")).to_be_visible()
    expect(page.locator(".card").nth(1)).to_be_visible()
    assert any(name in harmless(page) for name in NAMES)
    page.locator(".card-link").first.click()
    expect(page.locator("dialog .places")).to_be_visible()
    harmless(page)
    page = one.open("#view=duplicates&collection=odd")
    page.locator(".state, .group").first.wait_for()
    page.get_by_role("button", name="Look").first.click()
    expect(page.locator(".member")).to_have_count(3, timeout=4 * PATIENCE)
    said = harmless(page)
    assert all(name in said for name in NAMES)
