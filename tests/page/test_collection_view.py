"""The collection: looked through, duplicates removed and taken back, pictures added."""

from __future__ import annotations

import time

import httpx
from playwright.sync_api import expect

from tests.page.conftest import RIGHT_TO_LEFT, House, Look

SPARE = "collection=spare"


def count(house: House, collection: str = "spare") -> int:
    """Images that a collection has."""
    with httpx.Client(trust_env=False) as client:
        answer = client.get(f"{house.url}/api/v1/images", params={"collection": collection, "limit": 1})
    return int(answer.json()["total"])


def comes_to(house: House, wanted: int) -> bool:
    """Whether the collection comes to have so many images within some seconds."""
    for _ in range(50):
        if count(house) == wanted:
            return True
        time.sleep(0.1)
    return False


def test_the_collection_is_looked_through_by_words_order_and_filter(look: Look) -> None:
    page = look().open("#view=images")
    expect(page.locator(".card")).to_have_count(13)
    field = page.get_by_role("searchbox")
    field.fill("mirrored")
    expect(page.locator(".card")).to_have_count(1)
    page.wait_for_url("**q=mirrored*")
    field.fill("no such name")
    expect(page.get_by_role("heading", name="Nothing here is called")).to_be_visible()
    page.get_by_role("link", name="Show everything").click()
    expect(page.locator(".card")).to_have_count(13)
    page.get_by_label("Sort").select_option("biggest")
    expect(page.locator(".card-name").first).to_have_text("collage.jpg")
    page.locator("summary", has_text="Filter").click()
    page.get_by_label("At least this wide").fill("401")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".card")).to_have_count(1)


def test_an_image_opens_and_leads_to_its_copies(look: Look) -> None:
    page = look().open("#view=images")
    page.get_by_role("link", name="mirrored.jpg").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".places")).to_contain_text("mirrored.jpg")
    expect(dialog.locator(".swatch").first).to_be_visible()
    dialog.get_by_role("link", name="Find its copies").click()
    expect(page.locator(".verdict h1")).to_contain_text("This is exactly mirrored.jpg")
    expect(page.locator("#tier-copies .card").first).to_be_visible()


def test_removing_an_image_is_undone_or_done(look: Look, house: House) -> None:
    page = look().open(f"#view=images&{SPARE}")
    before = count(house)
    for undone in (True, False):
        page.get_by_role("link", name="original 7.jpg").click()
        page.get_by_role("button", name="Remove from the collection").click()
        expect(page.get_by_role("link", name="original 7.jpg")).to_be_hidden()
        notice = page.locator(".notice")
        expect(notice).to_contain_text("Files stay where they are.")
        assert count(house) == before
        notice.get_by_role("button", name="Undo" if undone else "Close").click()
        if undone:
            expect(page.get_by_role("link", name="original 7.jpg")).to_be_visible()
    expect(page.get_by_role("link", name="original 7.jpg")).to_have_count(0)
    assert comes_to(house, before - 1)


def test_duplicates_are_found_and_the_others_removed_with_a_way_back(look: Look, house: House) -> None:
    one = look()
    one.expected |= {404}
    page = one.open(f"#view=duplicates&{SPARE}")
    page.locator(".state, .group").first.wait_for()
    page.get_by_role("button", name="Look").first.click()
    group = page.get_by_role("article").first
    # Of the mirrored one nothing says whether it was first.
    expect(group).to_contain_text("Your choice", timeout=60_000)
    expect(group.locator(".member")).to_have_count(5)
    expect(group.get_by_text(RIGHT_TO_LEFT)).to_be_visible()
    boxes = group.get_by_role("checkbox")
    ticked = [box.is_checked() for box in boxes.all()]
    said = [member.inner_text() for member in group.locator(".member").all()]
    assert not any(
        "which of the two was first" in text for text, gone in zip(said, ticked, strict=True) if gone
    )
    assert ticked[-1]  # which has something laid over it
    assert not ticked[0]
    moved = sum(ticked)
    count_of = f"{moved} file{'s' if moved > 1 else ''}"
    parts = page.get_by_role("article").last
    expect(parts).to_contain_text("Crops and parts")
    assert not any(box.is_checked() for box in parts.get_by_role("checkbox").all())
    files = sorted(house.folder.rglob("*.jpg"))
    for by_keys in (False, True):
        group.get_by_role("button", name=f"Move {count_of} to the bin").click()
        expect(group.locator(".member:visible")).to_have_count(5 - moved)
        expect(page.locator(".notice").last).to_contain_text(f"{count_of} beside")
        there = sorted(house.folder.rglob("*.jpg"))
        assert len(there) == len(files) - moved
        assert set(there) < set(files)
        if by_keys:
            page.keyboard.press("Control+z")
        else:
            page.get_by_role("button", name="Undo").click()
        expect(group.locator(".member:visible")).to_have_count(5)
        assert sorted(house.folder.rglob("*.jpg")) == files
    for close in page.locator(".notice").get_by_role("button", name="Close").all():
        close.click()
    for box in boxes.all():
        box.check()
    expect(group).to_contain_text("Leave at least one.")
    boxes.first.uncheck()
    boxes.last.uncheck()
    group.get_by_role("button", name="Keep all").click()
    expect(page.locator("article.group").first).to_be_hidden()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("article.group").first).to_be_visible()
    before = count(house)
    act = group.get_by_role("button", name="Remove 3")
    act.click()
    expect(group.locator(".member:visible")).to_have_count(2)
    page.get_by_role("button", name="Undo").click()
    expect(group.locator(".member:visible")).to_have_count(5)
    assert count(house) == before
    act.click()
    page.locator(".notice").get_by_role("button", name="Close").click()
    expect(group.locator(".member")).to_have_count(2)
    expect(page.locator(".notice")).to_have_count(0)
    assert comes_to(house, before - 3)
    page.reload()
    expect(page.get_by_role("article").first.locator(".member")).to_have_count(2)


def test_removal_is_done_when_the_page_is_left(look: Look, house: House) -> None:
    one = look()
    page = one.open(f"#view=images&{SPARE}")
    before = count(house)
    page.get_by_role("link", name="original 6.jpg").click()
    page.get_by_role("button", name="Remove from the collection").click()
    expect(page.locator(".notice")).to_be_visible()
    page.goto("about:blank")
    page.goto(one.url + f"#view=images&{SPARE}")
    expect(page.locator(".card").first).to_be_visible()
    assert comes_to(house, before - 1)


def test_a_folder_is_indexed_with_live_progress_and_what_was_refused_is_named(
    look: Look, house: House
) -> None:
    page = look().open(f"#view=add&{SPARE}")
    page.get_by_role("textbox", name="Folder").fill(str(house.more / "folder"))
    page.get_by_role("button", name="Index", exact=True).click()
    report = page.locator(".report")
    expect(report).to_contain_text("6 added")
    expect(report).to_contain_text("1 could not be read")
    report.locator("summary").click()
    expect(report).to_contain_text("broken.jpg")
    expect(page.locator(".job-list li").first).to_contain_text("Done")


def test_pictures_of_this_device_are_sent_and_each_has_an_outcome(look: Look, house: House) -> None:
    page = look().open(f"#view=add&{SPARE}")
    files = [house.queries / name for name in ("unknown.jpg", "edited.jpg", "text.txt")]
    page.locator("input[type=file]").set_input_files(files)
    expect(page.locator(".sent")).to_contain_text("2 added")
    expect(page.locator(".outcomes li")).to_have_count(3)
    expect(page.locator(".outcomes")).to_contain_text("text.txt")


def test_what_a_server_does_not_allow_is_said(look: Look, house: House) -> None:
    one = look()
    one.expected |= {403}
    page = one.open(f"#view=add&{SPARE}")
    page.get_by_role("textbox", name="Folder").fill("/etc")
    page.get_by_role("button", name="Index", exact=True).click()
    expect(page.locator(".panel [role=alert]")).not_to_be_empty()
