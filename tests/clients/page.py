"""Looks at pages in Debian's chromium through the DevTools protocol (over its pipe: no port, no package), in real time.

page.py PLAN.json         prints one JSON document a view, with what the page shows and what it did to show it.
page.py CHROMIUM PROFILE  one page, led by hand: a JSON step a line on standard input, a JSON answer a line on standard output (`STEPS`).

PLAN: {"chromium": program, "profile": empty folder, "views": [{"name", "url", "width", "height", "scheme" ("light" or "dark"),
"until": expression that is true when the page is ready, "rest_seconds": how long it is watched after that,
"facts": {name: expression}, "screenshot": file or null}]}
"""
import base64
import fcntl
import json
import os
import select
import subprocess
import sys
import time

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--no-default-browser-check", "--remote-debugging-pipe",
]
PATIENCE_SECONDS = 60

# Movement of what is already shown (CLS), but for what follows a person's input within half a second, as web.dev counts it.
WATCH = """
window.jumps = [];
new PerformanceObserver((list) => { for (const shift of list.getEntries()) if (!shift.hadRecentInput) jumps.push({
  at: Math.round(shift.startTime), value: shift.value,
  what: shift.sources.map((source) => source.node && (source.node.id || source.node.className || source.node.nodeName)).slice(0, 4),
}); }).observe({ type: 'layout-shift', buffered: true });
"""


class Browser:
    def __init__(self, chromium, profile):
        theirs_in, self.out = os.pipe()
        self.inn, theirs_out = os.pipe()
        # High numbers first, so that neither overwrites the other.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (theirs_in, theirs_out)]

        def place():
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [chromium, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=place, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        self.number, self.rest, self.events, self.stubs = 0, b"", [], []

    def read(self, seconds):
        """The next message, None when none comes in time."""
        end = time.monotonic() + seconds
        while b"\0" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.inn], [], [], left)[0]:
                return None
            more = os.read(self.inn, 1 << 20)
            if not more:
                sys.exit("chromium ended")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def send(self, method, session=None, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if session:
            request["sessionId"] = session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        return self.number

    def keep(self, event):
        """Keeps an event; a request that somebody else is to answer is answered."""
        if event["method"] != "Fetch.requestPaused":
            self.events.append(event)
            return
        request, paused, session = event["params"]["request"], event["params"]["requestId"], event.get("sessionId")
        stub = next((stub for stub in self.stubs if stub["method"] in (None, request["method"]) and stub["part"] in request["url"]), None)
        if stub is None:
            self.send("Fetch.continueRequest", session, requestId=paused)
            return
        kind = "application/json" if stub["status"] < 400 else "application/problem+json"
        self.send("Fetch.fulfillRequest", session, requestId=paused, responseCode=stub["status"],
                  responseHeaders=[{"name": "content-type", "value": kind}], body=base64.b64encode(json.dumps(stub["body"]).encode()).decode())

    def call(self, method, session=None, **params):
        number = self.send(method, session, **params)
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            message = self.read(end - time.monotonic())
            if message is None:
                sys.exit(f"no answer to {method}")
            if message.get("id") == number:
                if "error" in message:
                    sys.exit(f"{method}: {message['error']}")
                return message["result"]
            if "method" in message:
                self.keep(message)

    def watch(self, seconds):
        """Takes events for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            message = self.read(left)
            if message and "method" in message:
                self.keep(message)

    def end(self):
        self.process.terminate()
        self.process.wait(20)


def value(browser, session, expression):
    result = browser.call("Runtime.evaluate", session, expression=expression, returnByValue=True, awaitPromise=True)
    if "exceptionDetails" in result:
        return {"exception": result["exceptionDetails"].get("exception", {}).get("description", "?")}
    return result["result"].get("value")


def complaints(events):
    """What the console and the network have to say."""
    found, hosts = [], set()
    urls = {}
    for event in events:
        method, params = event["method"], event["params"]
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            found.append("exception: " + details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            found.append(f"console {params['type']}: " + " ".join(str(arg.get("value", arg.get("description"))) for arg in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            found.append(f"log {params['entry']['level']}: {params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            urls[params["requestId"]] = url
            if not url.startswith("data:"):
                hosts.add(url.split("/")[2])
        elif method == "Network.responseReceived" and params["response"]["status"] >= 400:
            found.append(f"status {params['response']['status']} of {params['response']['url']}")
        elif method == "Network.loadingFailed" and not params.get("canceled"):
            found.append(f"{params['errorText']} at {urls.get(params['requestId'])}")
    return found, sorted(hosts)


def look(browser, view):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    browser.events.clear()
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.call(f"{domain}.enable", session)
    browser.call("Page.addScriptToEvaluateOnNewDocument", session, source=WATCH)
    narrow = view["width"] < 600
    browser.call("Emulation.setDeviceMetricsOverride", session, width=view["width"], height=view["height"],
                 deviceScaleFactor=2 if narrow else 1, mobile=narrow)
    browser.call("Emulation.setEmulatedMedia", session, features=[{"name": "prefers-color-scheme", "value": view["scheme"]}])
    browser.call("Page.navigate", session, url=view["url"])
    end = time.monotonic() + PATIENCE_SECONDS
    while not (ready := value(browser, session, view["until"]) is True) and time.monotonic() < end:
        browser.watch(0.1)
    began = value(browser, session, "performance.now()")
    browser.watch(view["rest_seconds"])
    found, hosts = complaints([event for event in browser.events if event.get("sessionId") == session])
    facts = {name: value(browser, session, expression) for name, expression in view["facts"].items()}
    jumps = [jump for jump in value(browser, session, "jumps") if jump["at"] > began]
    if view.get("screenshot"):
        picture = browser.call("Page.captureScreenshot", session, captureBeyondViewport=view.get("whole", False))
        with open(view["screenshot"], "wb") as file:
            file.write(base64.b64decode(picture["data"]))
    browser.call("Target.closeTarget", targetId=target)
    return {"name": view["name"], "ready": ready, "complaints": found, "hosts": hosts, "facts": facts, "jumps": jumps}


# Keys by name: code, Windows key code, text.
KEYS = {
    "Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), "Tab": ("Tab", 9, ""), " ": ("Space", 32, " "),
    "ArrowLeft": ("ArrowLeft", 37, ""), "ArrowUp": ("ArrowUp", 38, ""), "ArrowRight": ("ArrowRight", 39, ""), "ArrowDown": ("ArrowDown", 40, ""),
    "Home": ("Home", 36, ""), "End": ("End", 35, ""),
}
MODIFIERS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}
# Serious and critical findings of axe-core, with the elements concerned.
AXE = """
axe.run(document, { resultTypes: ['violations'] }).then((found) => found.violations
  .filter(({ impact }) => impact === 'serious' || impact === 'critical')
  .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 4).map(({ html, any }) => html.slice(0, 160) + ' ' + (any[0]?.message ?? '')).join(' | ')}`))
"""

# The middle of an element, once it rests for two frames; and a guard for the click that follows.
AIM = """
async (css) => {
  const box = () => { const element = document.querySelector(css); element?.scrollIntoView({ block: 'center' }); return element?.getBoundingClientRect(); };
  const frame = () => new Promise((next) => requestAnimationFrame(next));
  let was = box();
  for (let frames = 0; frames < 60; frames++) {
    await frame();
    const now = box();
    if (was && now && was.x === now.x && was.y === now.y && was.width === now.width && was.height === now.height) break;
    was = now;
  }
  if (!was) return null;
  const kinds = ['pointerdown', 'mousedown', 'pointerup', 'mouseup', 'click'];
  globalThis.gridtallyAim?.stop();
  const aim = { beside: null, stop: () => kinds.forEach((kind) => removeEventListener(kind, guard, true)) };
  const guard = (event) => {
    if (event.type === 'pointerdown') aim.beside = event.target.closest?.(css) ? null : event.target.outerHTML.slice(0, 160);
    if (aim.beside !== null) { event.preventDefault(); event.stopImmediatePropagation(); }
    if (event.type === 'click' || (event.type === 'mouseup' && aim.beside !== null)) aim.stop();
  };
  kinds.forEach((kind) => addEventListener(kind, guard, true));
  globalThis.gridtallyAim = aim;
  return [was.x + was.width / 2, was.y + was.height / 2];
}
"""


class Led:
    """One page, led step by step."""

    def __init__(self, browser):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            browser.call(f"{domain}.enable", self.session)
        browser.call("Page.addScriptToEvaluateOnNewDocument", self.session, source=WATCH)

    def step_size(self, size):
        """[width, height, "light" or "dark"]"""
        width, height, scheme = size
        narrow = width < 600
        self.browser.call("Emulation.setDeviceMetricsOverride", self.session, width=width, height=height, deviceScaleFactor=2 if narrow else 1, mobile=narrow)
        self.browser.call("Emulation.setEmulatedMedia", self.session, features=[{"name": "prefers-color-scheme", "value": scheme}])

    def step_media(self, medium):
        """"print" or "screen"; "" is as it was."""
        self.browser.call("Emulation.setEmulatedMedia", self.session, media=medium)

    def step_pdf(self, file):
        """The page on paper, of the size that it says itself."""
        printed = self.browser.call("Page.printToPDF", self.session, preferCSSPageSize=True, printBackground=True)
        with open(file, "wb") as out:
            out.write(base64.b64decode(printed["data"]))

    def step_go(self, url):
        self.browser.call("Page.navigate", self.session, url=url)

    def step_until(self, expression):
        """Waits until it is true; false after a while."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (ready := value(self.browser, self.session, expression)) is not True and time.monotonic() < end:
            self.browser.watch(0.1)
        return ready

    def step_value(self, expression):
        return value(self.browser, self.session, expression)

    def step_click(self, css):
        """A real click of the mouse on the middle of an element. What loads meanwhile may move the element away between the look and the press: a press
        that would land beside it is swallowed by the page's guard, and tried again where the element is then."""
        if self.step_until(f"!!document.querySelector({json.dumps(css)})") is not True:
            return f"nothing is {css}"
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            place = self.step_value(f"({AIM})({json.dumps(css)})")
            beside = "nothing: it is gone"
            if place is not None:
                for kind, held in (("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)):
                    self.browser.call("Input.dispatchMouseEvent", self.session, type=kind, x=place[0], y=place[1], button="left" if kind != "mouseMoved" else "none", buttons=held, clickCount=1)
                beside = self.step_value("globalThis.gridtallyAim?.beside ?? null")
            if beside is None:
                return None
            if time.monotonic() > end:
                return f"{css} is under {beside}"
            self.browser.watch(0.1)

    def step_drag(self, where):
        """[css, from, to]: drags along an element, shares of its width."""
        css, start, end = where
        box = self.step_value(f"""(() => {{ const element = document.querySelector({json.dumps(css)}); element.scrollIntoView({{ block: 'center' }});
            const box = element.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; }})()""")
        point = lambda share: {"x": box[0] + box[2] * share, "y": box[1] + box[3] / 2}
        self.browser.call("Input.dispatchMouseEvent", self.session, type="mouseMoved", button="none", **point(start))
        self.browser.call("Input.dispatchMouseEvent", self.session, type="mousePressed", button="left", buttons=1, clickCount=1, **point(start))
        for part in range(1, 9):
            self.browser.call("Input.dispatchMouseEvent", self.session, type="mouseMoved", button="left", buttons=1, **point(start + (end - start) * part / 8))
        self.browser.call("Input.dispatchMouseEvent", self.session, type="mouseReleased", button="left", buttons=0, clickCount=1, **point(end))

    def step_hover(self, where):
        """[css, from, to]: moves along an element; shares of its width."""
        css, start, end = where
        box = self.step_value(f"""(() => {{ const element = document.querySelector({json.dumps(css)}); element.scrollIntoView({{ block: 'center' }});
            const box = element.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; }})()""")
        for part in range(61):
            share = start + (end - start) * part / 60
            self.browser.call("Input.dispatchMouseEvent", self.session, type="mouseMoved", button="none", x=box[0] + box[2] * share, y=box[1] + box[3] / 2)

    def step_key(self, name):
        """A key, as `Enter` or `Control+k`."""
        *held, key = name.split("+") if name != "+" else [name]
        code, number, text = KEYS.get(key, (f"Key{key.upper()}", ord(key.upper()[:1]), key))
        modifiers = sum(MODIFIERS[one] for one in held)
        said = {} if modifiers & ~8 or not text else {"text": text}
        for kind in ("keyDown", "keyUp"):
            self.browser.call("Input.dispatchKeyEvent", self.session, type=kind, key=key, code=code, windowsVirtualKeyCode=number, modifiers=modifiers, **(said if kind == "keyDown" else {}))

    def step_type(self, text):
        self.browser.call("Input.insertText", self.session, text=text)

    def step_shot(self, file):
        picture = self.browser.call("Page.captureScreenshot", self.session)
        with open(file, "wb") as out:
            out.write(base64.b64decode(picture["data"]))

    def step_axe(self, file):
        """Serious and critical findings; `file`: axe-core."""
        with open(file, encoding="utf-8") as script:
            self.browser.call("Runtime.evaluate", self.session, expression=script.read())
        return value(self.browser, self.session, AXE)

    def step_stub(self, stubs):
        """[{"part" of the address, "method" or null, "status", "body"}]: these are answered so, not by the server; none: all go to it again."""
        self.browser.stubs = stubs
        if stubs:
            self.browser.call("Fetch.enable", self.session, patterns=[{"urlPattern": f"*{stub['part']}*"} for stub in stubs])
        else:
            self.browser.call("Fetch.disable", self.session)

    def step_complaints(self, _):
        """What console and network said since the last time, and the hosts that were asked."""
        found, hosts = complaints([event for event in self.browser.events if event.get("sessionId") == self.session])
        self.browser.events.clear()
        return {"found": found, "hosts": hosts}


def lead(chromium, profile):
    browser = Browser(chromium, profile)
    try:
        page = Led(browser)
        for line in sys.stdin:
            (name, argument), = json.loads(line).items()
            print(json.dumps({"answer": getattr(page, f"step_{name}")(argument)}), flush=True)
    finally:
        browser.end()


def main():
    if len(sys.argv) == 3:
        lead(*sys.argv[1:])
        return
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    browser = Browser(plan["chromium"], plan["profile"])
    try:
        for view in plan["views"]:
            print(json.dumps(look(browser, view)), flush=True)
    finally:
        browser.end()


main()
