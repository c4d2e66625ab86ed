"""The page at `/docs`: the API to read and to try, from the gateway alone."""

from urllib.parse import urlsplit


def test_the_api_is_read_and_tried_with_a_key_and_nothing_comes_from_elsewhere(browser, service):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    hosts: set[str] = set()
    said: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    page.goto(f"{service.url}/docs")
    page.get_by_role("heading", name="Scatterlens").wait_for()
    assert "Bearer sl_..." in page.inner_text("main")

    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container", has_text="http, Bearer").locator("input").fill(service.key)
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").first.click()
    operation = page.locator("#operations-service-read_health_api_v1_health_get")
    operation.locator(".opblock-summary-control").click()
    with page.expect_response("**/api/v1/health") as answered:
        operation.get_by_role("button", name="Execute").click()
    assert answered.value.status == 200
    operation.locator(".live-responses-table").get_by_text('"workers"').wait_for()
    assert hosts - {""} == {urlsplit(service.url).netloc}
    assert said == []
    context.close()


def test_the_page_is_there_for_who_has_no_key(browser, service):
    with service.http() as http:
        answer = http.get(f"{service.url}/docs", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
