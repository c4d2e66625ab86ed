"""The wall: frames appear as they arrive, and stay where one looks."""

import numpy as np
import pytest
from playwright.sync_api import expect

from support import browsing
from support.gateway import picture

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def card(page, frame_id: str):
    return page.locator(f'[data-frame="{frame_id}"]')


def test_a_frame_appears_by_itself_with_its_picture(page, service):
    expect(page.get_by_text("No frames yet")).to_be_visible()
    frame = service.send(picture(1), "first.npy", scan="scan 1")
    expect(card(page, frame)).to_be_visible()
    expect(card(page, frame)).to_contain_text("first.npy")
    expect(card(page, frame).locator('img[data-state="shown"]')).to_be_visible()


def test_nothing_moves_while_paused(page, service):
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    # What was asked for before the pause may still show what comes after it.
    page.wait_for_load_state("networkidle")
    page.get_by_role("button", name="Pause").click()
    frame = service.send(picture(2), "second.npy")
    expect(page.get_by_text("1 new")).to_be_visible()
    expect(card(page, frame)).to_have_count(0)
    page.get_by_role("button", name="Go on").click()
    expect(card(page, frame)).to_be_visible()


def test_what_came_without_a_connection_is_there_afterwards(page, service):
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    page.context.set_offline(True)
    expect(page.get_by_text("reconnecting")).to_be_visible()
    frame = service.send(picture(7), "meanwhile.npy")
    page.context.set_offline(False)
    expect(card(page, frame)).to_be_visible()


def test_a_filter_is_kept_in_the_address(page, service):
    inside = service.send(picture(3), "inside.npy", scan="night shift")
    outside = service.send(picture(4), "outside.npy", scan="day shift")
    page.goto(f"{service.url}/?scan=night+shift")
    expect(card(page, inside)).to_be_visible()
    expect(card(page, outside)).to_have_count(0)


def test_files_are_sent_from_the_page(page, tmp_path):
    good, bad = tmp_path / "good.npy", tmp_path / "notes.npy"
    np.save(good, np.random.default_rng(5).poisson(9, (64, 64)).astype(np.int32))
    bad.write_text("no frame")
    page.get_by_label("Files to send").set_input_files([good, bad])
    expect(page.get_by_role("alert")).to_contain_text("notes.npy")
    expect(page.get_by_text("good.npy")).to_be_visible()


def test_the_key_leaves_the_address_and_a_cookie_stays(page, service):
    assert "key=" not in page.url
    page.reload()
    page.get_by_role("navigation", name="Pages").wait_for()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Key")).to_be_visible()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_wall_is_accessible(page, service, theme):
    service.send(picture(6), "sixth.npy")
    page.evaluate(f"localStorage.setItem('scatterlens.theme', '{theme}')")
    page.goto(service.url)
    expect(page.locator("[data-frame]").first).to_be_visible()
    assert browsing.serious_violations(page) == []
