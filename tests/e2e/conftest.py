"""A served gateway and a page of a real browser, logged in."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from support import browsing

# It only ends what would wait for ever; a busy machine takes long over a page.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        browsing.require_interface()
        with browsing.chromium() as browser:
            yield browser
    except browsing.NoBrowserError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def service(browser: Browser, tmp_path_factory: pytest.TempPathFactory):
    """A service of its own for each module; started only where there is a browser."""
    with browsing.serving(tmp_path_factory.mktemp("home")) as site:
        yield site


@pytest.fixture
def page(browser: Browser, service: browsing.Site) -> Iterator[Page]:
    """Logged in; errors of scripts fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    browsing.log_in(page, service)
    yield page
    context.close()
    assert errors == []
