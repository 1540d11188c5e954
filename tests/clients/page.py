"""Looks at pages in Debian's chromium, led by Playwright, in real time.

page.py PLAN.json  prints one JSON document a view, with what the page shows and what it did to show it.
page.py CHROMIUM   one page, led by hand: a JSON step a line on standard input, a JSON answer a line on standard output (`Led.step_...`).

PLAN: {"chromium": program, "views": [{"name", "url", "width", "height", "scheme" ("light" or "dark"),
"until": expression that is true when the page is ready, "rest_seconds": how long it is watched after that,
"facts": {name: expression}, "screenshot": file or null, "whole": whether all of the page is in it}]}
"""
import json
import re
import shutil
import sys
import time
from functools import partial
from urllib.parse import urlsplit

from playwright.sync_api import Error, sync_playwright

PATIENCE_MS = 60_000

# Movement of what is already shown (CLS), but for what follows a person's input within half a second, as web.dev counts it.
WATCH = """
window.jumps = [];
new PerformanceObserver((list) => { for (const shift of list.getEntries()) if (!shift.hadRecentInput) jumps.push({
  at: Math.round(shift.startTime), value: shift.value,
  what: shift.sources.map((source) => source.node && (source.node.id || source.node.className || source.node.nodeName)).slice(0, 4),
}); }).observe({ type: 'layout-shift', buffered: true });
"""
# Serious and critical findings of axe-core, with the elements concerned.
AXE = """
axe.run(document, { resultTypes: ['violations'] }).then((found) => found.violations
  .filter(({ impact }) => impact === 'serious' || impact === 'critical')
  .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 4).map(({ html, any }) => html.slice(0, 160) + ' ' + (any[0]?.message ?? '')).join(' | ')}`))
"""


def start(playwright, chromium):
    return playwright.chromium.launch(executable_path=shutil.which(chromium), chromium_sandbox=False, args=["--disable-gpu", "--disable-quic"])


class Led:
    """One page, led step by step."""

    def __init__(self, browser):
        self.context = browser.new_context(no_viewport=True, service_workers="block")
        self.context.add_init_script(WATCH)
        self.page = self.context.new_page()
        self.cdp = self.context.new_cdp_session(self.page)
        self.found, self.hosts = [], set()
        self.page.on("pageerror", lambda error: self.found.append(f"exception: {error.stack or error}"))
        self.page.on("console", self.hear)
        self.page.on("request", self.asked)
        self.page.on("response", lambda answer: answer.status >= 400 and self.found.append(f"status {answer.status} of {answer.url}"))
        self.page.on("requestfailed", lambda request: request.failure == "net::ERR_ABORTED" or self.found.append(f"{request.failure} at {request.url}"))

    def hear(self, message):
        if message.type in ("error", "warning", "assert"):
            self.found.append(f"console {message.type}: {message.text} {message.location.get('url', '')}")

    def asked(self, request):
        if not request.url.startswith("data:"):
            self.hosts.add(urlsplit(request.url).netloc)

    def step_size(self, size):
        """[width, height, "light" or "dark"]"""
        width, height, scheme = size
        narrow = width < 600
        self.cdp.send("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 2 if narrow else 1, "mobile": narrow})
        self.page.emulate_media(color_scheme=scheme)

    def step_media(self, medium):
        """"print" or "screen"; "" is as it was."""
        self.page.emulate_media(media=medium or "null")

    def step_pdf(self, file):
        """The page on paper, of the size that it says itself."""
        self.page.pdf(path=file, prefer_css_page_size=True, print_background=True)

    def step_go(self, url):
        self.page.goto(url, wait_until="commit")

    def step_until(self, expression):
        """Waits until it is true; false after a while."""
        end = time.monotonic() + PATIENCE_MS / 1_000
        # Playwright's own `wait_for_function` evaluates text in the page, which the page's Content-Security-Policy forbids.
        while (ready := self.step_value(expression)) is not True and time.monotonic() < end:
            self.page.wait_for_timeout(100)
        return ready

    def step_value(self, expression):
        try:
            return self.page.evaluate(expression)
        except Error as error:
            return {"exception": str(error)}

    def step_click(self, what):
        """[css, text or null]: a click on the middle of the first such element whose text is that, once it rests and nothing is above it."""
        css, text = what
        found = self.page.locator(css)
        if text is not None:
            found = found.filter(has_text=re.compile(r"^\s*" + r"\s+".join(map(re.escape, text.split())) + r"\s*$"))
        try:
            found.first.click(timeout=PATIENCE_MS)
            return None
        except Error as error:
            return str(error)

    def box(self, css):
        element = self.page.locator(css).first
        element.scroll_into_view_if_needed()
        return element.bounding_box()

    def step_drag(self, where):
        """[css, from, to]: drags along an element, shares of its width."""
        css, start, end = where
        box = self.box(css)
        place = lambda share: (box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
        self.page.mouse.move(*place(start))
        self.page.mouse.down()
        self.page.mouse.move(*place(end), steps=8)
        self.page.mouse.up()

    def step_hover(self, where):
        """[css, from, to]: moves along an element; shares of its width."""
        css, start, end = where
        box = self.box(css)
        self.page.mouse.move(box["x"] + box["width"] * start, box["y"] + box["height"] / 2)
        self.page.mouse.move(box["x"] + box["width"] * end, box["y"] + box["height"] / 2, steps=60)

    def step_key(self, name):
        """A key, as `Enter` or `Control+k`."""
        self.page.keyboard.press(name)

    def step_type(self, text):
        self.page.keyboard.insert_text(text)

    def step_shot(self, file, whole=False):
        self.page.screenshot(path=file, full_page=whole)

    def step_axe(self, file):
        """Serious and critical findings; `file`: axe-core."""
        with open(file, encoding="utf-8") as script:
            self.page.evaluate(script.read() + "; 0")
        return self.page.evaluate(AXE)

    def step_stub(self, stubs):
        """[{"part" of the address, "method" or null, "status", "body"}]: these are answered so, not by the server; none: all go to it again."""
        self.page.unroute_all()
        for stub in reversed(stubs):
            self.page.route(lambda url, part=stub["part"]: part in url, partial(self.answer, stub))

    @staticmethod
    def answer(stub, route, _request):
        if stub["method"] not in (None, route.request.method):
            route.fallback()
            return
        kind = "application/json" if stub["status"] < 400 else "application/problem+json"
        route.fulfill(status=stub["status"], content_type=kind, body=json.dumps(stub["body"]))

    def step_complaints(self, _):
        """What console and network said since the last time, and the hosts that were asked."""
        self.page.wait_for_timeout(1)
        said = {"found": self.found.copy(), "hosts": sorted(self.hosts)}
        self.found.clear()
        self.hosts.clear()
        return said


def look(browser, view):
    led = Led(browser)
    led.step_size([view["width"], view["height"], view["scheme"]])
    led.step_go(view["url"])
    ready = led.step_until(view["until"])
    began = led.step_value("performance.now()")
    led.page.wait_for_timeout(view["rest_seconds"] * 1_000)
    facts = {name: led.step_value(expression) for name, expression in view["facts"].items()}
    jumps = [jump for jump in led.step_value("jumps") if jump["at"] > began]
    said = led.step_complaints(None)
    if view.get("screenshot"):
        led.step_shot(view["screenshot"], view.get("whole", False))
    led.context.close()
    return {"name": view["name"], "ready": ready, "complaints": said["found"], "hosts": said["hosts"], "facts": facts, "jumps": jumps}


def main():
    with sync_playwright() as playwright:
        if sys.argv[1].endswith(".json"):
            with open(sys.argv[1], encoding="utf-8") as file:
                plan = json.load(file)
            browser = start(playwright, plan["chromium"])
            for view in plan["views"]:
                print(json.dumps(look(browser, view)), flush=True)
        else:
            browser = start(playwright, sys.argv[1])
            led = Led(browser)
            for line in sys.stdin:
                (name, argument), = json.loads(line).items()
                print(json.dumps({"answer": getattr(led, f"step_{name}")(argument)}), flush=True)
        browser.close()


main()
