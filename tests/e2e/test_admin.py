"""Logging in by hand, and running the service from its pages."""

import pytest
from playwright.sync_api import expect

from support import browsing
from support.gateway import picture
from support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def other(browser):
    """A browser of somebody who is not logged in."""
    context = browser.new_context(viewport={"width": 820, "height": 1100})
    yield context.new_page()
    context.close()


def make_key(service, name: str, **wanted: object) -> str:
    with service.http() as http:
        return http.post("keys", json={"name": name, "role": "viewer", **wanted}).json()["key"]


def row(page, name: str):
    return page.get_by_role("row").filter(has_text=name)


def test_a_wrong_key_is_refused_and_a_pasted_link_logs_in(other, service):
    other.goto(f"{service.url}/#key=sl_000000000000_{'x' * 43}")
    expect(other.get_by_role("alert")).to_contain_text("unknown, expired or revoked")
    assert "key=" not in other.url
    assert browsing.serious_violations(other) == []
    other.get_by_label("Key", exact=True).fill(f" {service.link}\n")
    other.get_by_role("button", name="Log in").click()
    other.get_by_role("navigation", name="Pages").wait_for()


def test_a_link_logs_in_where_the_page_is_open_already(other, service):
    other.goto(service.url)
    other.get_by_label("Key", exact=True).wait_for()
    other.evaluate(f"location.hash = 'key={service.key}'")
    other.get_by_role("navigation", name="Pages").wait_for()
    assert "key=" not in other.url


def test_who_may_not_run_the_service_is_not_offered_it(other, service):
    other.goto(f"{service.url}/admin#key={make_key(service, 'guest')}")
    expect(other.get_by_text("Not for this key")).to_be_visible()
    expect(other.get_by_role("link", name="Admin")).to_have_count(0)


def test_a_revoked_key_leads_to_the_login_at_the_next_step(other, page, service):
    other.goto(f"{service.url}/#key={make_key(service, 'leaver')}")
    other.get_by_role("navigation", name="Pages").wait_for()
    page.goto(f"{service.url}/admin/keys")
    page.get_by_role("button", name="Revoke the key of leaver").click()
    page.get_by_role("dialog").get_by_role("button", name="Back").click()
    expect(row(page, "leaver")).to_contain_text("valid")
    page.get_by_role("button", name="Revoke the key of leaver").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row(page, "leaver")).to_contain_text("revoked")
    other.get_by_label("scan").fill("another")
    other.get_by_label("scan").press("Enter")
    expect(other.get_by_label("Key", exact=True)).to_be_visible()


def test_a_key_is_made_shown_once_and_opens_what_was_asked(page, other, service):
    page.goto(f"{service.url}/admin/keys")
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Who or what will use it").fill("grace")
    page.get_by_label("Role").select_option("scientist")
    page.get_by_label("labels:write").uncheck()
    page.get_by_label("Proposal").fill("P1")
    # Somebody logs in anew in another tab meanwhile: this one goes on working.
    tab = page.context.new_page()
    browsing.log_in(tab, service)
    tab.close()
    page.get_by_role("button", name="Make the key").click()
    key = page.get_by_label("The new key").inner_text()
    page.get_by_role("button", name="I have kept it").click()
    expect(row(page, "grace")).to_contain_text("P1")
    assert key not in page.content()
    told = other.request.get(
        f"{service.url}/api/v1/session", headers={"Authorization": f"Bearer {key}"}
    ).json()
    assert (told["scopes"], told["proposal"]) == (["frames:write", "results:read"], "P1")


def test_a_failed_frame_is_tried_again(page, service):
    service.send(picture(1)[:200], "damaged.npy")
    page.goto(f"{service.url}/admin/failed")
    expect(row(page, "damaged.npy")).to_contain_text("1")
    page.get_by_label("Choose damaged.npy").check()
    page.get_by_role("button", name="Try 1 again").click()
    expect(page.get_by_text("1 frame waits again.")).to_be_visible()
    expect(row(page, "damaged.npy")).to_have_count(0)

    def is_there() -> bool:
        page.get_by_role("button", name="Look again").click()
        return row(page, "damaged.npy").count() > 0

    wait_until(is_there, every=0.2)
    expect(row(page, "damaged.npy").get_by_role("cell").nth(3)).to_have_text("2")


def test_the_service_tells_how_it_does(page, service):
    service.send(picture(2), "fine.npy")
    page.goto(f"{service.url}/admin")
    expect(page.get_by_text("Nothing is wrong.")).to_be_visible()
    expect(row(page, "annotates")).to_contain_text("CPUExecutionProvider")
    done = row(page, "annotate.live").get_by_role("cell").nth(3)
    before = int(done.inner_text())
    service.send(picture(3), "finer.npy")
    expect(done).to_have_text(str(before + 1))


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("part", ["", "/quarantine", "/failed", "/keys"])
def test_the_pages_are_accessible(page, service, theme, part):
    page.evaluate(f"localStorage.setItem('scatterlens.theme', '{theme}')")
    page.goto(f"{service.url}/admin{part}")
    expect(page.get_by_text("Loading")).to_have_count(0)
    if part == "/keys":
        page.get_by_role("button", name="New key").click()
    assert browsing.serious_violations(page) == []
